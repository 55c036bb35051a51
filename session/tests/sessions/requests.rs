//! What becomes of requests and answers on a decoded channel.

use crate::sim::{
    Options, Rights, SECOND, Sim, adu, answer, exception, read, terms, terms_of_another, write,
};
use dissect::Protocol;
use session::{Action, By, Decision, EndCause, Event, How, Input, Notice, Tap};

#[test]
fn an_allowed_request_is_recorded_and_reaches_the_device_as_it_came() {
    let mut sim = Sim::plc(Options::default());
    let request = read(1, 0, 2);
    sim.client_says(1, &request);
    assert_eq!(sim.sent_to_device(1), request);
    sim.device_says(1, &answer(&request));
    assert_eq!(sim.sent_to_client(1), answer(&request));
    assert_eq!(sim.operations(), ["read holding[0-1]: allow"]);
    assert_eq!(sim.answers(), ["1: = 0 1"]);
}

#[test]
fn a_denied_request_is_answered_in_the_protocol_and_leaves_nothing_at_the_device() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &[0x00, 0x04, 0, 0, 0, 6, 1, 6, 0x00, 0x14, 0x00, 0x2A]);
    assert_eq!(sim.sent_to_client(1)[..8], [0x00, 0x04, 0, 0, 0, 3, 1, 0x86]);
    assert_eq!(sim.sent_to_device(1), b"");
    assert_eq!(sim.tap(1, Tap::ToDevice), b"");
    assert_eq!(sim.tap(1, Tap::ToClient), sim.sent_to_client(1));
    let Some(Notice::Denied { channel: 1, operation, reason, .. }) = sim.notices.first() else {
        panic!("{:?}", sim.notices)
    };
    assert_eq!(operation, "write holding[20] = 42");
    assert!(!reason.is_empty());
    assert_eq!((sim.core.counts().operations, sim.core.counts().denied), (1, 1));
    assert_eq!(sim.refusals(), [(1, 0, 9)]);
}

#[test]
fn a_value_out_of_bounds_is_denied_as_a_value() {
    let mut sim = Sim::plc(Options::default());
    let request = write(1, 150, 901);
    sim.client_says(1, &request);
    assert_eq!(sim.sent_to_client(1), exception(&request, 3));
}

#[test]
fn a_broken_request_is_denied_in_the_protocol_and_the_channel_lives() {
    let mut sim = Sim::plc(Options::default());
    let broken = adu(7, &[3, 0, 0, 0, 200]);
    sim.client_says(1, &broken);
    assert_eq!(sim.sent_to_client(1), exception(&broken, 3));
    sim.client_says(1, &read(8, 0, 1));
    assert_eq!(sim.sent_to_device(1), read(8, 0, 1));
    assert!(matches!(
        &sim.events[2],
        (_, Event::Operation { request: 1, decision: Decision::Deny, length: 12, .. })
    ));
}

#[test]
fn what_nobody_can_grant_yet_is_refused_with_that_reason() {
    let mut sim = Sim::plc(Options::default());
    let request = write(1, 300, 5);
    sim.client_says(1, &request);
    assert_eq!(sim.sent_to_device(1), b"");
    assert_eq!(sim.sent_to_client(1), exception(&request, 1));
    assert_eq!(
        sim.operations(),
        ["write holding[300] = 5: Needs needs approval by shift-lead, which this gateway cannot take yet"]
    );
}

#[test]
fn a_denial_waits_behind_the_answers_that_are_due() {
    let mut sim = Sim::plc(Options::default());
    let requests = [read(1, 0, 1), write(2, 20, 1), read(3, 5, 1)];
    sim.client_says(1, &requests.concat());
    assert_eq!(sim.sent_to_device(1), [&requests[0][..], &requests[2]].concat());
    assert_eq!(sim.sent_to_client(1), b"");
    sim.device_says(1, &answer(&requests[0]));
    sim.device_says(1, &answer(&requests[2]));
    let order: Vec<u8> = crate::sim::frames(sim.sent_to_client(1)).iter().map(|frame| frame[1]).collect();
    assert_eq!(order, [1, 2, 3]);
    // The recording says which of these bytes no device has said.
    assert_eq!(sim.refusals(), [(2, answer(&requests[0]).len() as u64, 9)]);
}

