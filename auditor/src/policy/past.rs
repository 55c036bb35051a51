//! A recorded session as a sequence of requests, each with its bytes decoded
//! again and with what was true when it was judged.

use crate::recording_file;
use crate::trouble::Trouble;
use authz::{Assurance, Circumstances, Handle, TargetId, Terms};
use bytes::Bytes;
use dissect::{Carriage, Content, Dissector, Operation, Protocol};
use jiff::Timestamp;
use recording::{Body, Decision, Event, Identity, Opened, Started, Tap};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Bytes of a channel that are kept for requests and answers still to come.
/// The core holds no more back before it judges.
const KEPT: usize = 1 << 20;

/// A recording's session.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) session: String,
    pub(super) person: Handle,
    pub(super) target: TargetId,
    pub(super) began: Timestamp,
    /// As far as the recording goes.
    pub(super) requests: Vec<PastRequest>,
}

/// One request as it was recorded.
#[derive(Debug)]
pub(super) struct PastRequest {
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) text: String,
    /// What was decided, by which rule, why.
    pub(super) decision: Decision,
    pub(super) rule: String,
    pub(super) reason: String,
    pub(super) meant: Meant,
    /// The terms that held, by their place in [`Story::terms`].
    pub(super) terms: usize,
    pub(super) circumstances: Circumstances,
}

/// What the recorded bytes of a request mean.
#[derive(Debug)]
pub(super) enum Meant {
    Operation(Box<Operation>),
    /// Its inside is broken: denied whatever the policy.
    Malformed,
    /// Its bytes are not in the recording as they should be.
    Lost,
}

/// A recording that was read.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) past: Past,
    pub(super) terms: Vec<Terms>,
}

/// Why a recording tells no session that could be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTold {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error("{0}")]
    Content(String),
}

/// Reads a recording from its first entry to its last whole one.
pub(super) fn read(path: &Path, identity: &Identity) -> Result<Story, NotTold> {
    let file = recording_file::open(path)?;
    let opened = Opened::decrypt(file, identity).map_err(Trouble::recording(path))?;
    let session = opened.header().session_hex();
    let began = opened.header().started_wall;
    let mut reader: Option<Reader> = None;
    for recorded in opened {
        let entry = recorded.map_err(Trouble::recording(path))?.entry;
        match (&mut reader, entry.body) {
            (None, Body::Event(Event::Started(started))) => {
                reader = Some(Reader::new(&session, began, &started).map_err(NotTold::Content)?);
            }
            (None, _) => return Err(NotTold::Content("does not begin with who and what".to_owned())),
            (Some(reader), body) => reader.take(entry.at, body).map_err(NotTold::Content)?,
        }
    }
    let reader = reader.ok_or_else(|| NotTold::Content("ends before it tells who and what".to_owned()))?;
    Ok(Story { past: reader.past, terms: reader.terms })
}

struct Reader {
    past: Past,
    terms: Vec<Terms>,
    source: IpAddr,
    assurance: Assurance,
    channels: BTreeMap<u32, Channel>,
}

struct Channel {
    dissector: Dissector,
    from_client: Kept,
    from_device: Kept,
}

/// The newest bytes of a tap.
#[derive(Default)]
struct Kept {
    /// Where the first of them stands.
    offset: u64,
    bytes: VecDeque<u8>,
}

impl Kept {
    fn push(&mut self, offset: u64, bytes: &[u8]) {
        if self.bytes.is_empty() {
            self.offset = offset;
        }
        self.bytes.extend(bytes);
        let over = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..over);
        self.offset = self.offset.saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
    }

    fn get(&self, offset: u64, length: u32) -> Option<Vec<u8>> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= self.bytes.len()).then(|| self.bytes.range(start..end).copied().collect())
    }
}

impl Reader {
    fn new(session: &str, began: Timestamp, started: &Started) -> Result<Self, String> {
        let terms = Terms::from_bytes(&started.terms).map_err(|error| format!("its terms: {error}"))?;
        let source: SocketAddr = started.source.parse().map_err(|_| "its source is no address".to_owned())?;
        let assurance = Assurance::from_words(&started.assurance)
            .ok_or_else(|| "its assurance is not one that this version knows".to_owned())?;
        let past = Past {
            session: session.to_owned(),
            person: terms.person().clone(),
            target: terms.target().clone(),
            began,
            requests: Vec::new(),
        };
        let source = source.ip();
        Ok(Self { past, terms: vec![terms], source, assurance, channels: BTreeMap::new() })
    }

