//! One authority: its certificate, its key, and what it signs.

use super::{CaError, Issued, ListStatus, RequestedKey};
use crate::ends::{End, Ending};
use crate::names::Handle;
use crate::problem::Problem;
use crate::state::{AuthorityId, CertificateRow, KeyHash, Revocation, Serial};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevokedCertParams, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

/// How long an authority's own certificate is good: five years.
const AUTHORITY_LASTS: SignedDuration = SignedDuration::from_hours(5 * 365 * 24);

/// Certificates and lists begin a little before now, for clocks that are
/// behind.
const BEGINS_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// The largest file of the folder that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// The configuration's key for all problems of the folder.
const KEY: &str = "[ca] dir";

/// A certificate with its key.
pub(super) struct Authority {
    /// Its number in the folder, from 1.
    pub(super) number: u32,
    /// SHA-256 of the certificate.
    pub(super) id: AuthorityId,
    /// The certificate's common name.
    pub(super) name: String,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) pem: String,
    /// When it was made.
    pub(super) made: Timestamp,
    /// The certificate's last moment.
    pub(super) expires: Timestamp,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authority").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A signed revocation list.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) der: CertificateRevocationListDer<'static>,
    pub(super) pem: String,
    pub(super) number: u64,
    pub(super) made: Timestamp,
    pub(super) lapses: Timestamp,
    pub(super) revoked: usize,
}

impl List {
    pub(super) fn status(&self) -> ListStatus {
        ListStatus { number: self.number, made: self.made, lapses: self.lapses, revoked: self.revoked }
    }
}

/// Every authority of the folder, in the order of their numbers.
pub(super) fn read_all(dir: &Path) -> Result<Vec<Authority>, Problem> {
    let numbers = numbers(dir, "pem")?;
    numbers.into_iter().map(|number| Authority::read(dir, number)).collect()
}

/// The numbers that files with this ending have.
pub(super) fn numbers(dir: &Path, ending: &str) -> Result<BTreeSet<u32>, Problem> {
    let unreadable = |error: std::io::Error| Problem::new(dir, error.to_string()).key(KEY);
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("authority-"));
        let number = number.and_then(|rest| rest.strip_suffix(&format!(".{ending}")));
        found.extend(number.and_then(|digits| digits.parse::<u32>().ok()));
    }
    Ok(found)
}

/// The file of an authority with this ending.
pub(super) fn path(dir: &Path, number: u32, ending: &str) -> PathBuf {
    dir.join(format!("authority-{number}.{ending}"))
}

