//! The messages. Their order within each enum is their number on the wire: new ones are added at the end.

use serde::{Deserialize, Serialize};

use crate::text;
use crate::{Code, Der, EndReason, Refusal, SessionId};

/// What the client says on the control stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    /// The first message of all.
    Hello {
        /// The client's [`VERSION`](crate::VERSION).
        version: u16,
        /// Name and version of the program, for the recording; decides nothing.
        #[serde(with = "text::name")]
        software: String,
    },
    /// The second factor, after `Welcome` offered it.
    Totp {
        /// The one-time code.
        code: Code,
    },
    /// Asks for everything that this person may open.
    Targets,
    /// Asks for a session.
    Open {
        /// Chosen by the client; the answer repeats it.
        request: u32,
        /// The target's id in the gateway's inventory; never an address.
        #[serde(with = "text::target")]
        target: String,
        /// Why, in the technician's words.
        #[serde(with = "text::optional_reason")]
        reason: Option<String>,
        /// The plant's work-order number.
        #[serde(with = "text::optional_name")]
        ticket: Option<String>,
    },
    /// Ends a session softly; `Ended` follows.
    Close {
        /// Which one.
        session: SessionId,
    },
    /// Asks for a `Pong`.
    Ping,
    /// Asks for a new certificate of the same person, for a new key; the one of this sign-in stays as it is.
    Renew {
        /// A PKCS#10 request, signed by the new key. Only the key is taken from it.
        request: Der,
    },
    /// Asks for a page on which a passkey can be used; [`ToClient::PasskeyPage`] answers. It replaces the page that
    /// this connection was given before.
    BeginPasskey {
        /// Where the page is to hand over what it gets.
        loopback: Loopback,
        /// The targets that the technician wants, for the page to show; it decides nothing. At most
        /// [`MOST_WANTED`](crate::MOST_WANTED).
        #[serde(with = "text::wanted")]
        wanted: Vec<String>,
    },
    /// The second factor: what the page handed over, or what an authenticator that the client spoke to itself gave.
    Assertion {
        /// The `AuthenticationResponseJSON` (WebAuthn level 3, 5.1.8).
        #[serde(with = "text::assertion")]
        json: String,
    },
    /// After the sign-in: asks for a page on which a new passkey can be registered; [`ToClient::PasskeyPage`] or
    /// [`ToClient::PasskeyNotAdded`] answers.
    BeginRegistration {
        /// Where the page is to hand over what it gets.
        loopback: Loopback,
        /// What the person calls the passkey.
        #[serde(with = "text::name")]
        name: String,
    },
    /// What the page of a registration handed over, or what an authenticator gave that the client spoke to itself;
    /// [`ToClient::PasskeyAdded`] or [`ToClient::PasskeyNotAdded`] answers.
    Registration {
        /// The `RegistrationResponseJSON` (WebAuthn level 3, 5.1.8).
        #[serde(with = "text::registration")]
        json: String,
    },
    /// Asks for the use of a passkey without a page: the client speaks to the authenticator itself.
    /// [`ToClient::PasskeyOptions`] answers. It replaces the page or the options that this connection was given before.
    BeginDirectPasskey,
    /// After the sign-in: asks for the registration of a passkey without a page; [`ToClient::PasskeyOptions`] or
    /// [`ToClient::PasskeyNotAdded`] answers.
    BeginDirectRegistration {
        /// What the person calls the passkey.
        #[serde(with = "text::name")]
        name: String,
    },
}

