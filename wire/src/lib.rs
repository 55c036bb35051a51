//! The protocol between the technician's client and the gateway.
//!
//! What it is for: the messages of both sides, how they are laid out in bytes, and the numbers of every
//! refusal and every ending. Both binaries speak through this crate, so what one writes the other reads.
//!
//! What it never does: it opens no socket, knows no runtime, no transport and no policy. Bytes come in, typed
//! messages go out; anything that can carry ordered byte streams can carry it.
//!
//! # Order of events
//!
//! 1. The transport is set up with the protocol name [`ALPN`]. The client's end of that succeeds *before* the
//!    gateway has judged the client's certificate, so nothing is usable yet.
//! 2. The client opens its first two-way stream, the **control stream**, and sends [`ToGateway::Hello`].
//! 3. The gateway answers [`ToClient::Welcome`] (with its time and the second factors it accepts) or
//!    [`ToClient::Refused`]. Until the sign-in is complete, messages are bound to [`BEFORE_SIGN_IN`] bytes.
//! 4. The client sends [`ToGateway::Totp`]; or [`ToGateway::BeginPasskey`], gets [`ToClient::PasskeyPage`], has a
//!    browser open that page, and sends what it hands over as [`ToGateway::Assertion`]; or
//!    [`ToGateway::BeginDirectPasskey`], gets [`ToClient::PasskeyOptions`], has an authenticator of this machine sign
//!    them for this very connection ([`passkey`]), and sends the same. The answer is [`ToClient::SignedIn`], or [`ToClient::Refused`]:
//!    with a `retry_after_s` another code may be sent after that many seconds, without it the sign-in is over.
//! 5. Now [`ToGateway::Renew`], [`ToGateway::Targets`], [`ToGateway::Open`], [`ToGateway::Close`] and [`ToGateway::Ping`] may be sent in
//!    any order. `Open` is answered by [`ToClient::Opened`] or [`ToClient::NotOpened`] with the same `request`.
//!    Notices and checkpoints come unasked.
//! 6. Every further two-way stream is one **channel**: the client sends one [`ChannelHeader`], the gateway one
//!    [`ChannelReply`]; after [`ChannelReply::Open`] both directions carry raw bytes, each ended by itself.
//!
//! Who has no certificate yet speaks the messages of [`enrolment`] instead, on an endpoint of its own.
//!
//! # Layout
//!
//! A message is a `u32` length (little endian, of what follows) and that many bytes of postcard encoding. See
//! [`decode`] for what is refused.

#![warn(missing_docs)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[macro_use]
mod code;
mod der;
pub mod enrolment;
mod frame;
mod id;
mod message;
pub mod passkey;
mod text;

pub use code::{CloseCode, EndReason, Refusal, UnknownNumber};
pub use der::{Der, LONGEST_DER, TooLong};
pub use frame::{
    AFTER_SIGN_IN, BEFORE_SIGN_IN, Message, PREFIX, TO_CLIENT_BEFORE_SIGN_IN, WireError, decode, encode,
};
pub use id::{Code, NotACode, NotASessionId, SessionId};
pub use message::{
    Assurance, ChannelHeader, ChannelReply, Factor, Limits, Loopback, Notice, Renewal, ServiceInfo,
    TargetInfo, ToClient, ToGateway, Transport,
};
pub use text::{
    LONGEST_ADDRESS, LONGEST_ASSERTION, LONGEST_NAME, LONGEST_NOTE, LONGEST_OPTIONS, LONGEST_REGISTRATION,
    LONGEST_TARGET, LONGEST_TEXT, MOST_ITEMS, MOST_WANTED, clip,
};

/// The protocol name that both ends demand in the TLS handshake (RFC 7301).
pub const ALPN: &[u8] = b"gatehouse/1";

/// The version of the messages in this crate, sent in `Hello` and `Welcome`. A change of any pinned byte, and any
/// new number of a refusal or an ending, raises it.
pub const VERSION: u16 = 2;
