//! Checks a recording with the public key alone.
//!
//! Order of events: header, then frame after frame: sequence, epoch and chain
//! must fit, and each checkpoint must be signed by the key and say of the
//! bytes before it what they are. What the last checkpoint covers is the
//! signed prefix; any change in it is an alteration. What follows is the
//! unsigned tail, at most a second of a session that ended with the machine.
//!
//! It decrypts nothing, and never accepts what it does not understand.

use crate::checkpoint::{CheckpointError, Statement};
use crate::frame::{FrameHeader, Kind};
use crate::header::{Head, Header, HeaderError};
use crate::keys::PublicKey;
use crate::scan::{Scanner, Step};
use crate::tree::{self, Hash, Tree};
use jiff::Timestamp;
use std::io::{self, Read, Seek};

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The header's fields, where it can be read.
    pub header: Option<Header>,
    /// Leaf hash of the header, as the site log keeps it.
    pub header_hash: Option<[u8; 32]>,
    /// The file's length in bytes.
    pub length: u64,
    /// What is proven by the key, `None` where no checkpoint was.
    pub signed: Option<SignedPrefix>,
    /// What follows the signed prefix.
    pub tail: Tail,
    /// The answer.
    pub verdict: Verdict,
}

impl Report {
    /// Whether an alteration is one that a power failure can leave as well:
    /// behind a checkpoint that passed, frames stop or a later checkpoint does
    /// not verify, because of the bytes that were not yet on stable storage
    /// some were kept and earlier ones lost. Nothing here tells a power failure
    /// from somebody who did the same; what it proves is the signed prefix.
    pub fn could_be_a_power_failure(&self) -> bool {
        let Verdict::Altered { offset, fault } = &self.verdict else { return false };
        let kind = match fault {
            Fault::Checkpoint(_) | Fault::Chain | Fault::NoFrame => true,
            Fault::Header(_) | Fault::Key { .. } | Fault::Covers | Fault::Order | Fault::AfterEnd => false,
        };
        kind && self.signed.as_ref().is_some_and(|signed| *offset >= signed.bytes)
    }
}

/// The part of a recording that a checkpoint covers, with the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPrefix {
    /// Bytes from the start, the checkpoint's frame included.
    pub bytes: u64,
    /// Frames from the start, the checkpoint's included; as many are the
    /// leaves that it signs, since the header is one.
    pub frames: u64,
    /// Tree hash that it signs.
    pub root: [u8; 32],
    /// When the checkpoint was signed, by the gateway's wall clock.
    pub time: Timestamp,
    /// The checkpoint itself: a C2SP signed note that anybody can check.
    pub note: String,
}

/// What follows the signed prefix of a recording that was not closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail {
    /// Bytes of whole frames that follow on one another but are not signed.
    pub bytes: u64,
    /// Count of those frames.
    pub frames: u64,
    /// Bytes of reserved space behind them, all zero.
    pub blank: u64,
    /// Where bytes begin that are no frame: the last write was torn, or
    /// someone changed what was not signed.
    pub broken: Option<u64>,
}

/// The answer of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Whole, signed to the last byte.
    Clean,
    /// Whole and closed, but reserved space was not given back: the machine
    /// stopped in the instant of closing.
    Untrimmed,
    /// Genuine as far as it is signed, but not closed: that something was cut
    /// off can't be excluded.
    Unclean,
    /// Not what was signed.
    Altered {
        /// Where the first frame begins that is not as it was signed.
        offset: u64,
        /// What is wrong there.
        fault: Fault,
    },
}

/// What is wrong with an altered recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The header can't be read.
    #[error(transparent)]
    Header(HeaderError),
    /// The header names another signing key.
    #[error("its header names the key {name}+{id:08x}, not the one given")]
    Key {
        /// Name in the header.
        name: String,
        /// Id in the header.
        id: u32,
    },
    /// A checkpoint is not genuine.
    #[error("checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// A genuine checkpoint is not about the bytes before it.
    #[error("the signed checkpoint does not fit the bytes before it")]
    Covers,
    /// Frames do not follow on one another.
    #[error("the chain of frames is broken")]
    Chain,
    /// There is something that is no frame, and signed bytes behind it.
    #[error("there is no whole frame")]
    NoFrame,
    /// No gateway writes frames in this order.
    #[error("a frame stands where it can't be")]
    Order,
    /// Something stands behind the end.
    #[error("there are bytes behind the end")]
    AfterEnd,
}

/// Checks a recording with the gateway's public key.
///
/// # Errors
/// Only where the file can't be read; what is wrong with its content is in
/// the report.
pub fn verify<R: Read + Seek>(source: R, key: &PublicKey) -> io::Result<Report> {
    verify_watched(source, key, |_| ())
}