/// What the gateway says on the control stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToClient {
    /// The certificate was accepted; the second factor is still missing.
    Welcome {
        /// The gateway's [`VERSION`](crate::VERSION).
        version: u16,
        /// The gateway's wall clock, milliseconds since 1970-01-01T00:00Z, so that the client can warn of a wrong one.
        gateway_time_ms: i64,
        /// The handle of the person to whom this certificate belongs.
        #[serde(with = "text::name")]
        person: String,
        /// The second factors that may be used now.
        #[serde(with = "text::list")]
        factors: Vec<Factor>,
        /// The plant's word of greeting or warning.
        #[serde(with = "text::optional_explanation")]
        banner: Option<String>,
    },
    /// The sign-in is complete.
    SignedIn {
        /// What it is worth.
        assurance: Assurance,
        /// When the sign-in ends at the latest, milliseconds since 1970-01-01T00:00Z.
        expires_ms: i64,
    },
    /// What was asked before the sign-in was complete is refused.
    Refused {
        /// The number of the reason.
        code: Refusal,
        /// The reason in words.
        #[serde(with = "text::explanation")]
        text: String,
        /// Seconds after which another code may be sent (0: at once); `None`: the gateway is done with this
        /// connection and closes it.
        retry_after_s: Option<u32>,
    },
    /// Everything that this person may open.
    Targets(#[serde(with = "text::list")] Vec<TargetInfo>),
    /// A session was opened; channels may follow.
    Opened {
        /// The number from `Open`.
        request: u32,
        /// The session's name.
        session: SessionId,
        /// The target's id.
        #[serde(with = "text::target")]
        target: String,
        /// The services for which channels may be asked.
        #[serde(with = "text::list")]
        services: Vec<ServiceInfo>,
        /// When the session ends at the latest, milliseconds since 1970-01-01T00:00Z.
        expires_ms: i64,
        /// How strictly it is recorded: `default`, `durable` or `ordered`.
        #[serde(with = "text::name")]
        recording_mode: String,
        /// What the target can stand.
        limits: Limits,
    },
    /// A session was not opened.
    NotOpened {
        /// The number from `Open`.
        request: u32,
        /// The number of the reason.
        code: Refusal,
        /// The reason in words.
        #[serde(with = "text::explanation")]
        text: String,
    },
    /// Something happened in a session.
    Notice {
        /// In which one.
        session: SessionId,
        /// What.
        notice: Notice,
    },
    /// The newest signed checkpoint of a session's recording, for the client to keep.
    Checkpoint {
        /// Of which session.
        session: SessionId,
        /// The signed note (C2SP signed-note), as it stands.
        #[serde(with = "text::note")]
        note: String,
    },
    /// The answer to `Ping`.
    Pong,
    /// The newest signed head of the gateway's site log, for the client to keep.
    LogCheckpoint {
        /// The signed note (C2SP signed-note), as it stands.
        #[serde(with = "text::note")]
        note: String,
    },
    /// The second factor is asked for again: no request of any session passes until it is given. A code is sent as at
    /// the sign-in; `SignedIn` or `Refused` answers it.
    FactorAgain {
        /// Why, in words.
        #[serde(with = "text::explanation")]
        text: String,
        /// Seconds within which it has to be given, or the sessions end.
        within_s: u32,
        /// The second factors that may be used.
        #[serde(with = "text::list")]
        factors: Vec<Factor>,
    },
    /// The answer to `Renew`.
    Renewal(Renewal),
    /// A page on which a passkey can be used or registered, once.
    PasskeyPage {
        /// Its address; good for one visit.
        #[serde(with = "text::explanation")]
        url: String,
        /// The short code that the page shows too: the technician compares them.
        #[serde(with = "text::name")]
        code: String,
        /// Seconds until the page and what it gives are worth nothing.
        within_s: u32,
    },
    /// A passkey was registered for this person.
    PasskeyAdded {
        /// What it is called.
        #[serde(with = "text::name")]
        name: String,
    },
    /// No passkey was registered.
    PasskeyNotAdded {
        /// The number of the reason.
        code: Refusal,
        /// The reason in words.
        #[serde(with = "text::explanation")]
        text: String,
    },
    /// What an authenticator is to sign, for a client that speaks to it itself. Only an answer that names its
    /// [`caller`](crate::passkey::caller) counts.
    PasskeyOptions {
        /// The origin of the gateway's page, `https://NAME[:PORT]`.
        #[serde(with = "text::address")]
        origin: String,
        /// `PublicKeyCredentialRequestOptionsJSON` or `PublicKeyCredentialCreationOptionsJSON` (WebAuthn level 3,
        /// 5.1.8), as was asked for.
        #[serde(with = "text::options")]
        json: String,
        /// Seconds until an answer is worth nothing.
        within_s: u32,
    },
}

