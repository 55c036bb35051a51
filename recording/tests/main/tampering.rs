//! Whatever is changed is found, with the place; nothing else is.

use crate::format::{Keys, frames, key_block, kind, rechain, resign, with_key_block};
use crate::sample::{Plant, moment};
use recording::{Fault, OpenError, Opened, SigningKey, Stop, Verdict, verify};
use std::io::Cursor;

fn verdict(plant: &Plant, file: &[u8]) -> Verdict {
    verify(Cursor::new(file), plant.signer.public()).unwrap().verdict
}

/// Where the frame begins in which a byte lies; 0 for the header.
fn start_of(file: &[u8], at: usize) -> u64 {
    let frame = frames(file).into_iter().find(|frame| frame.contains(&at));
    frame.map_or(0, |frame| frame.start as u64)
}

fn fault(plant: &Plant, file: &[u8]) -> (u64, Fault) {
    match verdict(plant, file) {
        Verdict::Altered { offset, fault } => (offset, fault),
        other @ (Verdict::Clean | Verdict::Untrimmed | Verdict::Unclean) => panic!("not found: {other:?}"),
    }
}

#[test]
fn every_single_bit_of_a_finished_recording_is_guarded() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    assert_eq!(verdict(&plant, &file), Verdict::Clean);
    for bit in 0..file.len() * 8 {
        let mut changed = file.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (at, expected) = (bit / 8, start_of(&file, bit / 8));
        let Verdict::Altered { offset, fault } = verdict(&plant, &changed) else {
            panic!("byte {at} in the frame at {expected}, bit {} is not guarded", bit % 8);
        };
        assert_eq!(offset, expected, "byte {at}, bit {}: {fault}", bit % 8);
    }
}

#[test]
fn every_bit_of_a_crashed_recording_is_signed_or_said_not_to_be() {
    let plant = Plant::new();
    let file = plant.crashed();
    let report = verify(Cursor::new(&file), plant.signer.public()).unwrap();
    let signed = report.signed.clone().unwrap();
    for bit in (0..file.len() * 8).step_by(3) {
        let mut changed = file.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let at = bit / 8;
        let found = verify(Cursor::new(&changed), plant.signer.public()).unwrap();
        if (at as u64) < signed.bytes {
            let Verdict::Altered { offset, .. } = found.verdict else {
                panic!("byte {at}: {found:?}");
            };
            assert_eq!(offset, start_of(&file, at), "byte {at}: {found:?}");
        } else {
            assert!(!matches!(found.verdict, Verdict::Clean | Verdict::Untrimmed), "byte {at}");
            assert!(found.signed.is_none_or(|prefix| prefix == signed), "byte {at}");
        }
    }
}

#[test]
fn every_cut_is_seen_and_none_is_called_an_alteration() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    for length in 0..file.len() {
        let report = verify(Cursor::new(&file[..length]), plant.signer.public()).unwrap();
        assert_eq!(report.verdict, Verdict::Unclean, "cut at {length}");
        assert!(report.signed.is_none_or(|signed| signed.bytes <= length as u64));
    }
}

#[test]
fn every_cut_is_seen_when_blank_space_hides_it() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    for length in (0..file.len()).step_by(7) {
        let mut cut = file[..length].to_vec();
        cut.resize(file.len(), 0);
        let report = verify(Cursor::new(&cut), plant.signer.public()).unwrap();
        assert_eq!(report.verdict, Verdict::Unclean, "cut at {length}");
    }
}

#[test]
fn blank_space_behind_the_end_is_no_alteration_but_anything_else_is() {
    let plant = Plant::new();
    let (mut file, _) = plant.recorded();
    let end = file.len() as u64;
    let last = frames(&file).pop().unwrap();
    file.extend_from_slice(&[0; 5000]);
    assert_eq!(verdict(&plant, &file), Verdict::Untrimmed);
    for (at, value) in [(0, 1), (4999, 1), (2500, 255)] {
        let mut more = file.clone();
        more[end as usize + at] = value;
        assert_eq!(fault(&plant, &more), (end, Fault::AfterEnd));
    }
    let mut again = file[..end as usize].to_vec();
    again.extend_from_slice(&file[last]);
    assert_eq!(fault(&plant, &again), (end, Fault::AfterEnd));
    again.extend_from_slice(&file[..end as usize]);
    assert_eq!(fault(&plant, &again), (end, Fault::AfterEnd));
}

