//! How far each tap of each channel has come.
//!
//! The writer refuses, and the reader reports, bytes that do not follow on
//! those before: a gap would be unrecorded bytes.

use crate::batch::BatchError;
use crate::entry::{Tap, Totals};
use crate::event::Event;
use std::collections::HashMap;

/// Most channels that may be open at a time.
pub(crate) const MAX_CHANNELS: usize = 4096;

/// How far back a [`crate::Body::Same`] may lead, in bytes of the other tap.
pub const WINDOW: u32 = 1024 * 1024;

/// Ends of the taps of all channels that are not closed yet.
#[derive(Debug, Default)]
pub(crate) struct Taps(HashMap<u32, [u64; 4]>);

impl Taps {
    /// Moves a tap on by `length` bytes that begin at `offset`.
    pub(crate) fn advance(
        &mut self,
        channel: u32,
        tap: Tap,
        offset: u64,
        length: u64,
    ) -> Result<(), BatchError> {
        if self.0.len() >= MAX_CHANNELS && !self.0.contains_key(&channel) {
            return Err(BatchError::Channels);
        }
        let ends = self.0.entry(channel).or_default();
        let end = ends.get_mut(usize::from(tap.code())).ok_or(BatchError::Unknown)?;
        if *end != offset {
            return Err(BatchError::Gap);
        }
        *end = offset.checked_add(length).ok_or(BatchError::Gap)?;
        Ok(())
    }

    /// Whether a reference leads to bytes that are there and near enough.
    pub(crate) fn reach(&self, channel: u32, of: Tap, of_offset: u64, length: u32) -> Result<(), BatchError> {
        let ends = self.0.get(&channel).copied().unwrap_or_default();
        let end = *ends.get(usize::from(of.code())).ok_or(BatchError::Reference)?;
        let last = of_offset.checked_add(length.into()).ok_or(BatchError::Reference)?;
        if last > end || of_offset < end.saturating_sub(WINDOW.into()) {
            return Err(BatchError::Reference);
        }
        Ok(())
    }

    /// Bytes that passed the taps of a channel that is not closed.
    pub(crate) fn totals(&self, channel: u32) -> Totals {
        let [from_client, to_device, from_device, to_client] =
            self.0.get(&channel).copied().unwrap_or_default();
        Totals { from_client, to_device, from_device, to_client }
    }

    /// Forgets a channel that is closed.
    pub(crate) fn note(&mut self, event: &Event) {
        if let Some(channel) = event.closes() {
            self.0.remove(&channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tap_goes_on_where_it_was() {
        let mut taps = Taps::default();
        taps.advance(1, Tap::FromClient, 0, 10).unwrap();
        taps.advance(1, Tap::FromClient, 10, 5).unwrap();
        taps.advance(1, Tap::ToDevice, 0, 3).unwrap();
        taps.advance(2, Tap::FromClient, 0, 1).unwrap();
        for offset in [0, 14, 16, u64::MAX] {
            assert_eq!(taps.advance(1, Tap::FromClient, offset, 1), Err(BatchError::Gap));
        }
        assert_eq!(taps.advance(3, Tap::ToClient, 1, 1), Err(BatchError::Gap));
    }

    #[test]
    fn a_reference_reaches_what_is_there_and_near() {
        let mut taps = Taps::default();
        let window = u64::from(WINDOW);
        taps.advance(1, Tap::FromClient, 0, window + 10).unwrap();
        assert!(taps.reach(1, Tap::FromClient, 10, WINDOW).is_ok());
        for (channel, tap, offset, length) in [
            (1, Tap::FromClient, 9, 1),
            (1, Tap::FromClient, 11, WINDOW),
            (1, Tap::FromClient, u64::MAX, 1),
            (1, Tap::ToDevice, 0, 1),
            (2, Tap::FromClient, 0, 1),
        ] {
            assert_eq!(taps.reach(channel, tap, offset, length), Err(BatchError::Reference));
        }
    }

    #[test]
    fn a_closed_channel_is_forgotten() {
        let mut taps = Taps::default();
        taps.advance(1, Tap::FromClient, 0, 10).unwrap();
        let (by, reason) = ("client".to_owned(), String::new());
        taps.note(&Event::ChannelClosed {
            channel: 1,
            by,
            how: "finished".to_owned(),
            reason,
            totals: Totals::default(),
        });
        taps.advance(1, Tap::FromClient, 0, 10).unwrap();
    }

    #[test]
    fn open_channels_are_bounded() {
        let mut taps = Taps::default();
        for channel in 0..4096 {
            taps.advance(channel, Tap::FromClient, 0, 1).unwrap();
        }
        assert_eq!(taps.advance(4096, Tap::FromClient, 0, 1), Err(BatchError::Channels));
        taps.advance(4095, Tap::FromClient, 1, 1).unwrap();
    }
}
