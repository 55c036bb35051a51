//! What is written is read back, and verifies.

use crate::disk::Disk;
use crate::sample::{Plant, READ, VALUES, at, bytes, moment, session, started};
use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use recording::{
    BatchError, Body, Entry, Event, Identity, MAX_TEXT, OpenError, Opened, RecipientError, RecordError,
    Recorded, Statement, Stop, Tap, Verdict, WINDOW, outline, verify,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

fn read(content: &[u8], identity: &Identity) -> (Vec<Entry>, Stop) {
    let mut opened = Opened::decrypt(Cursor::new(content), identity).unwrap();
    let entries =
        opened.by_ref().map(|recorded: Result<Recorded, OpenError>| recorded.unwrap().entry).collect();
    (entries, opened.stop().clone())
}

#[test]
fn a_session_verifies_and_reads_back_for_every_recipient() {
    let plant = Plant::new();
    let (content, sealed) = plant.recorded();
    let report = verify(Cursor::new(&content), plant.signer.public()).unwrap();
    assert_eq!(report.verdict, Verdict::Clean);
    let signed = report.signed.unwrap();
    assert_eq!((signed.bytes, signed.frames), (sealed.position.bytes, sealed.position.frames));
    assert_eq!(content.len() as u64, sealed.position.bytes);
    assert_eq!(signed.time, moment(50).wall);
    for identity in [&plant.auditor, &plant.recovery] {
        let (entries, stop) = read(&content, identity);
        assert_eq!(entries.len(), 9);
        assert_eq!(entries[0], session()[0][0]);
        assert_eq!(entries[4], at(2, bytes(1, Tap::ToDevice, 0, READ)), "reference not resolved");
        assert_eq!(entries[7], at(9, bytes(1, Tap::ToClient, 0, VALUES)));
        let Stop::Ended(end) = stop else { panic!("{stop:?}") };
        assert_eq!(end.reason, "client closed");
        assert_eq!(end.totals, sealed.totals);
        assert_eq!((end.totals.to_device, end.totals.to_client), (12, 13));
        assert_eq!(end.marks.len(), 4);
    }
}

/// A file that is written to while it is read.
#[derive(Clone, Default)]
struct Growing {
    content: Rc<RefCell<Vec<u8>>>,
    place: u64,
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.content.borrow();
        let rest = content.get(usize::try_from(self.place).unwrap()..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.place += count as u64;
        Ok(count)
    }
}

impl Seek for Growing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.content.borrow().len();
        let mut cursor = Cursor::new(vec![0; length]);
        cursor.set_position(self.place);
        self.place = cursor.seek(to)?;
        Ok(self.place)
    }
}

/// Cut at any byte, with reserved space behind it or without, the rest of the
/// entries come once the rest of the file is there.
#[test]
fn a_recording_that_is_still_written_is_followed() {
    let plant = Plant::new();
    let (content, _) = plant.recorded();
    let (whole, stop) = read(&content, &plant.auditor);
    for (cut, reserved) in (700..content.len()).step_by(5).flat_map(|cut| [(cut, 0), (cut, 4096)]) {
        let file = Growing::default();
        let grow = |to: usize, reserved: usize| {
            let written = content[..to].iter().copied().chain(std::iter::repeat_n(0, reserved));
            *file.content.borrow_mut() = written.collect();
        };
        grow(cut, reserved);
        let mut opened = Opened::decrypt(file.clone(), &plant.auditor).unwrap();
        let mut entries: Vec<Entry> = opened.by_ref().map(|recorded| recorded.unwrap().entry).collect();
        opened.resume().unwrap();
        assert!(opened.next().is_none(), "nothing new at {cut}");
        for (to, reserved) in [(content.len().min(cut + 400), reserved), (content.len(), 0)] {
            grow(to, reserved);
            opened.resume().unwrap();
            entries.extend(opened.by_ref().map(|recorded| recorded.unwrap().entry));
        }
        assert_eq!((&entries, opened.stop()), (&whole, &stop), "cut at {cut}, {reserved} reserved");
    }
}

