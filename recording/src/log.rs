//! The site log: one append-only file of all that happened at a gateway.
//!
//! A recording proves what happened in one session; the site log proves which
//! sessions there were. Its entries are the leaves of an RFC 6962 tree, its
//! signed heads (C2SP checkpoints) leave the gateway, and whoever holds one
//! finds a history that was cut, rolled back or rewritten. `LOG.md` beside
//! this crate describes every byte.
//!
//! Order of events at the gateway: [`LogFile`] is opened and locked,
//! [`LogWriter::open`] reads what is there and drops a tail that a crash
//! tore, [`LogWriter::append`] adds entries with a checkpoint over them by
//! one write, [`LogSyncer`] on a thread of its own makes them durable, and
//! only then a checkpoint is handed out. The auditor reads with [`read_log`].
//!
//! It knows no value of any operation: entries hold hashes, counts and times.

mod entry;
#[cfg(unix)]
mod file;
mod frame;
mod happening;
mod head;
mod history;
mod ledger;
mod read;
mod receipt;
mod writer;

pub use entry::{Finding, Gap, KeyRole, LogEntry, MAX_ENTRY, Recovered, Told};
#[cfg(unix)]
pub use file::LogFile;
pub use happening::Happening;
pub use head::{LOG_ORIGIN_PREFIX, LogHead, LogId};
pub use history::{History, ProofError, TilePath};
pub use ledger::{Account, Ledger, Place, Sealing};
pub use read::{LogFault, LogReport, LogTail, LogVerdict, SignedHead, inspect_log, read_log};
pub use receipt::{MAX_RECEIPT, Receipt, ReceiptError};
pub use writer::{LogCheckpoint, LogError, LogStorage, LogSyncer, LogWriter};

use crate::tree::{self, Hash};

/// The name of the log's file within its folder.
pub const LOG_FILE: &str = "site.log";

/// What every log file begins with: the name and the version, 1.
pub const LOG_MAGIC: [u8; 10] = *b"GATEHLOG\x01\0";

/// A session's name in the site log.
///
/// A hash of its random id, which stands in the recording's header and the
/// gateway's index alone: once those are erased nobody can tell whose entry
/// it was, and the log's proofs still hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub [u8; 32]);

impl Pseudonym {
    /// The pseudonym of a session.
    pub fn of(session: &[u8; 16]) -> Self {
        Self(tree::sha256(&[b"gatehouse site log 1: session", session]))
    }
}

impl std::fmt::Display for Pseudonym {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Pseudonym {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Pseudonym({self})")
    }
}

/// SHA-256 over `bytes`, as entries hold it of what stands elsewhere.
pub fn hash_of(bytes: &[u8]) -> Hash {
    tree::sha256(&[bytes])
}

/// SHA-256 over all that a source gives.
///
/// # Errors
/// Whatever the source says.
pub fn hash_of_reader(mut source: impl std::io::Read) -> std::io::Result<Hash> {
    tree::sha256_of(&mut source)
}
