//! The entries of the site log, each a few bytes of fixed layout.
//!
//! An entry's bytes are a leaf of the tree. A kind or code that this program
//! does not know is kept as it stands: a newer gateway's log still verifies.

use super::happening::Happening;
use super::{LogId, Pseudonym};
use crate::header::{MAX_NAME, is_name};
use crate::tree::Hash;
use jiff::Timestamp;

/// Longest entry, in bytes.
pub const MAX_ENTRY: usize = 1024;

/// What stands in the site log, with the time it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// The first entry: which log this is and which key signs its heads.
    Created {
        /// The log's random id.
        log: LogId,
        /// Id of the signing key.
        key_id: u32,
        /// Name of that key.
        key_name: String,
    },
    /// A gateway began to work on this log.
    GatewayStarted {
        /// Program and version.
        software: String,
    },
    /// It stopped in good order.
    GatewayStopped,
    /// It lives: every ten minutes, so that a silence is seen.
    Heartbeat {
        /// Sessions that run.
        sessions: u32,
    },
    /// A session's recording is on stable storage; nothing was dialled yet.
    SessionStarted {
        /// Which session.
        session: Pseudonym,
        /// Leaf hash of the recording's header.
        header: Hash,
    },
    /// A session's recording is sealed and on stable storage.
    SessionEnded {
        /// Which session.
        session: Pseudonym,
        /// Leaves and
        leaves: u64,
        /// tree hash that the recording's last checkpoint signs.
        root: Hash,
        /// The file's length.
        bytes: u64,
    },
    /// A recording that a crash left without an end, or without an entry.
    SessionRecovered(Recovered),
    /// Bytes at the end of this log that no checkpoint covered were dropped.
    TailDropped {
        /// Where they began.
        offset: u64,
        /// How many they were.
        bytes: u64,
        /// SHA-256 over them.
        hash: Hash,
    },
    /// A policy is in force.
    PolicyApplied {
        /// Its hash.
        policy: Hash,
        /// What was told of it elsewhere.
        told: Told,
    },
    /// A key or list is in use from now on.
    KeyChanged {
        /// Which.
        role: KeyRole,
        /// SHA-256 over it.
        hash: Hash,
    },
    /// The wall clock stepped.
    ClockStepped {
        /// How far, in seconds; negative is back.
        seconds: i64,
        /// What was told of it elsewhere.
        told: Told,
    },
    /// Anything else.
    Event {
        /// What happened.
        what: Happening,
        /// How often.
        count: u64,
        /// What was told of it elsewhere.
        told: Told,
    },
    /// A recording was erased on purpose.
    SessionErased {
        /// Which session.
        session: Pseudonym,
        /// What was told of it elsewhere.
        told: Told,
    },
}

/// SHA-256 over the salted line of the audit file that has the details; that
/// line can be erased and the entry says nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told(pub Hash);

/// What became of a recording that was not ended in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Which session.
    pub session: Pseudonym,
    /// Leaf hash of the recording's header; zero where there is none.
    pub header: Hash,
    /// Which step of the order was not reached.
    pub gap: Gap,
    /// What the file was found to be.
    pub finding: Finding,
    /// Bytes that its last checkpoint covers, that checkpoint included.
    pub signed_bytes: u64,
    /// When that checkpoint was signed; the epoch's begin where there is none.
    pub signed_until: Timestamp,
    /// The file's length.
    pub bytes: u64,
    /// SHA-256 over the whole file, as it was found.
    pub hash: Hash,
}

/// Where the order of a session broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The header was written; the start was not logged, nothing was dialled.
    NoStart,
    /// The start was logged; the recording has no end.
    NoEnd,
    /// The recording was sealed; its end was not logged.
    EndNotLogged,
    /// The end was logged; the client may not have got its receipt.
    ReceiptNotGiven,
}

