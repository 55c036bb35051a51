//! What S7 and EtherNet/IP need of a channel beyond requests and answers.

use crate::sim::{Options, Sim};
use crate::speech::{Ask, answer, s7_answer, s7_job, s7_userdata};
use dissect::Protocol;
use session::{Event, Tap, UNASKED};

fn s7(options: Options) -> Sim {
    Sim::speaking(Protocol::S7, options)
}

/// The operations behind the opening.
fn asked(sim: &Sim) -> Vec<String> {
    let operations = sim.operations();
    operations.into_iter().filter(|text| !text.starts_with("housekeeping")).collect()
}

#[test]
fn housekeeping_comes_with_the_grant() {
    for (protocol, expected) in [
        (
            Protocol::S7,
            vec![
                "housekeeping = PG rack 0 slot 2 (connect): allow",
                "housekeeping (setup communication): allow",
            ],
        ),
        (Protocol::Enip, vec!["housekeeping (register session): allow"]),
    ] {
        assert_eq!(Sim::speaking(protocol, Options::default()).operations(), expected);
    }
}

#[test]
fn a_denied_item_is_refused_in_s7_and_the_next_request_passes() {
    let mut sim = s7(Options::default());
    let before = sim.sent_to_device(1).len();
    let refused = Ask::Write(20, 7);
    sim.client_says(1, &refused.frame(Protocol::S7, 1));
    assert_eq!(sim.sent_to_device(1).len(), before);
    assert!(sim.sent_to_client(1).ends_with(&refused.refusal(Protocol::S7, 1).unwrap()));
    let read = Ask::Read(20).frame(Protocol::S7, 2);
    sim.client_says(1, &read);
    sim.device_says(1, &answer(Protocol::S7, &read));
    assert!(sim.sent_to_client(1).ends_with(&answer(Protocol::S7, &read)));
    let [write, read] = &asked(&sim)[..] else { panic!("{:?}", sim.operations()) };
    assert!(write.starts_with("write db1[40-41] = 7: Deny"), "{write}");
    assert_eq!(read, "read db1[40-41]: allow");
}

#[test]
fn what_the_device_sends_by_itself_passes_and_is_recorded_as_such() {
    let mut sim = s7(Options::default());
    let alarm = s7_userdata(0, 0, 0x11, &[0xFF, 9, 0, 2, 1, 2]);
    sim.device_says(1, &alarm);
    assert!(sim.sent_to_client(1).ends_with(&alarm));
    assert!(sim.tap(1, Tap::ToClient).ends_with(&alarm));
    assert!(sim.events.iter().any(|(_, event)| matches!(
        event,
        Event::Answer { request: UNASKED, text, refused: false, .. } if text == "sent by itself: alarm"
    )));
    // An answer, on the other hand, has to have been asked for.
    sim.device_says(1, &s7_answer(77, 0, &[4, 1], &[0xFF, 4, 0, 16, 0, 0]));
    assert_eq!(sim.why_closed(1), "an answer to which there is no request");
}

#[test]
fn no_more_jobs_are_under_way_than_the_device_agreed_to() {
    let mut sim = s7(Options::default());
    let before = sim.sent_to_device(1).len();
    let jobs: Vec<_> = (1..=6).map(|id| Ask::Read(id).frame(Protocol::S7, id)).collect();
    sim.client_says(1, &jobs.concat());
    // The device of these tests agrees to four.
    assert_eq!(sim.sent_to_device(1)[before..], jobs[..4].concat());
    sim.device_says(1, &answer(Protocol::S7, &jobs[0]));
    assert_eq!(sim.sent_to_device(1)[before..], jobs[..5].concat());
}

#[test]
fn a_denial_waits_behind_the_jobs_that_are_under_way() {
    for protocol in [Protocol::S7, Protocol::Enip] {
        let mut sim = Sim::speaking(protocol, Options::default());
        let (first, denied, last) = (Ask::Read(1), Ask::Write(20, 7), Ask::Read(3));
        let frames = [first.frame(protocol, 1), denied.frame(protocol, 2), last.frame(protocol, 3)];
        let before = sim.sent_to_client(1).len();
        sim.client_says(1, &frames.concat());
        assert_eq!(sim.sent_to_client(1).len(), before, "{protocol}");
        sim.device_says(1, &answer(protocol, &frames[0]));
        sim.device_says(1, &answer(protocol, &frames[2]));
        let expected = [
            answer(protocol, &frames[0]),
            denied.refusal(protocol, 2).unwrap(),
            answer(protocol, &frames[2]),
        ];
        assert_eq!(sim.sent_to_client(1)[before..], expected.concat(), "{protocol}");
    }
}

#[test]
fn what_nobody_waits_for_is_dropped_when_it_is_denied() {
    let mut sim = s7(Options::default());
    let before = sim.sent_to_device(1).len();
    // An acknowledgement of a job that the device never gave.
    sim.client_says(1, &s7_answer(9, 0, &[0x1B, 0], &[]));
    assert_eq!(sim.sent_to_device(1).len(), before);
    assert_eq!(sim.why_closed(1), "it is open");
    assert!(asked(&sim)[0].contains("Deny"), "{:?}", sim.operations());
    sim.client_says(1, &Ask::Read(1).frame(Protocol::S7, 2));
    assert!(sim.sent_to_device(1).len() > before);
}

#[test]
fn a_download_is_judged_by_its_first_request() {
    let mut sim = s7(Options::default());
    let before = sim.sent_to_device(1).len();
    let parameter = [&[0x1A, 0, 1, 0, 0, 0, 0, 0, 9][..], b"_0A00001P", &[13], b"1000100000064"].concat();
    sim.client_says(1, &s7_job(1, &parameter, &[]));
    assert_eq!(sim.sent_to_device(1).len(), before);
    assert!(sim.sent_to_client(1).ends_with(&s7_answer(1, 0x8703, &[0x1A], &[])));
}

#[test]
fn what_an_opaque_service_shows_is_noted_beside_its_bytes() {
    let mut sim = Sim::new(Options::default());
    sim.open(1, Protocol::S7Plus);
    let unit = hex::decode("0300002102f0807201001231000005b30000000000000000300000000072010000").unwrap();
    sim.client_says(1, &unit[..20]);
    sim.client_says(1, &unit[20..]);
    let facts: Vec<_> = sim
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Observed { tap, fact, value, .. } => Some((*tap, fact.name(), value.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(facts, [(Tap::FromClient, "s7plus.unit", "begin TLS")]);
    sim.durable();
    assert_eq!(sim.sent_to_device(1), unit);
}
