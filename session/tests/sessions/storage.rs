//! What waits for stable storage, in each mode.

use crate::sim::{Options, Rights, Sim, answer, read, terms, write};
use authz::Mode;
use session::{EndCause, How, Input, Tap};

fn in_mode(mode: Mode) -> Sim {
    Sim::plc(Options { mode, ..Options::default() })
}

#[test]
fn a_write_waits_and_so_does_what_comes_behind_it() {
    let mut sim = in_mode(Mode::Default);
    let requests = [read(1, 0, 1), write(2, 100, 5), read(3, 0, 1)];
    sim.client_says(1, &requests.concat());
    assert_eq!(sim.sent_to_device(1), requests[0]);
    assert_eq!(sim.tap(1, Tap::ToDevice), requests.concat(), "recorded ahead");
    assert_eq!(sim.tickets.len(), 1);
    sim.durable();
    assert_eq!(sim.sent_to_device(1), requests.concat());
}

#[test]
fn each_ticket_releases_what_it_covers_and_no_more() {
    let mut sim = in_mode(Mode::Default);
    sim.client_says(1, &write(1, 100, 1));
    sim.client_says(1, &write(2, 100, 2));
    let tickets: Vec<u64> = sim.tickets.keys().copied().collect();
    assert_eq!(tickets.len(), 2);
    sim.give_back(tickets[0]);
    assert_eq!(sim.sent_to_device(1), write(1, 100, 1));
    sim.give_back(tickets[1]);
    assert_eq!(sim.sent_to_device(1), [write(1, 100, 1), write(2, 100, 2)].concat());
}

#[test]
fn a_ticket_that_was_never_given_out_releases_nothing() {
    let mut sim = in_mode(Mode::Default);
    sim.give(Input::Durable { ticket: 900 });
    sim.client_says(1, &write(1, 100, 1));
    sim.give(Input::Durable { ticket: 900 });
    assert_eq!(sim.sent_to_device(1), b"");
}

#[test]
fn everything_waits_in_durable_mode_and_nothing_in_ordered_mode() {
    let mut sim = in_mode(Mode::Durable);
    sim.client_says(1, &read(1, 0, 1));
    assert_eq!(sim.sent_to_device(1), b"");
    sim.durable();
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    let mut sim = in_mode(Mode::Ordered);
    sim.client_says(1, &write(1, 100, 1));
    assert_eq!(sim.sent_to_device(1), write(1, 100, 1));
}

#[test]
fn a_denied_write_does_not_wait_for_storage() {
    let mut sim = in_mode(Mode::Default);
    sim.client_says(1, &write(1, 20, 1));
    assert!(sim.tickets.is_empty());
    assert_eq!(sim.sent_to_client(1).len(), 9);
}

#[test]
fn a_right_that_ends_while_a_write_waits_stops_it() {
    let mut sim = in_mode(Mode::Default);
    sim.client_says(1, &[write(1, 100, 5), read(2, 0, 1)].concat());
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"");
    assert_eq!(
        sim.why_closed(1),
        "the right to a request ended while it waited for storage; the last 24 bytes recorded for the device \
         were not sent"
    );
}

#[test]
fn a_kill_while_a_write_waits_stops_it() {
    let mut sim = in_mode(Mode::Default);
    sim.client_says(1, &write(1, 100, 5));
    let ticket = *sim.tickets.keys().next().unwrap();
    sim.give(Input::End(EndCause::Killed));
    sim.give(Input::Durable { ticket });
    assert_eq!(sim.sent_to_device(1), b"");
    assert_eq!(sim.ended, Some((How::Hard, EndCause::Killed)));
}

#[test]
fn the_time_for_an_answer_begins_when_the_request_goes() {
    let mut sim = in_mode(Mode::Default);
    sim.client_says(1, &write(1, 100, 5));
    sim.wait(crate::sim::SECOND * 9);
    sim.durable();
    sim.wait(crate::sim::SECOND * 4);
    sim.device_says(1, &answer(&write(1, 100, 5)));
    assert_eq!(sim.answers(), ["1: ok"]);
}