/// What a recording was found to be at the start after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Sealed to its last byte.
    Clean,
    /// Sealed, but its reserved space was not given back.
    Untrimmed,
    /// Genuine as far as it is signed.
    Unclean,
    /// Not what was signed.
    Altered,
    /// Not there.
    Missing,
    /// Genuine up to a checkpoint; behind it signed bytes are missing, as a
    /// power failure leaves it that kept later pages and lost earlier ones.
    Holed,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRole {
    /// Signs recordings and this log.
    Signing,
    /// The gateway's certificate.
    Certificate,
    /// The certificate authority of technicians.
    Authority,
    /// The list of revoked certificates.
    RevocationList,
    /// Those who can read recordings.
    Recipients,
    /// The gateway's own issuing authorities.
    IssuingAuthorities,
    /// The lists that these signed.
    IssuedLists,
}

impl Gap {
    const ALL: [Self; 4] = [Self::NoStart, Self::NoEnd, Self::EndNotLogged, Self::ReceiptNotGiven];

    fn code(self) -> u8 {
        match self {
            Self::NoStart => 0,
            Self::NoEnd => 1,
            Self::EndNotLogged => 2,
            Self::ReceiptNotGiven => 3,
        }
    }
}

impl Finding {
    const ALL: [Self; 6] =
        [Self::Clean, Self::Untrimmed, Self::Unclean, Self::Altered, Self::Missing, Self::Holed];

    fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Untrimmed => 1,
            Self::Unclean => 2,
            Self::Altered => 3,
            Self::Missing => 4,
            Self::Holed => 5,
        }
    }
}

impl KeyRole {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Signing,
        Self::Certificate,
        Self::Authority,
        Self::RevocationList,
        Self::Recipients,
        Self::IssuingAuthorities,
        Self::IssuedLists,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Signing => 0,
            Self::Certificate => 1,
            Self::Authority => 2,
            Self::RevocationList => 3,
            Self::Recipients => 4,
            Self::IssuingAuthorities => 5,
            Self::IssuedLists => 6,
        }
    }
}

impl LogEntry {
    /// The number of its kind in the log.
    fn kind(&self) -> u8 {
        match self {
            Self::Created { .. } => 0,
            Self::GatewayStarted { .. } => 1,
            Self::GatewayStopped => 2,
            Self::Heartbeat { .. } => 3,
            Self::SessionStarted { .. } => 4,
            Self::SessionEnded { .. } => 5,
            Self::SessionRecovered(_) => 6,
            Self::TailDropped { .. } => 7,
            Self::PolicyApplied { .. } => 8,
            Self::KeyChanged { .. } => 9,
            Self::ClockStepped { .. } => 10,
            Self::Event { .. } => 11,
            Self::SessionErased { .. } => 12,
        }
    }

    /// The entry's bytes, which are a leaf of the tree. A text that is longer
    /// than 255 bytes is cut.
    pub(super) fn encode(&self, at: Timestamp) -> Vec<u8> {
        let mut out = vec![self.kind()];
        out.extend_from_slice(&at.as_millisecond().to_le_bytes());
        match self {
            Self::Created { log, key_id, key_name } => {
                out.extend_from_slice(&log.0);
                out.extend_from_slice(&key_id.to_be_bytes());
                put_text(&mut out, key_name);
            }
            Self::GatewayStarted { software } => put_text(&mut out, software),
            Self::GatewayStopped => {}
            Self::Heartbeat { sessions } => out.extend_from_slice(&sessions.to_le_bytes()),
            Self::SessionStarted { session, header } => {
                out.extend_from_slice(&session.0);
                out.extend_from_slice(header);
            }
            Self::SessionEnded { session, leaves, root, bytes } => {
                out.extend_from_slice(&session.0);
                out.extend_from_slice(&leaves.to_le_bytes());
                out.extend_from_slice(root);
                out.extend_from_slice(&bytes.to_le_bytes());
            }
            Self::SessionRecovered(recovered) => recovered.encode(&mut out),
            Self::TailDropped { offset, bytes, hash } => {
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(&bytes.to_le_bytes());
                out.extend_from_slice(hash);
            }
            Self::PolicyApplied { policy, told } => {
                out.extend_from_slice(policy);
                out.extend_from_slice(&told.0);
            }
            Self::KeyChanged { role, hash } => {
                out.push(role.code());
                out.extend_from_slice(hash);
            }
            Self::ClockStepped { seconds, told } => {
                out.extend_from_slice(&seconds.to_le_bytes());
                out.extend_from_slice(&told.0);
            }
            Self::Event { what, count, told } => {
                out.extend_from_slice(&what.code().to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(&told.0);
            }
            Self::SessionErased { session, told } => {
                out.extend_from_slice(&session.0);
                out.extend_from_slice(&told.0);
            }
        }
        out
    }

    /// Reads an entry's bytes with its time; `None` for one that this program
    /// does not know.
    pub fn decode(bytes: &[u8]) -> Option<(Timestamp, Self)> {
        let mut rest = Fields(bytes);
        let [kind] = rest.array()?;
        let at = rest.time()?;
        let entry = rest.entry(kind)?;
        rest.0.is_empty().then_some((at, entry))
    }
}

impl Recovered {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.0);
        out.extend_from_slice(&self.header);
        out.push(self.gap.code());
        out.push(self.finding.code());
        out.extend_from_slice(&self.signed_bytes.to_le_bytes());
        out.extend_from_slice(&self.signed_until.as_millisecond().to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.hash);
    }
}

