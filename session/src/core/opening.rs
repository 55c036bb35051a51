//! Opening channels: bounds first, then the policy, then the record, and only
//! then the device is dialled.

use super::{Core, Flow};
use crate::action::{Action, Notice, Refusal};
use crate::channel::{Channel, Close};
use crate::input::By;
use crate::record::{Decision, Event};
use bytes::Bytes;
use dissect::{Carriage, Class, Content, Dissector, Effect, Protocol};

/// How many channels one session may open in its life.
const CHANNELS_EVER: usize = 65_536;

impl Core {
    pub(super) fn open(
        &mut self,
        channel: u32,
        service: String,
        port: u16,
        protocol: Protocol,
        actions: &mut Vec<Action>,
    ) {
        if self.used.len() >= CHANNELS_EVER || self.used.contains(&channel) {
            return self.refuse(channel, Refusal::Malformed, "the channel's number can't be used", actions);
        }
        if self.flow == Flow::Paused {
            let text = "the second factor has to be shown again first";
            return self.refuse(channel, Refusal::Paused, text, actions);
        }
        if self.channels.len() >= usize::from(self.limits.channels) {
            return self.refuse(channel, Refusal::Busy, "the target's limit of channels is reached", actions);
        }
        self.used.insert(channel);
        if let Err(reason) = self.judge_opening(channel, &service, protocol, actions) {
            return self.refuse(channel, Refusal::NotPermitted, &reason, actions);
        }
        let event = Event::ChannelOpened { channel, service: service.clone(), protocol, port };
        actions.push(self.desk.event(event));
        self.channels.insert(channel, Channel::new(channel, protocol));
        actions.push(Action::Dial { channel, service });
    }

    /// An opaque service is judged as a whole; of a decoded one each request.
    fn judge_opening(
        &mut self,
        channel: u32,
        service: &str,
        protocol: Protocol,
        actions: &mut Vec<Action>,
    ) -> Result<(), String> {
        match protocol.carriage() {
            Carriage::Decoded => return Ok(()),
            Carriage::Opaque => {}
        }
        let Content::Operation(operation) = Dissector::new(protocol).decode(Bytes::new()).content else {
            return Err("the service can't be judged".to_owned());
        };
        let judgement = self.desk.judge.judge(self.desk.now, &operation);
        let request = self.desk.number();
        // The operation alone does not say of which service.
        let text = format!("{} {service}", Class::Use);
        actions.push(self.desk.event(Event::Operation {
            request,
            channel,
            offset: 0,
            length: 0,
            function: operation.function,
            text: text.clone(),
            effect: Effect::Changes,
            decision: judgement.decision,
            rule: judgement.rule.clone(),
            reason: judgement.reason.clone(),
        }));
        match judgement.decision {
            Decision::Allow => {
                actions.push(Action::Active);
                Ok(())
            }
            Decision::Deny | Decision::Needs => {
                self.desk.counts.denied = self.desk.counts.denied.saturating_add(1);
                let reason = judgement.reason;
                actions.push(Action::Notice(Notice::Denied {
                    channel,
                    operation: text,
                    reason: reason.clone(),
                    rule: judgement.rule,
                }));
                Err(reason)
            }
        }
    }

    pub(super) fn refuse(&mut self, channel: u32, refusal: Refusal, text: &str, actions: &mut Vec<Action>) {
        actions.push(self.desk.note(format!("channel {channel} was refused: {text}")));
        actions.push(Action::RefuseChannel { channel, refusal, text: text.to_owned() });
    }

    pub(super) fn unreachable(&mut self, channel: u32, text: String, actions: &mut Vec<Action>) {
        if self.channels.get(&channel).is_some_and(Channel::is_dialing) {
            self.close(channel, Close::soft(By::Device, text), actions);
        }
    }
}
