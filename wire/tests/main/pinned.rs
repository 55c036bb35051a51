//! Every message in its exact bytes. A change here is a change of the protocol and raises `wire::VERSION`.

use bytes::BytesMut;
use wire::{
    AFTER_SIGN_IN, Assurance, ChannelHeader, ChannelReply, Code, Der, EndReason, Factor, Limits, Loopback,
    Message, Notice, Refusal, Renewal, ServiceInfo, SessionId, TargetInfo, ToClient, ToGateway, Transport,
    decode, encode,
};

const SESSION: SessionId = SessionId::from_bytes([0xab; 16]);
const SESSION_HEX: &str = "abababababababababababababababab";

/// Compares the message's bytes with `pinned` (blanks are for the reader) and reads them back.
fn pin<M: Message + PartialEq + std::fmt::Debug>(message: &M, pinned: &str) {
    let pinned = pinned.replace(' ', "").replace('S', SESSION_HEX);
    let bytes = encode(message).unwrap();
    assert_eq!(hex::encode(&bytes), pinned, "{message:?}");
    let mut buffered = BytesMut::from(&bytes[..]);
    assert_eq!(decode::<M>(&mut buffered, AFTER_SIGN_IN).unwrap().as_ref(), Some(message));
    assert!(buffered.is_empty());
}

fn plc() -> ServiceInfo {
    ServiceInfo { name: "plc".into(), port: 502, protocol: "modbus".into(), transport: Transport::Tcp }
}

#[test]
fn messages_to_the_gateway() {
    pin(
        &ToGateway::Hello { version: 1, software: "gatehouse 0.1".into() },
        "10000000 00 01 0d 67617465686f75736520302e31",
    );
    pin(&ToGateway::Totp { code: Code::parse("123456").unwrap() }, "08000000 01 06 313233343536");
    pin(&ToGateway::Targets, "01000000 02");
    let open =
        ToGateway::Open { request: 7, target: "a/b".into(), reason: Some("leak".into()), ticket: None };
    pin(&open, "0d000000 03 07 03 612f62 01 04 6c65616b 00");
    pin(&ToGateway::Close { session: SESSION }, "11000000 04 S");
    pin(&ToGateway::Ping, "01000000 05");
    pin(&ToGateway::Renew { request: Der::new(vec![0x30, 0]).unwrap() }, "04000000 06 02 3000");
    let loopback = Loopback { port: 40123, nonce: [0xab; 16] };
    let begin = ToGateway::BeginPasskey { loopback, wanted: vec!["a/b".into()] };
    pin(&begin, "19000000 07 bbb902 S 01 03 612f62");
    pin(&ToGateway::Assertion { json: "{}".into() }, "04000000 08 02 7b7d");
    pin(&ToGateway::BeginRegistration { loopback, name: "k".into() }, "16000000 09 bbb902 S 01 6b");
    pin(&ToGateway::Registration { json: "{}".into() }, "04000000 0a 02 7b7d");
    pin(&ToGateway::BeginDirectPasskey, "01000000 0b");
    pin(&ToGateway::BeginDirectRegistration { name: "k".into() }, "03000000 0c 01 6b");
}

#[test]
fn messages_of_the_sign_in() {
    let welcome = ToClient::Welcome {
        version: 1,
        gateway_time_ms: 1000,
        person: "operator-1".into(),
        factors: vec![Factor::Totp, Factor::Webauthn],
        banner: Some("hi".into()),
    };
    pin(&welcome, "16000000 00 01 d00f 0a 6f70657261746f722d31 02 00 01 01 02 6869");
    let signed_in = ToClient::SignedIn { assurance: Assurance::CertificateAndTotp, expires_ms: -1 };
    pin(&signed_in, "03000000 01 00 01");
    let refused = ToClient::Refused { code: Refusal::Factor, text: "no".into(), retry_after_s: Some(300) };
    pin(&refused, "08000000 02 02 02 6e6f 01 ac02");
    let again = ToClient::FactorAgain { text: "due".into(), within_s: 120, factors: vec![Factor::Totp] };
    pin(&again, "08000000 0a 03 647565 78 01 00");
    let page = ToClient::PasskeyPage { url: "u".into(), code: "c".into(), within_s: 120 };
    pin(&page, "06000000 0c 01 75 01 63 78");
    pin(&ToClient::PasskeyAdded { name: "k".into() }, "03000000 0d 01 6b");
    let not_added = ToClient::PasskeyNotAdded { code: Refusal::Factor, text: "no".into() };
    pin(&not_added, "05000000 0e 02 02 6e6f");
    let options = ToClient::PasskeyOptions { origin: "o".into(), json: "{}".into(), within_s: 120 };
    pin(&options, "07000000 0f 01 6f 02 7b7d 78");
}

