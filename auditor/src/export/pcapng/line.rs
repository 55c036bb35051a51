//! Packets in the order of their time, waiting for what is said about them.
//!
//! A request is judged after its bytes were recorded, at times much later. A
//! packet with such bytes waits until the request that ends in it is judged,
//! and all packets behind it wait too. The line is bounded: where it grows too
//! long, a packet goes without its comment, and the next one of the channel
//! has it.

use super::section::{Direction, Section};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::time::Duration;

/// Bytes that may wait.
const MOST: usize = 32 * 1024 * 1024;

/// What a packet costs beside its bytes.
const OVERHEAD: usize = 128;

/// A packet that will be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) channel: u32,
    pub(super) interface: u32,
    /// After the session's start.
    pub(super) at: Duration,
    pub(super) direction: Direction,
    pub(super) frame: Vec<u8>,
    pub(super) comments: Vec<String>,
}

struct Waiting {
    packet: Packet,
    /// The place in the channel's `from_client` whose verdict it waits for.
    until: Option<u64>,
}

/// The line in front of the file.
pub(super) struct Line<W: Write> {
    section: Section<W>,
    waiting: VecDeque<Waiting>,
    /// Packets that left the line.
    gone: u64,
    bytes: usize,
    /// Packets that wait, by channel and place.
    places: BTreeMap<(u32, u64), u64>,
    /// Up to where each channel's requests are judged.
    judged: BTreeMap<u32, u64>,
    /// What is told with the next packet of a channel, or of any.
    remarks: BTreeMap<Option<u32>, Vec<String>>,
}

impl<W: Write> Line<W> {
    pub(super) fn new(section: Section<W>) -> Self {
        Self {
            section,
            waiting: VecDeque::new(),
            gone: 0,
            bytes: 0,
            places: BTreeMap::new(),
            judged: BTreeMap::new(),
            remarks: BTreeMap::new(),
        }
    }

    /// A new interface for one side of a channel.
    pub(super) fn interface(
        &mut self,
        channel: u32,
        side: (&str, &str),
        service: (&str, &str, u16),
    ) -> io::Result<u32> {
        self.section.interface(channel, side, service)
    }

    /// Something to be told with the next packet of the channel, or of any.
    pub(super) fn remark(&mut self, channel: Option<u32>, text: String) {
        self.remarks.entry(channel).or_default().push(text);
    }

    /// One packet more; `until` is the place whose verdict it waits for.
    pub(super) fn push(&mut self, mut packet: Packet, until: Option<u64>) -> io::Result<()> {
        for key in [None, Some(packet.channel)] {
            packet.comments.extend(self.remarks.remove(&key).unwrap_or_default());
        }
        if let Some(until) = until {
            let number = self.gone.saturating_add(u64::try_from(self.waiting.len()).unwrap_or(u64::MAX));
            self.places.insert((packet.channel, until), number);
        }
        self.bytes = self.bytes.saturating_add(packet.frame.len()).saturating_add(OVERHEAD);
        self.waiting.push_back(Waiting { packet, until });
        while self.bytes > MOST {
            self.write_first()?;
        }
        self.write_ready()
    }

    /// The verdict on a request that ends at `end` of the channel's
    /// `from_client`.
    pub(super) fn verdict(&mut self, channel: u32, end: u64, text: String) -> io::Result<()> {
        let number =
            self.places.range((channel, end)..=(channel, u64::MAX)).next().map(|(_, number)| *number);
        let place = number.and_then(|number| usize::try_from(number.checked_sub(self.gone)?).ok());
        match place.and_then(|place| self.waiting.get_mut(place)) {
            Some(waiting) => waiting.packet.comments.push(text),
            None => self.remark(Some(channel), text),
        }
        let judged = self.judged.entry(channel).or_default();
        *judged = end.max(*judged);
        self.write_ready()
    }

    /// No verdict of the channel follows; its number may be used again.
    pub(super) fn release(&mut self, channel: u32) -> io::Result<()> {
        for waiting in &mut self.waiting {
            if waiting.packet.channel == channel {
                waiting.until = None;
            }
        }
        self.places.retain(|(of, _), _| *of != channel);
        self.judged.remove(&channel);
        self.remarks.remove(&Some(channel));
        self.write_ready()
    }

    /// Writes all that is left; gives the file and how many packets it has.
    pub(super) fn finish(mut self) -> io::Result<(W, u64)> {
        while !self.waiting.is_empty() {
            self.write_first()?;
        }
        Ok((self.section.finish(), self.gone))
    }

    fn write_ready(&mut self) -> io::Result<()> {
        while self.waiting.front().is_some_and(|first| self.is_ready(first)) {
            self.write_first()?;
        }
        Ok(())
    }

    fn is_ready(&self, waiting: &Waiting) -> bool {
        let judged = self.judged.get(&waiting.packet.channel).copied().unwrap_or(0);
        waiting.until.is_none_or(|until| until <= judged)
    }

    fn write_first(&mut self) -> io::Result<()> {
        let Some(Waiting { packet, until }) = self.waiting.pop_front() else { return Ok(()) };
        if let Some(until) = until {
            self.places.remove(&(packet.channel, until));
        }
        self.bytes = self.bytes.saturating_sub(packet.frame.len()).saturating_sub(OVERHEAD);
        self.gone = self.gone.saturating_add(1);
        self.section.packet(&packet)
    }
}
