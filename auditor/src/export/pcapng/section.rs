//! The blocks of a pcapng file (IETF draft-ietf-opsawg-pcapng): section
//! header, interfaces, packets, each with its comments.

use super::line::Packet;
use crate::escape::safe;
use crate::export::Cover;
use crate::time::Clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};
use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

/// Times are nanoseconds: 10 to the minus ninth. Without the option readers
/// would take them for microseconds.
const NANOSECONDS: u8 = 9;

/// No packet is longer.
const SNAPLEN: u32 = 65_535;

/// Longest text of an option, in bytes; its length has 16 bits.
const LONGEST: usize = 60_000;

/// Which way a packet went, seen from the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Inbound,
    Outbound,
}

/// A file with one section.
pub(super) struct Section<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: u32,
    start: Timestamp,
}

impl<W: Write> Section<W> {
    /// Begins a file with what is known of the recording.
    pub(super) fn begin(file: W, cover: &Cover<'_>) -> io::Result<Self> {
        let header = SectionHeaderBlock {
            endianness: Endianness::Little,
            options: vec![
                SectionHeaderOption::Comment(text(&comment(cover))),
                SectionHeaderOption::UserApplication(
                    concat!("gatehouse-audit ", env!("CARGO_PKG_VERSION")).into(),
                ),
            ],
            ..SectionHeaderBlock::default()
        };
        let writer = PcapNgWriter::with_section_header(file, header).map_err(failed)?;
        Ok(Self { writer, interfaces: 0, start: cover.header.started_wall })
    }

    /// A new interface; gives its number.
    pub(super) fn interface(
        &mut self,
        channel: u32,
        (side, between): (&str, &str),
        (service, protocol, port): (&str, &str, u16),
    ) -> io::Result<u32> {
        let about = match service {
            "" => format!("channel {channel}, never opened"),
            _ => format!("channel {channel}, service {} ({}, port {port})", safe(service), safe(protocol)),
        };
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: SNAPLEN,
            options: vec![
                InterfaceDescriptionOption::IfName(text(&format!("channel-{channel}-{side}"))),
                InterfaceDescriptionOption::IfDescription(text(&format!("{about}: {between}"))),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        self.writer.write_pcapng_block(block).map_err(failed)?;
        let number = self.interfaces;
        self.interfaces = number.saturating_add(1);
        Ok(number)
    }

    pub(super) fn packet(&mut self, packet: &Packet) -> io::Result<()> {
        // Bits 0 and 1 of the flags: 1 for inbound, 2 for outbound.
        let flags = match packet.direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        let comments = packet.comments.iter().map(|comment| EnhancedPacketOption::Comment(text(comment)));
        let clock = Clock { start: self.start, zone: TimeZone::UTC };
        let since = clock.wall(packet.at).duration_since(Timestamp::UNIX_EPOCH);
        let block = EnhancedPacketBlock {
            interface_id: packet.interface,
            timestamp: Duration::try_from(since).unwrap_or(Duration::ZERO),
            original_len: u32::try_from(packet.frame.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(&packet.frame),
            options: std::iter::once(EnhancedPacketOption::Flags(flags)).chain(comments).collect(),
        };
        self.writer.write_pcapng_block(block).map_err(failed).map(drop)
    }

    pub(super) fn finish(self) -> W {
        self.writer.into_inner()
    }
}

/// What the section header says: whose session it was and what is proven.
fn comment(cover: &Cover<'_>) -> String {
    let header = &cover.header;
    let clock = Clock { start: header.started_wall, zone: TimeZone::UTC };
    let mut lines = vec![
        format!(
            "Gatehouse session {}, started {}, mode {}",
            header.session_hex(),
            clock.exact(Duration::ZERO),
            header.mode.name()
        ),
        format!("signing key {}+{:08x}", safe(&header.key_name), header.key_id),
        cover.proof.sentence(),
    ];
    if let Some(started) = &cover.started {
        let (person, target) = (safe(&started.person), safe(&started.target));
        lines.insert(1, format!("{person} on {target} ({})", safe(&started.address)));
        lines.insert(2, format!("policy {}", hex::encode(&started.policy_hash)));
    }
    lines.push(
        "The recorded bytes and times, carried by made-up TCP conversations; the gateway's address, \
         hardware addresses and the openers' ports are made up too."
            .to_owned(),
    );
    if let Some(note) = cover.proof.note() {
        lines.push("Last checkpoint, a C2SP signed note:".to_owned());
        lines.extend(note.lines().map(safe));
    }
    lines.join("\n")
}

/// A text that fits into an option.
fn text(text: &str) -> Cow<'static, str> {
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    Cow::Owned(text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned())
}

fn failed(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        error @ (PcapError::IncompleteBuffer
        | PcapError::InvalidField(_)
        | PcapError::Utf8Error(_)
        | PcapError::FromUtf8Error(_)
        | PcapError::InvalidInterfaceId(_)) => io::Error::other(error),
    }
}
