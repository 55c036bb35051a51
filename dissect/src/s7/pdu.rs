//! The header that every S7 unit has, with its parameter and data parts.
//!
//! Protocol identifier, kind, two reserved bytes, reference, lengths of the
//! parameter and the data; acknowledgements have two bytes of error behind it
//! (as published dissectors of S7 communication describe it; there is no
//! public standard).

use crate::dissector::{Flaw, Key};
use crate::reader::Reader;
use bytes::{BufMut, Bytes, BytesMut};

/// The first byte of every S7 unit.
const IDENTIFIER: u8 = 0x32;

/// What kind of unit it is (ROSCTR, remote operating service control).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request.
    Job = 1,
    /// An acknowledgement without a data part.
    Ack = 2,
    /// An acknowledgement.
    AckData = 3,
    /// A request, an answer or a push of the services beyond reading and
    /// writing.
    Userdata = 7,
}

impl Kind {
    fn of(octet: u8) -> Option<Self> {
        [Self::Job, Self::Ack, Self::AckData, Self::Userdata].into_iter().find(|kind| *kind as u8 == octet)
    }

    fn has_error(self) -> bool {
        match self {
            Self::Job | Self::Userdata => false,
            Self::Ack | Self::AckData => true,
        }
    }

    /// The key of a request of this kind, or of the one that a unit of this
    /// kind answers.
    pub(super) fn key(self, reference: u16) -> Key {
        let request = match self {
            Self::Job | Self::Ack | Self::AckData => Self::Job,
            Self::Userdata => Self::Userdata,
        };
        Key(u64::from(request as u8) << 16 | u64::from(reference))
    }
}

/// As much of a header as a refusal needs; there even if the lengths in it
/// contradict the unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) reference: u16,
}

impl Header {
    pub(super) fn of(unit: &[u8]) -> Option<Self> {
        let [IDENTIFIER, kind, _, _, high, low, ..] = *unit.first_chunk::<10>()? else { return None };
        Some(Self { kind: Kind::of(kind)?, reference: u16::from_be_bytes([high, low]) })
    }

    pub(super) fn key(self) -> Key {
        self.kind.key(self.reference)
    }
}

/// A whole unit.
#[derive(Debug)]
pub(super) struct Pdu {
    pub(super) header: Header,
    /// Class and code of an acknowledgement's error, 0 for none.
    pub(super) error: u16,
    pub(super) parameter: Bytes,
    pub(super) data: Bytes,
}

impl Pdu {
    /// Every byte has to be accounted for.
    pub(super) fn parse(unit: Bytes) -> Result<Self, Flaw> {
        let header = Header::of(&unit).ok_or(Flaw::Function)?;
        let mut fields = Reader::new(unit);
        fields.take(6)?;
        let (parameter, data) = (fields.word()?, fields.word()?);
        let error = if header.kind.has_error() { fields.word()? } else { 0 };
        let (parameter, data) = (fields.take(parameter.into())?, fields.take(data.into())?);
        fields.end()?;
        Ok(Self { header, error, parameter, data })
    }

    /// The function code, the first byte of a job's parameter.
    pub(super) fn function(&self) -> Option<u8> {
        self.parameter.first().copied()
    }
}

/// Builds a unit of ours. `None` if a part is longer than its field can say.
pub(super) fn build(
    kind: Kind,
    reference: u16,
    error: u16,
    parameter: &[u8],
    data: &[u8],
) -> Option<BytesMut> {
    let mut unit = BytesMut::with_capacity(parameter.len().saturating_add(data.len()).saturating_add(12));
    unit.put_slice(&[IDENTIFIER, kind as u8, 0, 0]);
    unit.put_u16(reference);
    unit.put_u16(u16::try_from(parameter.len()).ok()?);
    unit.put_u16(u16::try_from(data.len()).ok()?);
    if kind.has_error() {
        unit.put_u16(error);
    }
    unit.put_slice(parameter);
    unit.put_slice(data);
    Some(unit)
}