impl Authority {
    /// A new authority with the next number. The key is written before the
    /// certificate, so that a crash leaves no certificate without its key.
    pub(super) fn create(dir: &Path, now: Timestamp) -> Result<Self, CaError> {
        let signing = |error: rcgen::Error| CaError::Signing(error.to_string());
        let taken = [numbers(dir, "pem")?, numbers(dir, "key")?];
        let number = taken.iter().flatten().max().map_or(1, |last| last.saturating_add(1));
        let mut random = [0_u8; 8];
        fill(&mut random)?;
        let name = format!("Gatehouse issuing authority {}", hex::encode(random));
        let expires = now.saturating_add(AUTHORITY_LASTS).unwrap_or(now);
        let mut params = params(&name, now, expires)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial()?.0));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(signing)?;
        let certificate = params.self_signed(&key).map_err(signing)?;
        let secret = Zeroizing::new(key.serialize_pem());
        write_new(&path(dir, number, "key"), secret.as_bytes(), 0o600)?;
        write_new(&path(dir, number, "pem"), certificate.pem().as_bytes(), 0o644)?;
        File::open(dir)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| Problem::new(dir, error.to_string()).key(KEY))?;
        Ok(Self::read(dir, number)?)
    }

    fn read(dir: &Path, number: u32) -> Result<Self, Problem> {
        let (cert, secret) = (path(dir, number, "pem"), path(dir, number, "key"));
        crate::tls::private(&secret, KEY)?;
        let pem =
            String::from_utf8(bounded(&cert)?).map_err(|_| Problem::new(&cert, "is no text").key(KEY))?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| Problem::new(&cert, format!("holds no certificate: {error}")).key(KEY))?;
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|error| Problem::new(&cert, format!("is no certificate: {error}")).key(KEY))?;
        if !parsed.is_ca() {
            return Err(Problem::new(&cert, "is not a CA certificate").key(KEY));
        }
        let text = Zeroizing::new(bounded(&secret)?);
        let key = std::str::from_utf8(&text).ok().and_then(|text| KeyPair::from_pem(text).ok());
        let key = key.ok_or_else(|| Problem::new(&secret, "holds no private key").key(KEY))?;
        if key.subject_public_key_info() != parsed.public_key().raw {
            let reason = format!("does not belong to {}", cert.display());
            return Err(Problem::new(&secret, reason).key(KEY));
        }
        let validity = parsed.validity();
        let moment = |seconds| {
            Timestamp::from_second(seconds).map_err(|_| Problem::new(&cert, "has impossible dates").key(KEY))
        };
        let begins = moment(validity.not_before.timestamp())?;
        let made = begins.saturating_add(BEGINS_BEFORE).unwrap_or(begins);
        let expires = moment(validity.not_after.timestamp())?;
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let name = crate::audit::harmless(name.unwrap_or("unnamed"));
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| Problem::new(&cert, format!("can't issue: {error}")).key(KEY))?;
        let id = AuthorityId(recording::log::hash_of(&certificate));
        Ok(Self { number, id, name, certificate, pem, made, expires, issuer })
    }

    pub(super) fn end(&self) -> End {
        End { what: Ending::IssuingAuthority, begins: self.made, ends: self.expires }
    }

    /// Takes a new authority back that can't be used.
    pub(super) fn remove(&self, dir: &Path) {
        for ending in ["pem", "key"] {
            let path = path(dir, self.number, ending);
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::error!("{}: {error}", path.display());
            }
        }
    }

    /// A certificate with nothing in it but the key, the handle, the dates and
    /// the one use.
    pub(super) fn issue(
        &self,
        key: &RequestedKey,
        person: &Handle,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Issued, CaError> {
        let serial = serial()?;
        let mut params = params(person.as_str(), now, expires)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial.0));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(key, &self.issuer);
        let certificate = signed.map_err(|error| CaError::Signing(error.to_string()))?;
        let key = KeyHash::of(&key.subject_public_key_info());
        let row = CertificateRow { serial, authority: self.id, key, issued: now, expires };
        Ok(Issued { der: certificate.der().clone(), row })
    }

    pub(super) fn sign_list(
        &self,
        number: u64,
        revoked: &[Revocation],
        now: Timestamp,
        lapses: Timestamp,
    ) -> Result<List, CaError> {
        let entry = |revocation: &Revocation| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&revocation.serial.0),
                revocation_time: date(revocation.at)?,
                reason_code: None,
                invalidity_date: None,
            })
        };
        let params = CertificateRevocationListParams {
            this_update: date(now)?,
            next_update: date(lapses)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect::<Result<_, CaError>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signing = |error: rcgen::Error| CaError::Signing(error.to_string());
        let list = params.signed_by(&self.issuer).map_err(signing)?;
        let (der, pem) = (list.der().clone(), list.pem().map_err(signing)?);
        Ok(List { der, pem, number, made: now, lapses, revoked: revoked.len() })
    }
}

fn params(name: &str, now: Timestamp, expires: Timestamp) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(now.saturating_sub(BEGINS_BEFORE).unwrap_or(now))?;
    params.not_after = date(expires)?;
    Ok(params)
}

/// 126 random bits under a first byte that is never zero and never negative.
fn serial() -> Result<Serial, CaError> {
    let mut serial = [0; 16];
    fill(&mut serial)?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(Serial(serial))
}

fn fill(bytes: &mut [u8]) -> Result<(), CaError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| CaError::Signing("the system gives no randomness".to_owned()))
}

fn date(at: Timestamp) -> Result<time::OffsetDateTime, CaError> {
    time::OffsetDateTime::from_unix_timestamp(at.as_second())
        .map_err(|error| CaError::Signing(format!("an impossible date: {error}")))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Problem> {
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = made.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| Problem::new(path, error.to_string()).key(KEY))
}

fn bounded(path: &Path) -> Result<Vec<u8>, Problem> {
    let refuse = |error: std::io::Error| Problem::new(path, error.to_string()).key(KEY);
    if std::fs::metadata(path).map_err(refuse)?.len() > LONGEST_FILE {
        return Err(Problem::new(path, format!("is longer than {LONGEST_FILE} bytes")).key(KEY));
    }
    std::fs::read(path).map_err(refuse)
}
