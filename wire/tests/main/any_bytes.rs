//! Whatever a peer sends: no panic, no spelling but our own, and what was written is read back.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::{
    AFTER_SIGN_IN, BEFORE_SIGN_IN, ChannelHeader, ChannelReply, Code, EndReason, Factor, Limits, Loopback,
    Message, Notice, PREFIX, Refusal, ServiceInfo, SessionId, TargetInfo, ToClient, ToGateway, Transport,
    decode, encode,
};

fn session() -> impl Strategy<Value = SessionId> {
    any::<[u8; 16]>().prop_map(SessionId::from_bytes)
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop::sample::select(Refusal::ALL)
}

fn end_reason() -> impl Strategy<Value = EndReason> {
    prop::sample::select(EndReason::ALL)
}

fn service() -> impl Strategy<Value = ServiceInfo> {
    (".{0,20}", any::<u16>(), "[a-z]{1,8}").prop_map(|(name, port, protocol)| ServiceInfo {
        name,
        port,
        protocol,
        transport: Transport::Tcp,
    })
}

fn loopback() -> impl Strategy<Value = Loopback> {
    (any::<u16>(), any::<[u8; 16]>()).prop_map(|(port, nonce)| Loopback { port, nonce })
}

fn to_gateway() -> impl Strategy<Value = ToGateway> {
    prop_oneof![
        (any::<u16>(), ".{0,30}").prop_map(|(version, software)| ToGateway::Hello { version, software }),
        "[0-9]{1,16}".prop_map(|digits| ToGateway::Totp { code: Code::parse(&digits).unwrap() }),
        Just(ToGateway::Targets),
        (any::<u32>(), ".{0,30}", option::of(".{0,99}"), option::of(".{0,30}")).prop_map(
            |(request, target, reason, ticket)| ToGateway::Open { request, target, reason, ticket }
        ),
        session().prop_map(|session| ToGateway::Close { session }),
        Just(ToGateway::Ping),
        (loopback(), vec(".{0,30}", 0..=wire::MOST_WANTED))
            .prop_map(|(loopback, wanted)| ToGateway::BeginPasskey { loopback, wanted }),
        ".{0,99}".prop_map(|json| ToGateway::Assertion { json }),
        (loopback(), ".{0,30}").prop_map(|(loopback, name)| ToGateway::BeginRegistration { loopback, name }),
        ".{0,99}".prop_map(|json| ToGateway::Registration { json }),
        Just(ToGateway::BeginDirectPasskey),
        ".{0,30}".prop_map(|name| ToGateway::BeginDirectRegistration { name }),
    ]
}

