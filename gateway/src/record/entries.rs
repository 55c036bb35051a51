//! From the core's records to the recording's, one to one.
//!
//! The core knows no file format and the format knows no core; this is the
//! only place that knows both.

use crate::authenticate::Authenticated;
use crate::authorize::Wish;
use authz::Grant;
use bytes::Bytes;
use dissect::Effect;
use recording::{Body, Decision, Entry, Event, Mode, Started, Tap, Totals};

/// The first entry of every recording.
pub(super) fn started(who: &Authenticated, grant: &Grant, wish: &Wish, mode: authz::Mode) -> Started {
    let target = grant.target();
    Started {
        person: who.person().to_string(),
        target: target.id.to_string(),
        zone: target.zone.as_ref().map_or_else(String::new, ToString::to_string),
        address: target.address.to_string(),
        source: who.source().to_string(),
        assurance: who.assurance().to_string(),
        mode: self::mode(mode),
        policy_hash: Bytes::copy_from_slice(&grant.policy().0),
        reason: wish.reason.clone(),
        ticket: wish.ticket.clone(),
        software: concat!("gatehouse-gateway ", env!("CARGO_PKG_VERSION")).to_owned(),
        terms: grant.terms().to_bytes().into(),
    }
}

pub(super) fn mode(mode: authz::Mode) -> Mode {
    match mode {
        authz::Mode::Default => Mode::Default,
        authz::Mode::Durable => Mode::Durable,
        authz::Mode::Ordered => Mode::Ordered,
    }
}

pub(super) fn entry(entry: session::Entry) -> Entry {
    let body = match entry.body {
        session::Body::Bytes { channel, tap: at, offset, bytes } => {
            Body::Bytes { channel, tap: tap(at), offset, bytes }
        }
        session::Body::Same { channel, tap: at, offset, length, of, of_offset } => {
            Body::Same { channel, tap: tap(at), offset, length, of: tap(of), of_offset }
        }
        session::Body::Event(what) => Body::Event(event(what)),
    };
    Entry { at: entry.at, body }
}

fn event(event: session::Event) -> Event {
    match event {
        session::Event::ChannelOpened { channel, service, protocol, port } => {
            Event::ChannelOpened { channel, service, protocol: protocol.to_string(), port }
        }
        session::Event::ChannelConnected { channel } => Event::ChannelConnected { channel },
        session::Event::ChannelClosed { channel, by, how, reason, totals: sum } => Event::ChannelClosed {
            channel,
            by: by.to_string(),
            how: closing(how).to_owned(),
            reason,
            totals: totals(sum),
        },
        session::Event::Operation {
            request,
            channel,
            offset,
            length,
            function,
            text,
            effect: what,
            decision: decided,
            rule,
            reason,
        } => Event::Operation {
            request,
            channel,
            offset,
            length,
            function: function.to_owned(),
            text,
            effect: effect(what).to_owned(),
            decision: decision(decided),
            rule,
            reason,
        },
        session::Event::Answer { request, channel, offset, length, text, refused } => {
            Event::Answer { request, channel, offset, length, text, refused }
        }
        session::Event::Observed { channel, tap: at, offset, fact, value } => {
            Event::Observed { channel, tap: at.to_string(), offset, fact: fact.name().to_owned(), value }
        }
        session::Event::Refusal { request, channel, offset, length } => {
            Event::Refusal { request, channel, offset, length }
        }
        session::Event::Unframed { channel, tap: at, reason } => {
            Event::Unframed { channel, tap: at.to_string(), reason }
        }
        session::Event::TermsChanged { policy, terms } => {
            Event::TermsChanged { policy_hash: Bytes::copy_from_slice(&policy.0), terms }
        }
        session::Event::PathChanged { source } => Event::PathChanged { source: source.to_string() },
        session::Event::Ending { cause, in_s } => Event::Ending { reason: cause.to_string(), in_s },
        session::Event::Note { text } => Event::Note { text },
    }
}

fn closing(how: session::How) -> &'static str {
    match how {
        session::How::Soft => "finished",
        session::How::Hard => "reset",
    }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Observes => "observes",
        Effect::Changes => "changes",
    }
}

fn decision(decision: session::Decision) -> Decision {
    match decision {
        session::Decision::Allow => Decision::Allow,
        session::Decision::Deny => Decision::Deny,
        session::Decision::Needs => Decision::Needs,
    }
}

fn tap(tap: session::Tap) -> Tap {
    match tap {
        session::Tap::FromClient => Tap::FromClient,
        session::Tap::ToDevice => Tap::ToDevice,
        session::Tap::FromDevice => Tap::FromDevice,
        session::Tap::ToClient => Tap::ToClient,
    }
}

fn totals(totals: session::Totals) -> Totals {
    Totals {
        from_client: totals.from_client,
        to_device: totals.to_device,
        from_device: totals.from_device,
        to_client: totals.to_client,
    }
}
