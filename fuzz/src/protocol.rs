//! What has to hold for any bytes of a client or a gateway, and for any text
//! that somebody takes for a token. The targets are a line each; the tests of
//! `wire` replay the corpus through the same functions.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::BytesMut;
use std::fmt::Debug;
use wire::enrolment::{AFTER_PROOF, Answer, Ask, NotAToken, Proof, Secret, Token};
use wire::{
    AFTER_SIGN_IN, BEFORE_SIGN_IN, ChannelHeader, ChannelReply, Message, PREFIX, TO_CLIENT_BEFORE_SIGN_IN,
    ToClient, ToGateway, decode, encode,
};

/// A stream of messages is read into the same ones whether it comes at once or
/// in pieces; each is read in the one way in which it is written; nothing above
/// the bound is waited for. The first byte gives kind and bound, the second the
/// size of the pieces. Gives how many messages there were.
pub(super) fn messages(input: &[u8]) -> usize {
    let Some((&[kind, size], stream)) = input.split_first_chunk() else { return 0 };
    let size = usize::from(size) + 1;
    match kind % 10 {
        0 => read::<ToGateway>(stream, size, BEFORE_SIGN_IN),
        1 => read::<ToGateway>(stream, size, AFTER_SIGN_IN),
        2 => read::<ToClient>(stream, size, TO_CLIENT_BEFORE_SIGN_IN),
        3 => read::<ToClient>(stream, size, AFTER_SIGN_IN),
        4 => read::<Ask>(stream, size, BEFORE_SIGN_IN),
        5 => read::<Ask>(stream, size, AFTER_PROOF),
        6 => read::<Answer>(stream, size, AFTER_SIGN_IN),
        7 => read::<ChannelHeader>(stream, size, BEFORE_SIGN_IN),
        8 => read::<ChannelReply>(stream, size, BEFORE_SIGN_IN),
        _ => read::<Answer>(stream, size, BEFORE_SIGN_IN),
    }
}

fn read<M: Message + PartialEq + Debug>(stream: &[u8], size: usize, bound: usize) -> usize {
    let at_once = take::<M>(stream, stream.len().max(1), bound);
    let in_pieces = take::<M>(stream, size, bound);
    assert_eq!(at_once, in_pieces);
    let written: Vec<u8> = at_once.iter().flat_map(|message| encode(message).expect("it was read")).collect();
    assert!(stream.starts_with(&written), "read in another way than it is written");
    at_once.len()
}

fn take<M: Message>(stream: &[u8], size: usize, bound: usize) -> Vec<M> {
    let (mut buffered, mut messages) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(size) {
        buffered.extend_from_slice(piece);
        loop {
            let before = buffered.len();
            match decode(&mut buffered, bound) {
                Ok(Some(message)) => {
                    let taken = before - buffered.len();
                    assert!((PREFIX..=PREFIX + bound).contains(&taken), "{taken} bytes at once");
                    messages.push(message);
                }
                Ok(None) => {
                    assert_eq!(buffered.len(), before, "what is not whole is left as it is");
                    assert!(before < PREFIX + bound, "{before} bytes are waited for");
                    break;
                }
                Err(_) => return messages,
            }
        }
    }
    messages
}

/// A text is a token in one spelling, blanks around it aside, or none; a
/// content with its check value is one exactly if its address can be one; a
/// proof is good for its own secret and connection alone. The first byte says
/// which of these the rest is about. Gives whether it was a token.
pub(super) fn token(input: &[u8]) -> bool {
    let Some((choice, rest)) = input.split_first() else { return false };
    match choice % 3 {
        0 => std::str::from_utf8(rest).is_ok_and(is_read_in_one_spelling),
        1 => is_made_of(rest),
        _ => {
            proves(rest);
            false
        }
    }
}

fn is_read_in_one_spelling(text: &str) -> bool {
    let Ok(token) = Token::parse(text) else { return false };
    assert_eq!(token.to_text().as_str(), text.trim());
    true
}

fn is_made_of(content: &[u8]) -> bool {
    let check = digest::digest(&digest::SHA256, content);
    let encoded = URL_SAFE_NO_PAD.encode([content, &check.as_ref()[..4]].concat());
    let text = format!("ghe1_{encoded}");
    let address = content.get(64..);
    match (Token::parse(&text), address) {
        (Ok(token), Some(address)) => {
            assert_eq!((token.address().as_bytes(), &token.fingerprint[..]), (address, &content[..32]));
            assert!(address.iter().all(u8::is_ascii_graphic), "{address:?} is no address");
            is_read_in_one_spelling(&text)
        }
        (Err(NotAToken::Damaged), Some(_)) => {
            assert!(encoded.len() > 512, "a whole token is damaged");
            false
        }
        (Err(NotAToken::Damaged | NotAToken::Address), _) => false,
        (Ok(_) | Err(NotAToken::Prefix), _) => panic!("{text}"),
    }
}

fn proves(rest: &[u8]) {
    let Some((secret, rest)) = rest.split_first_chunk::<32>() else { return };
    let Some((exporter, rest)) = rest.split_first_chunk::<32>() else { return };
    let (secret, other) = (Secret::from_bytes(*secret), Secret::from_bytes([0x5a; 32]));
    let proof = secret.prove(exporter);
    assert!(secret.stored().accepts(&proof, exporter));
    if secret != other {
        assert!(!other.stored().accepts(&proof, exporter));
    }
    if let Some((another, rest)) = rest.split_first_chunk::<32>() {
        assert_eq!(secret.stored().accepts(&proof, another), another == exporter);
        if let Some(forged) = rest.first_chunk::<32>() {
            assert_eq!(secret.stored().accepts(&Proof(*forged), exporter), *forged == proof.0);
        }
    }
}