/// As [`verify`], telling `watch` now and then how many bytes are done.
///
/// # Errors
/// As [`verify`].
pub fn verify_watched<R: Read + Seek>(
    source: R,
    key: &PublicKey,
    mut watch: impl FnMut(u64),
) -> io::Result<Report> {
    let (mut scanner, head) = Scanner::open(source)?;
    let head = match head {
        Ok(head) => head,
        Err(error) => return without_header(&mut scanner, key, error),
    };
    let mut walk = Walk::new(&mut scanner, &head, key);
    let verdict = match walk.run(&mut watch)? {
        Ok(verdict) => verdict,
        Err((offset, fault)) => Verdict::Altered { offset, fault },
    };
    let (signed, tail) = (walk.signed.take(), walk.tail);
    let (header_hash, length) = (Some(head.hash), scanner.length());
    Ok(Report { header: Some(head.fields), header_hash, length, signed, tail, verdict })
}

/// A file whose header is missing is cut; one whose header is wrong, or
/// missing in front of signed bytes, is altered.
fn without_header<R: Read + Seek>(
    scanner: &mut Scanner<R>,
    key: &PublicKey,
    error: HeaderError,
) -> io::Result<Report> {
    let broken = scanner.last_written()?.map(|_| 0);
    let signed = scanner.find_note(0, |note| Statement::verify(note, key).is_ok())?;
    let verdict = if error == HeaderError::Cut && !signed {
        Verdict::Unclean
    } else {
        Verdict::Altered { offset: 0, fault: Fault::Header(error) }
    };
    let tail = Tail { broken, ..Tail::default() };
    Ok(Report { header: None, header_hash: None, length: scanner.length(), signed: None, tail, verdict })
}

/// Either a verdict or where and how the signed prefix is wrong.
type Outcome = Result<Verdict, (u64, Fault)>;

struct Walk<'a, R> {
    scanner: &'a mut Scanner<R>,
    head: &'a Head,
    key: &'a PublicKey,
    tree: Tree,
    previous: Hash,
    sequence: u64,
    epoch: u32,
    last: Last,
    signed: Option<SignedPrefix>,
    tail: Tail,
}

/// The frame, or header, before the present one.
#[derive(Clone, Copy)]
struct Last {
    offset: u64,
    kind: Option<Kind>,
}

/// Whether the walk goes on.
enum Flow {
    On,
    Stop(Outcome),
}

impl<'a, R: Read + Seek> Walk<'a, R> {
    fn new(scanner: &'a mut Scanner<R>, head: &'a Head, key: &'a PublicKey) -> Self {
        let mut tree = Tree::default();
        tree.push(head.hash);
        Self {
            scanner,
            head,
            key,
            tree,
            previous: head.hash,
            sequence: 0,
            epoch: 0,
            last: Last { offset: 0, kind: None },
            signed: None,
            tail: Tail::default(),
        }
    }

    fn run(&mut self, watch: &mut impl FnMut(u64)) -> io::Result<Outcome> {
        let header = &self.head.fields;
        if header.key_id != self.key.id() || header.key_name != self.key.name() {
            let (name, id) = (header.key_name.clone(), header.key_id);
            return Ok(Err((0, Fault::Key { name, id })));
        }
        let mut ended = false;
        loop {
            let offset = self.scanner.offset();
            let step = self.scanner.step()?;
            let frame = match step {
                Step::Frame(frame) => frame,
                Step::End | Step::Blank | Step::Broken if ended => return self.behind_the_end(),
                Step::End | Step::Blank | Step::Broken => return self.no_more(),
            };
            if ended {
                return Ok(Err((offset, Fault::AfterEnd)));
            }
            let last = self.last.kind;
            match self.frame(offset, &frame)? {
                Flow::On => {}
                Flow::Stop(outcome) => return Ok(outcome),
            }
            ended = last == Some(Kind::End);
            watch(self.scanner.offset());
        }
    }

    fn frame(&mut self, offset: u64, frame: &FrameHeader) -> io::Result<Flow> {
        let fits =
            (frame.sequence, frame.epoch, frame.previous) == (self.sequence, self.epoch, self.previous);
        if !fits {
            self.scanner.go_to(offset)?;
            return self.broken(Fault::Chain).map(Flow::Stop);
        }
        let due = matches!(self.last.kind, None | Some(Kind::End));
        let leaf = tree::leaf(self.scanner.frame());
        match frame.kind {
            Kind::Checkpoint => {
                if let Flow::Stop(outcome) = self.checkpoint(offset)? {
                    return Ok(Flow::Stop(outcome));
                }
            }
            Kind::Entries | Kind::End if due => return Ok(Flow::Stop(Err((offset, Fault::Order)))),
            Kind::Entries | Kind::End => {
                let length = u64::try_from(frame.length).unwrap_or(u64::MAX);
                self.tail.bytes = self.tail.bytes.saturating_add(length);
                self.tail.frames = self.tail.frames.saturating_add(1);
            }
        }
        self.previous = leaf;
        self.tree.push(leaf);
        self.sequence = self.sequence.saturating_add(1);
        self.last = Last { offset, kind: Some(frame.kind) };
        Ok(Flow::On)
    }

