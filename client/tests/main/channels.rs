//! A tool's connection as a channel: bytes both ways, each way ended by itself, and no break taken for an end.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::{ChannelReply, Refusal};

use crate::fake::{Fake, Peer, Program, SESSION, plc, soon};

async fn standing() -> (Fake, Program, Peer, TcpStream) {
    let fake = Fake::start();
    let mut program = fake.connect();
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    peer.grant(vec![plc()]).await;
    let tool = TcpStream::connect(program.listening().await).await.unwrap();
    (fake, program, peer, tool)
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let (_fake, _program, mut peer, mut tool) = standing().await;
    let (header, mut channel) = peer.channel().await;
    assert_eq!((header.session, header.service.as_str(), header.resume_offset), (SESSION, "plc", 0));
    // The reply and the device's first bytes in one packet.
    let mut first = wire::encode(&ChannelReply::Open).unwrap();
    first.extend_from_slice(b"ready");
    channel.send.write_all(&first).await.unwrap();
    let mut ready = [0; 5];
    soon(tool.read_exact(&mut ready)).await.unwrap();
    assert_eq!(&ready, b"ready");

    tool.write_all(b"last request").await.unwrap();
    tool.shutdown().await.unwrap();
    let mut heard = Vec::new();
    while let Some(bytes) = channel.read().await.unwrap() {
        heard.extend(bytes);
    }
    assert_eq!(heard, b"last request");
    // The tool has finished; the device may still answer, and more than any buffer holds.
    let long = vec![0x5a; 3_000_000];
    let (sent, got) = tokio::join!(
        async {
            channel.send.write_all(&long).await.unwrap();
            channel.send.finish().unwrap();
        },
        async {
            let mut got = Vec::new();
            soon(tool.read_to_end(&mut got)).await.unwrap();
            got
        }
    );
    assert_eq!((sent, got.len()), ((), long.len()));
    assert!(got == long);
}

#[tokio::test]
async fn a_channel_that_the_gateway_cuts_is_no_clean_end_for_the_tool() {
    let (_fake, _program, mut peer, mut tool) = standing().await;
    let mut channel = peer.open_channel().await;
    channel.send.write_all(b"half an ans").await.unwrap();
    let mut half = [0; 11];
    soon(tool.read_exact(&mut half)).await.unwrap();
    channel.send.reset(0_u32.into()).unwrap();
    let error = soon(tool.read(&mut half)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_tool_that_breaks_off_is_no_clean_end_for_the_gateway() {
    let (_fake, _program, mut peer, mut tool) = standing().await;
    let mut channel = peer.open_channel().await;
    tool.write_all(b"half a req").await.unwrap();
    assert_eq!(channel.read().await.unwrap().unwrap(), b"half a req");
    tool.set_zero_linger().unwrap();
    drop(tool);
    assert!(matches!(channel.read().await, Err(quinn::ReadError::Reset(_))));
}

#[tokio::test]
async fn a_refused_channel_closes_the_connection_and_tells_why() {
    let (_fake, mut program, mut peer, mut tool) = standing().await;
    let (_, mut channel) = peer.channel().await;
    channel.say(&ChannelReply::Refused { code: Refusal::Unreachable, text: "no route\x07".into() }).await;
    let error = soon(tool.read(&mut [0; 1])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let told = program.remark("press:plc").await;
    assert_eq!(told, "press:plc: the device did not answer (no route\\x07)");
}

#[tokio::test]
async fn channels_are_numbered_and_counted_while_they_stand() {
    let (_fake, mut program, mut peer, first) = standing().await;
    let address = first.peer_addr().unwrap();
    let (header, mut channel) = peer.channel().await;
    assert_eq!(header.channel, 1);
    channel.say(&ChannelReply::Open).await;
    program.remark("| 1 channel,").await;
    let second = TcpStream::connect(address).await.unwrap();
    let (header, mut other) = peer.channel().await;
    assert_eq!(header.channel, 2);
    other.say(&ChannelReply::Open).await;
    program.remark("| 2 channels,").await;
    drop(second);
    assert_eq!(other.read().await.unwrap(), None);
    other.send.finish().unwrap();
    program.remark("| 1 channel,").await;
}

#[tokio::test]
async fn a_taken_port_is_said_so_and_all_services_of_a_target_are_listened_for() {
    let fake = Fake::start();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut program = fake.gatehouse(&["connect", "press", "--totp-file", &fake.seed()]);
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    let service = |name: &str, port| wire::ServiceInfo { name: name.into(), port, ..plc() };
    peer.grant(vec![service("plc", port), service("web", port)]).await;
    let first = program.answer().await;
    let second = program.answer().await;
    assert!(first.starts_with("listening press:plc 127.0.0.1:"), "{first}");
    assert!(second.starts_with("listening press:web 127.0.0.1:"), "{second}");
    assert!(!first.ends_with(&format!(":{port}")), "{first}");
    program.remark(&format!("port {port} is taken: listening on 127.0.0.1:")).await;
}

#[tokio::test]
async fn each_service_can_be_given_its_own_address_and_no_more_than_that() {
    let fake = Fake::start();
    let seed = fake.seed();
    let two = ["--listen", "127.0.0.2:0", "--listen", "127.0.0.3:0"];
    let of = |listens: &[&'static str]| {
        let named = ["connect", "press", "--totp-file", seed.as_str()];
        fake.gatehouse(&[&named[..], listens].concat())
    };
    let mut program = of(&two);
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    let service = |name: &str| wire::ServiceInfo { name: name.into(), ..plc() };
    peer.grant(vec![service("plc"), service("web")]).await;
    let (first, second) = (program.answer().await, program.answer().await);
    assert!(first.starts_with("listening press:plc 127.0.0.2:"), "{first}");
    assert!(second.starts_with("listening press:web 127.0.0.3:"), "{second}");
    let mut program = of(&[&two[..], &["--listen", "127.0.0.4:0"]].concat());
    let mut peer = fake.accept().await;
    peer.sign_in().await;
    peer.grant(vec![service("plc"), service("web")]).await;
    program.remark("--listen was given 3 times for 2 services").await;
    assert_eq!(program.end().await.0, Some(4));
}

#[tokio::test]
async fn an_end_by_the_technician_is_no_clean_end_for_a_tool_in_the_middle() {
    let (_fake, mut program, mut peer, mut tool) = standing().await;
    let mut channel = peer.open_channel().await;
    channel.send.write_all(b"half an ans").await.unwrap();
    let mut half = [0; 11];
    soon(tool.read_exact(&mut half)).await.unwrap();
    program.remark("| 1 channel,").await;
    program.signal(rustix::process::Signal::TERM);
    let error = soon(tool.read(&mut half)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(program.end().await.0, Some(0));
}
