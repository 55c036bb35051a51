//! What a target is spared, and what the gateway keeps.

use crate::sim::{Options, Rights, SECOND, Sim, answer, frames, read, terms};
use authz::Limits;
use dissect::Protocol;
use session::{BUFFERED, Input, PIECE, Refusal};

fn with(limits: Limits) -> Options {
    Options { limits, ..Options::default() }
}

#[test]
fn no_more_channels_than_the_target_allows() {
    let mut sim = Sim::new(with(Limits { channels: 2, ..Limits::default() }));
    for channel in 1..=3 {
        sim.open(channel, Protocol::Modbus);
    }
    assert_eq!(sim.refused[&3].0, Refusal::Busy);
    assert_eq!(sim.core.channels(), 2);
    sim.give(Input::DeviceFinished { channel: 1 });
    sim.open(4, Protocol::Modbus);
    assert!(sim.confirmed.contains(&4));
}

#[test]
fn no_more_requests_under_way_than_the_target_allows() {
    let mut sim = Sim::plc(with(Limits { outstanding: 3, ..Limits::default() }));
    let requests: Vec<_> = (0..5).map(|id| read(id, 0, 1)).collect();
    sim.client_says(1, &requests.concat());
    assert_eq!(frames(sim.sent_to_device(1)).len(), 3);
    assert!(!sim.wants(1), "the client is held back");
    sim.device_says(1, &answer(&requests[0]));
    assert_eq!(frames(sim.sent_to_device(1)).len(), 4);
    sim.device_says(1, &answer(&requests[1]));
    assert_eq!(frames(sim.sent_to_device(1)).len(), 5);
    assert!(sim.wants(1));
}

#[test]
fn an_overdue_request_leaves_its_place_to_the_next() {
    let mut sim = Sim::plc(with(Limits { outstanding: 1, ..Limits::default() }));
    sim.client_says(1, &[read(1, 0, 1), read(2, 0, 1)].concat());
    assert_eq!(frames(sim.sent_to_device(1)).len(), 1);
    sim.wait(5 * SECOND);
    assert_eq!(frames(sim.sent_to_device(1)).len(), 2);
}

#[test]
fn requests_are_held_to_the_pace_and_never_refused_for_it() {
    let limits = Limits { requests_per_second: Some(20), outstanding: 1000, ..Limits::default() };
    let mut sim = Sim::new(with(limits));
    sim.open(1, Protocol::Modbus);
    sim.open(2, Protocol::Modbus);
    let requests: Vec<_> = (0..100).map(|id| read(id, 0, 1)).collect();
    sim.client_says(1, &requests.concat());
    sim.client_says(2, &requests.concat());
    sim.wait(2 * SECOND);
    let sent = [1, 2].map(|channel| frames(sim.sent_to_device(channel)).len());
    assert!((40..=43).contains(&(sent[0] + sent[1])), "{sent:?} requests in 2 s at 20/s");
    assert!(sent[1] >= 18, "both channels have their turns: {sent:?}");
    sim.wait(8 * SECOND);
    assert_eq!(sim.sent_to_device(1), requests.concat());
    assert_eq!(sim.sent_to_device(2), requests.concat());
}

#[test]
fn a_rule_with_a_rate_paces_its_own_requests_and_no_others() {
    let mut sim = Sim::new(with(Limits { outstanding: 1000, ..Limits::default() }));
    sim.open(1, Protocol::Modbus);
    sim.open(2, Protocol::Modbus);
    sim.give(Input::NewTerms(terms(Rights::Paced)));
    let slow: Vec<_> = (0..40).map(|id| read(id, 0, 1)).collect();
    let fast: Vec<_> = (0..40).map(|id| read(id, 10, 1)).collect();
    sim.client_says(1, &slow.concat());
    sim.client_says(2, &fast.concat());
    assert_eq!(sim.sent_to_device(2), fast.concat(), "nothing holds these back");
    sim.wait(4 * SECOND);
    let sent = frames(sim.sent_to_device(1)).len();
    assert!((20..=22).contains(&sent), "{sent} requests in 4 s at 5/s");
    sim.wait(4 * SECOND);
    assert_eq!(sim.sent_to_device(1), slow.concat(), "held back and not refused");
}

#[test]
fn a_client_that_is_not_held_back_is_cut_off() {
    let mut sim = Sim::plc(with(Limits { outstanding: 1, ..Limits::default() }));
    let requests: Vec<_> = (0..1000).map(|id| read(id, 0, 1)).collect();
    for _ in 0..(2 * (BUFFERED + PIECE) / requests.concat().len()) {
        sim.client_says(1, &requests.concat());
    }
    assert_eq!(sim.why_closed(1), "more bytes than were asked for");
}

#[test]
fn nothing_is_wanted_before_the_device_is_there() {
    let mut sim = Sim::new(Options::default());
    sim.ask(1, Protocol::Modbus);
    assert!(!sim.wants(1));
    sim.client_says(1, &read(1, 0, 1));
    assert_eq!(sim.sent_to_device(1), b"");
    sim.give(Input::DeviceConnected { channel: 1 });
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
}

#[test]
fn silent_devices_cost_bounded_memory() {
    let mut sim = Sim::plc(with(Limits { outstanding: 1024, ..Limits::default() }));
    let mut id = 0;
    while sim.closed.is_empty() {
        assert!(id < 4096, "overdue requests without an end");
        sim.client_says(1, &(id..id + 512).flat_map(|id| read(id, 0, 1)).collect::<Vec<_>>());
        sim.wait(6 * SECOND);
        id += 512;
    }
    assert_eq!(sim.why_closed(1), "too many requests without an answer");
}

#[test]
fn a_place_that_an_overdue_request_leaves_is_used_whatever_comes_next() {
    let mut sim = Sim::plc(with(Limits { outstanding: 1, ..Limits::default() }));
    sim.open(2, Protocol::Modbus);
    sim.client_says(1, &[read(1, 0, 1), read(2, 0, 1)].concat());
    sim.now = 6 * SECOND;
    sim.client_says(2, &read(1, 0, 1));
    assert_eq!(frames(sim.sent_to_device(1)).len(), 2);
}

#[test]
fn pieces_that_wait_for_storage_are_bounded_in_number_too() {
    let mut sim = Sim::new(Options::default());
    sim.open(1, Protocol::Tcp);
    let mut pieces = 0;
    while sim.wants(1) {
        sim.client_says(1, b".");
        pieces += 1;
    }
    assert_eq!(pieces, 1024);
    sim.durable();
    assert_eq!(sim.sent_to_device(1).len(), 1024);
}
