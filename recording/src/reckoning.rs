//! What the entries of a recording must add up to: requests numbered one by
//! one, totals that are those of the taps, an index that leads to checkpoints.
//!
//! Only a gateway that is wrong, or lies, writes anything else; the reader says
//! so rather than tell its story on.

use crate::batch::BatchError;
use crate::ending::{End, Index, Mark};
use crate::entry::{Tap, Totals};
use crate::event::Event;
use crate::taps::Taps;

/// The sums so far.
#[derive(Debug)]
pub(crate) struct Reckoning {
    requests: u64,
    totals: Totals,
    index: Index,
}

impl Reckoning {
    pub(crate) fn new() -> Self {
        Self { requests: 0, totals: Totals::default(), index: Index::new() }
    }

    /// Bytes passed a tap.
    pub(crate) fn passed(&mut self, tap: Tap, bytes: u64) {
        self.totals.add(tap, bytes);
    }

    /// A checkpoint whose frame begins at `offset`.
    pub(crate) fn checkpoint(&mut self, offset: u64, sequence: u64) {
        self.index.add(Mark(offset, sequence, 0));
    }

    /// An event, before the taps take note of it.
    pub(crate) fn event(&mut self, event: &Event, taps: &Taps) -> Result<(), BatchError> {
        match event {
            Event::Operation { request, .. } => {
                self.requests = self.requests.saturating_add(1);
                if *request != self.requests {
                    return Err(BatchError::Request(*request));
                }
            }
            Event::Answer { request, .. } if *request > self.requests => {
                return Err(BatchError::Request(*request));
            }
            Event::Refusal { request, .. } if *request == 0 || *request > self.requests => {
                return Err(BatchError::Request(*request));
            }
            Event::ChannelClosed { channel, totals, .. } if *totals != taps.totals(*channel) => {
                return Err(BatchError::Totals);
            }
            Event::Started(_)
            | Event::ChannelOpened { .. }
            | Event::ChannelConnected { .. }
            | Event::ChannelClosed { .. }
            | Event::Answer { .. }
            | Event::Observed { .. }
            | Event::Refusal { .. }
            | Event::Unframed { .. }
            | Event::TermsChanged { .. }
            | Event::PathChanged { .. }
            | Event::ClockStep { .. }
            | Event::Ending { .. }
            | Event::Note { .. } => {}
        }
        Ok(())
    }

    /// The end of all.
    pub(crate) fn end(&self, end: &End) -> Result<(), BatchError> {
        if end.totals != self.totals {
            return Err(BatchError::Totals);
        }
        if self.index.is_told_by(&end.marks) { Ok(()) } else { Err(BatchError::Marks) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Decision;

    fn operation(request: u64) -> Event {
        let text = String::new;
        Event::Operation {
            request,
            channel: 1,
            offset: 0,
            length: 0,
            function: text(),
            text: text(),
            effect: "changes".to_owned(),
            decision: Decision::Allow,
            rule: text(),
            reason: text(),
        }
    }

    fn answer(request: u64) -> Event {
        Event::Answer { request, channel: 1, offset: 0, length: 0, text: String::new(), refused: false }
    }

    fn refusal(request: u64) -> Event {
        Event::Refusal { request, channel: 1, offset: 0, length: 0 }
    }

    #[test]
    fn requests_are_counted_and_answered_after_they_were_made() {
        let (mut reckoning, taps) = (Reckoning::new(), Taps::default());
        let mut tell = |event: Event| reckoning.event(&event, &taps);
        assert_eq!(tell(answer(0)), Ok(()), "by itself");
        assert_eq!(tell(answer(1)), Err(BatchError::Request(1)));
        assert_eq!(tell(refusal(1)), Err(BatchError::Request(1)));
        assert_eq!(tell(operation(1)), Ok(()));
        assert_eq!(tell(operation(2)), Ok(()));
        for event in [answer(1), answer(2), refusal(1), refusal(2)] {
            assert_eq!(tell(event), Ok(()));
        }
        assert_eq!(tell(answer(3)), Err(BatchError::Request(3)));
        assert_eq!(tell(refusal(0)), Err(BatchError::Request(0)));
        assert_eq!(tell(operation(2)), Err(BatchError::Request(2)));
    }

    #[test]
    fn a_channel_closes_and_a_recording_ends_with_what_passed() {
        let (mut reckoning, mut taps) = (Reckoning::new(), Taps::default());
        taps.advance(1, Tap::ToDevice, 0, 5).unwrap();
        reckoning.passed(Tap::ToDevice, 5);
        reckoning.checkpoint(456, 0);
        let passed = Totals { to_device: 5, ..Totals::default() };
        let closed = |totals| Event::ChannelClosed {
            channel: 1,
            by: "client".to_owned(),
            how: "finished".to_owned(),
            reason: String::new(),
            totals,
        };
        assert_eq!(reckoning.event(&closed(Totals::default()), &taps), Err(BatchError::Totals));
        assert_eq!(reckoning.event(&closed(passed), &taps), Ok(()));
        let end = |totals, marks| End { at: 9, reason: String::new(), totals, marks };
        assert_eq!(reckoning.end(&end(passed, vec![Mark(456, 0, 7)])), Ok(()));
        assert_eq!(reckoning.end(&end(Totals::default(), vec![Mark(456, 0, 7)])), Err(BatchError::Totals));
        for marks in [vec![], vec![Mark(457, 0, 0)], vec![Mark(456, 1, 0)], vec![Mark(456, 0, 0); 2]] {
            assert_eq!(reckoning.end(&end(passed, marks)), Err(BatchError::Marks));
        }
    }
}
