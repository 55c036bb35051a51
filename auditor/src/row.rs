//! One request as a flat object: the columns that listings, JSON Lines and
//! CSV share. `docs/exports.md` describes each.

use crate::chronicle::{Access, Request};
use recording::{Decision, Started};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Who worked where, as the recording's first entry says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    pub(crate) person: String,
    pub(crate) target: String,
    pub(crate) zone: String,
}

impl Who {
    pub(crate) fn of(started: &Started) -> Self {
        Self { person: started.person.clone(), target: started.target.clone(), zone: started.zone.clone() }
    }
}

/// One request with verdict and answer.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    pub(crate) time: String,
    pub(crate) session: &'a str,
    pub(crate) person: Option<&'a str>,
    pub(crate) target: Option<&'a str>,
    pub(crate) zone: Option<&'a str>,
    pub(crate) channel: u32,
    pub(crate) service: &'a str,
    pub(crate) protocol: &'a str,
    pub(crate) port: u16,
    pub(crate) request: u64,
    pub(crate) function: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) accesses: Vec<Touched<'a>>,
    pub(crate) effect: &'a str,
    pub(crate) decision: Decision,
    pub(crate) rule: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) answer: Option<&'a str>,
    pub(crate) refused: Option<bool>,
    pub(crate) answered: Option<String>,
    pub(crate) request_bytes: Option<String>,
    pub(crate) answer_bytes: Option<String>,
}

/// One access of a request.
#[derive(Debug, Serialize)]
pub(crate) struct Touched<'a> {
    pub(crate) class: &'static str,
    pub(crate) unit: Option<u8>,
    pub(crate) place: Option<String>,
    pub(crate) tags: &'a [String],
}

impl<'a> Row<'a> {
    pub(crate) fn new(
        request: &'a Request,
        session: &'a str,
        who: Option<&'a Who>,
        stamp: impl Fn(Duration) -> String,
    ) -> Self {
        let answer = request.answer();
        Self {
            time: stamp(request.asked),
            session,
            person: who.map(|who| who.person.as_str()),
            target: who.map(|who| who.target.as_str()),
            zone: who.map(|who| who.zone.as_str()),
            channel: request.channel.number,
            service: &request.channel.service,
            protocol: &request.channel.protocol,
            port: request.channel.port,
            request: request.number,
            function: &request.function,
            operation: &request.text,
            accesses: request.accesses.iter().map(Touched::of).collect(),
            effect: &request.effect,
            decision: request.decision,
            rule: &request.rule,
            reason: &request.reason,
            answer: answer.map(|answer| answer.text.as_str()),
            refused: answer.map(|answer| answer.refused),
            answered: answer.map(|answer| stamp(answer.at)),
            request_bytes: request.hex(),
            answer_bytes: answer.and_then(|answer| answer.frame.as_ref()).map(hex::encode),
        }
    }
}

impl<'a> Touched<'a> {
    fn of(access: &'a Access) -> Self {
        let place = access.place.as_ref().map(ToString::to_string);
        Self { class: access.class.name(), unit: access.unit, place, tags: &access.tags }
    }
}

/// `write unit[3] holding[100] (pump_setpoint)`
impl fmt::Display for Touched<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.class)?;
        if let Some(unit) = self.unit {
            write!(formatter, " unit[{unit}]")?;
        }
        if let Some(place) = &self.place {
            write!(formatter, " {place}")?;
        }
        if !self.tags.is_empty() {
            write!(formatter, " ({})", self.tags.join(", "))?;
        }
        Ok(())
    }
}
