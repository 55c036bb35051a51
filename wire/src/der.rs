//! A certificate or a request for one, as bytes.
//!
//! What it is for: the bound. Nothing here looks inside; whoever uses the bytes parses them.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest certificate or request, in bytes. An RSA key of 4096 bits with its signature needs
/// about 1200, and one fits into a message before the sign-in.
pub const LONGEST_DER: usize = 3072;

/// An X.509 certificate (RFC 5280) or a PKCS#10 request (RFC 2986) in DER, at most [`LONGEST_DER`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Der(Vec<u8>);

/// More than [`LONGEST_DER`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes where at most {LONGEST_DER} are allowed")]
pub struct TooLong(usize);

impl Der {
    /// The bytes, if they are few enough.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() > LONGEST_DER { Err(TooLong(bytes.len())) } else { Ok(Self(bytes)) }
    }

    /// The bytes, not looked into.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Der({} bytes)", self.0.len())
    }
}

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Bytes).map(Self)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "at most {LONGEST_DER} bytes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<u8>, A::Error> {
        // Nothing is reserved by the announced length: memory follows what has really come.
        let mut bytes = Vec::new();
        while let Some(byte) = elements.next_element()? {
            if bytes.len() >= LONGEST_DER {
                return Err(A::Error::custom("too many bytes"));
            }
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_both_ways() {
        assert_eq!(Der::new(vec![0; LONGEST_DER + 1]), Err(TooLong(LONGEST_DER + 1)));
        let longest = Der::new(vec![7; LONGEST_DER]).unwrap();
        let bytes = postcard::to_stdvec(&longest).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(longest));
        let longer = postcard::to_stdvec(&vec![7_u8; LONGEST_DER + 1]).unwrap();
        assert!(postcard::from_bytes::<Der>(&longer).is_err());
    }
}