#[test]
fn swapped_doubled_and_dropped_frames_are_found() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    let all = frames(&file);
    let build = |order: &[usize]| {
        let mut out = file[..all[0].start].to_vec();
        for number in order {
            out.extend_from_slice(&file[all[*number].clone()]);
        }
        out
    };
    let whole: Vec<usize> = (0..all.len()).collect();
    assert_eq!(build(&whole), file);
    for at in 0..all.len() - 1 {
        let mut swapped = whole.clone();
        swapped.swap(at, at + 1);
        let mut doubled = whole.clone();
        doubled.insert(at, at);
        let mut dropped = whole.clone();
        dropped.remove(at);
        for (what, order) in [("swapped", swapped), ("doubled", doubled), ("dropped", dropped)] {
            let (offset, _) = fault(&plant, &build(&order));
            assert!(offset <= all[at + 1].start as u64, "{what} {at}: {offset}");
        }
    }
    let last = all.len() - 1;
    assert_eq!(verdict(&plant, &build(&whole[..last])), Verdict::Unclean);
}

#[test]
fn two_sessions_of_one_gateway_can_not_be_spliced() {
    let plant = Plant::new();
    let ((one, _), (two, _)) = (plant.recorded(), plant.recorded());
    let (one_frames, two_frames) = (frames(&one), frames(&two));
    for cut in 0..one_frames.len() {
        let head = &one[..one_frames[cut].start];
        let tail = &two[two_frames[cut].start..];
        let spliced = [head, tail].concat();
        let (offset, _) = fault(&plant, &spliced);
        assert!(offset <= head.len() as u64);
        let mut fitted = spliced;
        rechain(&mut fitted);
        fault(&plant, &fitted);
    }
    // The header of one with all frames of the other, and its wrapped key.
    let other_header = [&one[..one_frames[0].start], &two[two_frames[0].start..]].concat();
    assert_eq!(fault(&plant, &other_header).0, 0);
    let other_key = with_key_block(&two, &one[key_block(&one)]);
    assert_eq!(fault(&plant, &other_key).0, 0);
}

#[test]
fn a_chain_that_was_made_to_fit_again_is_not_what_was_signed() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    for frame in frames(&file) {
        if kind(&file[frame.clone()]) == 2 {
            continue;
        }
        let mut changed = file.clone();
        changed[frame.end - 1] ^= 1;
        rechain(&mut changed);
        let (offset, found) = fault(&plant, &changed);
        assert_eq!(found, Fault::Covers);
        assert!(offset <= frame.start as u64 && offset > 0);
    }
}

#[test]
fn another_key_s_signature_is_refused() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    let same_name = SigningKey::generate("plant-a").unwrap();
    let forged = resign(&file, &same_name);
    let first = frames(&file)[0].start as u64;
    let (offset, found) = fault(&plant, &forged);
    assert_eq!(offset, first);
    assert!(matches!(found, Fault::Checkpoint(_)), "{found}");
    let report = verify(Cursor::new(&file), same_name.public()).unwrap();
    assert!(matches!(report.verdict, Verdict::Altered { offset: 0, fault: Fault::Key { .. } }));
}

#[test]
fn a_checkpoint_of_another_session_does_not_fit() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    assert_eq!(verdict(&plant, &resign(&file, &plant.signer)), Verdict::Clean);
    let mut other = file.clone();
    for frame in frames(&file).into_iter().filter(|frame| kind(&file[frame.clone()]) == 2) {
        let id = frame.start + 49 + "gatehouse/session/".len();
        other[id..id + 32].copy_from_slice(&[b'0'; 32]);
    }
    assert_eq!(fault(&plant, &resign(&other, &plant.signer)), (0, Fault::Covers));
}

