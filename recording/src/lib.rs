//! The sealed recording of one session: writer, reader, verifier.
//!
//! One file per session: a plain header, the file key wrapped to the auditors,
//! then a chain of encrypted frames with signed checkpoints between them and an
//! end frame. `FORMAT.md` beside this crate describes every byte.
//!
//! Order of events at the gateway: a [`Writer`] is created (header and first
//! checkpoint are then on stable storage), entries are appended before what
//! they tell of happens, a [`Syncer`] on another thread makes them durable,
//! checkpoints sign them, [`Writer::finish`] seals. The auditor checks with
//! the public key alone and reads with an age identity.
//!
//! This crate knows no network, no policy and no protocol. It never reads a
//! clock; every time comes from the caller.

#![warn(missing_docs)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test that goes out of bounds fails, which is what it is for"
    )
)]

mod assembly;
mod batch;
mod checkpoint;
mod ending;
mod entry;
mod envelope;
mod event;
mod frame;
mod header;
mod keys;
pub mod log;
mod opened;
mod ratchet;
mod recipient;
mod reckoning;
mod scan;
mod storage;
mod taps;
mod tree;
mod verify;
mod writer;

pub use batch::BatchError;
pub use checkpoint::{CheckpointError, MAX_NOTE, Statement};
pub use ending::{End, MAX_MARKS, Mark};
pub use entry::{Body, Entry, Position, Tap, Totals};
pub use envelope::{EnvelopeError, decrypt, encrypt};
pub use event::{Decision, Event, MAX_EVENT, MAX_TEXT, Started};
pub use frame::{Kind, MAX_PLAINTEXT};
pub use header::{Header, HeaderError, LogPosition, MAGIC, MAX_LENGTH, Mode, VERSION};
pub use keys::{DEFAULT_KEY_NAME, KeyError, PublicKey, SigningKey};
pub use opened::{OpenError, Opened, Recorded, Stop};
pub use ratchet::CryptoError;
pub use recipient::{Identity, MAX_RECIPIENTS, Recipient, RecipientError};
pub use scan::{Outline, ScanError, outline, read_head};
#[cfg(unix)]
pub use storage::FileStorage;
pub use storage::{Allocation, Storage, SyncStorage};
pub use taps::WINDOW;
pub use verify::{Fault, Report, SignedPrefix, Tail, Verdict, verify, verify_watched};
pub use writer::{
    Checkpoint, Moment, Opening, RecordError, Sealed, Syncer, Writer, file_name, random_session,
};
