//! What the entries of a recording amount to: requests with their verdict and
//! the device's answer, pieces of opaque services, turns of the session.
//!
//! A request is told when its answer comes, one that was refused at once, one
//! that was never answered when its channel closes or the recording ends. Its
//! frame is taken from the tap and decoded anew, so that filters and exports
//! know what it touched and need not read words.
//!
//! What nobody is shown unless they ask for it, a password, is masked here, so
//! that nothing behind has to think of it.
//!
//! Nothing here is shown to anybody: `story` and `export` do that, and escape
//! what comes from outside.

mod request;
mod tape;

pub(crate) use request::{Access, Answer, Channel, Hidden, Outcome, Request};

use authz::{Tag, Terms};
use bytes::Bytes;
use dissect::{Carriage, Content, Dissector, Expects, Protocol};
use recording::{Body, Decision, Entry, Event, Position, Recorded, Stop, Tap};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tape::Tape;

/// One thing that is told.
#[derive(Debug)]
pub(crate) struct Told {
    /// When it is due, after the session's start.
    pub(crate) at: Duration,
    pub(crate) what: What,
}

/// What is told.
#[derive(Debug)]
pub(crate) enum What {
    /// A turn of the session, with the channel that it is about.
    Turn(Option<Rc<Channel>>, Event),
    /// Bytes of an opaque service, as they came from one side.
    Piece { channel: Rc<Channel>, tap: Tap, offset: u64, bytes: Bytes },
    /// A request with all that became of it.
    Request(Box<Request>),
    /// What the device sent by itself, with [`Event::UNASKED`], or an answer
    /// to a request that the recording does not have.
    Stray { channel: Rc<Channel>, number: u64, answer: Answer },
}

/// Whether passwords are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// They are `***`, and their bytes `**`.
    Masked,
    /// The user has asked for them.
    Shown,
}

impl Secrets {
    /// From `--show-secrets`.
    pub(crate) fn asked_for(asked: bool) -> Self {
        if asked { Self::Shown } else { Self::Masked }
    }
}

/// What is known of the session so far.
#[derive(Debug)]
pub(crate) struct Chronicle {
    secrets: Secrets,
    tags: Vec<Tag>,
    channels: BTreeMap<u32, Line>,
    /// The opening of an opaque service, until its channel is named.
    opening: Option<Told>,
    /// Requests at the device, by their numbers.
    waiting: BTreeMap<u64, Box<Request>>,
    last: Duration,
    told: Vec<Told>,
}

/// An open channel.
#[derive(Debug)]
struct Line {
    channel: Rc<Channel>,
    decoded: Option<Decoded>,
}

/// What reading a decoded channel's frames needs.
#[derive(Debug)]
struct Decoded {
    dissector: Dissector,
    from_client: Tape,
    from_device: Tape,
}