#[test]
fn blank_space_must_be_blank_to_its_end() {
    let plant = Plant::new();
    let mut file = plant.crashed();
    let blank = file.len() - 100;
    *file.last_mut().unwrap() = 1;
    let report = verify(Cursor::new(&file), plant.signer.public()).unwrap();
    assert_eq!(report.verdict, Verdict::Unclean);
    assert_eq!((report.tail.broken, report.tail.blank), (Some(blank as u64), 0));
}

#[test]
fn a_stolen_signing_key_and_a_newer_epoch_key_do_not_open_older_epochs() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    let text = plant.auditor.to_text();
    let keys = Keys::unwrap(&file, text.lines().last().unwrap());
    let all = frames(&file);
    let sealed: Vec<usize> = (0..all.len()).filter(|at| kind(&file[all[*at].clone()]) == 1).collect();
    assert!(sealed.len() >= 3);
    let frame = all[sealed[1]].clone();
    let epoch = usize::from(file[frame.start + 5]);
    let mut changed = file.clone();
    keys.reseal(&mut changed[frame.clone()], epoch + 1);
    fault(&plant, &changed);
    rechain(&mut changed);
    assert_eq!(fault(&plant, &changed).1, Fault::Covers);
    let signed = resign(&changed, &plant.signer);
    assert_eq!(verdict(&plant, &signed), Verdict::Clean, "the thief signs what he likes");
    let error = Opened::decrypt(Cursor::new(&signed), &plant.auditor).unwrap().find_map(Result::err);
    assert!(matches!(error, Some(OpenError::Frame { offset }) if offset == frame.start as u64));
}

#[test]
fn a_wrapped_key_that_the_header_does_not_commit_to_is_refused_even_if_signed() {
    let plant = Plant::new();
    let ((file, _), (other, _)) = (plant.recorded(), plant.recorded());
    let changed = with_key_block(&file, &other[key_block(&other)]);
    let signed = resign(&changed, &plant.signer);
    assert_eq!(verdict(&plant, &signed), Verdict::Clean, "the thief signs what he likes");
    let error = Opened::decrypt(Cursor::new(&signed), &plant.auditor).err();
    assert!(matches!(error, Some(OpenError::Key(recording::RecipientError::Commitment))), "{error:?}");
}

#[test]
fn the_reader_finds_every_changed_ciphertext() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    for frame in frames(&file) {
        if kind(&file[frame.clone()]) == 2 {
            continue;
        }
        for at in [frame.start + 5, frame.start + 49, frame.end - 1] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let mut opened = Opened::decrypt(Cursor::new(&changed), &plant.auditor).unwrap();
            let error = opened.by_ref().find_map(Result::err);
            if at == frame.start + 5 {
                // The epoch that counts is the one of the key, not this field.
                assert!(error.is_none());
                continue;
            }
            assert!(matches!(error, Some(OpenError::Frame { .. })), "byte {at}");
            assert!(opened.next().is_none(), "goes on after an error");
        }
    }
}

#[test]
fn a_file_that_is_no_recording_is_said_to_be_none() {
    let plant = Plant::new();
    for other in [b"\x7fELF............".to_vec(), b"GATEHREX".to_vec(), vec![b'x'; 100_000]] {
        assert!(matches!(fault(&plant, &other), (0, Fault::Header(_))));
    }
    for nothing in [vec![], vec![0; 4096], b"GATEH".to_vec()] {
        let report = verify(Cursor::new(&nothing), plant.signer.public()).unwrap();
        assert_eq!((report.verdict, report.signed), (Verdict::Unclean, None));
    }
}

#[test]
fn a_closed_recording_says_so_to_its_reader() {
    let plant = Plant::new();
    let (file, _) = plant.recorded();
    let mut opened = Opened::decrypt(Cursor::new(&file), &plant.auditor).unwrap();
    assert_eq!(*opened.stop(), Stop::NotYet);
    opened.by_ref().for_each(drop);
    assert!(matches!(opened.stop(), Stop::Ended(end) if end.at() == moment(50).at));
}