/// One byte of length, then the text; a longer one is cut between characters.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let end = (0..=MAX_NAME).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = text.get(..end).unwrap_or(text);
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// What is left of an entry's bytes; reads can't go beyond them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn entry(&mut self, kind: u8) -> Option<LogEntry> {
        Some(match kind {
            0 => {
                let log = LogId(self.array()?);
                let key_id = u32::from_be_bytes(self.array()?);
                let key_name = self.text().filter(|name| !name.is_empty() && is_name(name))?;
                LogEntry::Created { log, key_id, key_name }
            }
            1 => LogEntry::GatewayStarted { software: self.text()? },
            2 => LogEntry::GatewayStopped,
            3 => LogEntry::Heartbeat { sessions: u32::from_le_bytes(self.array()?) },
            4 => LogEntry::SessionStarted { session: self.pseudonym()?, header: self.array()? },
            5 => LogEntry::SessionEnded {
                session: self.pseudonym()?,
                leaves: self.number()?,
                root: self.array()?,
                bytes: self.number()?,
            },
            6 => LogEntry::SessionRecovered(self.recovered()?),
            7 => LogEntry::TailDropped { offset: self.number()?, bytes: self.number()?, hash: self.array()? },
            8 => LogEntry::PolicyApplied { policy: self.array()?, told: self.told()? },
            9 => {
                LogEntry::KeyChanged { role: self.one_of(&KeyRole::ALL, KeyRole::code)?, hash: self.array()? }
            }
            10 => LogEntry::ClockStepped { seconds: i64::from_le_bytes(self.array()?), told: self.told()? },
            11 => LogEntry::Event {
                what: Happening::from_code(u16::from_le_bytes(self.array()?))?,
                count: self.number()?,
                told: self.told()?,
            },
            12 => LogEntry::SessionErased { session: self.pseudonym()?, told: self.told()? },
            _ => return None,
        })
    }

    fn recovered(&mut self) -> Option<Recovered> {
        Some(Recovered {
            session: self.pseudonym()?,
            header: self.array()?,
            gap: self.one_of(&Gap::ALL, Gap::code)?,
            finding: self.one_of(&Finding::ALL, Finding::code)?,
            signed_bytes: self.number()?,
            signed_until: self.time()?,
            bytes: self.number()?,
            hash: self.array()?,
        })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    fn time(&mut self) -> Option<Timestamp> {
        Timestamp::from_millisecond(i64::from_le_bytes(self.array()?)).ok()
    }

    fn pseudonym(&mut self) -> Option<Pseudonym> {
        Some(Pseudonym(self.array()?))
    }

    fn told(&mut self) -> Option<Told> {
        Some(Told(self.array()?))
    }

    fn one_of<T: Copy>(&mut self, all: &[T], code: impl Fn(T) -> u8) -> Option<T> {
        let [wanted] = self.array()?;
        all.iter().copied().find(|one| code(*one) == wanted)
    }

    fn text(&mut self) -> Option<String> {
        let [length] = self.array()?;
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::log) fn every_kind() -> Vec<LogEntry> {
        let session = Pseudonym([0x5e; 32]);
        let told = Told([0x70; 32]);
        vec![
            LogEntry::Created { log: LogId([0x10; 16]), key_id: 0x0a0b_0c0d, key_name: "plant".to_owned() },
            LogEntry::GatewayStarted { software: "gatehouse-gateway 1".to_owned() },
            LogEntry::GatewayStopped,
            LogEntry::Heartbeat { sessions: 3 },
            LogEntry::SessionStarted { session, header: [0x4e; 32] },
            LogEntry::SessionEnded { session, leaves: 18, root: [0x40; 32], bytes: 4711 },
            LogEntry::SessionRecovered(Recovered {
                session,
                header: [0x4e; 32],
                gap: Gap::NoEnd,
                finding: Finding::Unclean,
                signed_bytes: 1000,
                signed_until: Timestamp::from_millisecond(1_773_144_000_123).unwrap(),
                bytes: 1200,
                hash: [0x44; 32],
            }),
            LogEntry::TailDropped { offset: 77, bytes: 5, hash: [0x7d; 32] },
            LogEntry::PolicyApplied { policy: [0x90; 32], told },
            LogEntry::KeyChanged { role: KeyRole::RevocationList, hash: [0xc1; 32] },
            LogEntry::ClockStepped { seconds: -7200, told },
            LogEntry::Event { what: Happening::SessionKilled, count: 1, told },
            LogEntry::SessionErased { session, told },
        ]
    }

    #[test]
    fn the_bytes_of_each_kind_are_those_of_the_format() {
        let at = Timestamp::from_millisecond(0x0102_0304).unwrap();
        let (session, told) = ("5e".repeat(32), "70".repeat(32));
        let expected = [
            format!("00{}0a0b0c0d05706c616e74", "10".repeat(16)),
            format!("0113{}", hex::encode("gatehouse-gateway 1")),
            "02".to_owned(),
            "0303000000".to_owned(),
            format!("04{session}{}", "4e".repeat(32)),
            format!("05{session}1200000000000000{}6712000000000000", "40".repeat(32)),
            format!(
                "06{session}{}0102e8030000000000007b469ed79c010000b004000000000000{}",
                "4e".repeat(32),
                "44".repeat(32)
            ),
            format!("074d000000000000000500000000000000{}", "7d".repeat(32)),
            format!("08{}{told}", "90".repeat(32)),
            format!("0903{}", "c1".repeat(32)),
            format!("0ae0e3ffffffffffff{told}"),
            format!("0b07000100000000000000{told}"),
            format!("0c{session}{told}"),
        ];
        for (entry, expected) in every_kind().iter().zip(expected) {
            let bytes = entry.encode(at);
            let (kind, fields) = expected.split_at(2);
            assert_eq!(hex::encode(&bytes), format!("{kind}0403020100000000{fields}"), "{entry:?}");
            assert_eq!(LogEntry::decode(&bytes), Some((at, entry.clone())));
            assert!(bytes.len() <= MAX_ENTRY);
        }
    }

    #[test]
    fn what_is_cut_longer_or_unknown_is_none_of_ours() {
        let at = Timestamp::UNIX_EPOCH;
        for entry in every_kind() {
            let bytes = entry.encode(at);
            for length in 0..bytes.len() {
                assert_eq!(LogEntry::decode(&bytes[..length]), None, "{entry:?} cut to {length}");
            }
            assert_eq!(LogEntry::decode(&[bytes.as_slice(), &[0]].concat()), None);
        }
        let mut unknown = LogEntry::GatewayStopped.encode(at);
        unknown[0] = 200;
        assert_eq!(LogEntry::decode(&unknown), None);
        let mut role = LogEntry::KeyChanged { role: KeyRole::Signing, hash: [0; 32] }.encode(at);
        role[9] = 9;
        assert_eq!(LogEntry::decode(&role), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let entry = LogEntry::GatewayStarted { software: "ü".repeat(300) };
        let bytes = entry.encode(Timestamp::UNIX_EPOCH);
        let (_, read) = LogEntry::decode(&bytes).unwrap();
        assert_eq!(read, LogEntry::GatewayStarted { software: "ü".repeat(127) });
    }
}