fn notice() -> impl Strategy<Value = Notice> {
    prop_oneof![
        (any::<u32>(), ".{0,40}", ".{0,40}", ".{0,20}").prop_map(|(channel, operation, reason, rule)| {
            Notice::Denied { channel, operation, reason, rule }
        }),
        (end_reason(), any::<u32>()).prop_map(|(reason, in_s)| Notice::Ending { reason, in_s }),
        (end_reason(), ".{0,40}").prop_map(|(reason, text)| Notice::Ended { reason, text }),
        (any::<i64>(), ".{0,40}").prop_map(|(expires_ms, text)| Notice::GrantChanged { expires_ms, text }),
        (any::<u64>(), any::<u64>()).prop_map(|(operations, denied)| Notice::Activity { operations, denied }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (any::<u16>(), option::of(any::<u32>()), any::<u16>()).prop_map(
        |(channels, requests_per_second, outstanding)| Limits { channels, requests_per_second, outstanding },
    )
}

fn opened() -> impl Strategy<Value = ToClient> {
    (any::<u32>(), session(), ".{0,30}", vec(service(), 0..4), any::<i64>(), ".{0,9}", limits()).prop_map(
        |(request, session, target, services, expires_ms, recording_mode, limits)| ToClient::Opened {
            request,
            session,
            target,
            services,
            expires_ms,
            recording_mode,
            limits,
        },
    )
}

fn to_client() -> impl Strategy<Value = ToClient> {
    let target = (".{0,30}", ".{0,9}", vec(service(), 0..4)).prop_map(|(id, zone, services)| TargetInfo {
        id,
        zone,
        services,
    });
    prop_oneof![
        (any::<u16>(), any::<i64>(), ".{0,30}", option::of(".{0,99}")).prop_map(
            |(version, gateway_time_ms, person, banner)| ToClient::Welcome {
                version,
                gateway_time_ms,
                person,
                factors: vec![Factor::Totp],
                banner,
            }
        ),
        (refusal(), ".{0,99}", option::of(any::<u32>()))
            .prop_map(|(code, text, retry_after_s)| ToClient::Refused { code, text, retry_after_s }),
        vec(target, 0..4).prop_map(ToClient::Targets),
        opened(),
        (any::<u32>(), refusal(), ".{0,99}").prop_map(|(request, code, text)| ToClient::NotOpened {
            request,
            code,
            text
        }),
        (session(), notice()).prop_map(|(session, notice)| ToClient::Notice { session, notice }),
        (session(), ".{0,99}").prop_map(|(session, note)| ToClient::Checkpoint { session, note }),
        Just(ToClient::Pong),
        ".{0,99}".prop_map(|note| ToClient::LogCheckpoint { note }),
        (".{0,99}", ".{0,9}", any::<u32>()).prop_map(|(url, code, within_s)| ToClient::PasskeyPage {
            url,
            code,
            within_s
        }),
        ".{0,30}".prop_map(|name| ToClient::PasskeyAdded { name }),
        (refusal(), ".{0,99}").prop_map(|(code, text)| ToClient::PasskeyNotAdded { code, text }),
        (".{0,9}", ".{0,99}", any::<u32>()).prop_map(|(origin, json, within_s)| ToClient::PasskeyOptions {
            origin,
            json,
            within_s
        }),
    ]
}

fn comes_back<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    let mut buffered = BytesMut::from(&encode(message).unwrap()[..]);
    assert_eq!(decode::<M>(&mut buffered, AFTER_SIGN_IN).unwrap().as_ref(), Some(message));
    assert!(buffered.is_empty());
}

/// Reads `bytes` as a message: if that succeeds, writing it gives the very bytes that were taken.
fn reads_only_its_own_spelling<M: Message>(bytes: &[u8]) {
    let mut buffered = BytesMut::from(bytes);
    if let Ok(Some(message)) = decode::<M>(&mut buffered, BEFORE_SIGN_IN) {
        let taken = bytes.len() - buffered.len();
        assert_eq!(encode(&message).unwrap(), &bytes[..taken]);
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes()[..], body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_message_comes_back(message in to_gateway(), answer in to_client()) {
        comes_back(&message);
        comes_back(&answer);
    }

    #[test]
    fn any_bytes_are_read_in_one_spelling_or_refused(body in vec(any::<u8>(), 0..200)) {
        let frame = framed(&body);
        reads_only_its_own_spelling::<ToGateway>(&frame);
        reads_only_its_own_spelling::<ToClient>(&frame);
        reads_only_its_own_spelling::<ChannelHeader>(&frame);
        reads_only_its_own_spelling::<ChannelReply>(&frame);
    }

    #[test]
    fn a_message_with_one_byte_changed_is_read_in_one_spelling_or_refused(
        message in to_client(),
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let mut bytes = encode(&message).unwrap();
        let at = at.index(bytes.len() - PREFIX) + PREFIX;
        bytes[at] ^= change;
        reads_only_its_own_spelling::<ToClient>(&bytes);
    }

    #[test]
    fn a_frame_cut_short_is_awaited(message in to_client(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&message).unwrap();
        let mut buffered = BytesMut::from(&bytes[..at.index(bytes.len())]);
        prop_assert_eq!(decode::<ToClient>(&mut buffered, AFTER_SIGN_IN), Ok(None));
    }
}
