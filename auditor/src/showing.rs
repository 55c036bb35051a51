//! `show`: one recording's header, and with an identity who, what and how it
//! went.

use crate::arguments::Show;
use crate::escape::safe;
use crate::exit::Exit;
use crate::recording_file;
use crate::run::Output;
use crate::time::{span, stamp};
use crate::trouble::Trouble;
use authz::Terms;
use jiff::tz::TimeZone;
use recording::{Body, Decision, Event, Identity, Opened, Outline, Started, Stop, Totals};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(crate) fn show(arguments: &Show, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let path = &arguments.file;
    let file = recording_file::open(path)?;
    let outline =
        recording::outline(file).map_err(|source| Trouble::Outline { path: path.clone(), source })?;
    let head = Head::new(path, &outline);
    let content = match &arguments.identity {
        Some(identity) => {
            let identity = Identity::read(identity).map_err(Trouble::key(identity))?;
            Some(Content::read(path, &identity)?)
        }
        None => None,
    };
    if arguments.json {
        output.json(&Shown { head, content })?;
    } else {
        let lines = head.lines().into_iter().chain(content.iter().flat_map(Content::lines));
        for (name, value) in lines {
            output.line(format_args!("{name:18}{}", safe(&value)))?;
        }
    }
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    head: Head,
    content: Option<Content>,
}

/// What the plain header and the outline tell.
#[derive(Debug, Serialize)]
struct Head {
    file: String,
    session: String,
    started: String,
    mode: &'static str,
    /// Bytes of the file, and of header and whole frames.
    length: u64,
    bytes: u64,
    frames: u64,
    checkpoints: u64,
    closed: bool,
    signed_by: String,
    log_origin: String,
    log_size: u64,
    recipients_hash: String,
}

impl Head {
    fn new(path: &Path, outline: &Outline) -> Self {
        let header = &outline.header;
        Self {
            file: path.display().to_string(),
            session: header.session_hex(),
            started: stamp(header.started_wall, &TimeZone::system()),
            mode: header.mode.name(),
            length: outline.length,
            bytes: outline.bytes,
            frames: outline.frames,
            checkpoints: outline.checkpoints,
            closed: outline.ended,
            signed_by: format!("{}+{:08x}", header.key_name, header.key_id),
            log_origin: header.log.origin.clone(),
            log_size: header.log.size,
            recipients_hash: hex::encode(header.recipients_hash),
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let state = if self.closed { "closed" } else { "not closed" };
        let log = match self.log_origin.as_str() {
            "" => "none".to_owned(),
            origin => format!("{origin}, {} entries", self.log_size),
        };
        vec![
            ("session", self.session.clone()),
            ("started", self.started.clone()),
            ("mode", self.mode.to_owned()),
            ("file", format!("{} bytes, {} of them recorded", self.length, self.bytes)),
            ("frames", format!("{}, {} of them checkpoints", self.frames, self.checkpoints)),
            ("state", format!("{state} (verify proves it)")),
            ("signed by", self.signed_by.clone()),
            ("site log", log),
            ("recipients", self.recipients_hash.clone()),
        ]
    }
}

/// Who was let in, where to, and on which terms.
#[derive(Debug, Serialize)]
struct Who {
    person: String,
    target: String,
    zone: String,
    address: String,
    source: String,
    assurance: String,
    policy: String,
    reason: Option<String>,
    ticket: Option<String>,
    software: String,
    /// The grant's terms in words.
    terms: Vec<String>,
}

impl Who {
    fn new(started: Started) -> Self {
        let terms = match Terms::from_bytes(&started.terms) {
            Ok(terms) => terms.describe(),
            Err(error) => vec![format!("(can't be read: {error})")],
        };
        Self {
            person: started.person,
            target: started.target,
            zone: started.zone,
            address: started.address,
            source: started.source,
            assurance: started.assurance,
            policy: hex::encode(&started.policy_hash),
            reason: started.reason,
            ticket: started.ticket,
            software: started.software,
            terms,
        }
    }
}

/// What an identity opens.
#[derive(Debug, Default, Serialize)]
struct Content {
    started: Option<Who>,
    operations: u64,
    denied: u64,
    channels: u64,
    #[serde(flatten)]
    seen: Seen,
    ended_ms: Option<u64>,
    ended: Option<String>,
    reason: Option<String>,
    totals: Option<Totals>,
}

/// How many different facts of opaque channels are kept.
const MOST_FACTS: usize = 1000;

/// What the opaque channels showed of themselves, each fact once.
#[derive(Debug, Default, Serialize)]
struct Seen {
    facts: BTreeSet<Fact>,
    /// How many more there were than are kept.
    facts_left_out: u64,
    /// The services of the open channels.
    #[serde(skip)]
    services: BTreeMap<u32, String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Fact {
    service: String,
    fact: String,
    tap: String,
    value: String,
}

impl Seen {
    fn add(&mut self, channel: u32, tap: String, fact: String, value: String) {
        let service = self.services.get(&channel).cloned().unwrap_or_default();
        let fact = Fact { service, fact, tap, value };
        if self.facts.len() < MOST_FACTS || self.facts.contains(&fact) {
            self.facts.insert(fact);
        } else {
            self.facts_left_out = self.facts_left_out.saturating_add(1);
        }
    }

    fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let facts = self.facts.iter().map(|seen| {
            let Fact { service, fact, tap, value } = seen;
            ("seen", format!("{service} {fact}: {value} ({tap})"))
        });
        let more = self.facts_left_out;
        facts.chain((more > 0).then(|| ("seen", format!("and {more} facts more"))))
    }
}

impl Content {
    fn read(path: &Path, identity: &Identity) -> Result<Self, Trouble> {
        let file = recording_file::open(path)?;
        let mut opened = Opened::decrypt(file, identity).map_err(Trouble::recording(path))?;
        let mut content = Self::default();
        for recorded in opened.by_ref() {
            if let Body::Event(event) = recorded.map_err(Trouble::recording(path))?.entry.body {
                content.count(event);
            }
        }
        if let Stop::Ended(end) = opened.stop() {
            content.ended_ms = u64::try_from(end.at().as_millis()).ok();
            content.ended = Some(span(end.at()));
            content.reason = Some(end.reason.clone());
            content.totals = Some(end.totals);
        }
        Ok(content)
    }

    fn count(&mut self, event: Event) {
        match event {
            Event::Started(started) => self.started = Some(Who::new(*started)),
            Event::ChannelOpened { channel, service, .. } => {
                self.channels = self.channels.saturating_add(1);
                self.seen.services.insert(channel, service);
            }
            Event::Observed { channel, tap, fact, value, .. } => {
                self.seen.add(channel, tap, fact, value);
            }
            Event::ChannelClosed { channel, .. } => {
                self.seen.services.remove(&channel);
            }
            Event::Operation { decision, .. } => {
                self.operations = self.operations.saturating_add(1);
                if decision != Decision::Allow {
                    self.denied = self.denied.saturating_add(1);
                }
            }
            Event::ChannelConnected { .. }
            | Event::Answer { .. }
            | Event::Refusal { .. }
            | Event::Unframed { .. }
            | Event::TermsChanged { .. }
            | Event::PathChanged { .. }
            | Event::ClockStep { .. }
            | Event::Ending { .. }
            | Event::Note { .. } => {}
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(started) = &self.started {
            lines.extend([
                ("person", started.person.clone()),
                ("source", started.source.clone()),
                ("assurance", started.assurance.clone()),
                ("target", format!("{} ({}, {})", started.target, started.zone, started.address)),
                ("policy", started.policy.clone()),
                ("software", started.software.clone()),
            ]);
            lines.extend(started.reason.clone().map(|reason| ("reason", reason)));
            lines.extend(started.ticket.clone().map(|ticket| ("ticket", ticket)));
            lines.extend(started.terms.iter().map(|term| ("terms", term.clone())));
        }
        let channels = self.channels;
        lines.push((
            "operations",
            format!("{}, {} of them denied, on {channels} channels", self.operations, self.denied),
        ));
        lines.extend(self.seen.lines());
        if let (Some(after), Some(reason)) = (&self.ended, &self.reason) {
            lines.push(("ended", format!("after {after}: {reason}")));
        }
        if let Some(totals) = &self.totals {
            lines.push(("bytes", crate::story::totals(totals)));
        }
        lines
    }
}
