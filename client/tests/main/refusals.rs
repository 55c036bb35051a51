//! Who is blamed when the line does not come about: certificate, gateway, protocol, or nobody there.

use wire::{CloseCode, Refusal, ToClient, ToGateway};

use crate::fake::{Expired, Fake, authority, soon};

/// Runs `targets` against a gateway that only shakes hands.
async fn shake_hands(fake: &Fake) -> (Option<i32>, String) {
    let program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    tokio::select! {
        end = program.end() => end,
        () = fake.accept_and_ignore() => panic!("the gateway listens"),
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_the_gateways_refusal() {
    let fake = Fake::start();
    fake.write_profile(&fake.authority, &authority(), Expired::No);
    let (code, told) = shake_hands(&fake).await;
    assert_eq!(code, Some(6), "{told}");
    assert!(told.starts_with("gatehouse: the gateway refuses this certificate: "), "{told}");
}

#[tokio::test]
async fn an_expired_certificate_is_said_to_be_expired() {
    let fake = Fake::start();
    fake.write_profile(&fake.authority, &fake.authority, Expired::Yes);
    let (code, told) = shake_hands(&fake).await;
    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("it has expired"), "{told}");
}

#[tokio::test]
async fn a_gateway_that_the_profile_does_not_trust_is_not_talked_to() {
    let fake = Fake::start();
    fake.write_profile(&authority(), &fake.authority, Expired::No);
    let (code, told) = shake_hands(&fake).await;
    assert_eq!(code, Some(7), "{told}");
    assert!(told.contains("is not the gateway of this profile"), "{told}");
}

#[tokio::test]
async fn nobody_there_is_said_within_ten_seconds() {
    let fake = Fake::start();
    let deaf = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap();
    let profile = std::fs::read_to_string(fake.profile()).unwrap();
    let rest = profile.split_once('\n').unwrap().1;
    std::fs::write(fake.profile(), format!("gateway = \"{address}\"\n{rest}")).unwrap();
    let (code, told) = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]).end().await;
    assert_eq!(code, Some(7), "{told}");
    assert!(told.contains(&format!("no answer from {address}")), "{told}");
}

#[tokio::test]
async fn a_close_with_a_number_becomes_a_sentence() {
    let fake = Fake::start();
    let program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.hello().await;
    peer.connection.close(u32::from(CloseCode::Shutdown.number()).into(), b"back at six\x1b[2J");
    let (code, told) = program.end().await;
    assert_eq!(code, Some(6));
    assert_eq!(
        told,
        "gatehouse: the gateway closed the connection: the gateway is shutting down (back at six\\x1b[2J)\n"
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_end_it_and_so_does_a_giant_one_before_the_sign_in() {
    for bytes in [&[3, 0, 0, 0, 0xff, 0xff, 0xff][..], &[0x01, 0x30, 0, 0], &[0xff, 0xff, 0xff, 0xff]] {
        let fake = Fake::start();
        let program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
        let mut peer = fake.accept().await;
        peer.hello().await;
        peer.control.send.write_all(bytes).await.unwrap();
        let (code, told) = program.end().await;
        assert_eq!(code, Some(7), "{told}");
        assert!(told.contains("does not speak our protocol"), "{told}");
    }
}

#[tokio::test]
async fn a_message_out_of_turn_is_refused() {
    let fake = Fake::start();
    let program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.hello().await;
    peer.control.say(&crate::fake::signed_in()).await;
    let (code, told) = program.end().await;
    assert_eq!(code, Some(7));
    assert!(told.contains("`SignedIn` came out of turn"), "{told}");
}

#[tokio::test]
async fn a_target_that_is_not_opened_ends_it_and_closes_those_that_were() {
    let fake = Fake::start();
    let program = fake.gatehouse(&["connect", "press", "drives", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    let session = peer.grant(vec![crate::fake::plc()]).await;
    let ToGateway::Open { request, target, .. } = peer.control.expect().await else { panic!("an Open") };
    assert_eq!(target, "drives");
    peer.control
        .say(&ToClient::NotOpened { request, code: Refusal::NoSuchTarget, text: String::new() })
        .await;
    assert_eq!(peer.control.expect::<ToGateway>().await, ToGateway::Close { session });
    let reason = wire::EndReason::ClientClosed;
    let notice = wire::Notice::Ended { reason, text: String::new() };
    peer.control.say(&ToClient::Notice { session, notice }).await;
    let (code, told) = program.end().await;
    assert_eq!(code, Some(6));
    assert!(told.ends_with("gatehouse: drives: there is no such target for you\n"), "{told}");
    let closed = soon(peer.connection.closed()).await;
    assert!(
        matches!(closed, quinn::ConnectionError::ApplicationClosed(close) if close.error_code == 0_u32.into())
    );
}
