//! Messages to bytes and back.
//!
//! What it is for: one place that bounds, frames and checks every message. What it never does: it never allocates
//! by a length that a peer wrote before that length was found small enough, and it accepts exactly one spelling of
//! each message.

use bytes::{Buf as _, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::enrolment::{Answer, Ask};
use crate::{ChannelHeader, ChannelReply, ToClient, ToGateway};

/// The largest message before the sign-in is complete, in bytes without the prefix.
pub const BEFORE_SIGN_IN: usize = 4 * 1024;
/// The largest message that a client takes before its sign-in is complete, in bytes without the prefix. It has checked
/// its gateway's certificate by then, and options for an authenticator ([`ToClient::PasskeyOptions`]) may be long.
pub const TO_CLIENT_BEFORE_SIGN_IN: usize = 12 * 1024;
/// The largest message after the sign-in, in bytes without the prefix.
pub const AFTER_SIGN_IN: usize = 64 * 1024;
/// The bytes of the length that precedes each message.
pub const PREFIX: usize = 4;

/// One of the messages of this protocol; implemented for those alone.
pub trait Message: Serialize + DeserializeOwned {}

impl Message for ToGateway {}
impl Message for ToClient {}
impl Message for ChannelHeader {}
impl Message for ChannelReply {}
impl Message for Ask {}
impl Message for Answer {}

/// Why bytes are no message, or a message can't be written. Nothing after such bytes can be read: close.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The announced or written length exceeds the bound.
    #[error("a message of {length} bytes where at most {bound} are allowed")]
    TooLong {
        /// What was announced, in bytes.
        length: usize,
        /// What is allowed, in bytes.
        bound: usize,
    },
    /// The bytes are not a message of the expected kind, or one of its texts or lists is too long.
    #[error("not a message of this protocol")]
    Malformed,
    /// The message ends before its frame does.
    #[error("{0} bytes too many behind a message")]
    Trailing(usize),
    /// The same message has a shorter or more regular spelling, and only that one is read.
    #[error("a message that is not written in its one proper form")]
    NotCanonical,
    /// A name in a message to be sent is longer than its reader would accept.
    #[error("a text is too long to be sent")]
    Unwritable,
}

/// The message with its length prefix, ready to be sent.
///
/// Explanations for people are cut to their bound; names are not.
///
/// # Errors
/// [`WireError::Unwritable`] if a name, list or note exceeds its bound, [`WireError::TooLong`] if the whole exceeds
/// [`AFTER_SIGN_IN`].
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, WireError> {
    let body = postcard::to_stdvec(message).map_err(|_| WireError::Unwritable)?;
    let too_long = WireError::TooLong { length: body.len(), bound: AFTER_SIGN_IN };
    if body.len() > AFTER_SIGN_IN {
        return Err(too_long);
    }
    let length = u32::try_from(body.len()).map_err(|_| too_long)?;
    let mut framed = Vec::with_capacity(PREFIX.saturating_add(body.len()));
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&body);
    Ok(framed)
}

/// Takes the first message off `buffered`, or leaves it as it is and returns `None` while the message is not whole.
///
/// `bound` is the largest length that is accepted, [`BEFORE_SIGN_IN`] or [`AFTER_SIGN_IN`]. A caller that reads at
/// most `bound + PREFIX` bytes ahead of the messages it takes needs no more memory than that.
///
/// # Errors
/// A length over `bound` (known from the prefix alone), bytes that are no such message, bytes behind the message
/// inside its frame, and any spelling but the one that [`encode`] writes. After an error nothing further can be
/// read; the buffer's content is unspecified.
pub fn decode<M: Message>(buffered: &mut BytesMut, bound: usize) -> Result<Option<M>, WireError> {
    let Some(prefix) = buffered.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
    if length > bound {
        return Err(WireError::TooLong { length, bound });
    }
    let Some(body) = buffered.get(PREFIX..).and_then(|rest| rest.get(..length)) else {
        return Ok(None);
    };
    let message = decode_body(body)?;
    buffered.advance(PREFIX.saturating_add(length));
    Ok(Some(message))
}

