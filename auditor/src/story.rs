//! Turns the entries of a recording into lines that a person reads and
//! objects that a program reads.
//!
//! A request is told when its answer comes, with the request's time; one that
//! was denied is told at once; one that was never answered when its channel
//! closes. Bytes of services that are not decoded are told by count and a few
//! in hexadecimal; those of decoded ones are told by their operations.
//!
//! Every text that comes from the recording passes [`safe`].

use crate::escape::safe;
use crate::time::{Clock, span};
use dissect::{Carriage, Protocol};
use jiff::tz::TimeZone;
use recording::{Body, Decision, Entry, Event, Header, Started, Stop, Tap, Totals};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
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

/// What is known of the session so far.
pub(crate) struct Story {
    clock: Clock,
    session: String,
    mode: &'static str,
    target: String,
    channels: BTreeMap<u32, Channel>,
    waiting: BTreeMap<u64, Waiting>,
    operations: u64,
    denied: u64,
    date: String,
    last: Duration,
    lines: Vec<Line>,
}

struct Channel {
    service: String,
    carriage: Carriage,
}

/// A request whose answer was not told yet.
struct Waiting {
    at: Duration,
    channel: u32,
    text: String,
    rule: String,
}

impl Story {
    pub(crate) fn new(header: &Header, zone: TimeZone) -> Self {
        let clock = Clock { start: header.started_wall, zone };
        Self {
            date: clock.date(Duration::ZERO),
            clock,
            session: header.session_hex(),
            mode: header.mode.name(),
            target: String::new(),
            channels: BTreeMap::new(),
            waiting: BTreeMap::new(),
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

    /// The lines that an entry completes.
    pub(crate) fn tell(&mut self, entry: Entry) -> Vec<Line> {
        let Entry { at, body } = entry;
        self.last = at;
        match body {
            Body::Bytes { channel, tap, offset, bytes } => self.bytes(at, channel, tap, offset, &bytes),
            // The reader gives the bytes themselves.
            Body::Same { .. } => {}
            Body::Event(event) => self.event(at, event),
        }
        self.take()
    }

    /// The lines after the last entry.
    pub(crate) fn end(&mut self, stop: &Stop) -> Vec<Line> {
        let counts = format!("{} operations, {} denied", self.operations, self.denied);
        match stop {
            Stop::Ended(end) => {
                self.unanswered(end.at(), |_| true);
                let (after, reason) = (span(end.at()), safe(&end.reason));
                let text = format!("== ended after {after}: {reason}; {counts}; {}", totals(&end.totals));
                let json = json!({ "reason": end.reason, "totals": end.totals,
                    "operations": self.operations, "denied": self.denied });
                self.push(end.at(), text, "ended", json);
            }
            Stop::Cut { offset } => {
                self.unanswered(self.last, |_| true);
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
        self.unanswered(self.last, |_| true);
        self.push(self.last, "== from here on it can't be read".to_owned(), "unreadable", json!({}));
        self.take()
    }

    fn event(&mut self, at: Duration, event: Event) {
        match event {
            Event::Started(started) => self.started(at, &started),
            Event::ChannelOpened { channel, service, protocol, port } => {
                self.opened(at, channel, service, &protocol, port);
            }
            Event::ChannelConnected { channel } => {
                let text = format!("channel {channel} connected to the device");
                self.said(at, channel, &text, "channel_connected", json!({}));
            }
            Event::ChannelClosed { channel, by, reason, totals } => {
                self.closed(at, channel, &by, &reason, &totals);
            }
            event @ Event::Operation { .. } => self.operation(at, event),
            Event::Answer { request, channel, text, refused, .. } => {
                self.answer(at, request, channel, &text, refused);
            }
            Event::Observed { channel, tap, offset, fact, value } => {
                let text = format!("{} shows {}: {}", safe(&tap), safe(&fact), safe(&value));
                let json = json!({ "tap": tap, "offset": offset, "fact": fact, "value": value });
                self.said(at, channel, &text, "observed", json);
            }
            Event::Unframed { channel, tap, reason } => {
                let text =
                    format!("channel {channel}: {} can't be understood: {}", safe(&tap), safe(&reason));
                self.said(at, channel, &text, "unframed", json!({ "tap": tap, "reason": reason }));
            }
            Event::TermsChanged { policy_hash, .. } => {
                let policy = hex::encode(&policy_hash);
                self.remark(
                    at,
                    &format!("now judged by policy {policy}"),
                    "terms",
                    json!({ "policy": policy }),
                );
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
        }
    }

    fn started(&mut self, at: Duration, started: &Started) {
        self.target = started.target.rsplit('/').next().map(safe).unwrap_or_default();
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

    fn opened(&mut self, at: Duration, channel: u32, service: String, protocol: &str, port: u16) {
        let carriage = Protocol::from_name(protocol).map_or(Carriage::Opaque, Protocol::carriage);
        let text = format!("channel {channel} opened: {} ({}, port {port})", safe(&service), safe(protocol));
        let json = json!({ "service": service, "protocol": protocol, "port": port });
        self.channels.insert(channel, Channel { service: safe(&service), carriage });
        self.said(at, channel, &text, "channel_opened", json);
    }

    fn closed(&mut self, at: Duration, channel: u32, by: &str, reason: &str, sums: &Totals) {
        self.unanswered(at, |waiting| waiting.channel == channel);
        let (shown_by, shown_reason) = (safe(by), safe(reason));
        let text = format!("channel {channel} closed by {shown_by}: {shown_reason} ({})", totals(sums));
        self.said(
            at,
            channel,
            &text,
            "channel_closed",
            json!({ "by": by, "reason": reason, "totals": sums }),
        );
        self.channels.remove(&channel);
    }

    fn operation(&mut self, at: Duration, event: Event) {
        let Event::Operation { request, channel, function, text, effect, decision, rule, reason, .. } = event
        else {
            return;
        };
        self.operations = self.operations.saturating_add(1);
        let told = if text.is_empty() { &function } else { &text };
        match decision {
            Decision::Allow => {
                self.waiting.insert(request, Waiting { at, channel, text: told.clone(), rule });
            }
            Decision::Deny | Decision::Needs => {
                self.denied = self.denied.saturating_add(1);
                let by = if rule.is_empty() { String::new() } else { format!(" {}", safe(&rule)) };
                let line = format!("{} -> DENIED{by}: {}", safe(&emphasized(told)), safe(&reason));
                let json = json!({ "request": request, "operation": text, "function": function,
                    "effect": effect, "decision": decision, "rule": rule, "reason": reason });
                self.said(at, channel, &line, "operation", json);
            }
        }
    }

    fn answer(&mut self, at: Duration, request: u64, channel: u32, answer: &str, refused: bool) {
        if request == Event::UNASKED {
            let text = format!("the device {}", safe(answer));
            return self.said(at, channel, &text, "push", json!({ "text": answer }));
        }
        let waiting = self.waiting.remove(&request).unwrap_or_else(|| {
            let (text, rule) = (format!("answer to request {request}"), String::new());
            Waiting { at, channel, text, rule }
        });
        let said = safe(answer.strip_prefix("= ").unwrap_or(answer));
        let said = if refused { format!("REFUSED by the device: {said}") } else { said };
        let text = format!("{} -> {said}", safe(&emphasized(&waiting.text)));
        let json = json!({ "request": request, "operation": waiting.text, "decision": Decision::Allow,
            "rule": waiting.rule, "answer": answer, "refused": refused, "answered": self.clock.stamp(at) });
        self.told(waiting.at, at, channel, &text, "operation", json);
    }

    fn unanswered(&mut self, at: Duration, which: impl Fn(&Waiting) -> bool) {
        let open = std::mem::take(&mut self.waiting);
        for (request, waiting) in open {
            if !which(&waiting) {
                self.waiting.insert(request, waiting);
                continue;
            }
            let text = format!("{} -> no answer", safe(&emphasized(&waiting.text)));
            let json = json!({ "request": request, "operation": waiting.text,
                "decision": Decision::Allow, "rule": waiting.rule, "answer": null });
            self.told(waiting.at, at, waiting.channel, &text, "operation", json);
        }
    }

    fn bytes(&mut self, at: Duration, channel: u32, tap: Tap, offset: u64, bytes: &[u8]) {
        let carriage = self.channels.get(&channel).map_or(Carriage::Opaque, |channel| channel.carriage);
        // What passed on is the same as what came: an opaque service is never
        // refused in parts. The closing line has all four counts.
        let came = matches!(tap, Tap::FromClient | Tap::FromDevice);
        if carriage == Carriage::Decoded || !came {
            return;
        }
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
    fn said(&mut self, at: Duration, channel: u32, text: &str, kind: &str, json: Value) {
        self.told(at, at, channel, text, kind, json);
    }

    /// A line about a channel with the time of one instant, due at a later.
    fn told(&mut self, time: Duration, due: Duration, channel: u32, text: &str, kind: &str, json: Value) {
        let service = match self.channels.get(&channel) {
            Some(known) if known.carriage == Carriage::Opaque => format!(":{}", known.service),
            Some(_) | None => String::new(),
        };
        let text = format!("{} {}{service} {text}", self.clock.time(time), self.target);
        let mut fields = object(json);
        fields.insert("channel".to_owned(), channel.into());
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