#[test]
fn a_denial_waits_no_longer_than_an_answer_may_take() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &[read(1, 0, 1), write(2, 20, 1)].concat());
    sim.wait(5 * SECOND - SECOND / 1000);
    assert_eq!(sim.sent_to_client(1), b"");
    sim.wait(SECOND / 1000);
    assert_eq!(sim.sent_to_client(1)[..8], exception(&write(2, 20, 1), 1)[..8]);
}

#[test]
fn a_late_answer_is_told_as_late_and_belongs_to_its_own_request() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.wait(6 * SECOND);
    sim.client_says(1, &read(2, 5, 2));
    sim.device_says(1, &answer(&read(1, 0, 1)));
    sim.device_says(1, &answer(&read(2, 5, 2)));
    assert_eq!(sim.answers(), ["1: late: = 0", "2: = 0 1"]);
}

#[test]
fn an_identifier_whose_answer_is_overdue_is_not_used_again() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.wait(6 * SECOND);
    sim.client_says(1, &read(1, 5, 1));
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    assert_eq!(sim.why_closed(1), "an identifier is used again although its answer is overdue");
}

#[test]
fn requests_with_one_identifier_go_one_after_the_other() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &[read(1, 0, 1), read(1, 1, 2)].concat());
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    assert!(!sim.wants(1));
    sim.device_says(1, &answer(&read(1, 0, 1)));
    assert_eq!(sim.sent_to_device(1).len(), 24);
    sim.device_says(1, &answer(&read(1, 1, 2)));
    assert_eq!(sim.answers(), ["1: = 0", "2: = 0 1"]);
}

#[test]
fn an_answer_that_does_not_fit_is_passed_on_and_said_to_be_so() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 2));
    let wrong = answer(&read(1, 0, 1));
    sim.device_says(1, &wrong);
    assert_eq!(sim.sent_to_client(1), wrong);
    assert_eq!(sim.answers(), ["1: an answer that does not fit the request"]);
}

#[test]
fn an_answer_without_a_request_closes_the_channel() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.device_says(1, &answer(&read(2, 0, 1)));
    assert_eq!(sim.sent_to_client(1), b"");
    assert_eq!(sim.why_closed(1), "an answer to which there is no request");
}

#[test]
fn lost_framing_closes_the_channel_for_either_side() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &[&read(1, 0, 1)[..], b"GET / HTTP/1.1"].concat());
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    let lost =
        |tap| move |(_, event): &(_, Event)| matches!(event, Event::Unframed { tap: at, .. } if *at == tap);
    assert!(sim.events.iter().any(lost(Tap::FromClient)));
    assert!(sim.why_closed(1).starts_with("the protocol identifier"));
    sim.open(2, Protocol::Modbus);
    sim.client_says(2, &read(1, 0, 1));
    sim.device_says(2, &[0, 1, 0, 0, 0xFF, 0xFF]);
    assert!(sim.events.iter().any(lost(Tap::FromDevice)));
    assert_eq!(sim.sent_to_client(2), b"");
    assert!(sim.why_closed(2).starts_with("the Modbus length"));
    assert!(sim.events.iter().any(|(_, event)| matches!(event, Event::ChannelClosed { by: By::Device, .. })));
}

#[test]
fn a_rest_that_is_no_whole_request_is_recorded_and_not_forwarded() {
    let mut sim = Sim::plc(Options::default());
    let stream = [&read(1, 0, 1)[..], &read(2, 0, 1)[..5]].concat();
    sim.client_says(1, &stream);
    sim.give(Input::ClientFinished { channel: 1 });
    assert!(sim.device[&1].finished);
    assert_eq!(sim.tap(1, Tap::FromClient), stream);
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    let note = "the last 5 bytes from_client of channel 1 were not forwarded";
    assert!(sim.events.iter().any(|(_, event)| matches!(event, Event::Note { text } if text == note)));
    assert!(sim.closed.is_empty(), "the answer is still due");
    sim.device_says(1, &answer(&read(1, 0, 1)));
    assert!(sim.client[&1].finished);
    assert_eq!(sim.closed[&1].0, How::Soft);
    assert_eq!(sim.sent_to_client(1), answer(&read(1, 0, 1)));
}

#[test]
fn a_client_that_finishes_early_has_its_requests_sent_first() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &write(1, 100, 5));
    sim.give(Input::ClientFinished { channel: 1 });
    assert!(!sim.device.contains_key(&1));
    sim.durable();
    assert_eq!(sim.sent_to_device(1), write(1, 100, 5));
    assert!(sim.device[&1].finished);
}