#[test]
fn marks_lead_to_checkpoints() {
    let plant = Plant::new();
    let (content, _) = plant.recorded();
    let (_, stop) = read(&content, &plant.auditor);
    let Stop::Ended(end) = stop else { panic!("{stop:?}") };
    for mark in end.marks {
        let note = &content[usize::try_from(mark.0).unwrap() + 49..];
        assert!(note.starts_with(b"gatehouse/session/"), "{mark:?}");
    }
}

#[test]
fn the_final_note_is_a_receipt() {
    let plant = Plant::new();
    let (content, sealed) = plant.recorded();
    let statement = Statement::verify(sealed.note.as_bytes(), plant.signer.public()).unwrap();
    assert_eq!(statement.root, sealed.root);
    assert_eq!(statement.leaves, sealed.position.frames);
    assert!(statement.bytes < content.len() as u64);
}

#[test]
fn a_stranger_reads_nothing_and_nothing_stands_in_plain() {
    let plant = Plant::new();
    let (content, _) = plant.recorded();
    let refused = Opened::decrypt(Cursor::new(&content), &Identity::generate());
    assert!(matches!(refused.err(), Some(OpenError::Key(RecipientError::NoMatch))));
    for secret in ["tech-1", "plc7", "holding", "client closed"] {
        let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} can be read without a key");
    }
}

#[test]
fn a_crash_leaves_a_signed_prefix_and_a_delimited_tail() {
    let plant = Plant::new();
    let content = plant.crashed();
    let report = verify(Cursor::new(&content), plant.signer.public()).unwrap();
    assert_eq!(report.verdict, Verdict::Unclean);
    assert_eq!(report.tail.frames, 2);
    assert_eq!(report.tail.blank, 100);
    assert_eq!(report.tail.broken, None);
    let signed = report.signed.unwrap();
    assert_eq!(signed.frames, 3);
    assert_eq!(signed.bytes + report.tail.bytes + report.tail.blank, content.len() as u64);
    let (entries, stop) = read(&content, &plant.auditor);
    assert_eq!(entries.len(), 9, "the unsigned tail can be read");
    assert_eq!(stop, Stop::Cut { offset: content.len() as u64 - 100 });
}

#[test]
fn the_outline_needs_no_key() {
    let plant = Plant::new();
    let (content, sealed) = plant.recorded();
    let seen = outline(Cursor::new(&content)).unwrap();
    assert!(seen.ended);
    assert_eq!((seen.bytes, seen.frames), (sealed.position.bytes, sealed.position.frames));
    assert_eq!(seen.checkpoints, 5);
    assert_eq!(seen.header.log.size, 7);
    assert!(!outline(Cursor::new(plant.crashed())).unwrap().ended);
}

#[test]
fn bytes_and_events_larger_than_a_frame_are_split() {
    let plant = Plant::new();
    let disk = Disk::default();
    let mut writer = plant.create(&disk).unwrap();
    let large: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
    let terms = Bytes::from(vec![7; 300_000]);
    let policy_hash = Bytes::from_static(&[1; 32]);
    let changed = Event::TermsChanged { policy_hash, terms };
    let operations = disk.operations().len();
    writer
        .append(&[
            at(1, bytes(1, Tap::FromClient, 0, &large)),
            at(2, Body::Event(changed.clone())),
            at(3, Body::Event(started())),
        ])
        .unwrap();
    let writes = disk.operations()[operations..].iter().filter(|name| **name == "write").count();
    assert_eq!(writes, 1, "an append is one write");
    writer.finish(moment(9), "done").unwrap();
    let (entries, _) = read(&disk.content(), &plant.auditor);
    let mut joined = Vec::new();
    for entry in &entries {
        if let Body::Bytes { offset, bytes, .. } = &entry.body {
            assert_eq!(*offset, joined.len() as u64);
            joined.extend_from_slice(bytes);
        }
    }
    assert_eq!(joined, large);
    let events: Vec<&Body> = entries.iter().map(|entry| &entry.body).collect();
    assert!(events.contains(&&Body::Event(changed)) && events.contains(&&Body::Event(started())));
    let report = verify(Cursor::new(disk.content()), plant.signer.public()).unwrap();
    assert_eq!(report.verdict, Verdict::Clean);
}

