//! The dialogue of the sign-in, as the gateway drives it.

use wire::{Refusal, ServiceInfo, TargetInfo, ToClient, ToGateway, Transport};

use crate::fake::{Fake, signed_in, soon, welcome};

fn refused(retry_after_s: Option<u32>) -> ToClient {
    ToClient::Refused { code: Refusal::Factor, text: String::new(), retry_after_s }
}

#[tokio::test]
async fn targets_are_listed_after_the_sign_in() {
    let fake = Fake::start();
    let mut program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    assert_eq!(peer.control.expect::<ToGateway>().await, ToGateway::Targets);
    let plc = ServiceInfo {
        name: "plc\x1b[2J".into(),
        port: 502,
        protocol: "modbus".into(),
        transport: Transport::Tcp,
    };
    let press = TargetInfo { id: "press".into(), zone: "z".into(), services: vec![plc] };
    peer.control.say(&ToClient::Targets(vec![press])).await;
    assert_eq!(program.answer().await, "press  z  plc\\x1b[2J  502/tcp modbus");
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test]
async fn a_used_code_is_followed_by_the_next_one_once() {
    let fake = Fake::start();
    let mut program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.hello().await;
    peer.control.say(&welcome()).await;
    let ToGateway::Totp { code: first } = peer.control.expect().await else { panic!("a code") };
    peer.control.say(&refused(Some(0))).await;
    let ToGateway::Totp { code: second } = peer.control.expect().await else { panic!("a code") };
    assert_ne!(first, second);
    peer.control.say(&signed_in()).await;
    assert_eq!(peer.control.expect::<ToGateway>().await, ToGateway::Targets);
    peer.control.say(&ToClient::Targets(Vec::new())).await;
    program.remark("perhaps this one was used already; waiting 1 s for the next").await;
    program.remark("no target is open to you").await;
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test]
async fn a_seed_file_does_not_try_for_ever() {
    let fake = Fake::start();
    let program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.hello().await;
    peer.control.say(&welcome()).await;
    for _ in 0..2 {
        assert!(matches!(peer.control.expect().await, ToGateway::Totp { .. }));
        peer.control.say(&refused(Some(0))).await;
    }
    let (code, remarks) = program.end().await;
    assert_eq!(code, Some(6));
    assert!(remarks.ends_with("gatehouse: the second factor was not accepted\n"), "{remarks}");
}

#[tokio::test]
async fn a_final_refusal_is_told_in_the_gateways_words_made_harmless() {
    let fake = Fake::start();
    let program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.hello().await;
    let text = "closed on Sundays\x1b]0;owned\x07".to_owned();
    peer.control.say(&ToClient::Refused { code: Refusal::Expired, text, retry_after_s: None }).await;
    let (code, remarks) = program.end().await;
    assert_eq!(code, Some(6));
    assert_eq!(remarks, "gatehouse: the permission has expired (closed on Sundays\\x1b]0;owned\\x07)\n");
}

#[tokio::test]
async fn a_clock_that_is_off_is_warned_of_and_a_banner_is_shown() {
    let fake = Fake::start();
    let mut program = fake.gatehouse(&["targets", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.hello().await;
    let ToClient::Welcome { version, gateway_time_ms, person, factors, .. } = welcome() else {
        panic!("a welcome")
    };
    let gateway_time_ms = gateway_time_ms + 120_000;
    let banner = Some("Mind the press.\x1b[31m".to_owned());
    peer.control.say(&ToClient::Welcome { version, gateway_time_ms, person, factors, banner }).await;
    assert_eq!(program.remark("Mind").await, "Mind the press.\\x1b[31m");
    let warning = program.remark("warning").await;
    assert!(warning.contains("behind the gateway's"), "{warning}");
}

#[tokio::test]
async fn without_a_terminal_or_a_seed_the_way_out_is_named() {
    let fake = Fake::start();
    let mut command = tokio::process::Command::new("setsid");
    command.arg(env!("CARGO_BIN_EXE_gatehouse")).arg("--profile").arg(fake.profile()).arg("targets");
    let child =
        command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut peer = fake.accept().await;
    peer.hello().await;
    peer.control.say(&welcome()).await;
    let output = soon(child.wait_with_output()).await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("use --totp-file"), "{told}");
}
