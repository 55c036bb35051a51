//! The simulated surroundings of a core. [`Sim`] carries out every action and
//! checks after each what has to hold at every instant:
//!
//! - what is sent is a prefix of what is recorded, per channel and direction;
//! - what can change the device is on stable storage before it is sent;
//! - no frame reaches the device that the present terms don't allow;
//! - nothing is sent on a closed channel or after the end.

use crate::speech;
use authz::{Ask, Assurance, Files, Handle, Limits, Mode, Policy, TargetId, Terms};
use bytes::Bytes;
use dissect::{Direction, Protocol};
use jiff::Timestamp;
use session::{
    Action, Body, Core, Decision, EndCause, Entry, Event, How, Input, Notice, REACH, Refusal, Setup, Tap,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

const TARGETS: &str = r#"
[[target]]
id = "press-line/plc7"
zone = "press"
address = "127.0.0.1"

[target.services]
plc = "502/tcp modbus"
s7 = "102/tcp"
logix = "44818/tcp enip"
hmi = "103/tcp s7plus"
vnc = "5900/tcp"

[target.tags]
setpoints = "s7:db1[200-399]:u16"
"#;

const CONDITIONS: &str = r#"
[windows.evening]
time_zone = "Europe/Berlin"
weekly = ["tue 20:00 - tue 22:00"]

[groups.shift-lead]
members = ["operator-1"]
"#;

/// Reads anywhere, writes in bounds, one register that wants an approval;
/// the same in every protocol.
const WIDE: &str = "\
p, person:tech-1@vendor-a, press-line/plc7, modbus:read, , allow
p, person:tech-1@vendor-a, press-line/plc7, modbus:write:holding[100-199], value:0..900, allow
p, person:tech-1@vendor-a, press-line/plc7, modbus:write:holding[300], approval:shift-lead, allow
p, person:tech-1@vendor-a, press-line/plc7, s7:read, , allow
p, person:tech-1@vendor-a, press-line/plc7, s7:subscribe, , allow
p, person:tech-1@vendor-a, press-line/plc7, s7:write:tag[setpoints], value:0..900, allow
p, person:tech-1@vendor-a, press-line/plc7, s7:write:db1[600-601], approval:shift-lead, allow
p, person:tech-1@vendor-a, press-line/plc7, enip:read, , allow
p, person:tech-1@vendor-a, press-line/plc7, enip:write:symbol[Data[100-199]], value:0..900, allow
p, person:tech-1@vendor-a, press-line/plc7, enip:write:symbol[Data[300]], approval:shift-lead, allow
p, person:tech-1@vendor-a, press-line/plc7, tcp:use, opaque-accepted, allow
p, person:tech-1@vendor-a, press-line/plc7, s7plus:use, opaque-accepted, allow
";

/// Only a few registers to read.
const NARROW: &str = "\
p, person:tech-1@vendor-a, press-line/plc7, modbus:read:holding[0-9], , allow
p, person:tech-1@vendor-a, press-line/plc7, s7:read:db1[0-19], , allow
p, person:tech-1@vendor-a, press-line/plc7, enip:read:symbol[Data[0-9]], , allow
";

/// The same until 22:00, an hour after the session's start, and the screen.
const EVENING: &str = "\
p, person:tech-1@vendor-a, press-line/plc7, modbus:read:holding[0-9], window:evening, allow
p, person:tech-1@vendor-a, press-line/plc7, tcp:use, window:evening & opaque-accepted, allow
";

/// A few registers to read, some of them slowly.
const PACED: &str = "\
p, person:tech-1@vendor-a, press-line/plc7, modbus:read:holding[0-9], rate:5/s, allow
p, person:tech-1@vendor-a, press-line/plc7, modbus:read:holding[10-19], , allow
";

/// Which of the policies holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    Wide,
    Narrow,
    Evening,
    Paced,
}

pub(crate) fn started() -> Timestamp {
    "2026-03-03T20:00:00Z".parse().unwrap()
}