#[test]
fn texts_of_peers_are_cut() {
    let plant = Plant::new();
    let disk = Disk::default();
    let mut writer = plant.create(&disk).unwrap();
    let text = "ä".repeat(40_000);
    writer.append(&[at(1, Body::Event(Event::Note { text: text.clone() }))]).unwrap();
    writer.finish(moment(9), &text).unwrap();
    let (entries, stop) = read(&disk.content(), &plant.auditor);
    let Body::Event(Event::Note { text }) = &entries[0].body else { panic!("{entries:?}") };
    assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT - 4 && text.ends_with("ä…"));
    let Stop::Ended(end) = stop else { panic!("{stop:?}") };
    assert_eq!(&end.reason, text);
}

#[test]
fn an_event_beyond_all_bounds_stops_the_recording() {
    let plant = Plant::new();
    let disk = Disk::default();
    let mut writer = plant.create(&disk).unwrap();
    let terms = Bytes::from(vec![0; 1024 * 1024]);
    let event = Event::TermsChanged { policy_hash: Bytes::from_static(&[1; 32]), terms };
    assert!(matches!(writer.append(&[at(1, Body::Event(event))]), Err(RecordError::TooLarge)));
    assert!(matches!(writer.append(&[]), Err(RecordError::Poisoned)));
}

#[test]
fn words_that_the_format_does_not_know_stop_the_recording() {
    let plant = Plant::new();
    let unknown = [
        Event::TermsChanged { policy_hash: Bytes::from_static(&[1; 31]), terms: Bytes::new() },
        Event::Unframed { channel: 1, tap: "to_client".to_owned(), reason: String::new() },
    ];
    for event in unknown {
        let mut writer = plant.create(&Disk::default()).unwrap();
        let refused = writer.append(&[at(1, Body::Event(event))]);
        assert!(matches!(refused, Err(RecordError::Entries(BatchError::Event))), "{refused:?}");
    }
}

#[test]
fn a_gap_in_a_tap_stops_the_recording() {
    let plant = Plant::new();
    let gap = bytes(1, Tap::ToDevice, 1, b"x");
    let far = |of, of_offset, length| Body::Same {
        channel: 1,
        tap: Tap::ToDevice,
        offset: 0,
        length,
        of,
        of_offset,
    };
    for (body, error) in [
        (gap, BatchError::Gap),
        (far(Tap::FromClient, 0, 13), BatchError::Reference),
        (far(Tap::FromClient, 12, 1), BatchError::Reference),
        (far(Tap::FromClient, 0, WINDOW + 1), BatchError::Reference),
        (far(Tap::ToDevice, 0, 0), BatchError::Reference),
        (far(Tap::FromDevice, 0, 1), BatchError::Reference),
    ] {
        let mut writer = plant.create(&Disk::default()).unwrap();
        writer.append(&[at(1, bytes(1, Tap::FromClient, 0, READ))]).unwrap();
        let refused = writer.append(&[at(2, body.clone())]).unwrap_err();
        assert!(matches!(&refused, RecordError::Entries(found) if *found == error), "{body:?}: {refused}");
        assert!(matches!(writer.append(&[]), Err(RecordError::Poisoned)));
        assert!(matches!(writer.finish(moment(9), "done"), Err(RecordError::Poisoned)));
    }
}

/// One call of a gateway on its recording.
#[derive(Debug, Clone)]
enum Call {
    Bytes(u32, Tap, Vec<u8>),
    Same(u32),
    Event(String),
    Checkpoint,
}

