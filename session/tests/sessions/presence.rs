//! The person has to show the second factor again: nothing passes meanwhile,
//! and nothing is lost.

use crate::sim::{Options, Rights, SECOND, Sim, answer, read, terms, write};
use dissect::{Direction, Protocol};
use session::{Due, EndCause, Event, How, Input, Refusal, Tap};

const DUE: Due = Due::Idle(std::time::Duration::from_secs(900));

fn notes(sim: &Sim) -> Vec<&str> {
    sim.events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Note { text } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn no_request_passes_and_no_connection_is_touched_until_the_factor_is_shown() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.give(Input::Pause(DUE));
    assert_eq!(
        notes(&sim),
        ["requests are held back: nothing was changed for 900s, the second factor is due again"]
    );
    // What was asked before is answered.
    sim.device_says(1, &answer(&read(1, 0, 1)));
    assert_eq!(sim.sent_to_client(1), answer(&read(1, 0, 1)));
    let (next, last) = (read(2, 5, 1), write(3, 100, 7));
    sim.client_says(1, &[next.as_slice(), &last].concat());
    sim.wait(100 * SECOND);
    sim.durable();
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    assert_eq!(sim.tap(1, Tap::ToDevice), read(1, 0, 1), "nothing is recorded for the device either");
    assert_eq!(sim.operations().len(), 1, "nothing is judged before its time");
    assert!(sim.closed.is_empty() && sim.sent_to_client(1) == answer(&read(1, 0, 1)), "nothing is denied");
    assert!(sim.wants(1), "the tool's end would be seen");
    sim.give(Input::Resume);
    assert_eq!(sim.sent_to_device(1), [read(1, 0, 1), next].concat());
    sim.durable();
    assert!(sim.sent_to_device(1).ends_with(&last));
    assert_eq!(notes(&sim).last(), Some(&"the second factor was shown again: requests pass"));
}

#[test]
fn what_waited_for_storage_waits_on_and_is_judged_anew() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &write(1, 100, 7));
    sim.give(Input::Pause(DUE));
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"", "it was allowed, and its person is not proven any more");
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    sim.give(Input::Resume);
    assert_eq!(sim.sent_to_device(1), b"");
    assert!(sim.why_closed(1).contains("the right to a request ended"), "{}", sim.why_closed(1));
}

#[test]
fn requests_whose_tool_went_away_are_not_carried_out_later() {
    let mut sim = Sim::plc(Options::default());
    sim.open(2, Protocol::Modbus);
    sim.give(Input::Pause(DUE));
    sim.client_says(1, &write(1, 100, 7));
    sim.give(Input::ClientFinished { channel: 1 });
    assert!(sim.why_closed(1).contains("while its requests were held back"), "{}", sim.why_closed(1));
    // One that had asked nothing ends as it always does.
    sim.give(Input::ClientFinished { channel: 2 });
    assert_eq!(sim.why_closed(2), "the tool closed the connection");
    sim.give(Input::Resume);
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"");
}

#[test]
fn a_tool_that_sends_on_is_held_back() {
    let mut sim = Sim::plc(Options::default());
    sim.give(Input::Pause(DUE));
    let mut sent = 0;
    while sim.wants(1) {
        sim.client_says(1, &read(1, 0, 1).repeat(100));
        sent += 1;
        assert!(sent < 1000, "it is read without end");
    }
    assert!(sim.closed.is_empty(), "{}", sim.why_closed(1));
    assert_eq!(sim.sent_to_device(1), b"");
}

#[test]
fn an_opaque_service_neither_sends_nor_shows_anything() {
    let mut sim = Sim::new(Options::default());
    sim.open(1, Protocol::Tcp);
    sim.give(Input::Pause(DUE));
    sim.client_says(1, b"key");
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"");
    assert!(!sim.core.ready(1, Direction::FromDevice), "what it shows is for the person");
    sim.give(Input::Resume);
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"key");
    assert!(sim.core.ready(1, Direction::FromDevice));
}

#[test]
fn no_channel_is_opened_meanwhile() {
    let mut sim = Sim::plc(Options::default());
    sim.give(Input::Pause(DUE));
    sim.ask(2, Protocol::Modbus);
    assert_eq!(sim.refused[&2].0, Refusal::Paused);
    sim.give(Input::Resume);
    sim.open(3, Protocol::Modbus);
    assert!(sim.confirmed.contains(&3));
}

#[test]
fn who_does_not_show_it_in_time_ends_softly_and_what_was_held_back_never_goes() {
    let mut sim = Sim::plc(Options::default());
    sim.give(Input::Pause(DUE));
    sim.client_says(1, &write(1, 100, 7));
    sim.give(Input::End(EndCause::FactorMissing));
    assert_eq!(sim.ended, Some((How::Soft, EndCause::FactorMissing)));
    sim.give(Input::Resume);
    sim.durable();
    assert_eq!(sim.sent_to_device(1), b"");
}

#[test]
fn only_what_changes_the_device_is_a_sign_of_the_person() {
    let mut sim = Sim::plc(Options::default());
    for polled in 0..50 {
        sim.client_says(1, &read(polled, 0, 1));
        sim.device_says(1, &answer(&read(polled, 0, 1)));
    }
    sim.client_says(1, &write(60, 250, 1));
    assert_eq!(sim.signs, 0, "polling and what is denied are none");
    sim.client_says(1, &write(61, 100, 1));
    assert_eq!(sim.signs, 1);
    sim.open(2, Protocol::Tcp);
    assert_eq!(sim.signs, 2, "an opaque service was opened");
    sim.client_says(2, b"keep-alive");
    assert_eq!(sim.signs, 2, "its bytes can't be told from a tool's own");
}

#[test]
fn the_end_of_the_certificate_is_told_as_such_and_no_new_terms_put_it_off() {
    let options =
        || Options { expires: 60 * SECOND, expires_by: EndCause::CertificateExpired, ..Options::default() };
    let mut sim = Sim::plc(options());
    sim.wait(61 * SECOND);
    assert_eq!(sim.ended, Some((How::Soft, EndCause::CertificateExpired)));
    // Nor that of the sign-in, which is told as the permission's.
    let mut sim = Sim::plc(Options { expires: 60 * SECOND, ..Options::default() });
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    assert_eq!(sim.core.expires(), 60 * SECOND);
    let mut sim = Sim::plc(options());
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    assert_eq!(sim.core.expires(), 60 * SECOND);
    sim.wait(61 * SECOND);
    assert_eq!(sim.ended, Some((How::Soft, EndCause::CertificateExpired)));
}
