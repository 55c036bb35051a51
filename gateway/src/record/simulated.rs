//! Whole sessions over a disk that fails, tears, reorders and dies at its
//! n-th operation, for every n.
//!
//! The real core, tape and writer run in virtual time. When the process is
//! killed, what the device got is a prefix of the recorded `to_device` tap.
//! When the machine loses power, every operation that changes the device and
//! reached it is still recorded, and of the rest what is older than a tick
//! and a sync. No checkpoint is handed out before what it covers is stable.

mod dice;
mod disk;
mod world;

use authz::Mode;
use dice::Dice;
use disk::{Disk, Trouble};
use recording::{Body, Opened, Report, Statement, Tap, Verdict, verify};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::time::Duration;
use world::{SLOWEST_SYNC, TICK, World, house};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Turns of a session in the short run; each has a request now and then.
const STEPS: u16 = 45;

/// Ways in which the disk may look after one power cut, by the dice: in the
/// short run and in the long one.
const FEW_CUTS: usize = 2;
const MANY_CUTS: usize = 6;

/// What the recording shows of the two taps towards the peers.
#[derive(Debug, Default)]
struct Recovered {
    to_device: Vec<u8>,
    to_client: Vec<u8>,
}

/// All that can be read, up to the first frame that can't.
fn recover(file: &[u8]) -> Recovered {
    let mut recovered = Recovered::default();
    let Ok(opened) = Opened::decrypt(Cursor::new(file), &house().auditor) else { return recovered };
    for recorded in opened {
        let Ok(recorded) = recorded else { break };
        if let Body::Bytes { tap, bytes, .. } = recorded.entry.body {
            match tap {
                Tap::ToDevice => recovered.to_device.extend_from_slice(&bytes),
                Tap::ToClient => recovered.to_client.extend_from_slice(&bytes),
                Tap::FromClient | Tap::FromDevice => {}
            }
        }
    }
    recovered
}

fn checked(file: &[u8]) -> Report {
    verify(Cursor::new(file), house().signer.public()).unwrap()
}

/// Promise 1 for a process that is gone, or a disk that failed.
fn survives_a_kill(world: &World, what: &str) {
    let file = world.disk.content();
    let recovered = recover(&file);
    assert!(recovered.to_device.starts_with(&world.device), "{what}: the device got more than is recorded");
    assert!(recovered.to_client.starts_with(&world.client), "{what}: the tool got more than is recorded");
    let report = checked(&file);
    assert!(!matches!(report.verdict, Verdict::Altered { .. }), "{what}: {report:?}");
}

/// Where the frame ends that begins at `offset`. Of a chain that breaks the
/// frame before the place may be blamed, so the last stable one too.
fn next_frame(file: &[u8], offset: u64) -> u64 {
    let at = usize::try_from(offset).unwrap();
    offset + u64::from(u32::from_le_bytes(file[at..at + 4].try_into().unwrap()))
}

/// Promise 1 and 5 for a machine without power, after each of several cuts that
/// leave the disk differently.
fn survives_power_cuts(world: &World, dice: &mut Dice, cuts: usize, what: &str) {
    let mut seen = BTreeSet::new();
    for _ in 0..cuts {
        let file = world.disk.after_power_cut(dice);
        if seen.insert(recording::log::hash_of(&file)) {
            survives_a_power_cut(world, &file, what);
        }
    }
}

fn survives_a_power_cut(world: &World, file: &[u8], what: &str) {
    let recovered = recover(file);
    let common = recovered.to_device.len().min(world.device.len());
    assert_eq!(recovered.to_device[..common], world.device[..common], "{what}");
    for piece in &world.pieces {
        let waits = match world.mode {
            Mode::Default => piece.changes,
            Mode::Durable => true,
            Mode::Ordered => false,
        };
        let old = piece.at + TICK + SLOWEST_SYNC < world.now;
        let there = recovered.to_device.len() >= piece.end;
        assert!(there || !waits, "{what}: an operation that waited for the disk is lost: {piece:?}");
        assert!(there || !old, "{what}: lost after a tick: {piece:?}, now {:?}", world.now);
    }
    let report = checked(file);
    if let Verdict::Altered { offset, fault } = &report.verdict {
        let stable = world.disk.stable();
        assert!(report.could_be_a_power_failure(), "{what}: found to be altered: {report:?}");
        assert!(
            next_frame(&world.disk.content(), *offset) >= stable,
            "{what}: {offset} of {stable}: {fault}"
        );
    }
    let proven = report.signed.map_or(0, |signed| signed.bytes);
    for receipt in &world.receipts {
        let statement = Statement::verify(receipt.as_bytes(), house().signer.public()).unwrap();
        assert!(proven > statement.bytes, "{what}: a checkpoint was handed out that the disk has not");
    }
}

