//! A folder with keys and recordings, and the program on it.

use auditor::{Arguments, Interrupt, Output, run};
use bytes::Bytes;
use clap::Parser;
use recording::{
    Body, Decision, Entry, Event, FileStorage, Identity, LogPosition, Mode, Moment, Opening, SigningKey,
    Started, Tap, Totals, Writer,
};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct Plant {
    folder: TempDir,
    signer: Arc<SigningKey>,
    auditor: Identity,
}

/// What one call of the program did.
pub(crate) struct Called {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Standard output under the eyes of `watch`.
struct Watched<W> {
    printed: Vec<u8>,
    watch: W,
}

impl<W: FnMut(&str)> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.printed.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        (self.watch)(std::str::from_utf8(&self.printed).unwrap());
        Ok(())
    }
}

impl Plant {
    /// A folder with `signing.pub` and `auditor.age`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = Arc::new(SigningKey::generate("plant-a").unwrap());
        let auditor = Identity::generate();
        signer.public().write(&folder.path().join("signing.pub")).unwrap();
        auditor.write(&folder.path().join("auditor.age")).unwrap();
        Self { folder, signer, auditor }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Calls the program; a word that begins with `@` is a path in the folder.
    pub(crate) fn call(&self, words: &[&str]) -> Called {
        self.call_watched(words, Interrupt::default(), |_| ())
    }

    /// The same, with someone who may want it to stop.
    pub(crate) fn call_until(&self, words: &[&str], interrupt: Interrupt) -> Called {
        self.call_watched(words, interrupt, |_| ())
    }

    /// The same, with someone who looks on: it flushes whenever it waits for
    /// more, and what it has printed by then is shown to `watch`.
    pub(crate) fn call_watched(
        &self,
        words: &[&str],
        interrupt: Interrupt,
        watch: impl FnMut(&str),
    ) -> Called {
        let words = words.iter().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).display().to_string(),
            None => (*word).to_owned(),
        });
        let arguments = Arguments::try_parse_from(std::iter::once("gatehouse-audit".to_owned()).chain(words));
        let (mut out, mut err) = (Watched { printed: Vec::new(), watch }, Vec::new());
        let exit = run(&arguments.unwrap(), &mut Output { out: &mut out, err: &mut err, interrupt });
        let (out, err) = (String::from_utf8(out.printed).unwrap(), String::from_utf8(err).unwrap());
        Called { code: exit.code(), out, err }
    }

    fn writer(&self, name: &str) -> Writer<FileStorage> {
        self.begin(name, LogPosition::none())
    }

    /// The key that signs recordings and site logs here.
    pub(crate) fn signer(&self) -> &Arc<SigningKey> {
        &self.signer
    }

    /// A recording under a site log, its header written.
    pub(crate) fn begin(&self, name: &str, log: LogPosition) -> Writer<FileStorage> {
        let opening = Opening {
            session: recording::random_session().unwrap(),
            mode: Mode::Default,
            log,
            started_wall: "2026-10-31T10:31:07.400Z".parse().unwrap(),
            started_mono: Duration::from_secs(60),
            recipients: &self.auditor.recipients(),
            signer: Arc::clone(&self.signer),
            reserve: 0,
        };
        Writer::create(FileStorage::create(&self.path(name)).unwrap(), opening).unwrap()
    }

    /// A closed recording of these entries.
    pub(crate) fn record(&self, name: &str, entries: &[Entry]) {
        self.record_until(name, entries, "client closed");
    }

    pub(crate) fn record_until(&self, name: &str, entries: &[Entry], reason: &str) {
        let mut writer = self.writer(name);
        writer.append_signed(&reckoned(entries), moment(100)).unwrap();
        writer.finish(moment(5_050), reason).unwrap();
    }

    /// A recording of these entries whose gateway died.
    pub(crate) fn record_crash(&self, name: &str, entries: &[Entry]) {
        let mut writer = self.writer(name);
        writer.append(&reckoned(entries)).unwrap();
    }

    /// Turns one bit of a file's byte, counted from the end.
    pub(crate) fn flip(&self, name: &str, from_end: usize) {
        let mut content = std::fs::read(self.path(name)).unwrap();
        let at = content.len() - from_end;
        content[at] ^= 1;
        std::fs::write(self.path(name), content).unwrap();
    }
}

