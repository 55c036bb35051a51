//! Turns what a recording amounts to into lines that a person reads and
//! objects that a program reads.
//!
//! A request has its own time, not its answer's. Bytes of services that are
//! not decoded are told by count and a few in hexadecimal; those of decoded
//! ones are told by their operations.
//!
//! Every text that comes from the recording passes [`safe`].

use crate::chronicle::{Answer, Channel, Outcome, Request, Told, What};
use crate::escape::safe;
use crate::row::{Row, Who};
use crate::time::{Clock, span};
use dissect::{Carriage, Protocol};
use jiff::tz::TimeZone;
use recording::{Decision, Event, Header, Started, Stop, Tap, Totals};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Bytes of an opaque service that are shown.
const PREVIEW: usize = 16;

/// One line of the story.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// When it is due, after the session's start.
    pub(crate) at: Duration,
    /// For people, harmless.
    pub(crate) text: String,
    /// For programs; made harmless when it is printed.
    pub(crate) json: Value,
}

/// Turns what a [`crate::chronicle::Chronicle`] tells into lines.
pub(crate) struct Story {
    clock: Clock,
    session: String,
    mode: &'static str,
    who: Option<Who>,
    /// The target's last name, harmless.
    target: String,
    operations: u64,
    denied: u64,
    date: String,
    last: Duration,
    lines: Vec<Line>,
}

impl Story {
    pub(crate) fn new(header: &Header, zone: TimeZone) -> Self {
        let clock = Clock { start: header.started_wall, zone };
        Self {
            date: clock.date(Duration::ZERO),
            clock,
            session: header.session_hex(),
            mode: header.mode.name(),
            who: None,
            target: String::new(),
            operations: 0,
            denied: 0,
            last: Duration::ZERO,
            lines: Vec::new(),
        }
    }

    /// The lines before the first entry.
    pub(crate) fn begin(&mut self) -> Vec<Line> {
        let started = self.clock.stamp(Duration::ZERO);
        let text = format!("== session {}, started {started}, mode {}", self.session, self.mode);
        self.push(Duration::ZERO, text, "session", json!({ "mode": self.mode }));
        self.take()
    }

    /// The lines of one thing.
    pub(crate) fn tell(&mut self, told: Told) -> Vec<Line> {
        let Told { at, what } = told;
        self.last = at;
        match what {
            What::Turn(channel, event) => self.turn(at, channel.as_deref(), event),
            What::Piece { channel, tap, offset, bytes } => self.piece(at, &channel, tap, offset, &bytes),
            What::Request(request) => self.request(at, &request),
            What::Stray { channel, number, answer } => self.stray(at, &channel, number, &answer),
        }
        self.take()
    }

    /// Counts a request that is not told.
    pub(crate) fn skip(&mut self, told: &Told) {
        self.last = told.at;
        match &told.what {
            What::Request(request) => self.count(request),
            What::Turn(_, Event::Started(started)) => self.know(started),
            What::Turn(..) | What::Piece { .. } | What::Stray { .. } => {}
        }
    }

    /// The lines after the last entry.
    pub(crate) fn end(&mut self, stop: &Stop) -> Vec<Line> {
        let counts = format!("{} operations, {} denied", self.operations, self.denied);
        match stop {
            Stop::Ended(end) => {
                let (after, reason) = (span(end.at()), safe(&end.reason));
                let text = format!("== ended after {after}: {reason}; {counts}; {}", totals(&end.totals));
                let json = json!({ "reason": end.reason, "totals": end.totals,
                    "operations": self.operations, "denied": self.denied });
                self.push(end.at(), text, "ended", json);
            }
            Stop::Cut { offset } => {
                let text = format!("== the recording was not closed: it stops at byte {offset}; {counts}");
                let json = json!({ "offset": offset, "operations": self.operations, "denied": self.denied });
                self.push(self.last, text, "cut", json);
            }
            Stop::NotYet => {}
        }
        self.take()
    }

    /// The lines of a recording that can't be read any further.
    pub(crate) fn give_up(&mut self) -> Vec<Line> {
        self.push(self.last, "== from here on it can't be read".to_owned(), "unreadable", json!({}));
        self.take()
    }

    /// The line of a replay that begins later than its recording.
    pub(crate) fn sought(&mut self, at: Duration) -> Vec<Line> {
        self.last = at;
        let text = format!("== from {} on, {} after the start", self.clock.stamp(at), span(at));
        self.push(at, text, "sought", json!({}));
        self.take()
    }

