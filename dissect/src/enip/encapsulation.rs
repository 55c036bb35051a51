//! The encapsulation around a message: header, commands, items (CIP Volume 2,
//! chapter 2).

use super::fields::Fields;
use crate::dissector::{Flaw, Framing, Unframed};
use bytes::{BufMut, Bytes, BytesMut};
use std::num::NonZeroUsize;

/// Bytes of the header (2-3.1).
pub(super) const HEADER: usize = 24;
/// The largest value of the length field (2-3.3).
const LONGEST: u16 = 65511;

/// Commands (2-3.2).
pub(super) const NOP: u16 = 0x00;
pub(super) const LIST_SERVICES: u16 = 0x04;
pub(super) const LIST_IDENTITY: u16 = 0x63;
pub(super) const LIST_INTERFACES: u16 = 0x64;
pub(super) const REGISTER_SESSION: u16 = 0x65;
pub(super) const UNREGISTER_SESSION: u16 = 0x66;
pub(super) const SEND_RR_DATA: u16 = 0x6F;
pub(super) const SEND_UNIT_DATA: u16 = 0x70;
const INDICATE_STATUS: u16 = 0x72;
const CANCEL: u16 = 0x73;

/// Item types (2-6.2).
const NULL_ADDRESS: u16 = 0x0000;
const CONNECTED_ADDRESS: u16 = 0x00A1;
const CONNECTED_DATA: u16 = 0x00B1;
const UNCONNECTED_DATA: u16 = 0x00B2;

/// The command's name for people.
pub(super) fn command_name(command: u16) -> &'static str {
    match command {
        NOP => "NOP",
        LIST_SERVICES => "list services",
        LIST_IDENTITY => "list identity",
        LIST_INTERFACES => "list interfaces",
        REGISTER_SESSION => "register session",
        UNREGISTER_SESSION => "unregister session",
        SEND_RR_DATA => "send RR data",
        SEND_UNIT_DATA => "send unit data",
        INDICATE_STATUS => "indicate status",
        CANCEL => "cancel",
        _ => "a reserved command",
    }
}

/// Finds the end of a frame. A peer that does not speak the protocol is found
/// out by the first header, since its options have to be 0.
pub(crate) fn frame(buffered: &[u8]) -> Framing {
    let Some([.., low, high]) = buffered.first_chunk::<4>() else { return Framing::Partial };
    let length = u16::from_le_bytes([*low, *high]);
    if length > LONGEST {
        return Framing::Lost(Unframed::EncapsulationLength { length });
    }
    let Some(header) = Header::of(buffered) else { return Framing::Partial };
    if header.options != 0 {
        return Framing::Lost(Unframed::EncapsulationOptions { found: header.options });
    }
    match NonZeroUsize::new(HEADER.saturating_add(length.into())) {
        Some(whole) if buffered.len() >= whole.get() => Framing::Whole(whole),
        Some(_) | None => Framing::Partial,
    }
}

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) command: u16,
    pub(super) length: u16,
    pub(super) session: u32,
    pub(super) status: u32,
    /// What the sender wants to see again in the answer.
    pub(super) context: [u8; 8],
    options: u32,
}

impl Header {
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(frame);
        Some(Self {
            command: fields.short().ok()?,
            length: fields.short().ok()?,
            session: fields.long().ok()?,
            status: fields.long().ok()?,
            context: *fields.take(8).ok()?.first_chunk()?,
            options: fields.long().ok()?,
        })
    }

    /// What follows the header of a whole frame.
    pub(super) fn body(self, frame: &[u8]) -> Result<&[u8], Flaw> {
        frame.get(HEADER..).filter(|body| body.len() == usize::from(self.length)).ok_or(Flaw::Length)
    }

    /// The same header over another body.
    fn put(self, length: u16, status: u32, frame: &mut BytesMut) {
        frame.put_u16_le(self.command);
        frame.put_u16_le(length);
        frame.put_u32_le(self.session);
        frame.put_u32_le(status);
        frame.put_slice(&self.context);
        frame.put_u32_le(0);
    }

    /// An answer without a body that says what is wrong with the frame as
    /// such (2-3.5).
    pub(super) fn refusal(self, status: u32) -> Bytes {
        let mut frame = BytesMut::with_capacity(HEADER);
        self.put(0, status, &mut frame);
        frame.freeze()
    }

    /// An answer that carries `reply` the way its request came.
    pub(super) fn reply(self, way: Way, reply: &[u8]) -> Option<Bytes> {
        let items = match way {
            Way::Unconnected => 16_usize,
            Way::Connected { .. } => 22,
        };
        let length =
            u16::try_from(items.checked_add(reply.len())?).ok().filter(|length| *length <= LONGEST)?;
        let data = u16::try_from(reply.len()).ok()?;
        let mut frame = BytesMut::with_capacity(HEADER.saturating_add(length.into()));
        self.put(length, 0, &mut frame);
        frame.put_u32_le(0);
        frame.put_u16_le(0);
        frame.put_u16_le(2);
        match way {
            Way::Unconnected => {
                frame.put_u16_le(NULL_ADDRESS);
                frame.put_u16_le(0);
                frame.put_u16_le(UNCONNECTED_DATA);
                frame.put_u16_le(data);
            }
            Way::Connected { connection, sequence } => {
                frame.put_u16_le(CONNECTED_ADDRESS);
                frame.put_u16_le(4);
                frame.put_u32_le(connection);
                frame.put_u16_le(CONNECTED_DATA);
                frame.put_u16_le(data.checked_add(2)?);
                frame.put_u16_le(sequence);
            }
        }
        frame.put_slice(reply);
        Some(frame.freeze())
    }
}

/// How a message is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// With SendRRData.
    Unconnected,
    /// With SendUnitData.
    Connected {
        /// The connection, by the id of the direction that it goes in.
        connection: u32,
        /// What pairs request and answer on it.
        sequence: u16,
    },
}

/// Takes the items of a SendRRData or SendUnitData apart: one address, one
/// message. More items, such as the socket addresses of implicit I/O, are
/// only let pass behind those of an answer.
pub(super) fn carried(header: Header, frame: &[u8], side: Side) -> Result<(Way, &[u8]), Flaw> {
    let mut fields = Fields::new(header.body(frame)?);
    let (interface, _timeout, items) = (fields.long()?, fields.short()?, fields.short()?);
    if interface != 0 {
        return Err(Flaw::Value { value: u16::try_from(interface).unwrap_or(u16::MAX) });
    }
    if items < 2 || (side == Side::Request && items != 2) {
        return Err(Flaw::Count { count: items });
    }
    let (address_type, address) = item(&mut fields)?;
    let (data_type, data) = item(&mut fields)?;
    if side == Side::Request {
        fields.end()?;
    }
    match (header.command, address_type, data_type) {
        (SEND_RR_DATA, NULL_ADDRESS, UNCONNECTED_DATA) if address.is_empty() => Ok((Way::Unconnected, data)),
        (SEND_UNIT_DATA, CONNECTED_ADDRESS, CONNECTED_DATA) => {
            let mut address = Fields::new(address);
            let connection = address.long()?;
            address.end()?;
            let mut data = Fields::new(data);
            let sequence = data.short()?;
            Ok((Way::Connected { connection, sequence }, data.rest()))
        }
        (_, _, value) => Err(Flaw::Value { value }),
    }
}

fn item<'a>(fields: &mut Fields<'a>) -> Result<(u16, &'a [u8]), Flaw> {
    let (kind, length) = (fields.short()?, fields.short()?);
    Ok((kind, fields.take(length.into())?))
}

/// Which of the two a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Answer,
}