#[test]
fn messages_about_targets_and_sessions() {
    let targets =
        ToClient::Targets(vec![TargetInfo { id: "a/b".into(), zone: "z".into(), services: vec![plc()] }]);
    pin(&targets, "17000000 03 01 03 612f62 01 7a 01 03 706c63 f603 06 6d6f64627573 00");
    let opened = ToClient::Opened {
        request: 7,
        session: SESSION,
        target: "a/b".into(),
        services: vec![plc()],
        expires_ms: 64,
        recording_mode: "default".into(),
        limits: Limits { channels: 4, requests_per_second: Some(200), outstanding: 16 },
    };
    pin(
        &opened,
        "34000000 04 07 S 03 612f62 01 03 706c63 f603 06 6d6f64627573 00 8001 07 64656661756c74 04 01 c801 10",
    );
    let not_opened = ToClient::NotOpened { request: 7, code: Refusal::Unreachable, text: String::new() };
    pin(&not_opened, "04000000 05 07 09 00");
    pin(&ToClient::Checkpoint { session: SESSION, note: "n\n".into() }, "14000000 07 S 02 6e0a");
    pin(&ToClient::Pong, "01000000 08");
    pin(&ToClient::LogCheckpoint { note: "n\n".into() }, "04000000 09 02 6e0a");
}

#[test]
fn messages_of_a_renewal() {
    let chain = vec![Der::new(vec![0x30, 0]).unwrap()];
    pin(&ToClient::Renewal(Renewal::Issued { chain }), "06000000 0b 00 01 02 3000");
    let refused = Renewal::Refused { code: Refusal::Limit, text: "no".into() };
    pin(&ToClient::Renewal(refused), "06000000 0b 01 0b 02 6e6f");
}

#[test]
fn notices() {
    let notice = |notice| ToClient::Notice { session: SESSION, notice };
    let denied = Notice::Denied { channel: 2, operation: "w".into(), reason: "r".into(), rule: "p".into() };
    pin(&notice(denied), "19000000 06 S 00 02 01 77 01 72 01 70");
    pin(&notice(Notice::Ending { reason: EndReason::WindowClosed, in_s: 900 }), "15000000 06 S 01 08 8407");
    pin(&notice(Notice::Ended { reason: EndReason::Killed, text: "t".into() }), "15000000 06 S 02 02 01 74");
    pin(&notice(Notice::GrantChanged { expires_ms: 1, text: String::new() }), "14000000 06 S 03 02 00");
    pin(&notice(Notice::Activity { operations: 128, denied: 1 }), "15000000 06 S 04 8001 01");
}

#[test]
fn messages_of_a_channel() {
    let header = ChannelHeader {
        session: SESSION,
        channel: 3,
        service: "plc".into(),
        transport: Transport::Tcp,
        resume_offset: 0,
    };
    pin(&header, "17000000 S 03 03 706c63 00 00");
    pin(&ChannelReply::Open, "01000000 00");
    pin(&ChannelReply::Refused { code: Refusal::NotPermitted, text: "x".into() }, "04000000 01 05 01 78");
}

#[test]
fn the_protocol_name_and_version() {
    assert_eq!(wire::ALPN, b"gatehouse/1");
    assert_eq!(wire::VERSION, 2);
}