#[test]
fn a_device_that_closes_ends_the_channel_softly() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.device_says(1, &answer(&read(1, 0, 1))[..4]);
    sim.give(Input::DeviceFinished { channel: 1 });
    assert!(sim.client[&1].finished);
    assert_eq!(sim.closed[&1].0, How::Soft);
    assert_eq!(sim.sent_to_client(1), b"");
    let note = "the last 4 bytes from_device of channel 1 were not forwarded";
    assert!(sim.events.iter().any(|(_, event)| matches!(event, Event::Note { text } if text == note)));
}

#[test]
fn new_terms_hold_from_the_next_request_on() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 50, 1));
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    sim.client_says(1, &[read(2, 50, 1), read(3, 5, 1)].concat());
    assert_eq!(sim.sent_to_device(1), [read(1, 50, 1), read(3, 5, 1)].concat());
    assert!(matches!(sim.notices[0], Notice::GrantChanged { .. }));
    assert!(sim.events.iter().any(|(_, event)| matches!(event, Event::TermsChanged { .. })));
}

#[test]
fn a_request_that_waited_for_its_turn_is_judged_by_the_terms_of_its_turn() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &[read(1, 0, 1), read(1, 50, 1)].concat());
    sim.give(Input::NewTerms(terms(Rights::Narrow)));
    sim.device_says(1, &answer(&read(1, 0, 1)));
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    assert_eq!(sim.sent_to_client(1).len(), answer(&read(1, 0, 1)).len() + 9);
}

#[test]
fn an_unreachable_device_refuses_the_channel() {
    let mut sim = Sim::new(Options::default());
    sim.ask(1, Protocol::Modbus);
    sim.give(Input::DeviceUnreachable { channel: 1, text: "connection refused".to_owned() });
    assert_eq!(sim.refused[&1], (session::Refusal::Unreachable, "connection refused".to_owned()));
    assert_eq!(sim.core.channels(), 0);
    sim.ask(1, Protocol::Modbus);
    assert_eq!(sim.refused[&1].0, session::Refusal::Malformed);
}

#[test]
fn a_client_that_breaks_off_leaves_the_device_a_clean_end() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.give(Input::ChannelBroken { channel: 1, by: By::Client, text: "connection reset".to_owned() });
    assert_eq!(sim.closed[&1], (How::Soft, "connection reset".to_owned()));
    assert!(sim.device[&1].finished);
    sim.open(2, Protocol::Modbus);
    sim.give(Input::ChannelBroken { channel: 2, by: By::Device, text: "connection reset".to_owned() });
    assert_eq!(sim.closed[&2].0, How::Hard);
}

#[test]
fn a_change_of_address_is_recorded() {
    let mut sim = Sim::plc(Options::default());
    let source = std::net::IpAddr::from([198, 51, 100, 4]);
    sim.give(Input::PathChanged(source));
    assert_eq!(sim.events.last().map(|(_, event)| event), Some(&Event::PathChanged { source }));
}

#[test]
fn a_window_is_judged_at_the_time_of_the_request() {
    let mut sim = Sim::plc(Options::default());
    sim.give(Input::NewTerms(terms(Rights::Evening)));
    sim.wait(3599 * SECOND);
    sim.client_says(1, &read(1, 0, 1));
    sim.wait(SECOND);
    sim.client_says(1, &read(2, 0, 1));
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
    assert_eq!(
        sim.operations(),
        ["read holding[0]: allow", "read holding[0]: Deny window evening is not open"]
    );
}

#[test]
fn terms_of_another_person_end_the_session() {
    let mut sim = Sim::plc(Options::default());
    let mut actions = Vec::new();
    sim.core.handle(SECOND, Input::NewTerms(terms_of_another()), &mut actions);
    let end = Action::End { how: How::Hard, cause: EndCause::Internal };
    assert_eq!(actions.last(), Some(&end));
}

#[test]
fn answers_belong_to_their_requests_in_whatever_order_they_come() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &[read(1, 0, 1), read(2, 0, 2)].concat());
    sim.device_says(1, &answer(&read(2, 0, 2)));
    sim.device_says(1, &answer(&read(1, 0, 1)));
    assert_eq!(sim.answers(), ["2: = 0 1", "1: = 0"]);
}
