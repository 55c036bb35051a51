//! Services that are carried without being understood.

use crate::sim::{Options, Rights, SECOND, Sim, terms};
use authz::Mode;
use dissect::Protocol;
use session::{Decision, Event, How, Input, Refusal, Tap};

fn vnc(options: Options) -> Sim {
    let mut sim = Sim::new(options);
    sim.open(1, Protocol::Tcp);
    sim
}

#[test]
fn its_use_is_judged_once_and_its_bytes_are_carried_and_recorded() {
    let mut sim = vnc(Options::default());
    sim.device_says(1, b"RFB 003.008\n");
    assert_eq!(sim.sent_to_client(1), b"RFB 003.008\n");
    sim.client_says(1, b"RFB 003.007\n");
    assert_eq!(sim.sent_to_device(1), b"", "every byte may change the device");
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"RFB 003.007\n");
    for tap in [Tap::FromClient, Tap::ToDevice] {
        assert_eq!(sim.tap(1, tap), b"RFB 003.007\n");
    }
    assert_eq!(sim.operations(), ["use vnc: allow"]);
}

#[test]
fn what_it_shows_in_the_clear_is_recorded_behind_its_bytes() {
    let mut sim = vnc(Options::default());
    sim.device_says(1, b"RFB 003");
    sim.device_says(1, b".008\n");
    sim.client_says(1, b"RFB 003.007\n");
    sim.client_says(1, b"no security type");
    let seen: Vec<_> = sim
        .events
        .iter()
        .filter_map(|(_, event)| {
            if let Event::Observed { channel: 1, tap, offset, fact, value } = event {
                Some(format!("{tap}+{offset} {fact} {value}"))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        seen,
        [
            "from_device+0 rfb.version 3.8",
            "from_client+0 rfb.version 3.7",
            "from_client+12 rfb.security-type type 110"
        ]
    );
    assert_eq!(sim.sent_to_client(1), b"RFB 003.008\n");
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"RFB 003.007\nno security type");
}

#[test]
fn nothing_waits_in_ordered_mode() {
    let mut sim = vnc(Options { mode: Mode::Ordered, ..Options::default() });
    sim.client_says(1, b"\x01");
    assert_eq!(sim.sent_to_device(1), b"\x01");
}

#[test]
fn without_a_rule_there_is_no_channel() {
    let mut sim = Sim::new(Options::default());
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    sim.open(1, Protocol::Tcp);
    assert_eq!(sim.refused[&1].0, Refusal::NotPermitted);
    assert!(!sim.confirmed.contains(&1));
    assert!(sim.events.iter().any(|(_, event)| matches!(
        event,
        Event::Operation { channel: 1, length: 0, decision: Decision::Deny, .. }
    )));
}

#[test]
fn a_right_that_ends_closes_the_channel_and_holds_back_what_waits() {
    let mut sim = vnc(Options::default());
    sim.client_says(1, b"key");
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"");
    assert!(sim.why_closed(1).starts_with("the service is no longer permitted"));
}

#[test]
fn each_half_is_closed_on_its_own() {
    let mut sim = vnc(Options::default());
    sim.client_says(1, b"last words");
    sim.give(Input::ClientFinished { channel: 1 });
    assert!(!sim.device.contains_key(&1), "the last words come first");
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"last words");
    assert!(sim.device[&1].finished && sim.closed.is_empty());
    sim.device_says(1, b"reply");
    sim.give(Input::DeviceFinished { channel: 1 });
    assert_eq!(sim.sent_to_client(1), b"reply");
    assert!(sim.client[&1].finished);
    assert_eq!(sim.closed[&1].0, How::Soft);
}

#[test]
fn the_device_may_finish_first() {
    let mut sim = vnc(Options::default());
    sim.give(Input::DeviceFinished { channel: 1 });
    assert!(sim.client[&1].finished && sim.closed.is_empty());
    sim.client_says(1, b"bye");
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"bye");
    sim.give(Input::ClientFinished { channel: 1 });
    assert_eq!(sim.closed[&1].0, How::Soft);
}

#[test]
fn a_client_is_held_back_while_much_waits_for_storage() {
    let mut sim = vnc(Options::default());
    let mut given = 0;
    while sim.wants(1) {
        sim.client_says(1, &[7; 4096]);
        given += 4096;
    }
    assert_eq!(given, session::BUFFERED);
    sim.durable();
    assert!(sim.wants(1));
    assert_eq!(sim.sent_to_device(1).len(), given);
}

#[test]
fn a_window_that_closes_ends_the_channel_although_only_the_device_sends() {
    let mut sim = vnc(Options::default());
    sim.give(Input::NewTerms(terms(Rights::Evening)));
    sim.wait(3599 * SECOND);
    sim.device_says(1, b"screen");
    assert_eq!(sim.sent_to_client(1), b"screen");
    sim.wait(2 * SECOND);
    assert!(sim.why_closed(1).starts_with("the service is no longer permitted"), "{}", sim.why_closed(1));
}

#[test]
fn each_piece_is_judged_when_it_comes() {
    let mut sim = vnc(Options { mode: Mode::Ordered, ..Options::default() });
    // From here on the channel is judged a half second off the full ones.
    sim.wait(SECOND / 2);
    sim.give(Input::NewTerms(terms(Rights::Evening)));
    sim.wait(3599 * SECOND);
    sim.client_says(1, b"before");
    sim.wait(3 * SECOND / 4);
    assert!(sim.closed.is_empty());
    sim.client_says(1, b"after");
    assert_eq!(sim.sent_to_device(1), b"before");
}
