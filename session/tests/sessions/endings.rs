//! Rights end: hard or softly, in time, and nothing follows.

use crate::sim::{Options, SECOND, Sim, answer, read, write};
use dissect::{Direction, Protocol};
use session::{Action, EndCause, Event, How, Input, Notice, Refusal};
use std::time::Duration;

#[test]
fn a_hard_end_closes_everything_at_once_and_for_good() {
    for cause in EndCause::ALL.into_iter().filter(|cause| cause.how() == How::Hard) {
        let mut sim = Sim::plc(Options::default());
        sim.open(2, Protocol::Tcp);
        sim.client_says(1, &[read(1, 0, 1), write(2, 100, 5)].concat());
        let ticket = *sim.tickets.keys().next().unwrap();
        sim.give(Input::End(cause));
        assert_eq!(sim.ended, Some((How::Hard, cause)));
        assert!([1, 2].iter().all(|channel| sim.closed[channel].0 == How::Hard));
        let closed = |event: &Event| matches!(event, Event::ChannelClosed { how: How::Hard, .. });
        assert_eq!(
            sim.events.iter().filter(|(_, event)| closed(event)).count(),
            usize::from(cause != EndCause::RecorderFailed) * 2
        );
        sim.give(Input::Durable { ticket });
        sim.device_says(1, &answer(&read(1, 0, 1)));
        sim.client_says(2, b"more");
        sim.open(3, Protocol::Modbus);
        sim.wait(3600 * SECOND);
        assert_eq!(sim.sent_to_device(1), read(1, 0, 1));
        assert_eq!(sim.sent_to_client(1), b"");
        assert_eq!(sim.core.next_timer(), None);
        assert!(!sim.core.ready(1, Direction::FromDevice));
    }
}

#[test]
fn a_failed_recorder_is_not_asked_to_record_its_end() {
    let mut sim = Sim::plc(Options::default());
    let mut actions = Vec::new();
    sim.core.handle(SECOND, Input::End(EndCause::RecorderFailed), &mut actions);
    assert!(!actions.iter().any(|action| matches!(action, Action::Record(_))), "{actions:?}");
    assert!(matches!(&actions[0], Action::CloseChannel { channel: 1, how: How::Hard, .. }));
    let last = Action::End { how: How::Hard, cause: EndCause::RecorderFailed };
    assert_eq!(actions.last(), Some(&last));
    actions.clear();
    sim.core.handle(SECOND, Input::End(EndCause::RecorderFailed), &mut actions);
    assert_eq!(actions, [last], "a failure while the end was recorded is heard too");
}

#[test]
fn connections_are_reset_before_their_end_is_recorded() {
    let mut sim = Sim::plc(Options::default());
    let mut actions = Vec::new();
    sim.core.handle(SECOND, Input::End(EndCause::Killed), &mut actions);
    let closed = actions.iter().position(|action| matches!(action, Action::CloseChannel { .. }));
    let recorded = actions.iter().position(|action| matches!(action, Action::Record(_)));
    assert!(closed < recorded && closed.is_some());
}

#[test]
fn a_grant_that_runs_out_warns_and_ends_the_session_softly() {
    let mut sim = Sim::plc(Options { expires: 3600 * SECOND, ..Options::default() });
    sim.wait(3599 * SECOND);
    let warned: Vec<_> = sim
        .events
        .iter()
        .filter_map(|(at, event)| match event {
            Event::Ending { cause: EndCause::GrantExpired, in_s } => Some((at.as_secs(), *in_s)),
            _ => None,
        })
        .collect();
    assert_eq!(warned, [(2700, 900), (3300, 300), (3540, 60)]);
    assert_eq!(sim.notices.len(), 3);
    sim.client_says(1, &read(1, 0, 1));
    sim.wait(SECOND);
    assert_eq!(sim.ended, None, "an answer is due");
    sim.client_says(1, &read(2, 0, 1));
    assert_eq!(sim.sent_to_device(1), read(1, 0, 1), "no request after the end");
    sim.device_says(1, &answer(&read(1, 0, 1)));
    assert_eq!(sim.sent_to_client(1), answer(&read(1, 0, 1)));
    assert_eq!(sim.ended, Some((How::Soft, EndCause::GrantExpired)));
    assert!(sim.device[&1].finished && sim.client[&1].finished);
}

