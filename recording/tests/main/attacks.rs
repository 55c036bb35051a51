//! Every change of the shared list is found, at the right place, and nothing
//! is found where nothing was changed.

use crate::disk::Disk;
use crate::format::{Keys, frames, kind, leaf, resign, root};
use crate::mutations::{Expected, Mutation, bits, cuts, rearranged, spliced};
use crate::sample::{Plant, at, bytes, moment};
use recording::{Body, Event, Statement, Tap, Verdict, verify};
use std::io::{Cursor, Write};

fn found(plant: &Plant, mutation: &Mutation) {
    let report = verify(Cursor::new(&mutation.file), plant.signer.public()).unwrap();
    match (&mutation.expected, report.verdict) {
        (Expected::Unclean, Verdict::Unclean) => {}
        (Expected::Altered(range), Verdict::Altered { offset, .. }) if range.contains(&offset) => {}
        (expected, verdict) => panic!("{}: {expected:?} expected, {verdict:?}", mutation.name),
    }
}

#[test]
fn every_rearrangement_and_every_splice_is_found_where_it_begins() {
    let plant = Plant::new();
    let ((one, _), (two, _)) = (plant.recorded(), plant.recorded());
    let all: Vec<_> = rearranged(&one).into_iter().chain(spliced(&one, &two)).collect();
    assert!(all.len() > 300, "{}", all.len());
    for mutation in all {
        found(&plant, &mutation);
    }
}

/// A session with as many requests as asked for, signed now and then.
fn polled(plant: &Plant, requests: u64, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let disk = Disk::default();
    let mut writer = plant.create(&disk).unwrap();
    let (mut offset, mut state) = (0, seed | 1);
    for number in 0..requests {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = (state >> 33) % 300 + 1;
        let content = vec![state as u8; usize::try_from(length).unwrap()];
        let mut entries = vec![at(number, bytes(1, Tap::FromClient, offset, &content))];
        offset += length;
        if state >> 60 == 0 {
            entries.push(at(number, Body::Event(Event::Note { text: "n".repeat(400) })));
        }
        if (state >> 50).is_multiple_of(3) {
            writer.append_signed(&entries, moment(number)).unwrap();
        } else {
            writer.append(&entries).unwrap();
        }
    }
    let crashed = disk.content();
    writer.finish(moment(requests), "done").unwrap();
    (disk.content(), crashed)
}

#[test]
#[ignore = "takes minutes: every bit, cut, rearrangement and splice of recordings with dozens of frames"]
fn every_change_of_larger_recordings_is_found() {
    let plant = Plant::new();
    let ((one, _), (two, _)) = (polled(&plant, 12, 1), polled(&plant, 12, 2));
    let mut count = 0;
    for mutation in bits(&one).chain(cuts(&one)).chain(rearranged(&one)).chain(spliced(&one, &two)) {
        found(&plant, &mutation);
        count += 1;
    }
    tell(&format!("{count} changed files, all found\n"));
}

fn no_alarm(plant: &Plant, count: u64) {
    for seed in 0..count {
        let (file, crashed) = polled(plant, seed % 40, seed);
        let report = verify(Cursor::new(&file), plant.signer.public()).unwrap();
        assert_eq!(report.verdict, Verdict::Clean, "seed {seed}");
        for cut in [crashed.len(), usize::try_from(seed * 7919 % crashed.len() as u64).unwrap()] {
            let report = verify(Cursor::new(&crashed[..cut]), plant.signer.public()).unwrap();
            assert_eq!(report.verdict, Verdict::Unclean, "seed {seed}, cut at {cut}");
        }
    }
}

#[test]
fn a_hundred_untouched_recordings_raise_no_alarm() {
    no_alarm(&Plant::new(), 100);
}

#[test]
#[ignore = "takes minutes: thousands of recordings, whole and broken off"]
fn thousands_of_untouched_recordings_raise_no_alarm() {
    no_alarm(&Plant::new(), 5000);
    tell("5000 whole and 10000 broken off, no alarm\n");
}

/// What a checkpoint that is held elsewhere says of a file.
fn agrees(file: &[u8], held: &Statement) -> bool {
    let mut leaves = vec![leaf(&file[..frames(file)[0].start])];
    leaves.extend(frames(file).into_iter().map(|frame| leaf(&file[frame])));
    let count = usize::try_from(held.leaves).unwrap();
    leaves.get(..count).is_some_and(|leaves| root(leaves) == held.root)
}

#[test]
fn history_that_is_rewritten_with_the_stolen_key_is_found_by_whoever_holds_a_checkpoint() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    let key = plant.signer.public();
    let all = frames(&file);
    let notes = all.iter().filter(|frame| kind(&file[(*frame).clone()]) == 2);
    let held: Vec<_> =
        notes.map(|note| Statement::verify(&file[note.start + 49..note.end], key).unwrap()).collect();
    assert!(held.iter().all(|held| agrees(&file, held)), "nothing was rewritten");

    // The thief knows the last epoch's key and signs what he likes.
    let text = plant.auditor.to_text();
    let keys = Keys::unwrap(&file, text.lines().last().unwrap());
    for (number, frame) in all.iter().enumerate() {
        if kind(&file[frame.clone()]) == 2 {
            continue;
        }
        let mut changed = file.clone();
        keys.reseal(&mut changed[frame.clone()], held.len() - 1);
        let signed = resign(&changed, &plant.signer);
        let report = verify(Cursor::new(&signed), key).unwrap();
        assert_eq!(report.verdict, Verdict::Clean, "without a checkpoint nobody can tell");
        for held in &held {
            let covered = held.leaves > number as u64 + 1;
            assert_eq!(
                agrees(&signed, held),
                !covered,
                "frame {number}, checkpoint of {} leaves",
                held.leaves
            );
        }
    }
}

fn tell(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}
