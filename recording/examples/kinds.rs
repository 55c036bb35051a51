//! Writes one small recording of each kind that a reader has to know, with the
//! keys to it: this is how `vectors/kinds/` was made.
//!
//! ```text
//! cargo run -p recording --example kinds -- FOLDER
//! ```
//!
//! `expected.json` tells of each file what section 9 of `FORMAT.md` says of it
//! and how many items are inside. `auditor.age` opens all of them;
//! `recovery.age` is the second recipient of one.

use bytes::Bytes;
use recording::{
    Body, Decision, Entry, Event, FileStorage, Identity, LogPosition, Mode, Moment, Opened, Opening,
    Recipient, SigningKey, Tap, Totals, Verdict, Writer, verify,
};
use std::error::Error;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const REQUEST: &[u8] = &[0, 1, 0, 0, 0, 6, 1, 6, 0, 100, 2, 219];
const EXCEPTION: &[u8] = &[0, 1, 0, 0, 0, 3, 1, 134, 3];

/// Reserved space that is left behind what was written, in bytes.
const BLANK: usize = 100;

fn main() -> Outcome {
    let folder = std::env::args_os().nth(1).ok_or("usage: kinds FOLDER")?;
    let kinds = Kinds {
        folder: PathBuf::from(folder),
        signer: Arc::new(SigningKey::generate("plant-a")?),
        auditor: Identity::generate(),
        recovery: Identity::generate(),
    };
    std::fs::create_dir_all(&kinds.folder)?;
    kinds.signer.public().write(&kinds.folder.join("signing.pub"))?;
    kinds.auditor.write(&kinds.folder.join("auditor.age"))?;
    kinds.recovery.write(&kinds.folder.join("recovery.age"))?;
    let expected = kinds.all()?;
    std::fs::write(kinds.folder.join("expected.json"), format!("{{\n{}\n}}\n", expected.join(",\n")))?;
    Ok(())
}

struct Kinds {
    folder: PathBuf,
    signer: Arc<SigningKey>,
    auditor: Identity,
    recovery: Identity,
}

/// How a recording is left.
enum Left {
    Closed,
    Untrimmed,
    Unclosed,
}

impl Kinds {
    fn all(&self) -> Outcome<Vec<String>> {
        let none = LogPosition::none;
        let log = LogPosition { origin: "plant-a/log".to_owned(), size: 7, root: [9; 32] };
        let auditor = self.auditor.recipients();
        let both = [self.auditor.recipients(), self.recovery.recipients()].concat();
        let one = [refused(1)];
        Ok(vec![
            self.record("unclosed", Mode::Default, none(), &auditor, &one, &Left::Unclosed)?,
            self.record("untrimmed", Mode::Default, none(), &auditor, &one, &Left::Untrimmed)?,
            self.record("two-recipients", Mode::Default, log, &both, &one, &Left::Closed)?,
            self.record("durable", Mode::Durable, none(), &auditor, &one, &Left::Closed)?,
            self.record("ordered", Mode::Ordered, none(), &auditor, &one, &Left::Closed)?,
            self.record("channels", Mode::Default, none(), &auditor, &channels(), &Left::Closed)?,
            self.record("parts", Mode::Default, none(), &auditor, &parts(), &Left::Closed)?,
        ])
    }

    /// Writes a recording with a checkpoint behind each part of it, and gives
    /// its line for `expected.json`.
    fn record(
        &self,
        name: &str,
        mode: Mode,
        log: LogPosition,
        recipients: &[Recipient],
        parts: &[Vec<Entry>],
        left: &Left,
    ) -> Outcome<String> {
        let path = self.folder.join(format!("{name}.ghr"));
        let opening = Opening {
            session: recording::random_session()?,
            mode,
            log,
            started_wall: "2026-10-31T10:31:07.412Z".parse()?,
            started_mono: Duration::from_secs(60),
            recipients,
            signer: Arc::clone(&self.signer),
            reserve: 0,
        };
        let mut writer = Writer::create(FileStorage::create(&path)?, opening)?;
        for part in parts {
            writer.append_signed(part, moment(40)?)?;
        }
        match left {
            Left::Closed => drop(writer.finish(moment(50)?, "client closed")?),
            Left::Untrimmed => {
                writer.finish(moment(50)?, "client closed")?;
                let mut content = std::fs::read(&path)?;
                content.resize(content.len() + BLANK, 0);
                std::fs::write(&path, content)?;
            }
            Left::Unclosed => {
                let text = "this was written, and no checkpoint came".to_owned();
                writer.append(&[event(41, Event::Note { text })])?;
                let written = usize::try_from(writer.position().bytes)?;
                let mut content = std::fs::read(&path)?;
                content.truncate(written);
                content.resize(written + BLANK, 0);
                std::fs::write(&path, content)?;
            }
        }
        self.expected(name, &std::fs::read(&path)?)
    }

