//! The bytes of each tap of each channel in a file of its own, with an index
//! that says what they are and what is proven.

use super::destination::NewFolder;
use super::{Cover, Source, Written};
use crate::escape::safe_json;
use crate::time::Clock;
use crate::trouble::Trouble;
use jiff::tz::TimeZone;
use recording::{Body, Event, Tap};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The index's file.
const INDEX: &str = "index.json";

#[derive(Debug, Serialize)]
struct Index<'a> {
    session: String,
    started: String,
    person: Option<&'a str>,
    target: Option<&'a str>,
    verified: &'static str,
    proof: String,
    checkpoint: Option<&'a str>,
    files: Vec<Piece>,
}

/// One file.
#[derive(Debug, Clone, Serialize)]
struct Piece {
    file: String,
    channel: u32,
    service: String,
    protocol: String,
    port: u16,
    tap: &'static str,
    bytes: u64,
}

/// A channel as long as it is open.
#[derive(Debug, Default)]
struct Open {
    service: String,
    protocol: String,
    port: u16,
    /// How often its number was used before.
    before: u32,
    /// Places in the list of files.
    files: BTreeMap<Tap, usize>,
}

pub(super) fn write(cover: &Cover<'_>, source: &mut Source<'_>, out: &Path) -> Result<Written, Trouble> {
    let folder = NewFolder::create(out)?;
    let mut channels: BTreeMap<u32, Open> = BTreeMap::new();
    let mut files: Vec<Piece> = Vec::new();
    while let Some(recorded) = source.next()? {
        match recorded.entry.body {
            Body::Bytes { channel, tap, bytes, .. } => {
                let open = channels.entry(channel).or_default();
                let place = *open.files.entry(tap).or_insert_with(|| files.len());
                if place == files.len() {
                    files.push(open.piece(channel, tap));
                }
                if let Some(piece) = files.get_mut(place) {
                    folder.append(&piece.file, &bytes)?;
                    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    piece.bytes = piece.bytes.saturating_add(length);
                }
            }
            Body::Event(Event::ChannelOpened { channel, service, protocol, port }) => {
                let before = channels.get(&channel).map_or(0, |open| open.before);
                channels.insert(channel, Open { service, protocol, port, before, files: BTreeMap::new() });
            }
            Body::Event(Event::ChannelClosed { channel, .. }) => {
                let open = channels.entry(channel).or_default();
                *open = Open { before: open.before.saturating_add(1), ..Open::default() };
            }
            Body::Event(_) | Body::Same { .. } => {}
        }
    }
    let count = u64::try_from(files.len()).unwrap_or(u64::MAX);
    let clock = Clock { start: cover.header.started_wall, zone: TimeZone::UTC };
    let index = Index {
        session: cover.header.session_hex(),
        started: clock.exact(std::time::Duration::ZERO),
        person: cover.started.as_ref().map(|started| started.person.as_str()),
        target: cover.started.as_ref().map(|started| started.target.as_str()),
        verified: cover.proof.word(),
        proof: cover.proof.sentence(),
        checkpoint: cover.proof.note(),
        files,
    };
    let json = serde_json::to_string_pretty(&index).map_err(io::Error::other)?;
    folder.append(INDEX, format!("{}\n", safe_json(&json)).as_bytes())?;
    folder.finish()?;
    Ok(source.written(count, "taps"))
}

impl Open {
    /// Its name has nothing from outside.
    fn piece(&self, channel: u32, tap: Tap) -> Piece {
        let again = match self.before {
            0 => String::new(),
            before => format!("-{}", before.saturating_add(1)),
        };
        Piece {
            file: format!("channel-{channel}{again}.{}.bin", tap.name()),
            channel,
            service: self.service.clone(),
            protocol: self.protocol.clone(),
            port: self.port,
            tap: tap.name(),
            bytes: 0,
        }
    }
}