    fn take(&mut self, at: Duration, body: Body) -> Result<(), String> {
        if let Body::Bytes { channel, tap, offset, bytes } = &body
            && let Some(channel) = self.channels.get_mut(channel)
        {
            match tap {
                Tap::FromClient => channel.from_client.push(*offset, bytes),
                Tap::FromDevice => channel.from_device.push(*offset, bytes),
                Tap::ToDevice | Tap::ToClient => {}
            }
        }
        let Body::Event(event) = body else { return Ok(()) };
        if let Event::ChannelOpened { channel, protocol, .. } = &event {
            let protocol = Protocol::from_name(protocol).ok_or_else(|| {
                format!("its channel {channel} has a protocol that this version does not know")
            })?;
            let dissector = Dissector::new(protocol);
            let (from_client, from_device) = (Kept::default(), Kept::default());
            self.channels.insert(*channel, Channel { dissector, from_client, from_device });
        } else if let Event::ChannelClosed { channel, .. } = &event {
            self.channels.remove(channel);
        } else if let Event::Answer { channel, offset, length, .. } = &event {
            // What the device said may decide what later requests mean.
            if let Some(channel) = self.channels.get_mut(channel)
                && let Some(frame) = channel.from_device.get(*offset, *length)
            {
                let _ = channel.dissector.answer(frame.into());
            }
        } else if let Event::TermsChanged { terms, .. } = &event {
            self.terms.push(Terms::from_bytes(terms).map_err(|error| format!("its later terms: {error}"))?);
        } else if let Event::PathChanged { source } = &event {
            self.source = source.parse().map_err(|_| "a later source is no address".to_owned())?;
        } else if let Event::Operation {
            request,
            channel,
            offset,
            length,
            text,
            decision,
            rule,
            reason,
            ..
        } = event
        {
            let at = self.past.began.checked_add(at).unwrap_or(Timestamp::MAX);
            let circumstances = Circumstances { now: at, source: self.source, assurance: self.assurance };
            let terms = self.terms.len().saturating_sub(1);
            let meant = match length {
                0 => self.opening(&circumstances, decision, (&rule, &reason)),
                _ => self.meant(channel, offset, length, decision),
            };
            let number = request;
            self.past.requests.push(PastRequest {
                number,
                at,
                text,
                decision,
                rule,
                reason,
                meant,
                terms,
                circumstances,
            });
        }
        Ok(())
    }

    /// The opening of an opaque channel. It stands before the channel itself
    /// and has no bytes; which service it was is told by the verdict that the
    /// terms give.
    fn opening(
        &self,
        circumstances: &Circumstances,
        decision: Decision,
        (rule, reason): (&str, &str),
    ) -> Meant {
        let opaque = Protocol::ALL.into_iter().filter(|protocol| protocol.carriage() == Carriage::Opaque);
        let mut uses = opaque.filter_map(|protocol| {
            match content(Dissector::new(protocol).decode(Bytes::new()).content) {
                Meant::Operation(operation) => Some(operation),
                Meant::Malformed | Meant::Lost => None,
            }
        });
        let is_it = |operation: &Operation| {
            self.terms.last().is_some_and(|terms| {
                let judged = session::judge(terms, operation, circumstances);
                let same = match judged.decision {
                    session::Decision::Allow => decision == Decision::Allow,
                    session::Decision::Deny => decision == Decision::Deny,
                    session::Decision::Needs => decision == Decision::Needs,
                };
                same && judged.rule == rule && judged.reason == reason
            })
        };
        uses.find(|operation| is_it(operation)).map_or(Meant::Lost, Meant::Operation)
    }

    fn meant(&mut self, channel: u32, offset: u64, length: u32, decision: Decision) -> Meant {
        let Some(channel) = self.channels.get_mut(&channel) else { return Meant::Lost };
        let Some(frame) = channel.from_client.get(offset, length) else { return Meant::Lost };
        let request = channel.dissector.decode(frame.into());
        match decision {
            Decision::Allow => channel.dissector.forwarded(&request),
            Decision::Deny | Decision::Needs => {}
        }
        content(request.content)
    }
}

fn content(content: Content) -> Meant {
    match content {
        Content::Operation(operation) => Meant::Operation(Box::new(operation)),
        Content::Malformed { .. } => Meant::Malformed,
    }
}
