//! Record, THEN forward: the order in which a session's actions are done.
//!
//! The core's actions go through [`Tape::take`] one by one. What is to be
//! recorded waits here for the entries of the other inputs at hand, so that
//! one write takes them all, and the bytes and news that it covers wait with
//! it. [`Tape::write`] writes and gives them back to be sent. Nothing else
//! waits, and nothing overtakes an entry. After a failure nothing of it is
//! given back, and [`Tape::runs`] says so to whoever sends bytes.

use super::sync::{SyncThread, Syncing};
use super::{OpenRecording, RecordFailure};
use recording::{FileStorage, Storage};
use session::{Action, Entry};
use std::time::Duration;

/// A recording with what waits to be written to it.
pub struct Tape<S = FileStorage, Y = SyncThread> {
    recording: OpenRecording<S, Y>,
    standing: Standing,
    entries: Vec<Entry>,
    /// The sync that is asked for with them; it covers all asked for before.
    ticket: Option<u64>,
    /// Bytes and news that they cover, in order.
    sends: Vec<Action>,
}

/// Whether the recording still takes entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Running,
    Failed,
}

impl<S: Storage, Y: Syncing> Tape<S, Y> {
    /// The tape of a recording to which nothing was written yet.
    pub fn new(recording: OpenRecording<S, Y>) -> Self {
        let (entries, sends) = (Vec::new(), Vec::new());
        Self { recording, standing: Standing::Running, entries, ticket: None, sends }
    }

    /// The recording.
    pub fn recording(&self) -> &OpenRecording<S, Y> {
        &self.recording
    }

    /// Time since the recording began.
    pub fn now(&self) -> Duration {
        self.recording.now()
    }

    /// Whether bytes may still go out.
    pub fn runs(&self) -> bool {
        self.standing == Standing::Running
    }

    /// Takes the core's next action. One that can't wait is added to `due`,
    /// behind all that was written for it.
    ///
    /// # Errors
    /// [`RecordFailure`]: nothing may go out any more.
    pub fn take(&mut self, action: Action, due: &mut Vec<Action>) -> Result<(), RecordFailure> {
        match action {
            Action::Record(entry) => self.entries.push(entry),
            Action::Sync { ticket } => self.ticket = Some(ticket),
            Action::ToDevice { .. } | Action::ToClient { .. } | Action::Notice(_) => self.sends.push(action),
            Action::Dial { .. }
            | Action::ConfirmChannel { .. }
            | Action::RefuseChannel { .. }
            | Action::FinishDevice { .. }
            | Action::FinishClient { .. }
            | Action::CloseChannel { .. }
            | Action::Active
            | Action::End { .. } => {
                self.write(due)?;
                due.push(action);
            }
        }
        Ok(())
    }

    /// Writes the entries that wait, then adds what they cover to `due`.
    ///
    /// # Errors
    /// [`RecordFailure`]: nothing may go out any more.
    pub fn write(&mut self, due: &mut Vec<Action>) -> Result<(), RecordFailure> {
        let ticket = self.ticket.take();
        if self.runs() {
            self.recording.record(&mut self.entries, ticket)?;
        }
        self.entries.clear();
        due.append(&mut self.sends);
        Ok(())
    }

    /// The newest of the tickets that became durable since it was last asked.
    ///
    /// # Errors
    /// [`RecordFailure`] when a sync failed: it is never tried again.
    pub fn durable(&mut self) -> Result<Option<u64>, RecordFailure> {
        self.recording.durable()
    }

    /// Four times a second: the recording's duties.
    ///
    /// # Errors
    /// [`RecordFailure`]: nothing may go out any more.
    pub fn tick(&mut self) -> Result<(), RecordFailure> {
        if self.runs() { self.recording.tick() } else { Ok(()) }
    }

    /// A checkpoint for the client to keep, when one is due.
    pub fn receipt(&mut self) -> Option<String> {
        self.recording.receipt()
    }

    /// From here on no entry is taken. Where bytes may be lost, the recording
    /// is never touched again, not even to close it.
    pub fn fail(&mut self, failure: &RecordFailure) {
        self.standing = Standing::Failed;
        self.entries.clear();
        self.sends.clear();
        if !failure.leaves_it_whole() {
            self.recording.give_up();
        }
    }

    /// The recording, to be sealed.
    pub fn into_recording(self) -> OpenRecording<S, Y> {
        self.recording
    }
}