/// The terms of a grant under one of the policies.
pub(crate) fn terms(rights: Rights) -> Arc<Terms> {
    static TERMS: OnceLock<[Arc<Terms>; 4]> = OnceLock::new();
    let [wide, narrow, evening, paced] =
        TERMS.get_or_init(|| [WIDE, NARROW, EVENING, PACED].map(|rules| compile(rules, "tech-1@vendor-a")));
    Arc::clone(match rights {
        Rights::Wide => wide,
        Rights::Narrow => narrow,
        Rights::Evening => evening,
        Rights::Paced => paced,
    })
}

/// Somebody else's terms on the same target.
pub(crate) fn terms_of_another() -> Arc<Terms> {
    compile(&NARROW.replace("tech-1@vendor-a", "tech-2@vendor-b"), "tech-2@vendor-b")
}

fn compile(rules: &str, person: &str) -> Arc<Terms> {
    let files = [
        ("policy.csv", rules),
        ("targets.toml", TARGETS),
        ("conditions.toml", CONDITIONS),
        ("model.conf", include_str!("../../../policies/model.conf")),
    ];
    let files = Files::from_contents(files.map(|(name, text)| (name, text.as_bytes()))).unwrap();
    let policy = Policy::from_files(&files).unwrap();
    let ask = Ask {
        person: &Handle::parse(person).unwrap(),
        target: &TargetId::parse("press-line/plc7").unwrap(),
        at: started(),
        source: address(),
        assurance: Assurance::CertificateAndTotp,
    };
    Arc::clone(policy.grant(&ask).unwrap().terms())
}

fn address() -> IpAddr {
    IpAddr::from([192, 0, 2, 7])
}

/// A whole frame.
pub(crate) fn adu(transaction: u16, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).unwrap();
    [&transaction.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), &[1], pdu].concat()
}

pub(crate) fn read(transaction: u16, address: u16, count: u16) -> Vec<u8> {
    adu(transaction, &[&[3][..], &address.to_be_bytes(), &count.to_be_bytes()].concat())
}

pub(crate) fn write(transaction: u16, address: u16, value: u16) -> Vec<u8> {
    adu(transaction, &[&[6][..], &address.to_be_bytes(), &value.to_be_bytes()].concat())
}

/// The exception answer to a request.
pub(crate) fn exception(request: &[u8], code: u8) -> Vec<u8> {
    adu(u16::from_be_bytes([request[0], request[1]]), &[request[7] | 0x80, code])
}

/// What a well-behaved device answers.
pub(crate) fn answer(request: &[u8]) -> Vec<u8> {
    let transaction = u16::from_be_bytes([request[0], request[1]]);
    match request[7] {
        3 => {
            let count = u16::from_be_bytes([request[10], request[11]]);
            let mut pdu = vec![3, u8::try_from(2 * count).unwrap()];
            pdu.extend((0..count).flat_map(u16::to_be_bytes));
            adu(transaction, &pdu)
        }
        _ => request.to_vec(),
    }
}

/// The reference model of the policies, for open windows, on raw bytes.
pub(crate) fn allowed(rights: Rights, frame: &[u8]) -> bool {
    let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    match (rights, frame[7]) {
        (Rights::Wide, 1..=4) => true,
        (Rights::Wide, 6) => (100..=199).contains(&word(8)) && word(10) <= 900,
        (Rights::Narrow | Rights::Evening, 3) => word(8) + word(10) <= 10,
        (Rights::Paced, 3) => word(8) + word(10) <= 20,
        (Rights::Wide | Rights::Narrow | Rights::Evening | Rights::Paced, _) => false,
    }
}

/// The frames that a stream of bytes consists of.
pub(crate) fn frames(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while stream.len() >= 6 {
        let length = 6 + usize::from(u16::from_be_bytes([stream[4], stream[5]]));
        let Some((frame, rest)) = stream.split_at_checked(length) else { break };
        frames.push(frame);
        stream = rest;
    }
    frames
}

