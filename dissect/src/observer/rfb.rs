//! RFB, the protocol of VNC (RFC 6143): versions and security types. The
//! challenge and its response are stepped over and never kept.

use super::fields::Fields;
use super::{FactName, Finds, Step, text};
use crate::dissector::Direction;

/// `RFB 003.008` and a line feed.
const VERSION: usize = 12;
/// VNC authentication's challenge, in bytes (7.2.2).
const CHALLENGE: usize = 16;
/// The longest reason that is waited for, in bytes.
const LONGEST_REASON: u32 = 4096;

/// What has been settled so far.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    /// Minor version that the client wants, and so the one that holds.
    minor: Option<u16>,
    /// The security type.
    security: Option<u8>,
}

/// How far one direction has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    Version,
    /// The server's offer, or the client's choice.
    Security,
    /// The server's answer to the client's authentication.
    Result,
    /// The length of a reason, and the reason.
    Reason,
}

impl Stage {
    pub(super) fn step(&self, pending: &[u8], agreed: &mut Agreed, finds: &mut Finds<'_>) -> Step {
        let read = match (self, finds.direction) {
            (Self::Version, _) => version(pending, agreed, finds),
            (Self::Security, Direction::FromClient) => choice(pending, agreed, finds),
            (Self::Security, Direction::FromDevice) => offer(pending, agreed, finds),
            (Self::Result, _) => result(pending, agreed, finds),
            (Self::Reason, _) => reason(pending, finds),
        };
        match read {
            Read::Partial => Step::Partial,
            Read::On(count, stage) => Step::Taken(count, super::Stage::Rfb(stage)),
            Read::Over => Step::Over,
        }
    }
}

enum Read {
    Partial,
    On(usize, Stage),
    Over,
}

/// 7.1.1.
fn version(pending: &[u8], agreed: &mut Agreed, finds: &mut Finds<'_>) -> Read {
    let Some(line) = pending.get(..VERSION) else { return Read::Partial };
    let [b'R', b'F', b'B', b' ', major @ .., b'\n'] = line else { return Read::Over };
    let Some((major, [b'.', minor @ ..])) = major.split_at_checked(3) else { return Read::Over };
    let (Some(major), Some(minor)) = (number(major), number(minor)) else { return Read::Over };
    finds.push(FactName::RfbVersion, format!("{major}.{minor}"));
    if finds.direction == Direction::FromClient {
        // Later major versions, of vendors, begin alike.
        let minor = if major == 3 { minor } else { 8 };
        agreed.minor = Some(minor);
        if minor < 7 {
            // The server decides.
            return Read::Over;
        }
    }
    Read::On(VERSION, Stage::Security)
}

fn number(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// 7.1.2: a list, or before version 3.7 the server's decision.
fn offer(pending: &[u8], agreed: &mut Agreed, finds: &mut Finds<'_>) -> Read {
    let mut fields = Fields(pending);
    // A server speaks after the client's version.
    let Some(minor) = agreed.minor else { return Read::Over };
    if minor < 7 {
        let Some(security) = fields.long() else { return Read::Partial };
        let Ok(security) = u8::try_from(security) else { return Read::Over };
        finds.push(FactName::RfbSecurityType, security_type(security));
        agreed.security = Some(security);
        return Read::On(4, if security == 0 { Stage::Reason } else { Stage::Result });
    }
    let Some(count) = fields.byte() else { return Read::Partial };
    let Some(types) = fields.take(count.into()) else { return Read::Partial };
    if types.is_empty() {
        return Read::On(1, Stage::Reason);
    }
    let names: Vec<String> = types.iter().copied().map(security_type).collect();
    finds.push(FactName::RfbSecurityTypes, names.join(", "));
    Read::On(types.len().saturating_add(1), Stage::Result)
}

fn choice(pending: &[u8], agreed: &mut Agreed, finds: &mut Finds<'_>) -> Read {
    let Some(security) = pending.first() else { return Read::Partial };
    finds.push(FactName::RfbSecurityType, security_type(*security));
    agreed.security = Some(*security);
    Read::Over
}

/// 7.1.3: what follows depends on the security type; only the two of the
/// RFC itself are known to the end.
fn result(pending: &[u8], agreed: &Agreed, finds: &mut Finds<'_>) -> Read {
    let challenge = match (agreed.security, agreed.minor) {
        (Some(2), _) => CHALLENGE,
        (Some(1), Some(8..)) => 0,
        (Some(_) | None, _) => return Read::Over,
    };
    let mut fields = Fields(pending);
    let Some(_) = fields.take(challenge) else { return Read::Partial };
    let Some(result) = fields.long() else { return Read::Partial };
    let told = match result {
        0 => "ok".to_owned(),
        1 => "failed".to_owned(),
        2 => "failed, too many attempts".to_owned(),
        other => format!("code {other}"),
    };
    finds.push(FactName::RfbSecurityResult, told);
    match (result, agreed.minor) {
        (1.., Some(8..)) => Read::On(challenge.saturating_add(4), Stage::Reason),
        (_, _) => Read::Over,
    }
}

fn reason(pending: &[u8], finds: &mut Finds<'_>) -> Read {
    let mut fields = Fields(pending);
    let Some(length) = fields.long() else { return Read::Partial };
    if length > LONGEST_REASON {
        return Read::Over;
    }
    let Ok(length) = usize::try_from(length) else { return Read::Over };
    let Some(reason) = fields.take(length) else { return Read::Partial };
    finds.push(FactName::RfbRefusal, text(reason));
    Read::Over
}

/// Names as registered with the protocol (RFC 6143, 8.1.2).
fn security_type(code: u8) -> String {
    match code {
        0 => "invalid",
        1 => "none",
        2 => "VNC authentication",
        5 => "RA2",
        6 => "RA2ne",
        16 => "Tight",
        17 => "Ultra",
        18 => "TLS",
        19 => "VeNCrypt",
        20 => "SASL",
        21 => "MD5 hash",
        22 => "xvp",
        30 => "Apple remote desktop",
        other => return format!("type {other}"),
    }
    .to_owned()
}
