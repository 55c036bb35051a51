//! Executes the core's actions on sockets and streams.
//!
//! Everything here happens after the entries that cover it are written; once
//! the tape has failed no byte goes anywhere.

use super::line::Line;
use super::words::reason;
use super::{Carrier, dial};
use crate::audit::Kind;
use crate::hall::{NewChannel, turn_away};
use authz::{Service, ServiceName};
use bytes::Bytes;
use session::{Action, How, Input};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::{ChannelReply, Notice, Refusal, ToClient};

impl Carrier {
    /// Executes an action whose entries are written. Once the tape has failed
    /// no byte goes anywhere.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Record(_) | Action::Sync { .. } => {}
            Action::ToDevice { channel, bytes } => self.queue_to_device(channel, bytes),
            Action::ToClient { channel, bytes } => self.queue_to_client(channel, bytes),
            Action::Dial { channel, service } => self.dial(channel, &service),
            Action::ConfirmChannel { channel } => self.confirm(channel),
            Action::RefuseChannel { channel, refusal, text } => self.refuse(channel, refusal, &text),
            Action::FinishDevice { channel } => self.on_line(channel, Line::finish_device),
            Action::FinishClient { channel } => self.on_line(channel, Line::finish_client),
            Action::CloseChannel { channel, how, why } => self.close(channel, how, &why),
            Action::Active => self.who.presence().sign(),
            Action::Notice(notice) => self.tell(notice),
            Action::End { how: _, cause } => self.ending = Some(cause),
        }
    }

    fn queue_to_device(&mut self, channel: u32, bytes: Bytes) {
        if let (true, Some(line)) = (self.tape.runs(), self.lines.get_mut(&channel)) {
            add(&self.place.counters.to_device, bytes.len());
            line.queue_to_device(bytes);
        }
    }

    fn queue_to_client(&mut self, channel: u32, bytes: Bytes) {
        if let (true, Some(line)) = (self.tape.runs(), self.lines.get_mut(&channel)) {
            add(&self.place.counters.to_client, bytes.len());
            line.queue_to_client(bytes);
        }
    }

    fn on_line(&mut self, channel: u32, work: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.get_mut(&channel) {
            work(line);
        }
    }

    /// A stream that wants to be a channel.
    pub(super) fn arrive(&mut self, new: NewChannel) {
        let service = self.service(&new.service).cloned();
        let taken = self.lines.contains_key(&new.number) || self.arriving.contains_key(&new.number);
        match service {
            None => {
                self.note_refused(&new.service, Refusal::NoSuchService.sentence());
                turn_away(new.to_client, Refusal::NoSuchService, "");
            }
            Some(_) if taken => turn_away(new.to_client, Refusal::Malformed, "the channel's number is taken"),
            Some(service) => {
                self.arriving.insert(new.number, (new.from_client, new.to_client));
                self.handle(Input::OpenChannel {
                    channel: new.number,
                    service: service.name.to_string(),
                    port: service.port,
                    protocol: service.protocol,
                });
            }
        }
    }

    fn service(&self, name: &str) -> Option<&Service> {
        let name = ServiceName::parse(name).ok()?;
        self.grant.target().services.get(&name)
    }

    fn dial(&mut self, channel: u32, service: &str) {
        let Some((from_client, to_client)) = self.arriving.remove(&channel) else { return };
        let Some(service) = self.service(service) else {
            return turn_away(to_client, Refusal::NoSuchService, "");
        };
        let dialling = dial(&self.grant, self.tape.recording(), service, Arc::clone(&self.place.cutter));
        self.lines.insert(channel, Line::new(from_client, to_client, dialling, self.bells.hang()));
    }

    fn confirm(&mut self, channel: u32) {
        match wire::encode(&ChannelReply::Open) {
            Ok(reply) => self.on_line(channel, |line| line.queue_to_client(reply.into())),
            Err(error) => tracing::error!("a reply can't be written: {error}"),
        }
    }

    fn refuse(&mut self, channel: u32, refusal: session::Refusal, text: &str) {
        let code = match refusal {
            session::Refusal::NotPermitted => Refusal::NotPermitted,
            session::Refusal::Busy => Refusal::Limit,
            session::Refusal::Unreachable => Refusal::Unreachable,
            session::Refusal::Ended => Refusal::Ended,
            session::Refusal::Malformed => Refusal::Malformed,
            session::Refusal::Paused => Refusal::FactorAgain,
        };
        self.note_refused(&format!("channel {channel}"), text);
        if let Some((_, to_client)) = self.arriving.remove(&channel) {
            turn_away(to_client, code, text);
        } else if let Some(line) = self.lines.remove(&channel) {
            turn_away(line.into_client(), code, text);
        }
    }

    fn note_refused(&self, what: &str, why: &str) {
        let event = self.office.audit.event(Kind::ChannelRefused).person(self.who.person());
        let event = event.target(&self.grant.target().id).session(self.place.id).what(what).why(why);
        self.office.audit.tell(&event);
    }

    fn close(&mut self, channel: u32, how: How, why: &str) {
        tracing::debug!(session = %self.place.id, channel, "channel closed: {why}");
        self.arriving.remove(&channel);
        let Some(line) = self.lines.remove(&channel) else { return };
        match how {
            How::Soft if self.tape.runs() => self.draining.push(line),
            How::Soft | How::Hard => line.reset(),
        }
    }

    fn tell(&mut self, notice: session::Notice) {
        let now = self.tape.now();
        let notice = match notice {
            session::Notice::Denied { channel, operation, reason, rule } => {
                Notice::Denied { channel, operation, reason, rule }
            }
            session::Notice::Ending { cause, in_s } => Notice::Ending { reason: reason(cause), in_s },
            // The farewell says it once the recording is sealed.
            session::Notice::Ended { cause: _ } => return,
            session::Notice::GrantChanged { expires } => {
                let left = expires.saturating_sub(now).try_into().unwrap_or_default();
                let expires_ms = self.office.clock.wall().saturating_add::<jiff::SignedDuration>(left);
                let expires_ms = expires_ms.unwrap_or(jiff::Timestamp::MAX).as_millisecond();
                Notice::GrantChanged {
                    expires_ms,
                    text: format!("the plant applied a new policy: {}", self.news),
                }
            }
        };
        self.speaker.say(&ToClient::Notice { session: self.place.id, notice });
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}
