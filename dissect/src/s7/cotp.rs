//! ISO on TCP: TPKT around the transport units of class 0.
//!
//! Sources: RFC 1006, section 6 (TPKT); RFC 905, the text of ISO 8073,
//! section 13 (transport units).
//!
//! A data unit may come in fragments, each in a TPKT of its own, the last
//! marked as the end. The whole run of TPKTs is one frame, so that what is
//! decoded is what goes on. A length is looked at as soon as it is there and
//! nothing is kept of a run that grows too long; nothing is ever searched for.

use crate::dissector::{Direction, Flaw, Framing, Unframed};
use crate::operation::{Connection, Values};
use crate::reader::Reader;
use bytes::{BufMut, Bytes, BytesMut};
use std::num::NonZeroUsize;

/// The longest run of TPKTs in bytes. Several times what any device agrees to
/// take in one request, so that small fragments fit too.
pub(super) const LONGEST_FRAME: usize = 16_384;

/// The only version there is.
const VERSION: u8 = 3;
/// Version, reserved, length.
const TPKT_HEADER: usize = 4;
/// A TPKT header and the shortest transport unit, a data unit without data.
const SHORTEST: u16 = 7;
/// The length indicator of a data unit: its type and the end mark.
const DATA_HEADER: u8 = 2;
/// What the length indicators of the other units are at least.
const CONNECT_HEADER: u8 = 6;
const CONFIRM_HEADER: u8 = 5;
const ERROR_HEADER: u8 = 4;

const CONNECTION_REQUEST: u8 = 0xE0;
const CONNECTION_CONFIRM: u8 = 0xD0;
const DISCONNECT_REQUEST: u8 = 0x80;
/// How long a disconnect request may be with what is said behind it; the
/// bytes of an empty data unit not counted (RFC 905, 13.5.5).
const LONGEST_FAREWELL: u16 = 68;
/// Class 0 has none, but there are devices that send it.
const DISCONNECT_CONFIRM: u8 = 0xC0;
const ERROR: u8 = 0x70;
const DATA: u8 = 0xF0;
/// Set in the last fragment; the other bits are a number that class 0 has not.
const END: u8 = 0x80;

const PARAMETER_TPDU_SIZE: u8 = 0xC0;
const PARAMETER_CALLING: u8 = 0xC1;
const PARAMETER_CALLED: u8 = 0xC2;

/// What the data of a transport unit has to begin with.
const S7_IDENTIFIER: u8 = 0x32;
const S7PLUS_IDENTIFIER: u8 = 0x72;

/// A whole transport unit.
#[derive(Debug)]
pub(super) enum Unit {
    Connect(Connect),
    Confirm,
    Disconnect {
        reason: u8,
    },
    Disconnected,
    Error {
        cause: u8,
    },
    /// The data of all fragments.
    Data(Bytes),
}

/// A request for a connection.
#[derive(Debug)]
pub(super) struct Connect {
    /// The number that the client gives the connection.
    pub(super) source: u16,
    /// The endpoint at the device that it asks for.
    pub(super) called: Option<Bytes>,
}

impl Connect {
    /// The called endpoint. In S7 its first byte is the kind of the client
    /// and its second rack (three bits) and slot (five).
    pub(super) fn endpoint(&self) -> Values {
        let Some(called) = &self.called else { return Values::None };
        let connection = match called.first() {
            Some(1) => Connection::Programmer,
            Some(2) => Connection::Operator,
            Some(3) => Connection::Basic,
            Some(_) | None => return Values::Text(called.clone()),
        };
        match **called {
            [_, place] => Values::Module { connection, rack: place.wrapping_shr(5), slot: place & 0x1F },
            _ => Values::Text(called.clone()),
        }
    }
}

/// Finds the end of the run of TPKTs at the front.
pub(super) fn frame(direction: Direction, buffered: &[u8]) -> Framing {
    let mut end = 0_usize;
    let mut part = Part::First;
    loop {
        let rest = buffered.get(end..).unwrap_or_default();
        let tpkt = match tpkt(direction, part, LONGEST_FRAME.saturating_sub(end), rest) {
            Ok(Some(tpkt)) => tpkt,
            Ok(None) => return Framing::Partial,
            Err(unframed) => return Framing::Lost(unframed),
        };
        end = end.saturating_add(tpkt.length.into());
        if buffered.len() < end {
            return Framing::Partial;
        }
        match tpkt.next {
            Some(next) => part = next,
            None => return NonZeroUsize::new(end).map_or(Framing::Partial, Framing::Whole),
        }
    }
}