/// The entries, with the totals of closed channels as they are.
fn reckoned(entries: &[Entry]) -> Vec<Entry> {
    let mut sums: HashMap<u32, Totals> = HashMap::new();
    let mut reckoned = entries.to_vec();
    for entry in &mut reckoned {
        match &mut entry.body {
            Body::Bytes { channel, tap, bytes, .. } => {
                sums.entry(*channel).or_default().add(*tap, bytes.len() as u64);
            }
            Body::Same { channel, tap, length, .. } => {
                sums.entry(*channel).or_default().add(*tap, (*length).into());
            }
            Body::Event(Event::ChannelClosed { channel, totals, .. }) => {
                *totals = sums.remove(channel).unwrap_or_default();
            }
            Body::Event(_) => {}
        }
    }
    reckoned
}

pub(crate) fn moment(ms: u64) -> Moment {
    let start: jiff::Timestamp = "2026-10-31T10:31:07.400Z".parse().unwrap();
    let at = Duration::from_millis(ms);
    Moment { wall: start + at, at }
}

pub(crate) fn event(ms: u64, event: Event) -> Entry {
    Entry { at: Duration::from_millis(ms), body: Body::Event(event) }
}

pub(crate) fn started(person: &str) -> Event {
    Event::Started(Box::new(Started {
        person: person.to_owned(),
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
        terms: Bytes::new(),
    }))
}

pub(crate) fn opened(channel: u32, service: &str, protocol: &str, port: u16) -> Event {
    Event::ChannelOpened { channel, service: service.to_owned(), protocol: protocol.to_owned(), port }
}

pub(crate) fn observed(channel: u32, fact: &str, value: &str) -> Event {
    let (tap, offset) = ("from_device".to_owned(), 0);
    Event::Observed { channel, tap, offset, fact: fact.to_owned(), value: value.to_owned() }
}

pub(crate) fn closed(channel: u32) -> Event {
    let (by, how, reason) = ("client".to_owned(), "finished".to_owned(), "done".to_owned());
    Event::ChannelClosed { channel, by, how, reason, totals: Totals::default() }
}

pub(crate) fn operation(request: u64, text: &str, decision: Decision, rule: &str, reason: &str) -> Event {
    Event::Operation {
        request,
        channel: 1,
        offset: 0,
        length: 12,
        function: "some function".to_owned(),
        text: text.to_owned(),
        effect: "changes".to_owned(),
        decision,
        rule: rule.to_owned(),
        reason: reason.to_owned(),
    }
}

pub(crate) fn answer(request: u64, text: &str, refused: bool) -> Event {
    Event::Answer { request, channel: 1, offset: 0, length: 12, text: text.to_owned(), refused }
}

pub(crate) fn bytes(ms: u64, channel: u32, tap: Tap, offset: u64, bytes: &[u8]) -> Entry {
    let bytes = Bytes::copy_from_slice(bytes);
    Entry { at: Duration::from_millis(ms), body: Body::Bytes { channel, tap, offset, bytes } }
}

/// A session with an allowed, a denied, a refused and an unanswered request.
pub(crate) fn session() -> Vec<Entry> {
    vec![
        event(0, started("tech-1@vendor-a")),
        event(1, opened(1, "plc", "modbus", 502)),
        event(12, operation(1, "write holding[100] = 731", Decision::Allow, "policy.csv:3", "")),
        event(20, answer(1, "ok", false)),
        event(
            30,
            operation(
                2,
                "write holding[100] = 1200",
                Decision::Deny,
                "policy.csv:14",
                "value 1200 is not in 0..900",
            ),
        ),
        event(31, operation(3, "write holding[731] = 1", Decision::Deny, "", "no rule allows it")),
        event(32, operation(4, "read holding[0-1]", Decision::Allow, "policy.csv:2", "")),
        event(33, answer(4, "= 1 2", false)),
        event(34, operation(5, "read holding[9999]", Decision::Allow, "policy.csv:2", "")),
        event(36, answer(5, "illegal data address", true)),
        event(40, operation(6, "read coil[0]", Decision::Allow, "policy.csv:2", "")),
        bytes(41, 1, Tap::FromClient, 0, b"decoded bytes are not told"),
        event(50, closed(1)),
    ]
}