/// What a test may set apart from the usual.
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) limits: Limits,
    pub(crate) expires: Duration,
    pub(crate) expires_by: EndCause,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Default,
            limits: Limits::default(),
            expires: Duration::from_secs(6 * 3600),
            expires_by: EndCause::GrantExpired,
        }
    }
}

/// One side of one channel.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What went out to the peer.
    pub(crate) sent: Vec<u8>,
    pub(crate) finished: bool,
}

/// The core and everything around it.
pub(crate) struct Sim {
    pub(crate) core: Core,
    pub(crate) now: Duration,
    pub(crate) rights: Rights,
    pub(crate) device: BTreeMap<u32, Line>,
    pub(crate) client: BTreeMap<u32, Line>,
    /// The recording, with references resolved.
    pub(crate) taps: BTreeMap<(u32, Tap), Vec<u8>>,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) notices: Vec<Notice>,
    /// How often the core saw a sign of the person.
    pub(crate) signs: u32,
    /// Tickets asked for and not given back, with what they cover.
    pub(crate) tickets: BTreeMap<u64, BTreeMap<u32, usize>>,
    /// How much of `to_device` is on stable storage.
    stable: BTreeMap<u32, usize>,
    pub(crate) closed: BTreeMap<u32, (How, String)>,
    pub(crate) refused: BTreeMap<u32, (Refusal, String)>,
    pub(crate) confirmed: BTreeSet<u32>,
    pub(crate) ended: Option<(How, EndCause)>,
    protocols: BTreeMap<u32, Protocol>,
    mode: Mode,
}

impl Sim {
    pub(crate) fn new(options: Options) -> Self {
        let mode = options.mode;
        let setup = Setup {
            terms: terms(Rights::Wide),
            limits: options.limits,
            mode,
            source: address(),
            assurance: Assurance::CertificateAndTotp,
            started: started(),
            expires: options.expires,
            expires_by: options.expires_by,
        };
        Self {
            core: Core::new(setup),
            now: Duration::ZERO,
            rights: Rights::Wide,
            device: BTreeMap::new(),
            client: BTreeMap::new(),
            taps: BTreeMap::new(),
            events: Vec::new(),
            notices: Vec::new(),
            signs: 0,
            tickets: BTreeMap::new(),
            stable: BTreeMap::new(),
            closed: BTreeMap::new(),
            refused: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            ended: None,
            protocols: BTreeMap::new(),
            mode,
        }
    }

    /// A session with channel 1 to the PLC.
    pub(crate) fn plc(options: Options) -> Self {
        let mut sim = Self::new(options);
        sim.open(1, Protocol::Modbus);
        sim
    }

    /// A session with channel 1 to that protocol's service, opened and agreed.
    pub(crate) fn speaking(protocol: Protocol, options: Options) -> Self {
        let mut sim = Self::new(options);
        sim.open(1, protocol);
        for request in speech::opening(protocol) {
            sim.client_says(1, &request);
            sim.device_says(1, &speech::answer(protocol, &request));
        }
        sim
    }

    pub(crate) fn open(&mut self, channel: u32, protocol: Protocol) {
        self.ask(channel, protocol);
        self.give(Input::DeviceConnected { channel });
    }

    /// Asks for a channel; the device does not take the connection yet.
    pub(crate) fn ask(&mut self, channel: u32, protocol: Protocol) {
        let (service, port) = match protocol {
            Protocol::Modbus => ("plc", 502),
            Protocol::S7 => ("s7", 102),
            Protocol::S7Plus => ("hmi", 103),
            Protocol::Enip => ("logix", 44818),
            Protocol::Ssh | Protocol::Rfb | Protocol::Rdp | Protocol::Http | Protocol::Tcp => ("vnc", 5900),
        };
        self.protocols.insert(channel, protocol);
        self.give(Input::OpenChannel { channel, service: service.to_owned(), port, protocol });
    }

    pub(crate) fn give(&mut self, input: Input) {
        if let Input::NewTerms(new) = &input {
            let all = [Rights::Wide, Rights::Narrow, Rights::Evening, Rights::Paced];
            self.rights = all.into_iter().find(|rights| *new == terms(*rights)).unwrap();
        }
        let mut actions = Vec::new();
        self.core.handle(self.now, input, &mut actions);
        for action in actions {
            self.carry_out(action);
        }
    }

