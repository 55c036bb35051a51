//! What an attacker without the signing key can make of one recording, or of
//! two: made once for the tests and for the corpus of `examples/corpus.rs`.

use crate::format::{frames, key_block, rechain};
use std::ops::{Range, RangeInclusive};

/// A changed file and what a verifier has to say of it.
pub(crate) struct Mutation {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    pub(crate) expected: Expected,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Cut, which can't be told from a crash.
    Unclean,
    /// Altered. Where the chain of frames alone can't say which of two
    /// neighbours is wrong, both may be blamed.
    Altered(RangeInclusive<u64>),
}

fn at(name: String, file: Vec<u8>, offset: RangeInclusive<u64>) -> Mutation {
    Mutation { name, file, expected: Expected::Altered(offset) }
}

/// Every single bit of a finished recording, one file each.
pub(crate) fn bits(file: &[u8]) -> impl Iterator<Item = Mutation> {
    (0..file.len() * 8).map(|bit| {
        let mut changed = file.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let frame = frames(file).into_iter().find(|frame| frame.contains(&(bit / 8)));
        let start = frame.map_or(0, |frame| frame.start as u64);
        at(format!("bit-{bit}"), changed, start..=start)
    })
}

/// Every cut, as it is and with blank space behind it.
pub(crate) fn cuts(file: &[u8]) -> impl Iterator<Item = Mutation> {
    (0..file.len()).flat_map(|length| {
        let cut = file[..length].to_vec();
        let mut blank = cut.clone();
        blank.resize(file.len() + 100, 0);
        [(format!("cut-{length}"), cut), (format!("cut-{length}-blank"), blank)]
            .map(|(name, file)| Mutation { name, file, expected: Expected::Unclean })
    })
}

/// Every two frames swapped, every frame doubled at every place, every run of
/// frames dropped from the midst.
pub(crate) fn rearranged(file: &[u8]) -> Vec<Mutation> {
    let all = frames(file);
    let whole: Vec<usize> = (0..all.len()).collect();
    let mut made = Vec::new();
    for one in 0..all.len() {
        for two in one + 1..all.len() {
            let mut order = whole.clone();
            order.swap(one, two);
            made.push(ordered(format!("swap-{one}-{two}"), file, &all, &order, one));
            let mut order = whole.clone();
            order.drain(one..two);
            made.push(ordered(format!("drop-{one}-{two}"), file, &all, &order, one));
        }
        for place in 0..=all.len() {
            let mut order = whole.clone();
            order.insert(place, one);
            // A copy right before its original is one right behind it.
            let differs = if place == one { place + 1 } else { place };
            made.push(ordered(format!("double-{one}-{place}"), file, &all, &order, differs));
        }
    }
    made
}

/// The frames in that order, which differs from `place` on.
fn ordered(name: String, file: &[u8], all: &[Range<usize>], order: &[usize], place: usize) -> Mutation {
    let mut out = file[..all[0].start].to_vec();
    for number in order {
        out.extend_from_slice(&file[all[*number].clone()]);
    }
    at(name, out, place_of(all, place, file.len()))
}

/// The frame before a place, or the one there.
fn place_of(all: &[Range<usize>], place: usize, end: usize) -> RangeInclusive<u64> {
    let start = |number: usize| all.get(number).map_or(end, |frame| frame.start) as u64;
    let before = place.checked_sub(1).map_or(0, start);
    before..=start(place)
}

/// The begin of one recording and the end of another, at every two places, as
/// it is and with the chain made to fit.
pub(crate) fn spliced(one: &[u8], two: &[u8]) -> Vec<Mutation> {
    let (heads, tails) = (frames(one), frames(two));
    let mut made = Vec::new();
    for head in 0..=heads.len() {
        let cut = heads.get(head).map_or(one.len(), |frame| frame.start);
        for (tail, frame) in tails.iter().enumerate() {
            let file = [&one[..cut], &two[frame.start..]].concat();
            let mut fitted = file.clone();
            rechain(&mut fitted);
            let offset = place_of(&heads, head, one.len());
            let anywhere = 0..=*offset.end();
            made.push(at(format!("splice-{head}-{tail}"), file, offset));
            made.push(at(format!("splice-{head}-{tail}-chained"), fitted, anywhere));
        }
    }
    let swapped = [&one[..key_block(one).end], &two[key_block(two).end..]].concat();
    made.push(at("header-of-another".to_owned(), swapped, 0..=0));
    made
}