/// Where in a run a TPKT stands.
#[derive(Debug, Clone, Copy)]
enum Part {
    First,
    /// After fragments without data.
    Empty,
    /// After fragments with data.
    Later,
}

/// The header of a TPKT and of the transport unit in it.
struct Tpkt {
    length: u16,
    /// What a further TPKT of the same unit is; `None` if this is the last.
    next: Option<Part>,
}

/// Each byte is looked at as soon as it is there. `None` if more is needed.
fn tpkt(direction: Direction, part: Part, room: usize, rest: &[u8]) -> Result<Option<Tpkt>, Unframed> {
    for (&found, expected) in rest.iter().zip([VERSION, 0]) {
        if found != expected {
            return Err(Unframed::TpktHeader { found, expected });
        }
    }
    let Some([_, _, high, low]) = rest.first_chunk::<TPKT_HEADER>() else { return Ok(None) };
    let length = u16::from_be_bytes([*high, *low]);
    if length < SHORTEST {
        return Err(Unframed::TpktLength { length });
    }
    if usize::from(length) > room {
        return Err(Unframed::Oversized { most: LONGEST_FRAME });
    }
    let Some(&indicator) = rest.get(4) else { return Ok(None) };
    if u16::from(indicator) > length.saturating_sub(5) {
        return Err(Unframed::TransportHeader { length: indicator });
    }
    let Some(&kind) = rest.get(5) else { return Ok(None) };
    let whole = || u16::from(indicator) == length.saturating_sub(5);
    let fits = match (kind, part, direction) {
        (DATA, ..) => indicator == DATA_HEADER,
        (CONNECTION_REQUEST, Part::First, Direction::FromClient)
        | (CONNECTION_CONFIRM, Part::First, Direction::FromDevice) => indicator >= CONNECT_HEADER && whole(),
        // Some clients leave a byte behind it, and nothing follows it.
        (DISCONNECT_REQUEST, Part::First, _) => {
            indicator >= CONNECT_HEADER && length <= SHORTEST.saturating_add(LONGEST_FAREWELL)
        }
        (DISCONNECT_CONFIRM, Part::First, Direction::FromDevice) => indicator >= CONFIRM_HEADER && whole(),
        (ERROR, Part::First, _) => indicator >= ERROR_HEADER && whole(),
        _ => return Err(Unframed::TransportUnit { found: kind }),
    };
    if !fits {
        return Err(Unframed::TransportHeader { length: indicator });
    }
    if kind != DATA {
        return Ok(Some(Tpkt { length, next: None }));
    }
    data_tpkt(length, part, rest)
}

fn data_tpkt(length: u16, part: Part, rest: &[u8]) -> Result<Option<Tpkt>, Unframed> {
    let next = match (rest.get(6), part) {
        (None, _) => return Ok(None),
        (Some(&END), _) => None,
        (Some(0), Part::First | Part::Empty) if length == SHORTEST => Some(Part::Empty),
        (Some(0), _) => Some(Part::Later),
        (Some(&found), _) => return Err(Unframed::TransportUnit { found }),
    };
    match (part, rest.get(7)) {
        (Part::Later, _) | (_, Some(&S7_IDENTIFIER)) => Ok(Some(Tpkt { length, next })),
        _ if length == SHORTEST => Ok(Some(Tpkt { length, next })),
        (Part::First | Part::Empty, None) => Ok(None),
        (Part::First | Part::Empty, Some(&S7PLUS_IDENTIFIER)) => Err(Unframed::S7Plus),
        (Part::First | Part::Empty, Some(&found)) => Err(Unframed::S7Identifier { found }),
    }
}

