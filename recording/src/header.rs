//! The plain head of a recording: header fields and the wrapped file key.
//!
//! It tells which session this is, which key signs it and where the site log
//! stood when it began, but not who did what: that is inside the encryption.
//! Its leaf hash is the first link of the chain and part of what every frame
//! authenticates, so no byte of it can change unnoticed.

use crate::tree::{self, Hash};
use jiff::Timestamp;
use std::time::Duration;

/// The first eight bytes of every recording.
pub const MAGIC: [u8; 8] = *b"GATEHREC";

/// The format's version; a number is never used twice.
pub const VERSION: u16 = 1;

/// Longest recording, in bytes: 1 TiB.
pub const MAX_LENGTH: u64 = 1 << 40;

/// Longest text in the header, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Longest wrapped key, in bytes: room for about sixty recipients.
pub(crate) const MAX_KEY_BLOCK: usize = 16 * 1024;

/// Longest header with its key block, in bytes.
pub(crate) const MAX_HEADER: usize = FIXED + 2 * MAX_NAME + 8 + MAX_KEY_BLOCK;

/// Bytes before the first field of variable length.
const FIXED: usize = 8 + 2 + 1 + 16 + 8 + 8 + 8 + 32 + 32 + 32 + 4;

/// When the bytes of a session must be on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What changes the device is synced before it goes, the rest soon after.
    Default,
    /// Everything is synced before it goes.
    Durable,
    /// Everything is written before it goes and synced soon after.
    Ordered,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Default, Self::Durable, Self::Ordered];

    /// The mode's word in configuration and listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Durable => "durable",
            Self::Ordered => "ordered",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Durable => 1,
            Self::Ordered => 2,
        }
    }
}

/// Where the site log stood when the session began; binds the order of
/// sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// The log's origin line, empty where the gateway keeps no site log.
    pub origin: String,
    /// Count of its entries.
    pub size: u64,
    /// Its RFC 6962 tree hash.
    pub root: [u8; 32],
}

impl LogPosition {
    /// The position of a gateway that keeps no site log.
    pub fn none() -> Self {
        Self { origin: String::new(), size: 0, root: [0; 32] }
    }
}

/// The header's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// When bytes must be on stable storage.
    pub mode: Mode,
    /// The session's random id.
    pub session: [u8; 16],
    /// Wall clock when the recording began, to the nanosecond, years 1678 to
    /// 2262.
    pub started_wall: Timestamp,
    /// The gateway's monotonic clock at the same instant.
    pub started_mono: Duration,
    /// Where the site log stood.
    pub log: LogPosition,
    /// Commitment to the file key: two keys can't both open this recording.
    pub key_commitment: [u8; 32],
    /// SHA-256 over the recipients of the file key.
    pub recipients_hash: [u8; 32],
    /// Signed-note key id of the key that signs the checkpoints.
    pub key_id: u32,
    /// Name of that key.
    pub key_name: String,
}

impl Header {
    /// The session's id in hexadecimal, as in the file's name.
    pub fn session_hex(&self) -> String {
        hex::encode(self.session)
    }

    /// The checkpoints' origin line.
    pub fn origin(&self) -> String {
        crate::checkpoint::origin(&self.session)
    }
}

/// A header as it stands in a file, with everything derived from its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) fields: Header,
    pub(crate) key_block: Vec<u8>,
    /// Leaf hash of all its bytes.
    pub(crate) hash: Hash,
    /// Count of its bytes: where the first frame begins.
    pub(crate) length: u64,
}

/// Why a header can't be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The file ends, or is still blank, before the header does.
    #[error("the file ends inside its header")]
    Cut,
    /// It does not begin like a recording.
    #[error("this is not a Gatehouse recording")]
    Magic,
    /// It is of a version that this program does not know.
    #[error("format version {0} is not known to this program, which reads version {VERSION}")]
    Version(u16),
    /// A field holds what it must not.
    #[error("the header's {0} is not valid")]
    Field(&'static str),
}

