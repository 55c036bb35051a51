//! A TCP connection that carries recorded bytes: who sent which sequence
//! numbers, and what the other had acknowledged by then (RFC 9293).
//!
//! The gateway records streams, not packets. What is made here is the plainest
//! conversation that carries them: a handshake, segments that fit an Ethernet
//! frame, acknowledgements, and an end. Nothing is ever sent twice, out of
//! order or ahead of the window.

use etherparse::{PacketBuilder, TcpOptionElement};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Bytes of an Ethernet frame's payload.
const MTU: u16 = 1500;

/// Bytes of a TCP header without options.
const TCP_HEADER: u16 = 20;

/// The window that both sides always offer.
const WINDOW: u16 = u16::MAX;

/// A receiver acknowledges once so many bytes have come, well within the
/// window, unless it sends something itself before.
const ACKNOWLEDGES_EVERY: u32 = 16 * 1024;

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Who opened the connection.
    Opener,
    /// Who took it.
    Taker,
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Opener => Self::Taker,
            Self::Taker => Self::Opener,
        }
    }
}

/// An end's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) hardware: [u8; 6],
    pub(crate) socket: SocketAddr,
}

/// One TCP segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) from: End,
    pub(crate) sequence: u32,
    pub(crate) acknowledged: Option<u32>,
    pub(crate) sign: Sign,
    pub(crate) payload: &'a [u8],
}

/// What a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Open,
    Data,
    Acknowledge,
    Finish,
    Reset,
}

/// What one end has sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// The sequence number that comes next.
    next: u32,
    /// Bytes that the other end has not acknowledged.
    open: u32,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    opener: (Address, Sent),
    taker: (Address, Sent),
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    Established,
    Over,
}

impl Conversation {
    /// A connection from one address to the other; the first segment is in
    /// the answer. `initial` are the ends' first sequence numbers.
    pub(crate) fn ask(opener: Address, taker: Address, initial: [u32; 2]) -> (Self, Segment<'static>) {
        let [first, second] = initial;
        let sent = |next| Sent { next, open: 0 };
        let mut conversation =
            Self { opener: (opener, sent(first)), taker: (taker, sent(second)), state: State::Asked };
        let segment = Segment {
            from: End::Opener,
            sequence: first,
            acknowledged: None,
            sign: Sign::Open,
            payload: &[],
        };
        conversation.opener.1.next = first.wrapping_add(1);
        (conversation, segment)
    }

    /// The other end takes the connection.
    pub(crate) fn take(&mut self) -> Vec<Segment<'static>> {
        if self.state != State::Asked {
            return Vec::new();
        }
        self.state = State::Established;
        let opened = self.segment(End::Taker, Sign::Open, &[]);
        self.taker.1.next = self.taker.1.next.wrapping_add(1);
        vec![opened, self.segment(End::Opener, Sign::Acknowledge, &[])]
    }

    /// Bytes from one end, in segments that fit. Nothing where there is no
    /// connection.
    pub(crate) fn send<'a>(&mut self, from: End, bytes: &'a [u8]) -> Vec<Segment<'a>> {
        if self.state != State::Established {
            return Vec::new();
        }
        let mut segments = Vec::new();
        for payload in bytes.chunks(self.longest()) {
            segments.push(self.segment(from, Sign::Data, payload));
            let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            let sent = &mut self.end(from).1;
            sent.next = sent.next.wrapping_add(length);
            sent.open = sent.open.saturating_add(length);
            if sent.open >= ACKNOWLEDGES_EVERY {
                segments.push(self.segment(from.other(), Sign::Acknowledge, &[]));
            }
        }
        segments
    }

    /// Both ends finish, one of them first. A connection that was never taken
    /// is given up.
    pub(crate) fn finish(&mut self, first: End) -> Vec<Segment<'static>> {
        match self.state {
            State::Over => Vec::new(),
            State::Asked => self.reset(first),
            State::Established => {
                self.state = State::Over;
                let mut segments = Vec::new();
                for end in [first, first.other()] {
                    segments.push(self.segment(end, Sign::Finish, &[]));
                    let sent = &mut self.end(end).1;
                    sent.next = sent.next.wrapping_add(1);
                }
                segments.push(self.segment(first, Sign::Acknowledge, &[]));
                segments
            }
        }
    }

    /// One end breaks the connection off, or refuses it.
    pub(crate) fn reset(&mut self, by: End) -> Vec<Segment<'static>> {
        if self.state == State::Over {
            return Vec::new();
        }
        // Who has not taken a connection has sent nothing that counts.
        if (self.state, by) == (State::Asked, End::Taker) {
            self.taker.1.next = 0;
        }
        let asked = self.state == State::Asked;
        self.state = State::Over;
        let mut segment = self.segment(by, Sign::Reset, &[]);
        if asked && by == End::Opener {
            segment.acknowledged = None;
        }
        vec![segment]
    }

    /// The frame that carries a segment.
    pub(crate) fn frame(&self, segment: &Segment<'_>) -> io::Result<Vec<u8>> {
        let ((from, _), (to, _)) = match segment.from {
            End::Opener => (&self.opener, &self.taker),
            End::Taker => (&self.taker, &self.opener),
        };
        let link = PacketBuilder::ethernet2(from.hardware, to.hardware);
        let network = match (from.socket.ip(), to.socket.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), 64),
            (from, to) => link.ipv6(wide(from), wide(to), 64),
        };
        let (port, to_port) = (from.socket.port(), to.socket.port());
        let mut transport = network.tcp(port, to_port, segment.sequence, WINDOW);
        if let Some(number) = segment.acknowledged {
            transport = transport.ack(number);
        }
        transport = match segment.sign {
            Sign::Open => {
                let longest = u16::try_from(self.longest()).unwrap_or(u16::MAX);
                let option = [TcpOptionElement::MaximumSegmentSize(longest)];
                transport.syn().options(&option).map_err(io::Error::other)?
            }
            Sign::Data => transport.psh(),
            Sign::Acknowledge => transport,
            Sign::Finish => transport.fin(),
            Sign::Reset => transport.rst(),
        };
        let mut frame = Vec::with_capacity(transport.size(segment.payload.len()));
        transport.write(&mut frame, segment.payload).map_err(io::Error::other)?;
        Ok(frame)
    }

    /// A segment of what comes next from one end; it acknowledges all that
    /// the other has sent.
    fn segment<'a>(&mut self, from: End, sign: Sign, payload: &'a [u8]) -> Segment<'a> {
        let other = &mut self.end(from.other()).1;
        other.open = 0;
        let acknowledged = Some(other.next);
        Segment { from, sequence: self.end(from).1.next, acknowledged, sign, payload }
    }

    fn end(&mut self, end: End) -> &mut (Address, Sent) {
        match end {
            End::Opener => &mut self.opener,
            End::Taker => &mut self.taker,
        }
    }

    /// The most bytes of a segment's payload.
    fn longest(&self) -> usize {
        let narrow = self.opener.0.socket.is_ipv4() && self.taker.0.socket.is_ipv4();
        let header: u16 = if narrow { 20 } else { 40 };
        usize::from(MTU.saturating_sub(header).saturating_sub(TCP_HEADER))
    }
}

/// An IPv6 address, or the mapped form of an IPv4 address.
fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests;