/// Takes one frame apart.
pub(super) fn parse(frame: &Bytes) -> Result<Unit, Flaw> {
    match frame.get(5) {
        Some(&CONNECTION_REQUEST) => connect(frame).map(Unit::Connect),
        Some(&CONNECTION_CONFIRM) => Ok(Unit::Confirm),
        Some(&DISCONNECT_REQUEST) => Ok(Unit::Disconnect { reason: *frame.get(10).ok_or(Flaw::Length)? }),
        Some(&DISCONNECT_CONFIRM) => Ok(Unit::Disconnected),
        Some(&ERROR) => Ok(Unit::Error { cause: *frame.get(8).ok_or(Flaw::Length)? }),
        Some(&DATA) => data(frame).map(Unit::Data),
        Some(_) | None => Err(Flaw::Function),
    }
}

/// RFC 905, 13.3. Only class 0 is spoken over TCP.
fn connect(frame: &Bytes) -> Result<Connect, Flaw> {
    let mut fields = Reader::new(frame.clone());
    fields.take(6)?;
    let (_destination, source, class) = (fields.word()?, fields.word()?, fields.byte()?);
    if class & 0xF0 != 0 {
        return Err(Flaw::Value { value: class.into() });
    }
    let mut called = None;
    while fields.left() > 0 {
        let (code, length) = (fields.byte()?, fields.byte()?);
        let value = fields.take(length.into())?;
        match code {
            PARAMETER_CALLED if called.is_none() => called = Some(value),
            PARAMETER_TPDU_SIZE | PARAMETER_CALLING => {}
            _ => return Err(Flaw::Value { value: code.into() }),
        }
    }
    Ok(Connect { source, called })
}

/// The data of all fragments, without copying where there is only one.
fn data(frame: &Bytes) -> Result<Bytes, Flaw> {
    let mut rest = Reader::new(frame.clone());
    let (first, mark) = fragment(&mut rest)?;
    if mark == END {
        rest.end()?;
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(frame.len().min(LONGEST_FRAME));
    whole.put(first);
    loop {
        let (next, mark) = fragment(&mut rest)?;
        whole.put(next);
        if mark == END {
            rest.end()?;
            return Ok(whole.freeze());
        }
    }
}

fn fragment(rest: &mut Reader) -> Result<(Bytes, u8), Flaw> {
    rest.take(2)?;
    let length = rest.word()?;
    let (indicator, kind, mark) = (rest.byte()?, rest.byte()?, rest.byte()?);
    if (indicator, kind) != (DATA_HEADER, DATA) {
        return Err(Flaw::Function);
    }
    let length = length.checked_sub(SHORTEST).ok_or(Flaw::Length)?;
    Ok((rest.take(length.into())?, mark))
}

/// The transport's own refusal of a connection (RFC 905, 13.5): a disconnect
/// request without a reason specified. `None` if the frame asks for none.
pub(super) fn disconnect(frame: &[u8]) -> Option<Bytes> {
    let [_, _, _, _, _, CONNECTION_REQUEST, _, _, high, low] = *frame.first_chunk::<10>()? else {
        return None;
    };
    let unit = [VERSION, 0, 0, 11, CONNECT_HEADER, DISCONNECT_REQUEST, high, low, 0, 0, 0];
    Some(Bytes::copy_from_slice(&unit))
}

/// What an answer of ours goes in: one TPKT with one data unit. `None` for
/// more than one TPKT can carry.
pub(super) fn wrap(data: &[u8]) -> Option<Bytes> {
    let length = u16::try_from(data.len()).ok()?.checked_add(SHORTEST)?;
    let mut unit = BytesMut::with_capacity(length.into());
    unit.put_slice(&[VERSION, 0]);
    unit.put_u16(length);
    unit.put_slice(&[DATA_HEADER, DATA, END]);
    unit.put_slice(data);
    Some(unit.freeze())
}

/// The reason of a disconnect request (RFC 905, 13.5).
pub(super) fn reason(code: u8) -> &'static str {
    match code {
        0x01 => "disconnected: congestion at the endpoint",
        0x02 => "disconnected: no session at the endpoint",
        0x03 => "disconnected: endpoint unknown",
        0x80 => "disconnected",
        _ => "disconnected without a reason given",
    }
}
