//! How it ends: by the technician, by the gateway, or because the line is gone; and what `status` shows meanwhile.

use rustix::process::Signal;
use wire::{EndReason, Notice, SessionId, ToClient, ToGateway};

use crate::fake::{Fake, Peer, Program, SESSION, plc};

async fn connected(fake: &Fake) -> (Program, Peer) {
    let mut program = fake.connect();
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    peer.grant(vec![plc()]).await;
    program.listening().await;
    (program, peer)
}

async fn tell(peer: &mut Peer, session: SessionId, notice: Notice) {
    peer.control.say(&ToClient::Notice { session, notice }).await;
}

async fn ended(peer: &mut Peer, session: SessionId, reason: EndReason) {
    tell(peer, session, Notice::Ended { reason, text: String::new() }).await;
}

#[tokio::test]
async fn the_technicians_end_is_soft_and_no_failure() {
    for signal in [Signal::TERM, Signal::INT] {
        let fake = Fake::start();
        let (mut program, mut peer) = connected(&fake).await;
        program.remark("none denied").await;
        program.signal(signal);
        assert_eq!(peer.control.expect::<ToGateway>().await, ToGateway::Close { session: SESSION });
        ended(&mut peer, SESSION, EndReason::ClientClosed).await;
        let (code, told) = program.end().await;
        assert_eq!(code, Some(0));
        assert_eq!(told, "press: ended: closed by the technician\n");
    }
}

#[tokio::test]
async fn a_gateway_that_does_not_confirm_does_not_keep_the_technician() {
    let fake = Fake::start();
    let (mut program, _peer) = connected(&fake).await;
    program.remark("none denied").await;
    program.signal(Signal::TERM);
    let (code, told) = program.end().await;
    assert_eq!(code, Some(0));
    assert!(told.contains("did not confirm"), "{told}");
}

#[tokio::test]
async fn denials_and_warnings_are_told_and_the_gateways_end_has_its_reason() {
    let fake = Fake::start();
    let (mut program, mut peer) = connected(&fake).await;
    let denied = Notice::Denied {
        channel: 1,
        operation: "write holding[731] = 5".into(),
        reason: "no rule\x1b[2J".into(),
        rule: "policy.csv:12".into(),
    };
    tell(&mut peer, SESSION, denied).await;
    let line = program.remark("press: denied").await;
    assert_eq!(line, "press: denied write holding[731] = 5: no rule\\x1b[2J [policy.csv:12]");
    program.remark("denied 1 (last: write holding[731] = 5: no rule\\x1b[2J [policy.csv:12])").await;
    tell(&mut peer, SESSION, Notice::Ending { reason: EndReason::WindowClosed, in_s: 300 }).await;
    program.remark("press: ends in 5 min: the maintenance window is over").await;
    ended(&mut peer, SESSION, EndReason::Killed).await;
    let (code, told) = program.end().await;
    assert_eq!(code, Some(6));
    assert!(told.ends_with("gatehouse: press: ended: ended by the plant\n"), "{told}");
}

#[tokio::test]
async fn one_session_that_ends_leaves_the_others_and_takes_no_more_connections() {
    let fake = Fake::start();
    let mut program = fake.gatehouse(&["connect", "press", "drives", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    let press = peer.grant(vec![plc()]).await;
    let drives = peer.grant(vec![plc()]).await;
    let (first, second) = (program.listening().await, program.listening().await);
    ended(&mut peer, press, EndReason::GrantExpired).await;
    program.remark("drives as operator-1").await;
    let refused = async {
        while tokio::net::TcpStream::connect(first).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    crate::fake::soon(refused).await;
    let _tool = tokio::net::TcpStream::connect(second).await.unwrap();
    let (header, _channel) = loop {
        let (header, channel) = peer.channel().await;
        // Connections that came to the first listener before it closed may have become channels.
        if header.session == drives {
            break (header, channel);
        }
    };
    assert_eq!(header.service, "plc");
    ended(&mut peer, drives, EndReason::PolicyNarrowed).await;
    let (code, told) = program.end().await;
    assert_eq!(code, Some(6));
    assert!(
        told.contains("the time of the permission is over; drives: ended: the policy no longer"),
        "{told}"
    );
}

#[tokio::test]
async fn a_line_that_is_lost_is_not_a_refusal() {
    let fake = Fake::start();
    let (program, mut peer) = connected(&fake).await;
    // The gateway's control stream ends without a word, and nothing else comes.
    peer.control.send.finish().unwrap();
    let (code, told) = program.end().await;
    assert_eq!(code, Some(7), "{told}");
    assert!(told.contains("without a word"), "{told}");
}

#[tokio::test]
async fn status_shows_what_runs_and_forgets_what_was_killed() {
    let fake = Fake::start();
    let (mut program, mut peer) = connected(&fake).await;
    tell(&mut peer, SESSION, Notice::Activity { operations: 812, denied: 2 }).await;
    program.remark("denied 2").await;
    let shown = loop {
        let mut status = fake.gatehouse(&["status", "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&status.answer().await).unwrap();
        assert_eq!(status.end().await.0, Some(0));
        // The state is written once a second; until then it shows the state before.
        if shown[0]["sessions"][0]["denied"] == 2 {
            break shown;
        }
    };
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(shown[0]["person"], "operator-1");
    assert_eq!(shown[0]["process"], program.child.id().unwrap());
    assert_eq!(shown[0]["services"][0]["service"], "plc");
    assert_eq!(shown[0]["sessions"][0]["operations"], 812);
    let mut text = fake.gatehouse(&["status"]);
    assert!(text.answer().await.starts_with("operator-1 at 127.0.0.1:"));
    program.child.kill().await.unwrap();
    let mut status = fake.gatehouse(&["status", "--json"]);
    assert_eq!(status.answer().await, "[]");
}
