//! What the client is still owed, in the order of its requests.
//!
//! Answers come when the device gives them. A denial waits until everything
//! asked before it has been answered or is overdue: a client that expects
//! answers in order isn't shown one out of turn by us.
//!
//! At most one request per key is under way, so that every answer belongs to
//! exactly one request. An answer that comes after its time is still known by
//! its key; a client that uses such a key again could not tell the two
//! answers apart, and neither could the recording.

use bytes::Bytes;
use dissect::Key;
use std::collections::VecDeque;
use std::time::Duration;

/// How many overdue requests a channel may have. Less than a dissector
/// remembers, together with those under way.
pub(crate) const OVERDUE: usize = 1024;

/// What is owed on one channel.
#[derive(Debug, Default)]
pub(crate) struct Due {
    owed: VecDeque<Owed>,
    overdue: VecDeque<(Key, u64)>,
}

#[derive(Debug)]
enum Owed {
    Answer {
        request: u64,
        key: Key,
        /// `None` until the request was sent.
        deadline: Option<Duration>,
    },
    Denial(Denial),
}

/// The protocol's own refusal of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) request: u64,
    pub(crate) bytes: Bytes,
}

/// What a frame of the device answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    InTime(u64),
    Late(u64),
    /// Nobody asked: the device sent it by itself, as its protocol lets it.
    Unasked,
}

impl Due {
    pub(crate) fn len(&self) -> usize {
        self.owed.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    /// Whether a request with this key is under way.
    pub(crate) fn holds(&self, key: Key) -> bool {
        self.owed.iter().any(|owed| owed.is_answer_to(key))
    }

    /// Whether the answer to a request with this key is overdue.
    pub(crate) fn is_overdue(&self, key: Key) -> bool {
        self.overdue.iter().any(|(overdue, _)| *overdue == key)
    }

    /// Whether more requests went unanswered than can be kept apart.
    pub(crate) fn is_lost(&self) -> bool {
        self.overdue.len() > OVERDUE
    }

    pub(crate) fn expect(&mut self, request: u64, key: Key) {
        self.owed.push_back(Owed::Answer { request, key, deadline: None });
    }

    /// The request with this number went to the device.
    pub(crate) fn sent(&mut self, number: u64, until: Duration) {
        for owed in &mut self.owed {
            match owed {
                Owed::Answer { request, deadline, .. } if *request == number => *deadline = Some(until),
                Owed::Answer { .. } | Owed::Denial(_) => {}
            }
        }
    }

    /// Requests that will never be sent are owed no answer.
    pub(crate) fn forget_unsent(&mut self) {
        self.owed.retain(|owed| !matches!(owed, Owed::Answer { deadline: None, .. }));
    }

    pub(crate) fn deny(&mut self, denial: Denial) {
        self.owed.push_back(Owed::Denial(denial));
    }

    pub(crate) fn answered(&mut self, key: Key) -> Option<Answered> {
        if let Some(position) = self.owed.iter().position(|owed| owed.is_answer_to(key)) {
            return match self.owed.remove(position) {
                Some(Owed::Answer { request, .. }) => Some(Answered::InTime(request)),
                Some(Owed::Denial(_)) | None => None,
            };
        }
        let position = self.overdue.iter().position(|(overdue, _)| *overdue == key)?;
        self.overdue.remove(position).map(|(_, request)| Answered::Late(request))
    }

    /// The denial whose turn it is.
    pub(crate) fn next_denial(&mut self) -> Option<Denial> {
        match self.owed.pop_front() {
            Some(Owed::Denial(denial)) => Some(denial),
            Some(answer @ Owed::Answer { .. }) => {
                self.owed.push_front(answer);
                None
            }
            None => None,
        }
    }

    /// When the oldest request under way is overdue. Requests are sent in
    /// order and all have the same time, so it is the first of them.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.owed.iter().find_map(|owed| match owed {
            Owed::Answer { deadline, .. } => Some(*deadline),
            Owed::Denial(_) => None,
        })?
    }

    /// Gives up on the oldest request under way if its time is over.
    pub(crate) fn give_up(&mut self, now: Duration) -> Option<u64> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        let position = self.owed.iter().position(|owed| matches!(owed, Owed::Answer { .. }))?;
        match self.owed.remove(position)? {
            Owed::Answer { request, key, .. } => {
                self.overdue.push_back((key, request));
                Some(request)
            }
            Owed::Denial(_) => None,
        }
    }
}

impl Owed {
    fn is_answer_to(&self, wanted: Key) -> bool {
        match self {
            Self::Answer { key, .. } => *key == wanted,
            Self::Denial(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn no(request: u64) -> Denial {
        Denial { request, bytes: Bytes::from_static(b"no") }
    }

    #[test]
    fn a_denial_waits_for_the_answers_before_it_and_no_others() {
        let mut due = Due::default();
        due.expect(1, Key(1));
        due.deny(no(2));
        due.expect(3, Key(3));
        assert_eq!(due.next_denial(), None);
        assert_eq!(due.answered(Key(3)), Some(Answered::InTime(3)));
        assert_eq!(due.next_denial(), None);
        assert_eq!(due.answered(Key(1)), Some(Answered::InTime(1)));
        assert_eq!(due.next_denial(), Some(no(2)));
        assert!(due.is_empty());
    }

    #[test]
    fn an_overdue_request_frees_the_denial_and_is_known_when_it_comes_late() {
        let mut due = Due::default();
        due.expect(1, Key(7));
        due.deny(no(2));
        assert_eq!((due.deadline(), due.give_up(SECOND)), (None, None));
        due.sent(1, 5 * SECOND);
        assert_eq!(due.deadline(), Some(5 * SECOND));
        assert_eq!(due.give_up(4 * SECOND), None);
        assert_eq!(due.give_up(5 * SECOND), Some(1));
        assert!(due.next_denial().is_some());
        assert!(due.is_overdue(Key(7)) && !due.holds(Key(7)));
        assert_eq!(due.answered(Key(7)), Some(Answered::Late(1)));
        assert_eq!(due.answered(Key(7)), None);
    }
}
