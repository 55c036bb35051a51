//! The four taps of a channel: what is recorded of each, in order.
//!
//! Every byte towards a peer passes here first, so that the action which
//! records it precedes the one that sends it.

use crate::action::Action;
use crate::record::{Body, Entry, Tap, Totals};
use bytes::Bytes;
use std::time::Duration;

/// How far back a reference to another tap reaches, in bytes. Equal bytes
/// further back are recorded again, so that a reader needs bounded memory.
pub const REACH: u64 = 64 * 1024;

/// How much of each tap of one channel is recorded.
#[derive(Debug)]
pub(crate) struct Taps {
    channel: u32,
    totals: Totals,
}

impl Taps {
    pub(crate) fn new(channel: u32) -> Self {
        Self { channel, totals: Totals::default() }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Records `bytes`, which are not at another tap.
    pub(crate) fn bytes(&mut self, at: Duration, tap: Tap, bytes: Bytes, actions: &mut Vec<Action>) {
        let offset = self.advance(tap, bytes.len() as u64);
        let body = Body::Bytes { channel: self.channel, tap, offset, bytes };
        actions.push(Action::Record(Entry { at, body }));
    }

    /// Records `bytes`, which another tap has at `of_offset`, as a reference
    /// if that is near enough.
    pub(crate) fn same(
        &mut self,
        at: Duration,
        tap: Tap,
        bytes: &Bytes,
        of: (Tap, u64),
        actions: &mut Vec<Action>,
    ) {
        let (of, of_offset) = of;
        let back = self.total(of).saturating_sub(of_offset);
        let length = match u32::try_from(bytes.len()) {
            Ok(length) if back <= REACH => length,
            Ok(_) | Err(_) => return self.bytes(at, tap, bytes.clone(), actions),
        };
        let offset = self.advance(tap, length.into());
        let body = Body::Same { channel: self.channel, tap, offset, length, of, of_offset };
        actions.push(Action::Record(Entry { at, body }));
    }

    fn total(&mut self, tap: Tap) -> u64 {
        *self.total_mut(tap)
    }

    fn total_mut(&mut self, tap: Tap) -> &mut u64 {
        match tap {
            Tap::FromClient => &mut self.totals.from_client,
            Tap::ToDevice => &mut self.totals.to_device,
            Tap::FromDevice => &mut self.totals.from_device,
            Tap::ToClient => &mut self.totals.to_client,
        }
    }

    /// The offset before `length` more bytes.
    fn advance(&mut self, tap: Tap, length: u64) -> u64 {
        let total = self.total_mut(tap);
        let offset = *total;
        *total = offset.saturating_add(length);
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(action: &Action) -> Option<&Body> {
        if let Action::Record(entry) = action { Some(&entry.body) } else { None }
    }

    fn bodies(actions: &[Action]) -> Vec<&Body> {
        actions.iter().filter_map(body).collect()
    }

    #[test]
    fn equal_bytes_are_a_reference_only_within_reach() {
        let (mut taps, mut actions) = (Taps::new(3), Vec::new());
        let frame = Bytes::from_static(b"frame");
        taps.bytes(Duration::ZERO, Tap::FromClient, frame.clone(), &mut actions);
        taps.same(Duration::ZERO, Tap::ToDevice, &frame, (Tap::FromClient, 0), &mut actions);
        let filler = Bytes::from(vec![0; 64 * 1024]);
        taps.bytes(Duration::ZERO, Tap::FromClient, filler, &mut actions);
        taps.same(Duration::ZERO, Tap::ToDevice, &frame, (Tap::FromClient, 0), &mut actions);
        let bodies = bodies(&actions);
        let same = Body::Same {
            channel: 3,
            tap: Tap::ToDevice,
            offset: 0,
            length: 5,
            of: Tap::FromClient,
            of_offset: 0,
        };
        assert_eq!(bodies.get(1), Some(&&same));
        let again = Body::Bytes { channel: 3, tap: Tap::ToDevice, offset: 5, bytes: frame };
        assert_eq!(bodies.get(3), Some(&&again));
    }
}
