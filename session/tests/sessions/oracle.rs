//! Any interleaving of arrivals, storage, answers, time, terms and ends,
//! against a reference that knows only what each request deserves. What has
//! to hold at every instant is checked by [`Sim`] at every action.

use crate::sim::{Options, Rights, Sim, terms};
use crate::speech::{Ask, answer, frames, opening};
use authz::{Limits, Mode};
use dissect::{Carriage, Protocol};
use proptest::prelude::*;
use session::{EndCause, How, Input};
use std::time::Duration;

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        3 => (0..200_u16).prop_map(Ask::Read),
        3 => (100..200_u16, 0..900_u16).prop_map(|(address, value)| Ask::Write(address, value)),
        1 => (100..200_u16, 901..=u16::MAX).prop_map(|(address, value)| Ask::Write(address, value)),
        1 => (0..100_u16, any::<u16>()).prop_map(|(address, value)| Ask::Write(address, value)),
        1 => Just(Ask::Write(300, 1)),
        1 => Just(Ask::Broken),
    ]
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Turn {
    /// So many bytes of what the client has to say arrive, if they are wanted.
    Client(usize),
    /// So many bytes of what the device has to say arrive.
    Device(usize),
    /// The oldest or the newest ticket comes back.
    OldestTicket,
    NewestTicket,
    Wait(u16),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (1..60_usize).prop_map(Turn::Client),
        4 => (1..60_usize).prop_map(Turn::Device),
        1 => Just(Turn::OldestTicket),
        1 => Just(Turn::NewestTicket),
        1 => (0..20_u16).prop_map(Turn::Wait),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Default), Just(Mode::Durable), Just(Mode::Ordered)]
}

/// One channel with peers that keep to the rules.
struct Peers {
    sim: Sim,
    protocol: Protocol,
    to_say: Vec<u8>,
    said: usize,
    answered: usize,
}

impl Peers {
    fn take(&mut self, turn: &Turn) {
        match turn {
            Turn::Client(count) if self.sim.wants(1) => {
                let until = (self.said + count).min(self.to_say.len());
                let piece = self.to_say[self.said..until].to_vec();
                self.said = until;
                self.sim.client_says(1, &piece);
            }
            Turn::Client(_) => {}
            Turn::Device(count) => {
                let answers = self.answers();
                let until = (self.answered + count).min(answers.len());
                let piece = answers[self.answered..until].to_vec();
                self.answered = until;
                self.sim.device_says(1, &piece);
            }
            Turn::OldestTicket => {
                if let Some(ticket) = self.sim.tickets.keys().next().copied() {
                    self.sim.give_back(ticket);
                }
            }
            Turn::NewestTicket => self.sim.durable(),
            Turn::Wait(milliseconds) => self.sim.wait(Duration::from_millis((*milliseconds).into())),
        }
    }

    /// What the device has to say to all that it received.
    fn answers(&self) -> Vec<u8> {
        let frames = frames(self.protocol, self.sim.sent_to_device(1));
        frames.into_iter().flat_map(|frame| answer(self.protocol, frame)).collect()
    }

    /// Until nobody has anything to say.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            let said = self.said == self.to_say.len() && self.answered == self.answers().len();
            if said && self.sim.wants(1) && self.sim.tickets.is_empty() {
                return;
            }
            for turn in [Turn::Client(50), Turn::NewestTicket, Turn::Device(200), Turn::Wait(5)] {
                self.take(&turn);
            }
        }
        panic!("the session does not come to rest");
    }
}

/// What may happen beyond the rules.
#[derive(Debug, Clone)]
enum Chaos {
    Client(u32, Ask, u16),
    ClientBytes(u32, Vec<u8>),
    Device(u32),
    DeviceBytes(u32, Vec<u8>),
    Ticket,
    Wait(u16),
    Terms(bool),
    Open(u32, Protocol),
    Finish(u32, bool),
    Broken(u32),
    End(usize),
    EndIn(u16),
}

fn chaos() -> impl Strategy<Value = Chaos> {
    // Without the codes of functions that the reference does not know.
    let byte = || prop_oneof![3 => Just(0_u8), 2 => 1..7_u8, 1 => 25..=255_u8];
    let bytes = move || proptest::collection::vec(byte(), 1..20);
    let channel = || 1..5_u32;
    prop_oneof![
        12 => (channel(), ask(), 0..6_u16).prop_map(|(channel, ask, id)| Chaos::Client(channel, ask, id)),
        1 => (channel(), bytes()).prop_map(|(channel, bytes)| Chaos::ClientBytes(channel, bytes)),
        8 => channel().prop_map(Chaos::Device),
        1 => (channel(), bytes()).prop_map(|(channel, bytes)| Chaos::DeviceBytes(channel, bytes)),
        6 => Just(Chaos::Ticket),
        3 => (0..6000_u16).prop_map(Chaos::Wait),
        2 => any::<bool>().prop_map(Chaos::Terms),
        3 => (1..20_u32, proptest::sample::select(&Protocol::ALL[..]))
            .prop_map(|(channel, protocol)| Chaos::Open(channel, protocol)),
        1 => (channel(), any::<bool>()).prop_map(|(channel, client)| Chaos::Finish(channel, client)),
        1 => channel().prop_map(Chaos::Broken),
        1 => (0..EndCause::ALL.len()).prop_map(Chaos::End),
        1 => (0..20_u16).prop_map(Chaos::EndIn),
    ]
}