    /// The frame just read is a checkpoint that begins at `offset`.
    fn checkpoint(&mut self, offset: u64) -> io::Result<Flow> {
        let statement = match Statement::verify(self.scanner.body(), self.key) {
            Ok(statement) => statement,
            Err(error) => return self.refused(offset, error).map(Flow::Stop),
        };
        if !self.covers(&statement, offset) {
            let from = self.signed.as_ref().map_or(0, |signed| signed.bytes);
            return Ok(Flow::Stop(Err((from, Fault::Covers))));
        }
        let Some(epoch) = self.epoch.checked_add(1) else {
            return Ok(Flow::Stop(Err((offset, Fault::Order))));
        };
        self.epoch = epoch;
        self.tail = Tail::default();
        self.signed = Some(SignedPrefix {
            bytes: self.scanner.offset(),
            frames: self.sequence.saturating_add(1),
            root: statement.root,
            time: statement.time,
            note: String::from_utf8_lossy(self.scanner.body()).into_owned(),
        });
        Ok(Flow::On)
    }

    /// A checkpoint whose last bytes never reached the disk is torn, if no
    /// genuine one stands anywhere behind; any other that is not accepted is
    /// an alteration.
    fn refused(&mut self, offset: u64, error: CheckpointError) -> io::Result<Outcome> {
        let end = self.scanner.offset();
        if self.scanner.torn(offset, end)? && !self.signed_further_on()? {
            self.tail.broken = Some(offset);
            return Ok(Ok(Verdict::Unclean));
        }
        Ok(Err((offset, Fault::Checkpoint(error))))
    }

    fn covers(&self, statement: &Statement, offset: u64) -> bool {
        statement.session == self.head.fields.session
            && statement.leaves == self.tree.size()
            && statement.root == self.tree.root()
            && statement.bytes == offset
    }

    fn behind_the_end(&mut self) -> io::Result<Outcome> {
        let offset = self.scanner.offset();
        if self.scanner.last_written()?.is_some() {
            return Ok(Err((offset, Fault::AfterEnd)));
        }
        self.tail.blank = self.scanner.length().saturating_sub(offset);
        Ok(Ok(if self.tail.blank == 0 { Verdict::Clean } else { Verdict::Untrimmed }))
    }

    /// There is no frame here: the file ends, or only reserved space follows,
    /// which must be zero to the end of the file, or bytes that are no frame.
    fn no_more(&mut self) -> io::Result<Outcome> {
        if self.scanner.last_written()?.is_some() {
            return self.broken(Fault::NoFrame);
        }
        if self.signed_further_on()? {
            return Ok(Err((self.blame()?, Fault::NoFrame)));
        }
        self.tail.blank = self.scanner.length().saturating_sub(self.scanner.offset());
        Ok(Ok(Verdict::Unclean))
    }

    /// Nothing can be followed from here on. If a genuine checkpoint stands
    /// behind the last one that fitted, signed bytes were changed; else the
    /// tail is torn.
    fn broken(&mut self, fault: Fault) -> io::Result<Outcome> {
        if self.signed_further_on()? {
            return Ok(Err((self.blame()?, fault)));
        }
        self.tail.broken = Some(self.scanner.offset());
        Ok(Ok(Verdict::Unclean))
    }

    /// Whether any bytes behind the signed prefix are a genuine checkpoint,
    /// be it inside something that looks like a frame.
    fn signed_further_on(&mut self) -> io::Result<bool> {
        let from = self.signed.as_ref().map_or(0, |signed| signed.bytes);
        let key = self.key;
        self.scanner.find_note(from, |note| Statement::verify(note, key).is_ok())
    }

    /// Which is wrong where the chain breaks: what stands here, or the frame
    /// before it, whose hash no frame has confirmed yet.
    fn blame(&mut self) -> io::Result<u64> {
        let here = self.scanner.offset();
        let before = self.last.offset;
        let raw = self.scanner.peek_header()?;
        let follows = raw.is_some_and(|raw| raw.ends_with(&self.previous));
        if follows || self.last.kind == Some(Kind::Checkpoint) {
            return Ok(here);
        }
        let Step::Frame(frame) = self.scanner.step()? else {
            return Ok(before);
        };
        if frame.kind == Kind::Checkpoint {
            let statement = Statement::verify(self.scanner.body(), self.key);
            let fits = statement.is_ok_and(|statement| self.covers(&statement, here));
            return Ok(if fits { here } else { before });
        }
        let leaf = tree::leaf(self.scanner.frame());
        match self.scanner.step()? {
            Step::Frame(next) if next.previous != leaf => Ok(here),
            Step::Frame(_) | Step::End | Step::Blank | Step::Broken => Ok(before),
        }
    }
}
