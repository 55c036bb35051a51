//! A small session as the gateway would record it.

use crate::disk::Disk;
use bytes::Bytes;
use recording::{
    Body, Decision, Entry, Event, Identity, LogPosition, Mode, Moment, Opening, Sealed, SigningKey, Started,
    Tap, Totals, Writer,
};
use std::sync::Arc;
use std::time::Duration;

/// Everything that outlives a recording.
pub(crate) struct Plant {
    pub(crate) signer: Arc<SigningKey>,
    pub(crate) auditor: Identity,
    pub(crate) recovery: Identity,
}

impl Plant {
    pub(crate) fn new() -> Self {
        Self {
            signer: Arc::new(SigningKey::generate("plant-a").unwrap()),
            auditor: Identity::generate(),
            recovery: Identity::generate(),
        }
    }

    pub(crate) fn create(&self, disk: &Disk) -> Result<Writer<Disk>, recording::RecordError> {
        let recipients = [self.auditor.recipients(), self.recovery.recipients()].concat();
        let opening = Opening {
            session: recording::random_session().unwrap(),
            mode: Mode::Default,
            log: LogPosition { origin: "log.plant.example".to_owned(), size: 7, root: [9; 32] },
            started_wall: "2026-10-31T10:31:07.412345678Z".parse().unwrap(),
            started_mono: Duration::from_secs(4711),
            recipients: &recipients,
            signer: Arc::clone(&self.signer),
            reserve: 0,
        };
        Writer::create(disk.clone(), opening)
    }

    /// A finished recording of a read, a write and a denied write.
    pub(crate) fn recorded(&self) -> (Vec<u8>, Sealed) {
        let disk = Disk::default();
        let mut writer = self.create(&disk).unwrap();
        for entries in session() {
            writer.append(&entries).unwrap();
            writer.checkpoint(moment(40)).unwrap();
        }
        let sealed = writer.finish(moment(50), "client closed").unwrap();
        (disk.content(), sealed)
    }

    /// A recording without an end: signed frames, unsigned ones, blank space.
    pub(crate) fn crashed(&self) -> Vec<u8> {
        let disk = Disk::default();
        let mut writer = self.create(&disk).unwrap();
        let [first, second, third] = session();
        writer.append(&first).unwrap();
        writer.checkpoint(moment(20)).unwrap();
        writer.append(&second).unwrap();
        writer.append(&third).unwrap();
        let mut content = disk.written();
        content.resize(content.len() + 100, 0);
        content
    }
}

pub(crate) fn moment(ms: u64) -> Moment {
    let at = Duration::from_millis(ms);
    let start: jiff::Timestamp = "2026-10-31T10:31:07.412Z".parse().unwrap();
    Moment { wall: start + at, at }
}

pub(crate) fn started() -> Event {
    Event::Started(Box::new(Started {
        person: "tech-1@vendor-a".to_owned(),
        target: "press-line/plc7".to_owned(),
        zone: "press".to_owned(),
        address: "127.0.0.1".to_owned(),
        source: "192.0.2.10".to_owned(),
        assurance: "certificate and TOTP".to_owned(),
        mode: Mode::Default,
        policy_hash: Bytes::from_static(&[4; 32]),
        reason: Some("axis referencing".to_owned()),
        ticket: None,
        software: "gatehouse 0.1.0".to_owned(),
        terms: Bytes::from_static(b"terms"),
    }))
}

pub(crate) fn bytes(channel: u32, tap: Tap, offset: u64, bytes: &[u8]) -> Body {
    Body::Bytes { channel, tap, offset, bytes: Bytes::copy_from_slice(bytes) }
}

pub(crate) fn at(ms: u64, body: Body) -> Entry {
    Entry { at: Duration::from_millis(ms), body }
}

pub(crate) const READ: &[u8] = &[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2];
pub(crate) const VALUES: &[u8] = &[0, 1, 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2];

fn operation(request: u64, offset: u64, decision: Decision) -> Event {
    Event::Operation {
        request,
        channel: 1,
        offset,
        length: 12,
        function: "read holding registers".to_owned(),
        text: "read holding[0-1]".to_owned(),
        effect: "observes".to_owned(),
        decision,
        rule: "policy.csv:3".to_owned(),
        reason: String::new(),
    }
}

pub(crate) fn session() -> [Vec<Entry>; 3] {
    let opened = Event::ChannelOpened {
        channel: 1,
        service: "plc".to_owned(),
        protocol: "modbus".to_owned(),
        port: 502,
    };
    let answer = Event::Answer {
        request: 1,
        channel: 1,
        offset: 0,
        length: 13,
        text: "= 1 2".to_owned(),
        refused: false,
    };
    let closed = Event::ChannelClosed {
        channel: 1,
        by: "client".to_owned(),
        how: "finished".to_owned(),
        reason: "the tool closed the connection".to_owned(),
        totals: Totals { from_client: 12, to_device: 12, from_device: 13, to_client: 13 },
    };
    let same = |tap, of, length| Body::Same { channel: 1, tap, offset: 0, length, of, of_offset: 0 };
    [
        vec![at(0, Body::Event(started())), at(1, Body::Event(opened))],
        vec![
            at(2, bytes(1, Tap::FromClient, 0, READ)),
            at(2, Body::Event(operation(1, 0, Decision::Allow))),
            at(2, same(Tap::ToDevice, Tap::FromClient, 12)),
        ],
        vec![
            at(9, bytes(1, Tap::FromDevice, 0, VALUES)),
            at(9, Body::Event(answer)),
            at(9, same(Tap::ToClient, Tap::FromDevice, 13)),
            at(30, Body::Event(closed)),
        ],
    ]
}
