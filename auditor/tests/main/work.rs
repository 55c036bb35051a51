//! Sessions as the core makes them: what a tool and a device say goes through
//! `session::Core`, and what it records is what the recording gets.

use crate::plant::{event, started};
use authz::{Ask, Assurance, Files, Handle, Limits, Mode, Policy, TargetId, Terms};
use bytes::Bytes;
use dissect::{Effect, Protocol};
use recording::{Body, Decision, Entry, Event, Tap, Totals};
use session::{Action, Core, Input, Setup};
use std::sync::Arc;
use std::time::Duration;

const RULES: &str = "\
p, *, *, modbus:read, , allow
p, *, *, modbus:write:holding[100-199], value:0..900, allow
p, *, *, modbus:write:unit[3], , allow
p, *, press-line/plc7, tcp:use, opaque-accepted, allow
";

const TARGETS: &str = "\
[[target]]
id = \"press-line/plc7\"
zone = \"press\"
address = \"127.0.0.1\"
[target.services]
plc = \"502/tcp modbus\"
panel = \"5900/tcp\"
[target.tags]
force = \"modbus:holding[100]\"
speed = \"modbus:holding[110]:f32\"
";

pub(crate) fn terms() -> Arc<Terms> {
    let files = [
        ("policy.csv", RULES),
        ("targets.toml", TARGETS),
        ("conditions.toml", ""),
        ("model.conf", Policy::MODEL),
    ];
    let files = Files::from_contents(files.map(|(name, text)| (name, text.as_bytes()))).unwrap();
    let policy = Policy::from_files(&files).unwrap();
    let ask = Ask {
        person: &Handle::parse("tech-1@vendor-a").unwrap(),
        target: &TargetId::parse("press-line/plc7").unwrap(),
        at: "2026-10-31T10:31:07.400Z".parse().unwrap(),
        source: "192.0.2.10".parse().unwrap(),
        assurance: Assurance::CertificateAndTotp,
    };
    Arc::clone(policy.grant(&ask).unwrap().terms())
}

/// A session under way.
pub(crate) struct Work {
    core: Core,
    ms: u64,
    pub(crate) entries: Vec<Entry>,
}

impl Work {
    /// A session with a decoded channel 1 and an opaque channel 2, both
    /// connected.
    pub(crate) fn begin() -> Self {
        let mut work = Self::without_channels();
        work.give(Input::OpenChannel {
            channel: 1,
            service: "plc".to_owned(),
            port: 502,
            protocol: Protocol::Modbus,
        });
        work.give(Input::OpenChannel {
            channel: 2,
            service: "panel".to_owned(),
            port: 5900,
            protocol: Protocol::Tcp,
        });
        for channel in [1, 2] {
            work.give(Input::DeviceConnected { channel });
        }
        work
    }

    pub(crate) fn without_channels() -> Self {
        let terms = terms();
        let Event::Started(mut begin) = started("tech-1@vendor-a") else { unreachable!() };
        begin.terms = terms.to_bytes().into();
        "192.0.2.10:50000".clone_into(&mut begin.source);
        begin.assurance = Assurance::CertificateAndTotp.to_string();
        let setup = Setup {
            terms,
            limits: Limits { outstanding: 1024, ..Limits::default() },
            mode: Mode::Default,
            source: "192.0.2.10".parse().unwrap(),
            assurance: Assurance::CertificateAndTotp,
            started: "2026-10-31T10:31:07.400Z".parse().unwrap(),
            expires: Duration::MAX,
            expires_by: session::EndCause::GrantExpired,
        };
        Self { core: Core::new(setup), ms: 0, entries: vec![event(0, Event::Started(begin))] }
    }

