//! The certificates that the gateway's own authority issued.

use super::KeyHash;
use crate::names::Handle;
use jiff::Timestamp;
use std::fmt;
use std::str::FromStr;

/// A certificate's serial number: 16 bytes, the first never zero or negative
/// (RFC 5280, 4.1.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub [u8; 16]);

/// A text that is no serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a serial number is 32 hex digits")]
pub struct NotASerial;

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = NotASerial;

    fn from_str(text: &str) -> Result<Self, NotASerial> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotASerial)?;
        Ok(Self(bytes))
    }
}

/// SHA-256 of an authority's certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityId(pub [u8; 32]);

impl fmt::Display for AuthorityId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuthorityId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AuthorityId({self})")
    }
}

/// A certificate when it is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateRow {
    /// Its serial number.
    pub serial: Serial,
    /// Who issued it.
    pub authority: AuthorityId,
    /// Its key.
    pub key: KeyHash,
    /// When it was issued.
    pub issued: Timestamp,
    /// Its last moment.
    pub expires: Timestamp,
}

/// A certificate as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// How it was issued.
    pub row: CertificateRow,
    /// To whom.
    pub person: Handle,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// An entry of a revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The certificate.
    pub serial: Serial,
    /// Since when it is revoked.
    pub at: Timestamp,
}

/// A new certificate of somebody who has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Whose.
    pub person: Handle,
    /// The serial number of the certificate that they showed,
    pub serial: Serial,
    /// and its key.
    pub key: KeyHash,
    /// The new one.
    pub certificate: CertificateRow,
}
