//! The negotiation of a Remote Desktop connection: the X.224 connection
//! request and confirm ([MS-RDPBCGR] 2.2.1.1 and 2.2.1.2) in a TPKT
//! (RFC 1006). TLS may follow it and is looked at as such.

use super::fields::{Fields, Line, line};
use super::{FactName, Finds, Stage, Step};
use crate::dissector::Direction;

/// The version of a TPKT, its first byte.
pub(super) const TPKT: u8 = 3;
/// Bytes of a TPKT's header.
const HEADER: usize = 4;
/// X.224 codes in the high half of the byte (X.224, 13.3 and 13.4).
const CONNECTION_REQUEST: u8 = 0xE0;
const CONNECTION_CONFIRM: u8 = 0xD0;
/// The largest negotiation that is waited for, in bytes.
const LONGEST: usize = 1024;

pub(super) fn step(pending: &[u8], finds: &mut Finds<'_>) -> Step {
    let mut fields = Fields(pending);
    let (Some(_version), Some(length)) = (fields.word(), fields.word()) else { return Step::Partial };
    let length = usize::from(length);
    if !(HEADER..=LONGEST).contains(&length) {
        return Step::Over;
    }
    let Some(packet) = pending.get(HEADER..length) else { return Step::Partial };
    let understood = match finds.direction {
        Direction::FromClient => request(packet, finds),
        Direction::FromDevice => confirm(packet, finds),
    };
    match understood {
        Some(()) => Step::Taken(length, Stage::Negotiated),
        None => Step::Over,
    }
}

/// The fixed part: length, code, two references, class.
fn variable(packet: &[u8], code: u8) -> Option<Fields<'_>> {
    let mut fields = Fields(packet);
    let _length = fields.byte()?;
    (fields.byte()? & 0xF0 == code).then_some(())?;
    fields.take(5)?;
    Some(fields)
}

fn request(packet: &[u8], finds: &mut Finds<'_>) -> Option<()> {
    let mut fields = variable(packet, CONNECTION_REQUEST)?;
    let cookie = fields.0.starts_with(b"Cookie: ").then(|| line(fields.0, LONGEST));
    if let Some(Line::Whole(cookie, length)) = cookie {
        let kind = if cookie.starts_with(b"Cookie: mstshash=") { "user name" } else { "routing token" };
        finds.push(FactName::RdpCookie, kind);
        fields.take(length)?;
    }
    if let Some((1, _flags, requested)) = negotiation(fields) {
        finds.push(FactName::RdpRequested, protocols(requested));
    } else if cookie.is_some() {
        finds.push(FactName::RdpRequested, protocols(0));
    }
    Some(())
}

fn confirm(packet: &[u8], finds: &mut Finds<'_>) -> Option<()> {
    let fields = variable(packet, CONNECTION_CONFIRM)?;
    match negotiation(fields) {
        Some((2, _flags, selected)) => finds.push(FactName::RdpSelected, protocols(selected)),
        Some((3, _flags, code)) => finds.push(FactName::RdpFailure, failure(code)),
        Some(_) | None => {}
    }
    Some(())
}

/// Type, flags and value of an `RDP_NEG_REQ`, `_RSP` or `_FAILURE`.
fn negotiation(mut fields: Fields<'_>) -> Option<(u8, u8, u32)> {
    let (kind, flags) = (fields.byte()?, fields.byte()?);
    // The length field is little endian and always 8.
    (fields.word()? == 0x0800).then_some(())?;
    Some((kind, flags, fields.long_little_endian()?))
}

fn protocols(flags: u32) -> String {
    const NAMES: [(u32, &str); 5] = [
        (1, "TLS"),
        (2, "CredSSP"),
        (4, "RDSTLS"),
        (8, "CredSSP with early user authorization"),
        (16, "RDSAAD"),
    ];
    let known = NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| (*name).to_owned());
    let rest = flags & !0x1F;
    let all: Vec<String> = known.chain((rest != 0).then(|| format!("{rest:#x}"))).collect();
    if all.is_empty() { "standard RDP security".to_owned() } else { all.join(", ") }
}

fn failure(code: u32) -> String {
    match code {
        1 => "TLS required".to_owned(),
        2 => "TLS not allowed".to_owned(),
        3 => "no certificate on the server".to_owned(),
        4 => "inconsistent flags".to_owned(),
        5 => "CredSSP required".to_owned(),
        6 => "TLS with user authentication required".to_owned(),
        other => format!("code {other}"),
    }
}