    /// The next millisecond brings this.
    pub(crate) fn give(&mut self, input: Input) {
        self.ms += 1;
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut actions = Vec::new();
            self.core.handle(Duration::from_millis(self.ms), input, &mut actions);
            for action in actions {
                match action {
                    Action::Record(made) => self.entries.push(entry(made)),
                    Action::Sync { ticket } => inputs.push(Input::Durable { ticket }),
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn client_says(&mut self, channel: u32, bytes: &[u8]) {
        self.give(Input::FromClient { channel, bytes: Bytes::copy_from_slice(bytes) });
    }

    pub(crate) fn device_says(&mut self, channel: u32, bytes: &[u8]) {
        self.give(Input::FromDevice { channel, bytes: Bytes::copy_from_slice(bytes) });
    }

    pub(crate) fn finish(mut self) -> Vec<Entry> {
        for channel in [1, 2] {
            self.give(Input::ClientFinished { channel });
            self.give(Input::DeviceFinished { channel });
        }
        self.entries
    }
}

/// A whole Modbus frame.
pub(crate) fn adu(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).unwrap();
    [&transaction.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), &[unit], pdu].concat()
}

/// One request of every kind: allowed and done (1), denied by value (2), a
/// read with a denied write elsewhere (3), refused by the device (4),
/// malformed (5), for another unit (6), without an answer (7); two of them at
/// once, and bytes of an opaque service.
pub(crate) fn work() -> Vec<Entry> {
    let mut work = Work::begin();
    let write = adu(1, 1, &[6, 0, 100, 2, 0xDB]);
    work.client_says(1, &write);
    work.device_says(1, &write);
    let denied = adu(2, 1, &[6, 0, 100, 4, 0xB0]);
    let both = adu(3, 1, &[23, 0, 100, 0, 1, 1, 0x2C, 0, 1, 2, 0, 9]);
    work.client_says(1, &[&denied[..], &both].concat());
    work.client_says(1, &adu(4, 1, &[3, 0x27, 0x0F, 0, 1]));
    work.device_says(1, &adu(4, 1, &[0x83, 2]));
    work.client_says(1, &adu(5, 1, &[3, 0, 0, 0, 200]));
    work.client_says(2, b"RFB 003.008\n");
    work.device_says(2, b"RFB 003.008\n\x1b[2J");
    let other = adu(6, 3, &[16, 0, 110, 0, 2, 4, 0x41, 0x20, 0, 0]);
    work.client_says(1, &other[..9]);
    work.client_says(1, &other[9..]);
    work.device_says(1, &adu(6, 3, &[16, 0, 110, 0, 2]));
    work.client_says(1, &adu(7, 1, &[1, 0, 0, 0, 8]));
    work.finish()
}

fn entry(entry: session::Entry) -> Entry {
    let body = match entry.body {
        session::Body::Bytes { channel, tap: at, offset, bytes } => {
            Body::Bytes { channel, tap: tap(at), offset, bytes }
        }
        session::Body::Same { channel, tap: at, offset, length, of, of_offset } => {
            Body::Same { channel, tap: tap(at), offset, length, of: tap(of), of_offset }
        }
        session::Body::Event(event) => Body::Event(made(event)),
    };
    Entry { at: entry.at, body }
}

fn made(event: session::Event) -> Event {
    match event {
        session::Event::ChannelOpened { channel, service, protocol, port } => {
            Event::ChannelOpened { channel, service, protocol: protocol.to_string(), port }
        }
        session::Event::ChannelConnected { channel } => Event::ChannelConnected { channel },
        session::Event::ChannelClosed { channel, by, how, reason, totals } => Event::ChannelClosed {
            channel,
            by: by.to_string(),
            how: if how == session::How::Soft { "finished" } else { "reset" }.to_owned(),
            reason,
            totals: Totals {
                from_client: totals.from_client,
                to_device: totals.to_device,
                from_device: totals.from_device,
                to_client: totals.to_client,
            },
        },
        session::Event::Operation {
            request,
            channel,
            offset,
            length,
            function,
            text,
            effect,
            decision,
            rule,
            reason,
        } => Event::Operation {
            request,
            channel,
            offset,
            length,
            function: function.to_owned(),
            text,
            effect: if effect == Effect::Observes { "observes" } else { "changes" }.to_owned(),
            decision: match decision {
                session::Decision::Allow => Decision::Allow,
                session::Decision::Deny => Decision::Deny,
                session::Decision::Needs => Decision::Needs,
            },
            rule,
            reason,
        },
        session::Event::Answer { request, channel, offset, length, text, refused } => {
            Event::Answer { request, channel, offset, length, text, refused }
        }
        session::Event::Refusal { request, channel, offset, length } => {
            Event::Refusal { request, channel, offset, length }
        }
        session::Event::Observed { channel, tap, offset, fact, value } => {
            Event::Observed { channel, tap: tap.to_string(), offset, fact: fact.name().to_owned(), value }
        }
        session::Event::Unframed { channel, tap, reason } => {
            Event::Unframed { channel, tap: tap.to_string(), reason }
        }
        session::Event::TermsChanged { policy, terms } => {
            Event::TermsChanged { policy_hash: Bytes::copy_from_slice(&policy.0), terms }
        }
        session::Event::PathChanged { source } => Event::PathChanged { source: source.to_string() },
        session::Event::Ending { cause, in_s } => Event::Ending { reason: cause.to_string(), in_s },
        session::Event::Note { text } => Event::Note { text },
    }
}

fn tap(tap: session::Tap) -> Tap {
    match tap {
        session::Tap::FromClient => Tap::FromClient,
        session::Tap::ToDevice => Tap::ToDevice,
        session::Tap::FromDevice => Tap::FromDevice,
        session::Tap::ToClient => Tap::ToClient,
    }
}