#[test]
fn the_end_does_not_depend_on_the_timer() {
    let mut sim = Sim::plc(Options { expires: 60 * SECOND, ..Options::default() });
    sim.now = 60 * SECOND;
    sim.client_says(1, &read(1, 0, 1));
    assert_eq!(sim.sent_to_device(1), b"");
    assert_eq!(sim.ended, Some((How::Soft, EndCause::GrantExpired)));
}

#[test]
fn a_soft_end_does_not_wait_longer_than_an_answer_may_take() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.give(Input::End(EndCause::ClientClosed));
    assert_eq!(sim.ended, None);
    assert!(!sim.wants(1) && sim.core.ready(1, Direction::FromDevice));
    sim.open(2, Protocol::Modbus);
    assert_eq!(sim.refused[&2].0, Refusal::Ended);
    sim.wait(5 * SECOND);
    assert_eq!(sim.ended, Some((How::Soft, EndCause::ClientClosed)));
}

#[test]
fn a_write_that_waits_for_storage_at_a_soft_end_is_not_sent() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &write(1, 100, 5));
    let ticket = *sim.tickets.keys().next().unwrap();
    sim.give(Input::End(EndCause::Shutdown));
    sim.give(Input::Durable { ticket });
    assert_eq!(sim.sent_to_device(1), b"");
    assert!(sim.why_closed(1).ends_with("the last 12 bytes recorded for the device were not sent"));
    assert_eq!(sim.ended, Some((How::Soft, EndCause::Shutdown)));
}

#[test]
fn a_hard_end_cuts_a_soft_one_short() {
    let mut sim = Sim::plc(Options::default());
    sim.client_says(1, &read(1, 0, 1));
    sim.give(Input::End(EndCause::Shutdown));
    sim.give(Input::End(EndCause::Killed));
    assert_eq!(sim.ended, Some((How::Hard, EndCause::Killed)));
}

#[test]
fn an_announced_end_comes_unless_a_nearer_one_does() {
    let mut sim = Sim::plc(Options { expires: 3600 * SECOND, ..Options::default() });
    sim.give(Input::EndIn { cause: EndCause::Shutdown, within: 7200 * SECOND });
    assert_eq!(sim.core.expires(), 3600 * SECOND);
    sim.give(Input::EndIn { cause: EndCause::Shutdown, within: 30 * SECOND });
    assert_eq!(sim.notices, [Notice::Ending { cause: EndCause::Shutdown, in_s: 30 }]);
    sim.wait(30 * SECOND);
    assert_eq!(sim.ended, Some((How::Soft, EndCause::Shutdown)));
}

#[test]
fn no_session_outlasts_the_targets_limit() {
    let limits = authz::Limits { session: 600 * SECOND, ..authz::Limits::default() };
    let sim = Sim::plc(Options { limits, ..Options::default() });
    assert_eq!(sim.core.expires(), Duration::from_secs(600));
}

#[test]
fn a_session_without_channels_ends_at_once() {
    let mut sim = Sim::new(Options::default());
    sim.give(Input::End(EndCause::ClientClosed));
    assert_eq!(sim.ended, Some((How::Soft, EndCause::ClientClosed)));
    assert_eq!(sim.notices.last(), Some(&Notice::Ended { cause: EndCause::ClientClosed }));
}

#[test]
fn a_client_that_waits_for_a_channel_at_the_end_is_told() {
    for cause in [EndCause::Shutdown, EndCause::Killed, EndCause::RecorderFailed] {
        let mut sim = Sim::new(Options::default());
        sim.ask(1, Protocol::Modbus);
        sim.give(Input::End(cause));
        assert_eq!(sim.refused[&1].0, Refusal::Ended);
        assert!(sim.closed.contains_key(&1));
    }
}