fn decode_body<M: Message>(body: &[u8]) -> Result<M, WireError> {
    let (message, rest) = postcard::take_from_bytes::<M>(body).map_err(|_| WireError::Malformed)?;
    if !rest.is_empty() {
        return Err(WireError::Trailing(rest.len()));
    }
    // Postcard reads padded integers too. Comparing with our own spelling leaves exactly one.
    let again = postcard::to_stdvec(&message).map_err(|_| WireError::Malformed)?;
    if again != body {
        return Err(WireError::NotCanonical);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;

    /// A frame around `body` as a peer may write it.
    fn framed(body: &[u8]) -> BytesMut {
        let mut frame = BytesMut::from(&u32::try_from(body.len()).unwrap().to_le_bytes()[..]);
        frame.extend_from_slice(body);
        frame
    }

    #[test]
    fn a_length_over_the_bound_is_refused_from_the_prefix_alone() {
        let mut buffered = BytesMut::from(&[0x01, 0x10, 0x00, 0x00][..]);
        assert_eq!(
            decode::<ToGateway>(&mut buffered, BEFORE_SIGN_IN),
            Err(WireError::TooLong { length: 4097, bound: 4096 })
        );
        let mut at_the_bound = BytesMut::from(&[0x00, 0x10, 0x00, 0x00][..]);
        assert_eq!(decode::<ToGateway>(&mut at_the_bound, BEFORE_SIGN_IN), Ok(None));
    }

    #[test]
    fn bytes_behind_a_message_inside_its_frame_are_refused() {
        assert_eq!(decode::<ToGateway>(&mut framed(&[0x05]), BEFORE_SIGN_IN), Ok(Some(ToGateway::Ping)));
        assert_eq!(
            decode::<ToGateway>(&mut framed(&[0x05, 0x00]), BEFORE_SIGN_IN),
            Err(WireError::Trailing(1))
        );
    }

    #[test]
    fn a_padded_integer_is_refused() {
        // The variant's number 5 written in two bytes: postcard itself reads it as 5.
        assert_eq!(postcard::from_bytes(&[0x85, 0x00]), Ok(ToGateway::Ping));
        assert_eq!(
            decode::<ToGateway>(&mut framed(&[0x85, 0x00]), BEFORE_SIGN_IN),
            Err(WireError::NotCanonical)
        );
    }

    #[test]
    fn an_empty_frame_and_an_unknown_message_are_refused() {
        for body in [&[][..], &[0x06], &[0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(decode::<ToGateway>(&mut framed(body), BEFORE_SIGN_IN), Err(WireError::Malformed));
        }
    }

    #[test]
    fn an_unknown_refusal_number_is_refused() {
        // NotOpened { request: 1, code: 99, text: "" }
        assert_eq!(
            decode::<ToClient>(&mut framed(&[0x05, 0x01, 99, 0x00]), AFTER_SIGN_IN),
            Err(WireError::Malformed)
        );
    }

    #[test]
    fn names_over_their_bound_are_refused_both_ways() {
        let open = |target: String| ToGateway::Open { request: 1, target, reason: None, ticket: None };
        assert!(encode(&open("t".repeat(LONGEST_TARGET))).is_ok());
        assert_eq!(encode(&open("t".repeat(LONGEST_TARGET + 1))), Err(WireError::Unwritable));
        let mut body = vec![0x03, 0x01, 0x81, 0x01];
        body.extend_from_slice(&[b't'; LONGEST_TARGET + 1]);
        body.extend_from_slice(&[0x00, 0x00]);
        // Refused while it is read, not only when it is compared with our own spelling.
        assert!(postcard::from_bytes::<ToGateway>(&body).is_err());
        assert_eq!(decode::<ToGateway>(&mut framed(&body), BEFORE_SIGN_IN), Err(WireError::Malformed));
    }

    #[test]
    fn a_reason_is_never_cut_and_an_explanation_always_fits() {
        let reason = Some("r".repeat(LONGEST_TEXT + 1));
        let open = ToGateway::Open { request: 1, target: "t".into(), reason, ticket: None };
        assert_eq!(encode(&open), Err(WireError::Unwritable));
        let refused = ToClient::NotOpened { request: 1, code: Refusal::Limit, text: "x".repeat(9000) };
        let mut bytes = BytesMut::from(&encode(&refused).unwrap()[..]);
        let Ok(Some(ToClient::NotOpened { text, .. })) = decode::<ToClient>(&mut bytes, BEFORE_SIGN_IN)
        else {
            panic!("the cut message is readable");
        };
        assert_eq!(text.len(), LONGEST_TEXT);
    }

    #[test]
    fn a_list_over_its_bound_is_refused_both_ways() {
        let welcome = |factors| ToClient::Welcome {
            version: 1,
            gateway_time_ms: 0,
            person: "operator-1".into(),
            factors,
            banner: None,
        };
        assert!(encode(&welcome(vec![Factor::Totp; MOST_ITEMS])).is_ok());
        assert_eq!(encode(&welcome(vec![Factor::Totp; MOST_ITEMS + 1])), Err(WireError::Unwritable));
        // Welcome with an announced list of 1025 factors (0x81 0x08).
        let mut body = vec![0x00, 0x01, 0x00, 0x00, 0x81, 0x08];
        body.extend_from_slice(&[0; MOST_ITEMS + 2]);
        assert!(postcard::from_bytes::<ToClient>(&body).is_err());
        assert_eq!(decode::<ToClient>(&mut framed(&body), BEFORE_SIGN_IN), Err(WireError::Malformed));
    }

    #[test]
    fn a_message_in_pieces_is_awaited_and_the_next_one_kept() {
        let mut both = encode(&ToGateway::Targets).unwrap();
        both.extend(encode(&ToGateway::Ping).unwrap());
        let mut buffered = BytesMut::new();
        let mut seen = Vec::new();
        for byte in both {
            buffered.extend_from_slice(&[byte]);
            while let Some(message) = decode::<ToGateway>(&mut buffered, BEFORE_SIGN_IN).unwrap() {
                seen.push(message);
            }
        }
        assert_eq!(seen, [ToGateway::Targets, ToGateway::Ping]);
        assert!(buffered.is_empty());
    }
}