    fn expected(&self, name: &str, content: &[u8]) -> Outcome<String> {
        let report = verify(Cursor::new(content), self.signer.public())?;
        let exit = match report.verdict {
            Verdict::Clean => 0,
            Verdict::Untrimmed => 2,
            Verdict::Unclean => 3,
            Verdict::Altered { offset, fault } => return Err(format!("{name}: {offset}: {fault}").into()),
        };
        let signed = report.signed.map_or(0, |signed| signed.bytes);
        let mut entries = 0;
        for recorded in Opened::decrypt(Cursor::new(content), &self.auditor)? {
            recorded?;
            entries += 1;
        }
        Ok(format!(
            "  \"{name}.ghr\": {{ \"exit\": {exit}, \"signed_bytes\": {signed}, \"entries\": {entries} }}"
        ))
    }
}

fn moment(ms: u64) -> Outcome<Moment> {
    let at = Duration::from_millis(ms);
    let start: jiff::Timestamp = "2026-10-31T10:31:07.412Z".parse()?;
    Ok(Moment { wall: start.checked_add(at)?, at })
}

fn event(ms: u64, event: Event) -> Entry {
    Entry { at: Duration::from_millis(ms), body: Body::Event(event) }
}

fn bytes(ms: u64, channel: u32, tap: Tap, bytes: &'static [u8]) -> Entry {
    let bytes = Bytes::from_static(bytes);
    Entry { at: Duration::from_millis(ms), body: Body::Bytes { channel, tap, offset: 0, bytes } }
}

fn opened(channel: u32, service: &str, port: u16) -> Event {
    Event::ChannelOpened { channel, service: service.to_owned(), protocol: "modbus".to_owned(), port }
}

fn closed(channel: u32, totals: Totals) -> Event {
    let (by, how) = ("client".to_owned(), "finished".to_owned());
    Event::ChannelClosed { channel, by, how, reason: "the tool closed the connection".to_owned(), totals }
}

/// A request on channel 1 that is refused in the protocol's own words.
fn refused(request: u64) -> Vec<Entry> {
    let operation = Event::Operation {
        request,
        channel: 1,
        offset: 0,
        length: 12,
        function: "write single register".to_owned(),
        text: "write holding[100] = 731".to_owned(),
        effect: "changes".to_owned(),
        decision: Decision::Deny,
        rule: "policy.csv:14".to_owned(),
        reason: "not now".to_owned(),
    };
    vec![
        event(1, opened(1, "plc", 502)),
        event(1, Event::ChannelConnected { channel: 1 }),
        bytes(2, 1, Tap::FromClient, REQUEST),
        event(2, operation),
        event(2, Event::Refusal { request, channel: 1, offset: 0, length: 9 }),
        bytes(2, 1, Tap::ToClient, EXCEPTION),
    ]
}

/// Three channels at a time, the number of one used anew.
fn channels() -> [Vec<Entry>; 3] {
    let passed = Totals { from_client: 12, to_client: 9, ..Totals::default() };
    let same = Body::Same {
        channel: 7,
        tap: Tap::ToClient,
        offset: 0,
        length: 9,
        of: Tap::FromDevice,
        of_offset: 0,
    };
    let unasked = Event::Answer {
        request: Event::UNASKED,
        channel: 7,
        offset: 0,
        length: 9,
        text: "an answer to nothing".to_owned(),
        refused: true,
    };
    [
        refused(1),
        vec![
            event(3, opened(7, "plc", 502)),
            bytes(4, 7, Tap::FromDevice, EXCEPTION),
            event(4, unasked),
            Entry { at: Duration::from_millis(4), body: same },
            event(5, opened(u32::MAX, "panel", u16::MAX)),
            event(6, closed(1, passed)),
        ],
        refused(2),
    ]
}

/// An event longer than a frame.
fn parts() -> [Vec<Entry>; 1] {
    let (policy_hash, terms) = (Bytes::from_static(&[4; 32]), Bytes::from_static(&[5; 66_000]));
    [vec![
        event(1, Event::TermsChanged { policy_hash, terms }),
        event(2, Event::ClockStep { step_ms: -3_600_000 }),
    ]]
}
