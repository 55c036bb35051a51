//! Why a line ended, in one clear sentence and with the right side blamed.

use quinn::{ConnectionError, TransportErrorCode};
use wire::{CloseCode, clip};

use crate::Problem;
use crate::escape::escape;
use crate::profile::Address;

/// How far the connection had come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase<'gateway> {
    /// Nothing had answered yet at this address.
    Connecting(&'gateway Address),
    /// The gateway had answered.
    Connected,
}

/// The longest reason that is shown, in bytes.
const LONGEST_REASON: usize = 200;

pub(super) fn no_answer(gateway: &Address) -> Problem {
    Problem::Unreachable(format!(
        "no answer from {gateway}: is the gateway running, and does UDP get through?"
    ))
}

/// The sentence for the end of a connection.
pub(super) fn explain(error: &ConnectionError, phase: Phase<'_>) -> Problem {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            closed_by_gateway(u64::from(close.error_code), &close.reason)
        }
        ConnectionError::ConnectionClosed(close) => aborted_by_gateway(close.error_code, &close.reason),
        ConnectionError::TransportError(error) => match phase {
            Phase::Connecting(gateway) => Problem::Unreachable(format!(
                "what answers at {gateway} is not the gateway of this profile: {}",
                shown(error.reason.as_bytes())
            )),
            Phase::Connected => lost(&shown(error.reason.as_bytes())),
        },
        ConnectionError::VersionMismatch => {
            Problem::Unreachable("what answers speaks another version of QUIC".to_owned())
        }
        ConnectionError::TimedOut => match phase {
            Phase::Connecting(gateway) => no_answer(gateway),
            Phase::Connected => lost("nothing came from the gateway for 30 seconds"),
        },
        ConnectionError::Reset => lost("the gateway was restarted"),
        ConnectionError::LocallyClosed => lost("closed on this side"),
        ConnectionError::CidsExhausted => lost("no connection ids left"),
    }
}

fn lost(why: &str) -> Problem {
    Problem::Unreachable(format!("the line to the gateway is lost: {why}"))
}

/// The gateway closed in its own words.
fn closed_by_gateway(number: u64, reason: &[u8]) -> Problem {
    let sentence = u16::try_from(number)
        .ok()
        .and_then(CloseCode::from_number)
        .map_or_else(|| format!("closed with number {number}"), |code| code.sentence().to_owned());
    let reason = shown(reason);
    if reason.is_empty() {
        return Problem::Refused(format!("the gateway closed the connection: {sentence}"));
    }
    Problem::Refused(format!("the gateway closed the connection: {sentence} ({reason})"))
}

/// The gateway's TLS or QUIC broke off. A TLS alert is its verdict on our certificate (RFC 8446 section 6.2; RFC 9001
/// section 4.8 puts it into the close code).
fn aborted_by_gateway(code: TransportErrorCode, reason: &[u8]) -> Problem {
    let verdict = ALERTS.iter().find(|(alert, _)| TransportErrorCode::crypto(*alert) == code);
    match verdict {
        Some((_, sentence)) => Problem::Refused(format!("the gateway refuses this certificate: {sentence}")),
        None if code == TransportErrorCode::CONNECTION_REFUSED => {
            Problem::Refused("the gateway takes no connection now: it is busy or shutting down".to_owned())
        }
        None => lost(&format!("{code} {}", shown(reason))),
    }
}

const ALERTS: [(u8, &str); 9] = [
    (42, "it is damaged"),
    (43, "it is not made for signing in"),
    (44, "it was revoked; ask the plant for a new one"),
    (45, "it has expired or is not valid yet; renew it, and check this machine's clock"),
    (46, "it is unknown"),
    (48, "its authority is unknown there, or the gateway's revocation list has lapsed"),
    (49, "access is denied"),
    (51, "the key does not fit it"),
    (116, "none was sent"),
];

fn shown(reason: &[u8]) -> String {
    escape(&clip(&String::from_utf8_lossy(reason), LONGEST_REASON))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_or_expired_certificate_is_said_so() {
        for (alert, word) in [(44, "revoked"), (45, "expired"), (48, "unknown")] {
            let problem = aborted_by_gateway(TransportErrorCode::crypto(alert), b"");
            assert_eq!(problem.exit_code(), 6);
            assert!(problem.to_string().contains(word), "{problem}");
        }
    }

    #[test]
    fn an_abort_that_is_no_verdict_is_a_lost_line() {
        let problem = aborted_by_gateway(TransportErrorCode::INTERNAL_ERROR, b"oops\x1b[2J");
        assert_eq!(problem.exit_code(), 7);
        assert!(problem.to_string().contains("oops\\x1b[2J"), "{problem}");
    }

    #[test]
    fn a_close_in_the_gateways_own_words_is_harmless_and_bounded() {
        let problem = closed_by_gateway(7, b"").to_string();
        assert_eq!(problem, "the gateway closed the connection: the right to be signed in was withdrawn");
        let long = closed_by_gateway(999, &[b'\x07'; 5000]).to_string();
        assert!(
            long.starts_with("the gateway closed the connection: closed with number 999 (\\x07"),
            "{long}"
        );
        assert!(long.len() < 1000);
    }
}
