//! What a recording says, read through the library with the auditor's key.
//!
//! Tests compare it byte by byte with what the simulated device kept. The
//! programs' own listing and replay are tested beside it.

use crate::workshop::Workshop;
use anyhow::Context;
use recording::{Body, Decision, Event, Identity, Opened, Stop, Tap};
use std::{collections::BTreeMap, fs, path::Path};

/// The bytes of one channel, tap by tap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// What the technician's tool sent.
    pub from_client: Vec<u8>,
    /// What was sent on to the device.
    pub to_device: Vec<u8>,
    /// What the device sent.
    pub from_device: Vec<u8>,
    /// What was sent on to the tool.
    pub to_client: Vec<u8>,
}

impl Channel {
    fn tap(&mut self, tap: Tap) -> &mut Vec<u8> {
        match tap {
            Tap::FromClient => &mut self.from_client,
            Tap::ToDevice => &mut self.to_device,
            Tap::FromDevice => &mut self.from_device,
            Tap::ToClient => &mut self.to_client,
        }
    }
}

/// One request as it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The operation in words.
    pub text: String,
    /// What was decided.
    pub decision: Decision,
    /// By which rule.
    pub rule: String,
}

/// All that one recording says.
#[derive(Debug)]
pub struct Evidence {
    channels: BTreeMap<u32, Channel>,
    judged: Vec<Judged>,
    events: Vec<Event>,
    stop: Stop,
}

impl Evidence {
    /// Opens the recording with the auditor's identity of the workshop.
    ///
    /// # Errors
    /// If it can't be opened or read to its end.
    pub fn open(workshop: &Workshop, recording: &Path) -> anyhow::Result<Self> {
        let identity = Identity::parse(&fs::read_to_string(workshop.path("pki/auditor.age"))?)?;
        let file = fs::File::open(recording).with_context(|| recording.display().to_string())?;
        let mut opened = Opened::decrypt(file, &identity)?;
        let mut evidence =
            Self { channels: BTreeMap::new(), judged: Vec::new(), events: Vec::new(), stop: Stop::NotYet };
        for recorded in &mut opened {
            evidence.take(recorded?.entry.body)?;
        }
        evidence.stop = opened.stop().clone();
        Ok(evidence)
    }

    fn take(&mut self, body: Body) -> anyhow::Result<()> {
        match body {
            Body::Bytes { channel, tap, offset, bytes } => {
                let tap = self.channels.entry(channel).or_default().tap(tap);
                anyhow::ensure!(u64::try_from(tap.len())? == offset, "a gap at {offset}");
                tap.extend(bytes);
            }
            Body::Same { .. } => anyhow::bail!("an unresolved reference"),
            Body::Event(event) => {
                if let Event::Operation { text, decision, rule, .. } = &event {
                    self.judged.push(Judged { text: text.clone(), decision: *decision, rule: rule.clone() });
                }
                self.events.push(event);
            }
        }
        Ok(())
    }

    /// The channels in the order of their numbers.
    pub fn channels(&self) -> Vec<&Channel> {
        self.channels.values().collect()
    }

    /// Every request in order.
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    /// Every event in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How the recording came to its end.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}