/// What came of the wish for a new certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// It was issued.
    Issued {
        /// The new certificate, then what leads to its authority.
        #[serde(with = "text::list")]
        chain: Vec<Der>,
    },
    /// It was not.
    Refused {
        /// The number of the reason.
        code: Refusal,
        /// The reason in words.
        #[serde(with = "text::explanation")]
        text: String,
    },
}

/// What happened in a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// A request was denied; the tool got its protocol's own refusal.
    Denied {
        /// The channel's number, as in its header.
        channel: u32,
        /// The operation in words, e.g. `write holding[100] = 731`.
        #[serde(with = "text::explanation")]
        operation: String,
        /// Why, in words.
        #[serde(with = "text::explanation")]
        reason: String,
        /// The rule that decided, e.g. `policy.csv:12`; empty if none did.
        #[serde(with = "text::name")]
        rule: String,
    },
    /// The session will end.
    Ending {
        /// Why.
        reason: EndReason,
        /// Seconds until then.
        in_s: u32,
    },
    /// The session has ended; its channels are closed.
    Ended {
        /// Why.
        reason: EndReason,
        /// More in words; may be empty.
        #[serde(with = "text::explanation")]
        text: String,
    },
    /// The rules changed and the session goes on under new terms.
    GrantChanged {
        /// When the session ends now, milliseconds since 1970-01-01T00:00Z.
        expires_ms: i64,
        /// What changed, in words; may be empty.
        #[serde(with = "text::explanation")]
        text: String,
    },
    /// How much was done so far; sent from time to time and before `Ended`.
    Activity {
        /// Requests decided since the session began.
        operations: u64,
        /// Those of them that were denied.
        denied: u64,
    },
}

/// The first message on every channel's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelHeader {
    /// The session under which the channel runs.
    pub session: SessionId,
    /// Chosen by the client, unique within the session.
    pub channel: u32,
    /// The service's name from `Opened`.
    #[serde(with = "text::name")]
    pub service: String,
    /// How the tool's traffic comes in.
    pub transport: Transport,
    /// The number of bytes that the client already had from an earlier stream of this channel; 0 until resuming
    /// a channel exists.
    pub resume_offset: u64,
}

/// The gateway's one message on a channel's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelReply {
    /// Connected; raw bytes follow.
    Open,
    /// Not connected; the stream ends.
    Refused {
        /// The number of the reason.
        code: Refusal,
        /// The reason in words.
        #[serde(with = "text::explanation")]
        text: String,
    },
}

/// A target as its person may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// The id that `Open` takes.
    #[serde(with = "text::target")]
    pub id: String,
    /// The zone it stands in.
    #[serde(with = "text::name")]
    pub zone: String,
    /// Its services.
    #[serde(with = "text::list")]
    pub services: Vec<ServiceInfo>,
}

/// A service of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// Its name.
    #[serde(with = "text::name")]
    pub name: String,
    /// The port that tools expect it at.
    pub port: u16,
    /// The protocol by which it is judged, e.g. `modbus`, or `tcp` for one that is not looked into.
    #[serde(with = "text::name")]
    pub protocol: String,
    /// How its traffic is carried.
    pub transport: Transport,
}

/// What a target can stand, for the client to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Channels at once.
    pub channels: u16,
    /// Requests per second, kept by slowing down; `None`: no limit.
    pub requests_per_second: Option<u32>,
    /// Requests that may wait for their answer at once.
    pub outstanding: u16,
}

/// How a channel's traffic is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// A TCP connection.
    Tcp,
}

/// A kind of second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Factor {
    /// A time-based one-time code (RFC 6238).
    Totp,
    /// A WebAuthn assertion with user verification.
    Webauthn,
}

/// Where on the technician's own machine the client waits for what a page hands over: a listener on 127.0.0.1 that
/// takes one request, at a path that nobody else knows.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loopback {
    /// The TCP port.
    pub port: u16,
    /// The path: random, used once.
    pub nonce: [u8; 16],
}

impl std::fmt::Debug for Loopback {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Loopback({}, hidden)", self.port)
    }
}

/// What a completed sign-in is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assurance {
    /// Two possession factors: key file and one-time code. Below AAL2 of SP 800-63B-4.
    CertificateAndTotp,
    /// Key file and a WebAuthn assertion with user verification.
    CertificateAndWebauthn,
}