fn happen(sim: &mut Sim, chaos: &Chaos) {
    match chaos {
        Chaos::Client(channel, ask, id) => {
            let frame = ask.frame(sim.protocol(*channel), *id);
            sim.client_says(*channel, &frame);
        }
        Chaos::ClientBytes(channel, bytes) => sim.client_says(*channel, bytes),
        Chaos::Device(channel) => {
            let protocol = sim.protocol(*channel);
            let last = match protocol.carriage() {
                Carriage::Decoded => {
                    frames(protocol, sim.sent_to_device(*channel)).last().map(|frame| answer(protocol, frame))
                }
                Carriage::Opaque => Some(answer(protocol, b"")),
            };
            sim.device_says(*channel, &last.unwrap_or_default());
        }
        Chaos::DeviceBytes(channel, bytes) => sim.device_says(*channel, bytes),
        Chaos::Ticket => sim.durable(),
        Chaos::Wait(milliseconds) => sim.wait(Duration::from_millis((*milliseconds).into())),
        Chaos::Terms(wide) => {
            sim.give(Input::NewTerms(terms(if *wide { Rights::Wide } else { Rights::Narrow })));
        }
        Chaos::Open(channel, protocol) if !sim.confirmed.contains(channel) => sim.open(*channel, *protocol),
        Chaos::Open(..) => {}
        Chaos::Finish(channel, true) => sim.give(Input::ClientFinished { channel: *channel }),
        Chaos::Finish(channel, false) => sim.give(Input::DeviceFinished { channel: *channel }),
        Chaos::Broken(channel) => {
            let text = "connection reset".to_owned();
            sim.give(Input::ChannelBroken { channel: *channel, by: session::By::Device, text });
        }
        Chaos::End(cause) => sim.give(Input::End(EndCause::ALL[*cause])),
        Chaos::EndIn(seconds) => {
            let within = Duration::from_secs((*seconds).into());
            sim.give(Input::EndIn { cause: EndCause::Shutdown, within });
        }
    }
}

/// Bytes that went to any peer.
fn sent(sim: &Sim) -> usize {
    sim.device.values().chain(sim.client.values()).map(|line| line.sent.len()).sum()
}

proptest! {
    #[test]
    fn every_request_has_its_due_in_order(
        asks in proptest::collection::vec(ask(), 1..40),
        turns in proptest::collection::vec(turn(), 0..80),
        mode in mode(),
        outstanding in 1..6_u16,
        rate in proptest::option::of(50..2000_u32),
        protocol in proptest::sample::select(&[Protocol::Modbus, Protocol::S7, Protocol::Enip][..]),
    ) {
        let limits = Limits { outstanding, requests_per_second: rate, ..Limits::default() };
        let opening = opening(protocol);
        let requests: Vec<_> = (0_u16..).zip(&asks).map(|(id, ask)| ask.frame(protocol, id)).collect();
        let mut sim = Sim::new(Options { mode, limits, ..Options::default() });
        sim.open(1, protocol);
        let to_say = [opening.concat(), requests.concat()].concat();
        let mut peers = Peers { sim, protocol, to_say, said: 0, answered: 0 };
        for turn in &turns {
            peers.take(turn);
        }
        peers.finish();
        let answers = opening.iter().flat_map(|request| answer(protocol, request));
        let (mut to_device, mut to_client) = (opening.concat(), answers.collect::<Vec<u8>>());
        for ((id, ask), request) in (0_u16..).zip(&asks).zip(&requests) {
            match ask.refusal(protocol, id) {
                None => {
                    to_device.extend_from_slice(request);
                    to_client.extend_from_slice(&answer(protocol, request));
                }
                Some(refusal) => to_client.extend_from_slice(&refusal),
            }
        }
        prop_assert_eq!(peers.sim.sent_to_device(1), to_device);
        prop_assert_eq!(peers.sim.sent_to_client(1), to_client);
        prop_assert_eq!(peers.sim.core.counts().operations, (opening.len() + asks.len()) as u64);
    }

    #[test]
    fn the_promises_hold_whatever_happens(
        happenings in proptest::collection::vec(chaos(), 1..120),
        mode in mode(),
        outstanding in 1..6_u16,
        rate in proptest::option::of(1..50_u32),
        third in proptest::sample::select(&Protocol::ALL[..]),
    ) {
        let limits = Limits { outstanding, requests_per_second: rate, channels: 3, ..Limits::default() };
        let mut sim = Sim::new(Options { mode, limits, ..Options::default() });
        sim.open(1, Protocol::Modbus);
        sim.open(2, Protocol::S7);
        sim.open(3, third);
        let mut final_count = None;
        for happening in &happenings {
            happen(&mut sim, happening);
            prop_assert!(sim.core.channels() <= 3);
            if sim.ended.is_some() {
                prop_assert_eq!(*final_count.get_or_insert_with(|| sent(&sim)), sent(&sim));
            }
        }
        sim.give(Input::End(EndCause::Killed));
        let count = sent(&sim);
        sim.durable();
        sim.wait(Duration::from_secs(10));
        prop_assert_eq!(sent(&sim), count);
        prop_assert!(sim.ended.is_some());
        prop_assert!(matches!(sim.ended, Some((How::Hard, EndCause::Killed))) || final_count.is_some());
    }
}
