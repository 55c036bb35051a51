//! The dialogue of the sign-in, as the gateway drives it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
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
    let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut peer = fake.accept().await;
    peer.hello().await;
    peer.control.say(&welcome()).await;
    let output = soon(child.wait_with_output()).await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("use --passkey or --totp-file"), "{told}");
}

/// Both ends of a fresh terminal.
pub(crate) fn terminal() -> (File, File) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let user = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (File::from(controller), user)
}

/// Reads what the terminal shows until `wanted` is there `times` times, or all that came before the end.
pub(crate) async fn shown(mut controller: File, wanted: &'static str, times: usize) -> String {
    let reading = tokio::task::spawn_blocking(move || {
        let (mut seen, mut bytes) = (String::new(), [0; 1024]);
        while seen.matches(wanted).count() < times {
            match controller.read(&mut bytes) {
                Ok(count) if count > 0 => seen.push_str(&String::from_utf8_lossy(&bytes[..count])),
                Ok(_) | Err(_) => break,
            }
        }
        seen
    });
    soon(reading).await.unwrap()
}

#[tokio::test]
async fn a_person_is_asked_without_echo_and_has_three_tries() {
    let fake = Fake::start();
    let (mut controller, user) = terminal();
    let mut child = tokio::process::Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_gatehouse"), "--profile"])
        .arg(fake.profile())
        .arg("targets")
        .stdin(Stdio::from(user.try_clone().unwrap()))
        .stdout(Stdio::from(user.try_clone().unwrap()))
        .stderr(Stdio::from(user))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut peer = fake.accept().await;
    peer.hello().await;
    peer.control.say(&welcome()).await;
    let mut all = String::new();
    for digits in ["111111", "222222", "333333"] {
        all.push_str(&shown(controller.try_clone().unwrap(), "code for operator-1: ", 1).await);
        // The prompt is shown a moment before the echo is off.
        soon(async {
            while tcgetattr(&controller).unwrap().local_modes.contains(LocalModes::ECHO) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        controller.write_all(format!("{digits}\n").as_bytes()).unwrap();
        let ToGateway::Totp { code } = peer.control.expect().await else { panic!("a code") };
        assert_eq!(code.as_str(), digits);
        peer.control.say(&refused(Some(0))).await;
    }
    all.push_str(&shown(controller, "gatehouse: the second factor was not accepted", 1).await);
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(6));
    assert_eq!(all.matches("try again").count(), 2, "{all}");
    assert!(!["111111", "222222", "333333"].iter().any(|digits| all.contains(digits)), "{all}");
}