impl Chronicle {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            tags: Vec::new(),
            channels: BTreeMap::new(),
            opening: None,
            waiting: BTreeMap::new(),
            last: Duration::ZERO,
            told: Vec::new(),
        }
    }

    /// Takes an entry; gives what it completes.
    pub(crate) fn take(&mut self, recorded: Recorded) -> Vec<Told> {
        let Recorded { position, entry: Entry { at, body } } = recorded;
        self.last = at;
        self.name_opening(&body);
        match body {
            Body::Bytes { channel, tap, offset, bytes } => self.bytes(at, channel, tap, offset, bytes),
            // The reader gives the bytes themselves.
            Body::Same { .. } => {}
            Body::Event(event) => self.event(at, position, event),
        }
        std::mem::take(&mut self.told)
    }

    /// What is left to be told at the end of the recording, or where it can't
    /// be read any further.
    pub(crate) fn finish(&mut self, stop: &Stop) -> Vec<Told> {
        let at = match stop {
            Stop::Ended(end) => end.at(),
            Stop::Cut { .. } | Stop::NotYet => self.last,
        };
        self.told.extend(self.opening.take());
        self.give_up(at, |_| true);
        std::mem::take(&mut self.told)
    }

    fn event(&mut self, at: Duration, position: Position, event: Event) {
        match event {
            Event::Operation { .. } => return self.operation(at, position, event),
            Event::Answer { .. } => return self.answer(at, position, event),
            // Told with its request.
            Event::Refusal { .. } => return,
            Event::Started(ref started) => self.tags = tags(&started.terms),
            Event::TermsChanged { ref terms, .. } => self.tags = tags(terms),
            Event::ChannelOpened { channel, ref service, ref protocol, port } => {
                self.open(channel, service.clone(), protocol.clone(), port);
            }
            Event::ChannelClosed { channel, .. } => {
                self.give_up(at, |request| request.channel.number == channel);
            }
            Event::ChannelConnected { .. }
            | Event::Observed { .. }
            | Event::Unframed { .. }
            | Event::PathChanged { .. }
            | Event::ClockStep { .. }
            | Event::Ending { .. }
            | Event::Note { .. } => {}
        }
        let channel = event_channel(&event).map(|number| self.channel(number));
        if let Event::ChannelClosed { channel, .. } = event {
            self.channels.remove(&channel);
        }
        self.tell(at, What::Turn(channel, event));
    }

    fn open(&mut self, number: u32, service: String, protocol: String, port: u16) {
        let known = Protocol::from_name(&protocol);
        let decoded = known.filter(|protocol| protocol.carriage() == Carriage::Decoded);
        let decoded = decoded.map(|protocol| Decoded {
            dissector: Dissector::new(protocol),
            from_client: Tape::default(),
            from_device: Tape::default(),
        });
        let channel = Rc::new(Channel { number, service, protocol, known, port });
        self.channels.insert(number, Line { channel, decoded });
    }

    /// An allowed opening is followed by the event that names the channel.
    fn name_opening(&mut self, body: &Body) {
        let Some(mut told) = self.opening.take() else { return };
        if let (
            What::Request(request),
            Body::Event(Event::ChannelOpened { channel, service, protocol, port }),
        ) = (&mut told.what, body)
            && request.channel.number == *channel
        {
            let known = Protocol::from_name(protocol);
            let (service, protocol) = (service.clone(), protocol.clone());
            request.channel = Rc::new(Channel { number: *channel, service, protocol, known, port: *port });
        }
        self.told.push(told);
    }

    /// The channel of that number; one that was never opened is nameless.
    fn channel(&self, number: u32) -> Rc<Channel> {
        self.channels
            .get(&number)
            .map_or_else(|| Rc::new(Channel::unknown(number)), |line| Rc::clone(&line.channel))
    }

    fn bytes(&mut self, at: Duration, number: u32, tap: Tap, offset: u64, bytes: Bytes) {
        let Some(line) = self.channels.get_mut(&number) else { return };
        match (&mut line.decoded, tap) {
            (Some(decoded), Tap::FromClient) => decoded.from_client.push(offset, &bytes),
            (Some(decoded), Tap::FromDevice) => decoded.from_device.push(offset, &bytes),
            // What passed on of an opaque service is what came: it is never
            // refused in parts.
            (Some(_) | None, Tap::ToDevice | Tap::ToClient) => {}
            (None, Tap::FromClient | Tap::FromDevice) => {
                let channel = Rc::clone(&line.channel);
                self.tell(at, What::Piece { channel, tap, offset, bytes });
            }
        }
    }

    fn operation(&mut self, at: Duration, position: Position, event: Event) {
        let Event::Operation {
            request: number,
            channel,
            offset,
            length,
            function,
            mut text,
            effect,
            decision,
            rule,
            reason,
        } = event
        else {
            return;
        };
        let mut frame = None;
        let decoded = match self.channels.get_mut(&channel).and_then(|line| line.decoded.as_mut()) {
            Some(decoded) => {
                frame = decoded.from_client.take(offset, length);
                frame.clone().map(|frame| decoded.decode(frame, decision))
            }
            // The opening of an opaque service.
            None if length == 0 => Some(Dissector::new(Protocol::Tcp).decode(Bytes::new())),
            None => None,
        };
        let expects = decoded.as_ref().map_or(Expects::Answer, |request| request.expects);
        let outcome = match (decision, expects) {
            (Decision::Deny | Decision::Needs, _) => Outcome::Denied,
            (Decision::Allow, _) if length == 0 => Outcome::Opened,
            (Decision::Allow, Expects::Nothing) => Outcome::Sent,
            (Decision::Allow, Expects::Answer) => Outcome::Unanswered,
        };
        let mut hidden = Hidden::default();
        let (accesses, malformed) = match decoded.map(|request| request.content) {
            Some(Content::Operation(operation)) => {
                match self.secrets {
                    Secrets::Masked => hidden = Hidden::of(&operation, frame.as_ref()),
                    Secrets::Shown if operation.secrets().next().is_some() => {
                        text = operation.revealed().to_string();
                    }
                    Secrets::Shown => {}
                }
                let protocol = operation.protocol;
                let known = |access| Access::new(protocol, access, &self.tags);
                (operation.accesses.into_iter().map(known).collect(), false)
            }
            Some(Content::Malformed { .. }) => (Vec::new(), true),
            None => (Vec::new(), false),
        };
        let request = Box::new(Request {
            number,
            channel: self.channel(channel),
            asked: at,
            position,
            frame,
            hidden,
            function,
            text,
            effect,
            decision,
            rule,
            reason,
            accesses,
            malformed,
            outcome,
        });
        match &request.outcome {
            Outcome::Denied | Outcome::Sent | Outcome::Answered(_) => self.tell(at, What::Request(request)),
            Outcome::Opened => self.opening = Some(Told { at, what: What::Request(request) }),
            Outcome::Unanswered => {
                self.waiting.insert(number, request);
            }
        }
    }

    fn answer(&mut self, at: Duration, position: Position, event: Event) {
        let Event::Answer { request: number, channel, offset, length, text, refused } = event else { return };
        let line = self.channels.get_mut(&channel).and_then(|line| line.decoded.as_mut());
        let frame = line.and_then(|decoded| {
            let frame = decoded.from_device.take(offset, length)?;
            decoded.dissector.answer(frame.clone());
            Some(frame)
        });
        let answer = Answer { at, position, frame, text, refused };
        match self.waiting.remove(&number) {
            Some(mut request) => {
                request.outcome = Outcome::Answered(answer);
                self.tell(at, What::Request(request));
            }
            None => self.tell(at, What::Stray { channel: self.channel(channel), number, answer }),
        }
    }

    /// Tells requests without an answer.
    fn give_up(&mut self, at: Duration, which: impl Fn(&Request) -> bool) {
        let (over, open) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, request)| which(request));
        self.waiting = open;
        for request in BTreeMap::into_values(over) {
            self.tell(at, What::Request(request));
        }
    }

    fn tell(&mut self, at: Duration, what: What) {
        self.told.push(Told { at, what });
    }
}