/// Runs a session in which operation `at` goes wrong and checks what is left.
/// Gives whether there was such an operation.
fn goes_wrong(mode: Mode, seed: u64, at: usize, trouble: Trouble, cuts: usize) -> bool {
    let what = format!("{mode}, seed {seed}, operation {at}, {trouble:?}");
    let disk = Disk::with_trouble(at, trouble);
    let Ok(mut world) = World::open(&disk, mode, seed) else {
        assert!(disk.troubled().is_some(), "{what}: not opened for no reason");
        return true;
    };
    let sealed = world.live(STEPS);
    let Some(name) = disk.troubled() else {
        assert!(sealed.unwrap().is_ok(), "{what}");
        return false;
    };
    survives_a_kill(&world, &what);
    match sealed {
        None => {
            let mut dice = Dice::new(seed ^ at as u64);
            survives_power_cuts(&world, &mut dice, cuts, &what);
        }
        Some(Ok(_)) => {
            assert_eq!(name, "allocate", "{what}: sealed in spite of it");
            assert_eq!(checked(&disk.content()).verdict, Verdict::Clean, "{what}");
        }
        Some(Err(_)) => assert_eq!(disk.operations(), at + 1, "{what}: the disk was touched again"),
    }
    true
}

/// Every operation of a session goes wrong in every way; gives how many
/// sessions that took.
fn every_operation(mode: Mode, seed: u64, cuts: usize) -> usize {
    operations(mode, seed, cuts, 1)
}

/// The same with every `step`th operation, from a different one for each seed.
fn operations(mode: Mode, seed: u64, cuts: usize, step: usize) -> usize {
    let mut count = 0;
    let first = usize::try_from(seed).unwrap() % step;
    for at in (first..).step_by(step) {
        let mut there = false;
        for trouble in [Trouble::Error(EIO), Trouble::Torn(ENOSPC), Trouble::GoneBefore, Trouble::GoneAmid] {
            there = goes_wrong(mode, seed, at, trouble, cuts);
            count += 1;
        }
        if !there {
            break;
        }
    }
    count
}

#[test]
fn a_session_without_trouble_is_whole_and_hands_out_checkpoints() {
    for mode in [Mode::Default, Mode::Durable, Mode::Ordered] {
        let disk = Disk::default();
        let mut world = World::open(&disk, mode, 1).unwrap();
        world.live(STEPS).unwrap().unwrap();
        let report = checked(&disk.content());
        assert_eq!(report.verdict, Verdict::Clean);
        assert_eq!(report.header.unwrap().mode.name(), mode.to_string(), "the recording says its mode");
        assert_eq!(recover(&disk.content()).to_device, world.device);
        assert!(world.device.len() > 12 * 20, "{}", world.device.len());
        assert!(world.pieces.iter().any(|piece| piece.changes));
        assert!(!world.receipts.is_empty() && disk.operations() > 40, "{}", disk.operations());
    }
}

#[test]
fn no_checkpoint_is_handed_out_before_the_disk_has_it() {
    let mut receipts = 0;
    for seed in 0..12 {
        let mut world = World::open(&Disk::default(), Mode::Default, seed).unwrap();
        // The world looks at each as it is handed out.
        world.live(150).unwrap().unwrap();
        receipts += world.receipts.len();
    }
    assert!(receipts > 20, "{receipts}");
}

#[test]
fn a_sync_that_does_not_come_back_ends_the_session_and_nothing_is_tried_again() {
    let disk = Disk::default();
    let mut world = World::open(&disk, Mode::Default, 1).unwrap();
    world.live_on(20);
    world.hang();
    let sealed = world.live(2000).unwrap();
    let failure = world.failure.as_ref().unwrap().to_string();
    assert_eq!(failure, "a sync has not returned for 5 s");
    let operations = disk.operations();
    assert!(sealed.is_err(), "closed although bytes may be lost");
    assert_eq!(disk.operations(), operations);
    survives_a_kill(&world, "a sync that hangs");
}

#[test]
fn every_operation_of_the_default_mode_may_go_wrong() {
    assert!(every_operation(Mode::Default, 1, FEW_CUTS) > 200);
}

#[test]
fn every_operation_of_the_durable_mode_may_go_wrong() {
    assert!(every_operation(Mode::Durable, 2, FEW_CUTS) > 200);
}

#[test]
fn every_operation_of_the_ordered_mode_may_go_wrong() {
    assert!(every_operation(Mode::Ordered, 3, FEW_CUTS) > 200);
}

#[test]
fn what_is_unsigned_is_never_older_than_a_second() {
    assert!(world::unsigned_at_most() < Duration::from_secs(1));
}

#[test]
#[ignore = "takes long: SEEDS (default 50) sessions in each mode, every STEPth (default 1) operation of each"]
fn every_operation_of_many_sessions_may_go_wrong() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (seeds, step): (u64, usize) =
        (number("SEEDS").unwrap_or(50), number("STEP").and_then(|step| step.try_into().ok()).unwrap_or(1));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = std::sync::atomic::AtomicU64::new(0);
    let work = || {
        let mut count = 0;
        loop {
            let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if seed >= seeds {
                return count;
            }
            for mode in [Mode::Default, Mode::Durable, Mode::Ordered] {
                count += operations(mode, seed, MANY_CUTS, step);
            }
        }
    };
    let count: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(count > 0);
    let text = format!(
        "{seeds} seeds, every {step}. operation: {count} sessions, {MANY_CUTS} power cuts for each that died\n"
    );
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
}
