//! Refusals in the protocol's own words. Each form was tried with real
//! clients: they report it and go on.
//!
//! Read and write var are refused item by item, all of them alike; any other
//! job by the error in the header of its acknowledgement; userdata by the
//! error in the parameter of its answer; a connection by a disconnect
//! request. What is no request has no refusal.

use super::cotp::{self, Unit};
use super::function::{READ_VAR, WRITE_VAR};
use super::pdu::{Header, Kind, Pdu, build};
use super::userdata;
use crate::dissector::{Content, Request};
use bytes::{BufMut, Bytes, BytesMut};

/// An item's return code: access to the object not allowed.
const NOT_ALLOWED: u8 = 0x03;
/// A header's error: access to the object refused.
const ACCESS_REFUSED: u16 = 0x8703;
/// A header's error: the frame itself is wrong.
const WRONG_FRAME: u16 = 0x8500;
/// Userdata: not permitted at the present protection level.
const PROTECTION_LEVEL: u16 = 0xD241;
/// The data of an answer without data.
const NO_DATA: [u8; 4] = [0x0A, 0x00, 0x00, 0x00];

/// The refusal of a request, within `longest` bytes of unit.
pub(super) fn refusal(request: &Request, longest: usize) -> Option<Bytes> {
    if let Some(disconnect) = cotp::disconnect(&request.frame) {
        return Some(disconnect);
    }
    let Ok(Unit::Data(unit)) = cotp::parse(&request.frame) else { return None };
    let header = Header::of(&unit)?;
    let refusal = match header.kind {
        Kind::Job => match &request.content {
            Content::Operation(_) => job(unit, header, longest),
            Content::Malformed { .. } => with_error(&unit, header, WRONG_FRAME),
        },
        Kind::Userdata => {
            let parameter = userdata::refusal(unit.get(10..)?, PROTECTION_LEVEL)?;
            build(Kind::Userdata, header.reference, 0, &parameter, &NO_DATA)
        }
        Kind::Ack | Kind::AckData => None,
    };
    cotp::wrap(&refusal?)
}

fn job(unit: Bytes, header: Header, longest: usize) -> Option<BytesMut> {
    items(unit.clone(), header)
        .filter(|refusal| refusal.len() <= longest)
        .or_else(|| with_error(&unit, header, ACCESS_REFUSED))
}

/// `None` for a job that has no items.
fn items(unit: Bytes, header: Header) -> Option<BytesMut> {
    let pdu = Pdu::parse(unit).ok()?;
    let (function, count) = (pdu.function()?, *pdu.parameter.get(1)?);
    let item: &[u8] = match function {
        READ_VAR => &[NOT_ALLOWED, 0, 0, 0],
        WRITE_VAR => &[NOT_ALLOWED],
        _ => return None,
    };
    let mut data = BytesMut::new();
    for _ in 0..count {
        data.put_slice(item);
    }
    build(Kind::AckData, header.reference, 0, &[function, count], &data)
}

/// An acknowledgement that echoes the function, where there is one.
fn with_error(unit: &[u8], header: Header, error: u16) -> Option<BytesMut> {
    build(Kind::AckData, header.reference, error, unit.get(10..11).unwrap_or_default(), &[])
}