    pub(crate) fn client_says(&mut self, channel: u32, bytes: &[u8]) {
        self.give(Input::FromClient { channel, bytes: Bytes::copy_from_slice(bytes) });
    }

    pub(crate) fn device_says(&mut self, channel: u32, bytes: &[u8]) {
        self.give(Input::FromDevice { channel, bytes: Bytes::copy_from_slice(bytes) });
    }

    /// Everything asked of the stable storage is there.
    pub(crate) fn durable(&mut self) {
        if let Some(ticket) = self.tickets.keys().next_back().copied() {
            self.give_back(ticket);
        }
    }

    /// A ticket comes back.
    pub(crate) fn give_back(&mut self, ticket: u64) {
        let covered = self.tickets.remove(&ticket).unwrap();
        self.tickets.retain(|other, _| *other > ticket);
        self.stable.extend(covered);
        self.give(Input::Durable { ticket });
    }

    /// Lets time pass, with a timer whenever one is due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(timer) = self.core.next_timer().filter(|timer| *timer <= until) {
            self.now = self.now.max(timer);
            self.give(Input::Timer);
            let again = self.core.next_timer();
            assert!(again.is_none_or(|again| again > timer), "a timer that asks for itself: {again:?}");
        }
        self.now = until;
    }

    pub(crate) fn sent_to_device(&self, channel: u32) -> &[u8] {
        self.device.get(&channel).map_or(&[], |line| &line.sent)
    }

    /// The recorded refusals: request, offset in `to_client`, length.
    pub(crate) fn refusals(&self) -> Vec<(u64, u64, u32)> {
        let told = self.events.iter().filter_map(|(_, event)| match event {
            Event::Refusal { request, offset, length, .. } => Some((*request, *offset, *length)),
            _ => None,
        });
        told.collect()
    }

    pub(crate) fn sent_to_client(&self, channel: u32) -> &[u8] {
        self.client.get(&channel).map_or(&[], |line| &line.sent)
    }

    pub(crate) fn tap(&self, channel: u32, tap: Tap) -> &[u8] {
        self.taps.get(&(channel, tap)).map_or(&[], Vec::as_slice)
    }

    /// The operations as `text: decision reason`.
    pub(crate) fn operations(&self) -> Vec<String> {
        let told = |(_, event): &(Duration, Event)| match event {
            Event::Operation { text, decision: Decision::Allow, .. } => Some(format!("{text}: allow")),
            Event::Operation { text, decision, reason, .. } => Some(format!("{text}: {decision:?} {reason}")),
            _ => None,
        };
        self.events.iter().filter_map(told).collect()
    }

    /// The answers as `request: text`.
    pub(crate) fn answers(&self) -> Vec<String> {
        let told = |(_, event): &(Duration, Event)| match event {
            Event::Answer { request, text, .. } => Some(format!("{request}: {text}")),
            _ => None,
        };
        self.events.iter().filter_map(told).collect()
    }

    /// Why the channel was closed.
    pub(crate) fn why_closed(&self, channel: u32) -> &str {
        self.closed.get(&channel).map_or("it is open", |(_, why)| why)
    }

    /// What the channel speaks.
    pub(crate) fn protocol(&self, channel: u32) -> Protocol {
        self.protocols.get(&channel).copied().unwrap_or(Protocol::Tcp)
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Record(entry) => self.record(entry),
            Action::Sync { ticket } => {
                assert_ne!(self.mode, Mode::Ordered, "nothing waits for storage in this mode");
                let covered = self.taps.iter().filter(|((_, tap), _)| *tap == Tap::ToDevice);
                let covered = covered.map(|((channel, _), bytes)| (*channel, bytes.len())).collect();
                assert!(self.tickets.insert(ticket, covered).is_none(), "a ticket twice");
            }
            Action::Dial { .. } => {}
            Action::ConfirmChannel { channel } => {
                self.confirmed.insert(channel);
            }
            Action::RefuseChannel { channel, refusal, text } => {
                self.refused.insert(channel, (refusal, text));
            }
            Action::ToDevice { channel, bytes } => self.send_to_device(channel, &bytes),
            Action::ToClient { channel, bytes } => self.send_to_client(channel, &bytes),
            Action::FinishDevice { channel } => {
                self.check_open(channel);
                self.device.entry(channel).or_default().finished = true;
            }
            Action::FinishClient { channel } => {
                self.check_open(channel);
                self.client.entry(channel).or_default().finished = true;
            }
            Action::CloseChannel { channel, how, why } => {
                assert!(self.closed.insert(channel, (how, why)).is_none(), "closed twice");
            }
            Action::Active => self.signs += 1,
            Action::Notice(notice) => self.notices.push(notice),
            Action::End { how, cause } => {
                let open = self.confirmed.iter().find(|channel| !self.closed.contains_key(channel));
                assert_eq!(open, None, "a channel outlives its session");
                self.ended = Some((how, cause));
            }
        }
    }

    fn record(&mut self, entry: Entry) {
        assert_eq!(entry.at, self.now);
        match entry.body {
            Body::Bytes { channel, tap, offset, bytes } => {
                let recorded = self.taps.entry((channel, tap)).or_default();
                assert_eq!(offset, recorded.len() as u64);
                recorded.extend_from_slice(&bytes);
            }
            Body::Same { channel, tap, offset, length, of, of_offset } => {
                let other = &self.taps[&(channel, of)];
                assert!(other.len() as u64 - of_offset <= REACH, "a reference too far back");
                let from = usize::try_from(of_offset).unwrap();
                let bytes = other[from..from + length as usize].to_vec();
                let recorded = self.taps.entry((channel, tap)).or_default();
                assert_eq!(offset, recorded.len() as u64);
                recorded.extend_from_slice(&bytes);
            }
            Body::Event(event) => self.events.push((entry.at, event)),
        }
    }

    fn send_to_device(&mut self, channel: u32, bytes: &[u8]) {
        self.check_open(channel);
        let line = self.device.entry(channel).or_default();
        assert!(!line.finished, "bytes to a device that was told the end");
        let before = line.sent.len();
        line.sent.extend_from_slice(bytes);
        let sent = line.sent.len();
        let recorded = self.tap(channel, Tap::ToDevice);
        assert!(
            recorded.starts_with(self.sent_to_device(channel)),
            "bytes at the device that are not recorded"
        );
        let stable = self.stable.get(&channel).copied().unwrap_or_default();
        let protocol = self.protocols[&channel];
        let frames = speech::frames(protocol, &self.sent_to_device(channel)[before..]);
        assert_eq!(frames.concat(), bytes, "whole frames only");
        assert!(
            frames.iter().all(|frame| speech::allowed(protocol, self.rights, frame)),
            "a frame without a right"
        );
        let changes = frames.iter().any(|frame| speech::changes(protocol, frame));
        let has_to_be_stable = match self.mode {
            Mode::Default => changes,
            Mode::Durable => true,
            Mode::Ordered => false,
        };
        assert!(!has_to_be_stable || sent <= stable, "sent before it was on stable storage");
    }

    fn send_to_client(&mut self, channel: u32, bytes: &[u8]) {
        self.check_open(channel);
        let line = self.client.entry(channel).or_default();
        assert!(!line.finished, "bytes to a client that was told the end");
        line.sent.extend_from_slice(bytes);
        let recorded = self.tap(channel, Tap::ToClient);
        assert!(
            recorded.starts_with(self.sent_to_client(channel)),
            "bytes at the client that are not recorded"
        );
    }

    fn check_open(&self, channel: u32) {
        assert_eq!(self.ended, None, "an action after the end");
        assert!(!self.closed.contains_key(&channel), "an action on a closed channel");
    }

    /// Whether the core wants more from the client.
    pub(crate) fn wants(&self, channel: u32) -> bool {
        self.core.ready(channel, Direction::FromClient)
    }
}
