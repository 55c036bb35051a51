//! What fails stops the recording for ever, and leaves what was written.

use crate::disk::{Disk, Failure};
use crate::sample::{Plant, at, bytes, moment, session};
use recording::{Allocation, RecordError, Sealed, Syncer, Tap, Verdict, Writer, verify};
use std::io::Cursor;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// A whole session on that disk. After a failure everything is tried once
/// more, and must be refused.
fn run(plant: &Plant, disk: &Disk) -> Result<Sealed, RecordError> {
    let mut writer = plant.create(disk)?;
    let syncer = writer.syncer()?;
    if let Err(error) = drive(&mut writer, &syncer) {
        assert!(matches!(writer.append(&[]), Err(RecordError::Poisoned)));
        assert!(matches!(writer.checkpoint(moment(41)), Err(RecordError::Poisoned)));
        assert!(matches!(syncer.sync(), Err(RecordError::Poisoned)));
        assert!(matches!(writer.finish(moment(50), "done"), Err(RecordError::Poisoned)));
        return Err(error);
    }
    let sealed = writer.finish(moment(50), "done");
    if sealed.is_err() {
        assert!(matches!(syncer.sync(), Err(RecordError::Poisoned)));
    }
    sealed
}

fn drive(writer: &mut Writer<Disk>, syncer: &Syncer) -> Result<(), RecordError> {
    for entries in session() {
        let appended = writer.append(&entries)?;
        assert_eq!(syncer.sync()?, appended);
        assert!(writer.checkpoint(moment(40))?.position > appended);
    }
    Ok(())
}

#[test]
fn every_operation_may_fail_and_then_nothing_is_touched_again() {
    let plant = Plant::new();
    let clean = Disk::default();
    run(&plant, &clean).unwrap();
    let operations = clean.operations();
    assert!(operations.len() > 10);
    for at in 0..operations.len() {
        for failure in [Failure::Error(ENOSPC), Failure::Error(EIO), Failure::Torn(ENOSPC)] {
            let disk = Disk::failing(at, failure);
            let error = run(&plant, &disk).expect_err("a failure went unnoticed");
            assert!(!matches!(error, RecordError::Poisoned), "operation {at}");
            assert_eq!(disk.operations(), operations[..=at], "went on after operation {at} failed");
            let report = verify(Cursor::new(disk.content()), plant.signer.public()).unwrap();
            let closed = matches!(report.verdict, Verdict::Clean | Verdict::Untrimmed);
            assert!(!matches!(report.verdict, Verdict::Altered { .. }), "operation {at}: {report:?}");
            let sealed = operations[..at].iter().rposition(|name| *name == "write");
            let last = operations.iter().rposition(|name| *name == "write");
            assert_eq!(closed, sealed == last, "operation {at}: {report:?}");
        }
    }
}

#[test]
fn a_failed_sync_stops_writer_and_syncers_and_is_never_tried_again() {
    let plant = Plant::new();
    let disk = Disk::default();
    let mut writer = plant.create(&disk).unwrap();
    let (one, two) = (writer.syncer().unwrap(), writer.syncer().unwrap());
    writer.append(&[at(1, bytes(1, Tap::FromClient, 0, b"a"))]).unwrap();
    let next = disk.operations().len();
    disk.0.lock().unwrap().plan = Some((next, Failure::Error(EIO)));
    assert!(matches!(one.sync(), Err(RecordError::Storage { doing: "syncing", .. })));
    for syncer in [&one, &two] {
        assert!(matches!(syncer.sync(), Err(RecordError::Poisoned)));
    }
    assert!(matches!(writer.append(&[]), Err(RecordError::Poisoned)));
    assert!(matches!(writer.checkpoint(moment(2)), Err(RecordError::Poisoned)));
    assert!(matches!(writer.finish(moment(2), "done"), Err(RecordError::Poisoned)));
    assert_eq!(disk.operations().len(), next + 1, "something was tried again");
}

#[test]
fn a_full_disk_leaves_a_recording_that_can_be_closed() {
    let plant = Plant::new();
    let disk = Disk::default();
    let mut writer = plant.create(&disk).unwrap();
    let capacity = disk.content().len() as u64;
    disk.0.lock().unwrap().capacity = Some(capacity);
    let (piece, mut offset) = ([7; 4096], 0);
    let refused = loop {
        match writer.append(&[at(1, bytes(1, Tap::FromClient, offset, &piece))]) {
            Ok(_) => offset += 4096,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, RecordError::Full(_)), "{refused}");
    assert!(offset > 0);
    let before = disk.written().len();
    assert!(matches!(writer.checkpoint(moment(2)), Err(RecordError::Full(_))));
    assert_eq!(disk.written().len(), before);
    let sealed = writer.finish(moment(3), "disk full").unwrap();
    assert!(sealed.position.bytes <= capacity, "the end did not fit into the reserve");
    assert_eq!(sealed.totals.from_client, offset);
    let report = verify(Cursor::new(disk.content()), plant.signer.public()).unwrap();
    assert_eq!(report.verdict, Verdict::Clean);
}

#[test]
fn the_reserve_is_always_ahead_of_the_writing() {
    let plant = Plant::new();
    let disk = Disk::default();
    let mut writer = plant.create(&disk).unwrap();
    let mut offset = 0;
    for size in [10, 100_000, 300_000, 1, 900_000] {
        writer.append(&[at(1, bytes(1, Tap::FromClient, offset, &vec![1; size]))]).unwrap();
        offset += size as u64;
        let (content, written) = (disk.content().len(), disk.written().len());
        assert!(content >= written + 64 * 1024, "{size}: {written} of {content}");
    }
}

#[test]
fn storage_that_can_not_reserve_is_used_without() {
    let plant = Plant::new();
    let disk = Disk::default();
    disk.0.lock().unwrap().allocation = Some(Allocation::Unsupported);
    run(&plant, &disk).unwrap();
    let report = verify(Cursor::new(disk.content()), plant.signer.public()).unwrap();
    assert_eq!(report.verdict, Verdict::Clean);
}

#[test]
fn what_a_creation_returns_survives_a_power_failure() {
    let plant = Plant::new();
    let disk = Disk::default();
    let writer = plant.create(&disk).unwrap();
    let report = verify(Cursor::new(disk.synced()), plant.signer.public()).unwrap();
    assert_eq!(report.signed.unwrap().bytes, writer.position().bytes);
    let sealed = writer.finish(moment(1), "done").unwrap();
    assert_eq!(disk.synced().len() as u64, sealed.position.bytes);
}