impl Decoded {
    /// Decodes as the gateway did, which keeps what later frames rest on.
    fn decode(&mut self, frame: Bytes, decision: Decision) -> dissect::Request {
        let request = self.dissector.decode(frame);
        if decision == Decision::Allow {
            self.dissector.admitted(&request);
            self.dissector.forwarded(&request);
        }
        request
    }
}

/// The channel that a turn of the session is about.
fn event_channel(event: &Event) -> Option<u32> {
    match event {
        Event::ChannelOpened { channel, .. }
        | Event::ChannelConnected { channel }
        | Event::ChannelClosed { channel, .. }
        | Event::Unframed { channel, .. }
        | Event::Observed { channel, .. }
        | Event::Operation { channel, .. }
        | Event::Answer { channel, .. }
        | Event::Refusal { channel, .. } => Some(*channel),
        Event::Started(_)
        | Event::TermsChanged { .. }
        | Event::PathChanged { .. }
        | Event::ClockStep { .. }
        | Event::Ending { .. }
        | Event::Note { .. } => None,
    }
}

/// The target's tags as the grant has them; none where its terms can't be
/// read, which `show` tells.
fn tags(terms: &[u8]) -> Vec<Tag> {
    Terms::from_bytes(terms).map(|terms| terms.tags().to_vec()).unwrap_or_default()
}