    fn turn(&mut self, at: Duration, channel: Option<&Channel>, event: Event) {
        let Some(channel) = channel else { return self.session_turn(at, event) };
        match event {
            Event::ChannelOpened { service, protocol, port, channel: number } => {
                let text =
                    format!("channel {number} opened: {} ({}, port {port})", safe(&service), safe(&protocol));
                let json = json!({ "service": service, "protocol": protocol, "port": port });
                self.said(at, channel, &text, "channel_opened", json);
            }
            Event::ChannelConnected { channel: number } => {
                let text = format!("channel {number} connected to the device");
                self.said(at, channel, &text, "channel_connected", json!({}));
            }
            Event::ChannelClosed { channel: number, by, how, reason, totals: sums } => {
                let (shown_by, shown_reason) = (safe(&by), safe(&reason));
                let reset = if how == "finished" { String::new() } else { format!(", {}", safe(&how)) };
                let text = format!(
                    "channel {number} closed by {shown_by}{reset}: {shown_reason} ({})",
                    totals(&sums)
                );
                let json = json!({ "by": by, "how": how, "reason": reason, "totals": sums });
                self.said(at, channel, &text, "channel_closed", json);
            }
            Event::Observed { tap, offset, fact, value, .. } => {
                let text = format!("{} shows {}: {}", safe(&tap), safe(&fact), safe(&value));
                let json = json!({ "tap": tap, "offset": offset, "fact": fact, "value": value });
                self.said(at, channel, &text, "observed", json);
            }
            Event::Unframed { channel: number, tap, reason } => {
                let text = format!("channel {number}: {} can't be understood: {}", safe(&tap), safe(&reason));
                self.said(at, channel, &text, "unframed", json!({ "tap": tap, "reason": reason }));
            }
            // Told with their requests.
            Event::Operation { .. } | Event::Answer { .. } | Event::Refusal { .. } => {}
            Event::Started(_)
            | Event::TermsChanged { .. }
            | Event::PathChanged { .. }
            | Event::ClockStep { .. }
            | Event::Ending { .. }
            | Event::Note { .. } => self.session_turn(at, event),
        }
    }

    fn session_turn(&mut self, at: Duration, event: Event) {
        match event {
            Event::Started(started) => self.started(at, &started),
            Event::TermsChanged { policy_hash, .. } => {
                let policy = hex::encode(&policy_hash);
                let text = format!("now judged by policy {policy}");
                self.remark(at, &text, "terms", json!({ "policy": policy }));
            }
            Event::PathChanged { source } => {
                let text = format!("the technician is now at {}", safe(&source));
                self.remark(at, &text, "path", json!({ "source": source }));
            }
            Event::ClockStep { step_ms } => {
                let text = format!("the gateway's clock jumped by {step_ms} ms");
                self.remark(at, &text, "clock", json!({ "step_ms": step_ms }));
            }
            Event::Ending { reason, in_s } => {
                let text = format!("will end in {in_s} s: {}", safe(&reason));
                self.remark(at, &text, "ending", json!({ "reason": reason, "in_s": in_s }));
            }
            Event::Note { text } => {
                self.remark(at, &safe(&text), "note", json!({ "text": text }));
            }
            // These have a channel.
            Event::ChannelOpened { .. }
            | Event::ChannelConnected { .. }
            | Event::ChannelClosed { .. }
            | Event::Operation { .. }
            | Event::Answer { .. }
            | Event::Refusal { .. }
            | Event::Observed { .. }
            | Event::Unframed { .. } => {}
        }
    }

    fn started(&mut self, at: Duration, started: &Started) {
        self.know(started);
        let policy = hex::encode(&started.policy_hash);
        let text = format!(
            "== {} on {} ({}, {}) from {}, {}",
            started.person, started.target, started.zone, started.address, started.source, started.assurance
        );
        let json = json!({ "person": started.person, "target": started.target, "zone": started.zone,
            "address": started.address, "source": started.source, "assurance": started.assurance,
            "policy": policy, "software": started.software, "reason": started.reason,
            "ticket": started.ticket });
        self.push(at, safe(&text), "started", json);
        let named = |name, value: &Option<String>| value.as_ref().map(|value| format!("; {name}: {value}"));
        let reason = named("reason", &started.reason).unwrap_or_default();
        let ticket = named("ticket", &started.ticket).unwrap_or_default();
        let text = format!("== policy {policy}, {}{reason}{ticket}", started.software);
        let json = json!({ "policy": policy, "software": started.software });
        self.push(at, safe(&text), "policy", json);
    }

    fn know(&mut self, started: &Started) {
        self.target = started.target.rsplit('/').next().map(safe).unwrap_or_default();
        self.who = Some(Who::of(started));
    }

    fn count(&mut self, request: &Request) {
        self.operations = self.operations.saturating_add(1);
        if request.decision != Decision::Allow {
            self.denied = self.denied.saturating_add(1);
        }
    }