/// Lays out the header of a new recording.
pub(crate) fn encode(header: &Header, key_block: &[u8]) -> Result<Vec<u8>, HeaderError> {
    let wall =
        i64::try_from(header.started_wall.as_nanosecond()).map_err(|_| HeaderError::Field("wall start"))?;
    let mono =
        u64::try_from(header.started_mono.as_nanos()).map_err(|_| HeaderError::Field("monotonic start"))?;
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.push(header.mode.code());
    out.extend_from_slice(&header.session);
    out.extend_from_slice(&wall.to_le_bytes());
    out.extend_from_slice(&mono.to_le_bytes());
    out.extend_from_slice(&header.log.size.to_le_bytes());
    out.extend_from_slice(&header.log.root);
    out.extend_from_slice(&header.key_commitment);
    out.extend_from_slice(&header.recipients_hash);
    out.extend_from_slice(&header.key_id.to_be_bytes());
    if header.log.origin.is_empty() && header.log != LogPosition::none() {
        return Err(HeaderError::Field("log position without an origin"));
    }
    put_name(&mut out, &header.log.origin, "log origin")?;
    put_name(&mut out, &header.key_name, "key name")?;
    let length = u32::try_from(key_block.len()).map_err(|_| HeaderError::Field("key block"))?;
    if key_block.is_empty() || key_block.len() > MAX_KEY_BLOCK {
        return Err(HeaderError::Field("key block"));
    }
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(key_block);
    Ok(out)
}

fn put_name(out: &mut Vec<u8>, name: &str, field: &'static str) -> Result<(), HeaderError> {
    let length = u16::try_from(name.len()).map_err(|_| HeaderError::Field(field))?;
    if !is_name(name) {
        return Err(HeaderError::Field(field));
    }
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    Ok(())
}

/// Whether a text can stand in the header: graphic ASCII without `+`, which
/// separates the parts of a verifier key; a newline would add lines to a note.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+')
}

/// Reads the header that `bytes` begin with.
///
/// `bytes` is the whole file or its first [`MAX_HEADER`] bytes.
///
/// # Errors
/// [`HeaderError::Cut`] for a header that is not all there, also for bytes
/// that are all zero (reserved space whose header never reached the disk).
pub(crate) fn parse(bytes: &[u8]) -> Result<Head, HeaderError> {
    let blank = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    if bytes.get(..blank).is_some_and(|written| MAGIC.starts_with(written)) {
        return Err(HeaderError::Cut);
    }
    let mut rest = Fields(bytes);
    let (fields, key_block) = match rest.header() {
        Ok(read) => read,
        // A header whose rest is blank never reached the disk as a whole.
        Err(HeaderError::Field(_)) if rest.0.iter().all(|byte| *byte == 0) => return Err(HeaderError::Cut),
        Err(error) => return Err(error),
    };
    let used = bytes.len().saturating_sub(rest.0.len());
    let hash = tree::leaf(bytes.get(..used).unwrap_or_default());
    Ok(Head { fields, key_block, hash, length: u64::try_from(used).unwrap_or(u64::MAX) })
}