fn call() -> impl Strategy<Value = Call> {
    let tap = prop_oneof![Just(Tap::FromClient), Just(Tap::FromDevice)];
    let content = prop::collection::vec(any::<u8>(), 0..400);
    prop_oneof![
        (0u32..3, tap, content).prop_map(|(channel, tap, bytes)| Call::Bytes(channel, tap, bytes)),
        (0u32..3).prop_map(Call::Same),
        ".{0,40}".prop_map(Call::Event),
        Just(Call::Checkpoint),
    ]
}

/// Turns calls into entries that fit together, with what must be read back.
#[derive(Default)]
struct Story {
    taps: HashMap<(u32, Tap), Vec<u8>>,
    expected: Vec<Entry>,
}

impl Story {
    fn entry(&mut self, ms: u64, call: &Call) -> Option<Entry> {
        let body = match call {
            Call::Bytes(channel, tap, content) => {
                let kept = self.taps.entry((*channel, *tap)).or_default();
                let body = bytes(*channel, *tap, kept.len() as u64, content);
                kept.extend_from_slice(content);
                body
            }
            Call::Same(channel) => return self.same(ms, *channel),
            Call::Event(text) => Body::Event(Event::Note { text: text.clone() }),
            Call::Checkpoint => return None,
        };
        let entry = at(ms, body);
        if !matches!(&entry.body, Body::Bytes { bytes, .. } if bytes.is_empty()) {
            self.expected.push(entry.clone());
        }
        Some(entry)
    }

    /// All that came from the client and did not go on yet goes to the device.
    fn same(&mut self, ms: u64, channel: u32) -> Option<Entry> {
        let from = self.taps.entry((channel, Tap::FromClient)).or_default().clone();
        let to = self.taps.entry((channel, Tap::ToDevice)).or_default();
        let (offset, length) = (to.len() as u64, u32::try_from(from.len() - to.len()).unwrap());
        if length == 0 {
            return None;
        }
        let new = from[to.len()..].to_vec();
        self.expected.push(at(ms, bytes(channel, Tap::ToDevice, offset, &new)));
        to.extend_from_slice(&new);
        let (tap, of) = (Tap::ToDevice, Tap::FromClient);
        Some(at(ms, Body::Same { channel, tap, offset, length, of, of_offset: offset }))
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

    /// No false alarm: every recording that ends well is clean, every one
    /// that ends with the machine, torn at any byte, is merely unclean; and
    /// all that is whole reads back.
    #[test]
    fn whatever_is_recorded_reads_back(
        calls in prop::collection::vec(call(), 0..30),
        torn in any::<prop::sample::Index>(),
    ) {
        let plant = Plant::new();
        let disk = Disk::default();
        let mut writer = plant.create(&disk).unwrap();
        let created = disk.written().len();
        let mut story = Story::default();
        for (ms, call) in (0u64..).zip(&calls) {
            match story.entry(ms, call) {
                Some(entry) => { writer.append(&[entry]).unwrap(); }
                None => { writer.checkpoint(moment(ms)).unwrap(); }
            }
        }
        let mut crashed = disk.written();
        let cut = created + torn.index(crashed.len() - created + 1);
        crashed.truncate(cut);
        for blank in [0, 700] {
            crashed.resize(cut + blank, 0);
            let report = verify(Cursor::new(&crashed), plant.signer.public()).unwrap();
            prop_assert_eq!(&report.verdict, &Verdict::Unclean);
            prop_assert!(report.signed.is_some());
            let (entries, stop) = read(&crashed, &plant.auditor);
            prop_assert!(story.expected.starts_with(&entries));
            let cut_short = matches!(stop, Stop::Cut { .. });
            prop_assert!(cut_short);
        }
        writer.finish(moment(99), "done").unwrap();
        let report = verify(Cursor::new(disk.content()), plant.signer.public()).unwrap();
        prop_assert_eq!(report.verdict, Verdict::Clean);
        let (entries, _) = read(&disk.content(), &plant.auditor);
        prop_assert_eq!(entries, story.expected);
    }
}