    fn request(&mut self, at: Duration, request: &Request) {
        self.count(request);
        let text = sentence(request);
        let time = |at: Duration| self.clock.stamp(at);
        let row = Row::new(request, &self.session, self.who.as_ref(), time);
        let json = serde_json::to_value(&row).unwrap_or_default();
        self.told(request.asked, at, &request.channel, &text, "operation", json);
    }

    fn stray(&mut self, at: Duration, channel: &Channel, number: u64, answer: &Answer) {
        if number == Event::UNASKED {
            let text = format!("the device {}", safe(&answer.text));
            return self.said(at, channel, &text, "push", json!({ "text": answer.text }));
        }
        let text = format!("ANSWER to request {number} -> {}", said(answer));
        let json = json!({ "request": number, "answer": answer.text, "refused": answer.refused });
        self.said(at, channel, &text, "stray_answer", json);
    }

    fn piece(&mut self, at: Duration, channel: &Channel, tap: Tap, offset: u64, bytes: &[u8]) {
        let shown = bytes.get(..PREVIEW).unwrap_or(bytes);
        let more = if shown.len() < bytes.len() { "..." } else { "" };
        let preview = hex::encode(shown);
        let text = format!("{} {} bytes: {preview}{more}", tap.name(), bytes.len());
        let json = json!({ "tap": tap.name(), "offset": offset, "length": bytes.len(), "preview": preview });
        self.said(at, channel, &text, "bytes", json);
    }

    /// A line about the whole session.
    fn remark(&mut self, at: Duration, text: &str, kind: &str, json: Value) {
        let text = format!("{} {} -- {text}", self.clock.time(at), self.target);
        self.push(at, text, kind, json);
    }

    /// A line about a channel.
    fn said(&mut self, at: Duration, channel: &Channel, text: &str, kind: &str, json: Value) {
        self.told(at, at, channel, text, kind, json);
    }

    /// A line about a channel with the time of one instant, due at a later.
    fn told(
        &mut self,
        time: Duration,
        due: Duration,
        channel: &Channel,
        text: &str,
        kind: &str,
        json: Value,
    ) {
        let service = match channel.known.map(Protocol::carriage) {
            Some(Carriage::Decoded) => String::new(),
            Some(Carriage::Opaque) | None if channel.service.is_empty() => String::new(),
            Some(Carriage::Opaque) | None => format!(":{}", safe(&channel.service)),
        };
        let text = format!("{} {}{service} {text}", self.clock.time(time), self.target);
        let mut fields = object(json);
        fields.insert("channel".to_owned(), channel.number.into());
        fields.insert("time".to_owned(), self.clock.stamp(time).into());
        self.push(due, text, kind, Value::Object(fields));
    }

    fn push(&mut self, at: Duration, text: String, kind: &str, json: Value) {
        let mut fields = object(json);
        let time = self.clock.stamp(at);
        fields.entry("time").or_insert_with(|| time.into());
        fields.insert("kind".to_owned(), kind.into());
        fields.insert("session".to_owned(), self.session.clone().into());
        let date = self.clock.date(at);
        let text = if date == self.date { text } else { format!("-- {date}\n{text}") };
        self.date = date;
        self.lines.push(Line { at, text, json: Value::Object(fields) });
    }

    fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }
}

fn object(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// A request with its verdict and what became of it, harmless.
pub(crate) fn sentence(request: &Request) -> String {
    let told = safe(&emphasized(request.words()));
    match &request.outcome {
        Outcome::Denied => {
            let by =
                if request.rule.is_empty() { String::new() } else { format!(" {}", safe(&request.rule)) };
            format!("{told} -> DENIED{by}: {}", safe(&request.reason))
        }
        Outcome::Opened => format!("{told} -> allowed"),
        Outcome::Sent => format!("{told} -> sent"),
        Outcome::Unanswered => format!("{told} -> no answer"),
        Outcome::Answered(answer) => format!("{told} -> {}", said(answer)),
    }
}

fn said(answer: &Answer) -> String {
    let refused = if answer.refused { "REFUSED by the device: " } else { "" };
    format!("{refused}{}", safe(answer.text.strip_prefix("= ").unwrap_or(&answer.text)))
}

/// The operation with its verb in capitals: `WRITE holding[100] = 731`.
fn emphasized(text: &str) -> String {
    match text.split_once(' ') {
        Some((verb, rest)) => format!("{} {rest}", verb.to_ascii_uppercase()),
        None => text.to_ascii_uppercase(),
    }
}

/// The counts of the four taps in words.
pub(crate) fn totals(totals: &Totals) -> String {
    let counts: Vec<String> =
        Tap::ALL.into_iter().map(|tap| format!("{} {}", tap.name(), totals.of(tap))).collect();
    format!("bytes: {}", counts.join(", "))
}