/// What is left of the header's bytes; reads can't go beyond them.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn header(&mut self) -> Result<(Header, Vec<u8>), HeaderError> {
        if self.array()? != MAGIC {
            return Err(HeaderError::Magic);
        }
        let version = u16::from_le_bytes(self.array()?);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let [code] = self.array()?;
        let mode = Mode::ALL.into_iter().find(|mode| mode.code() == code);
        let mode = mode.ok_or(HeaderError::Field("mode"))?;
        let session = self.array()?;
        let wall = Timestamp::from_nanosecond(i64::from_le_bytes(self.array()?).into());
        let header = Header {
            mode,
            session,
            started_wall: wall.map_err(|_| HeaderError::Field("wall start"))?,
            started_mono: Duration::from_nanos(u64::from_le_bytes(self.array()?)),
            log: LogPosition {
                size: u64::from_le_bytes(self.array()?),
                root: self.array()?,
                origin: String::new(),
            },
            key_commitment: self.array()?,
            recipients_hash: self.array()?,
            key_id: u32::from_be_bytes(self.array()?),
            key_name: String::new(),
        };
        let origin = self.name("log origin")?;
        let log = LogPosition { origin, ..header.log };
        if log.origin.is_empty() && log != LogPosition::none() {
            return Err(HeaderError::Field("log position without an origin"));
        }
        let key_name = self.name("key name")?;
        let key_block = self.key_block()?;
        Ok((Header { log, key_name, ..header }, key_block))
    }

    fn key_block(&mut self) -> Result<Vec<u8>, HeaderError> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        if length == 0 || length > MAX_KEY_BLOCK {
            return Err(HeaderError::Field("key block"));
        }
        Ok(self.take(length)?.to_vec())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], HeaderError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(HeaderError::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(HeaderError::Cut)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn name(&mut self, field: &'static str) -> Result<String, HeaderError> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        if length > MAX_NAME {
            return Err(HeaderError::Field(field));
        }
        let name = std::str::from_utf8(self.take(length)?).map_err(|_| HeaderError::Field(field))?;
        if !is_name(name) {
            return Err(HeaderError::Field(field));
        }
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            mode: Mode::Durable,
            session: [0xab; 16],
            started_wall: "2026-10-31T10:31:07.412345678Z".parse().unwrap(),
            started_mono: Duration::from_nanos(0x0102_0304),
            log: LogPosition { origin: "log.plant.example".to_owned(), size: 258, root: [1; 32] },
            key_commitment: [2; 32],
            recipients_hash: [3; 32],
            key_id: 0x0a0b_0c0d,
            key_name: "plant-a".to_owned(),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let bytes = encode(&header(), b"wrapped").unwrap();
        let expected = [
            "4741544548524543", // magic
            "0100",             // version
            "01",               // mode
            "abababababababababababababababab",
            "4e53249c9a96e318", // wall start
            "0403020100000000", // monotonic start
            "0201000000000000", // log size
            &"01".repeat(32),
            &"02".repeat(32),
            &"03".repeat(32),
            "0a0b0c0d", // key id
            "1100",
            &hex::encode("log.plant.example"),
            "0700",
            &hex::encode("plant-a"),
            "07000000",
            &hex::encode("wrapped"),
        ];
        assert_eq!(hex::encode(&bytes), expected.concat());
        let head = parse(&[&bytes, b"frames".as_slice()].concat()).unwrap();
        assert_eq!(head.fields, header());
        assert_eq!(head.key_block, b"wrapped");
        assert_eq!(head.length, bytes.len() as u64);
        assert_eq!(head.hash, tree::leaf(&bytes));
    }

    #[test]
    fn every_cut_is_a_cut_with_or_without_blank_space() {
        let bytes = encode(&header(), b"wrapped").unwrap();
        for length in 0..bytes.len() {
            let mut cut = bytes[..length].to_vec();
            assert_eq!(parse(&cut).err(), Some(HeaderError::Cut), "{length}");
            cut.resize(length + 2000, 0);
            let blank = parse(&cut);
            let inside_key_block = length + b"wrapped".len() + 4 > bytes.len();
            assert!(inside_key_block || matches!(blank, Err(HeaderError::Cut)), "{length}: {blank:?}");
        }
    }

    #[test]
    fn what_can_not_be_written_is_refused() {
        for name in ["a b", "a\nb", "a+b", "ä", &"n".repeat(256)] {
            let log = LogPosition { origin: name.to_owned(), ..LogPosition::none() };
            let refused = encode(&Header { log, ..header() }, b"wrapped");
            assert_eq!(refused, Err(HeaderError::Field("log origin")), "{name:?}");
        }
        let log = LogPosition { origin: String::new(), ..header().log };
        assert!(encode(&Header { log, ..header() }, b"wrapped").is_err());
        assert!(encode(&header(), b"").is_err());
        assert!(encode(&header(), &vec![1; MAX_KEY_BLOCK + 1]).is_err());
        let started_wall = "2300-01-01T00:00:00Z".parse().unwrap();
        assert!(encode(&Header { started_wall, ..header() }, b"wrapped").is_err());
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        let bytes = encode(&header(), b"wrapped").unwrap();
        let with = |at: usize, value: u8| {
            let mut changed = bytes.clone();
            changed[at] = value;
            parse(&changed).err().unwrap()
        };
        assert_eq!(with(0, b'X'), HeaderError::Magic);
        assert_eq!(with(8, 0), HeaderError::Version(0));
        assert_eq!(with(8, 2), HeaderError::Version(2));
        assert_eq!(with(10, 9), HeaderError::Field("mode"));
        assert_eq!(with(152, 1), HeaderError::Field("log origin"));
        assert_eq!(with(155, b' '), HeaderError::Field("log origin"));
    }

    #[test]
    fn a_log_position_needs_an_origin() {
        let none = Header { log: LogPosition::none(), ..header() };
        let bytes = encode(&none, b"wrapped").unwrap();
        assert_eq!(parse(&bytes).unwrap().fields, none);
        for at in [43, 50, 51, 82] {
            let mut changed = bytes.clone();
            changed[at] = 1;
            let refused = parse(&changed).err();
            assert_eq!(refused, Some(HeaderError::Field("log position without an origin")), "{at}");
            changed.truncate(153);
            changed.resize(3000, 0);
            assert_eq!(parse(&changed).err(), Some(HeaderError::Cut), "{at}: blank behind");
        }
    }
}
