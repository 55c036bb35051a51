//! The four files read as a whole: CA, CRL, certificate chain, key.

use super::Trust;
use super::external::{authorities, revocations};
use crate::ca::Anchors;
use crate::problem::Problem;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The largest file that is read: a CRL of some ten thousand entries.
const LONGEST_FILE: u64 = 1024 * 1024;

/// The most certificates of a CA that an enrolment hands out.
const MOST_HANDED_OUT: usize = 8;

/// Where the four files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The CA's certificate, PEM; several while a CA is being replaced.
    pub ca: PathBuf,
    /// The revocation lists, PEM: one of each CA, and one of each intermediate
    /// CA whose certificates come with the chain that a client shows.
    pub crl: PathBuf,
    /// The gateway's certificate and what leads to its CA, PEM.
    pub cert: PathBuf,
    /// The gateway's private key, PEM, readable by nobody else.
    pub key: PathBuf,
}

/// The bytes of the four files, read once: what is checked is what is used.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    ca: Vec<u8>,
    crl: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// Four files that passed every check together.
#[derive(Debug)]
pub struct Material {
    trust: Trust,
    authorities: Vec<CertificateDer<'static>>,
    fingerprint: [u8; 32],
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// When the gateway's own certificate expires.
    pub certificate_expires: Timestamp,
    /// When the CRL that lapses first says that it was made.
    pub crl_made: Timestamp,
    /// When the first CRL lapses: sign-ins under it are refused from then on.
    pub crl_lapses: Timestamp,
    /// How many certificates the CRLs revoke.
    pub revoked: usize,
    /// When each issuer's list was made, by the issuer's name in DER.
    lists: BTreeMap<Vec<u8>, Timestamp>,
    /// What the three public files are known by.
    pub prints: Prints,
}

/// SHA-256 over each public file as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prints {
    /// Of the CA's file.
    pub authority: [u8; 32],
    /// Of the revocation list's.
    pub revocation_list: [u8; 32],
    /// Of the gateway's own certificate's.
    pub certificate: [u8; 32],
}

impl Contents {
    /// Reads the files; all that can't be read or must not be is named.
    pub(super) fn read(files: &Files) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut take = |path: &Path, key: &str| match read_bounded(path, key) {
            Ok(bytes) => bytes,
            Err(problem) => {
                problems.push(problem);
                Vec::new()
            }
        };
        let ca = take(&files.ca, "[tls] ca");
        let crl = take(&files.crl, "[tls] crl");
        let cert = take(&files.cert, "[tls] cert");
        let key = take(&files.key, "[tls] key");
        if let Err(problem) = private(&files.key, "[tls] key") {
            problems.push(problem);
        }
        if problems.is_empty() { Ok(Self { ca, crl, cert, key }) } else { Err(problems) }
    }
}

impl Material {
    /// Reads and checks the four files at `now`.
    ///
    /// # Errors
    /// All that is wrong with them; then nothing is to be used.
    pub fn read(files: &Files, now: Timestamp) -> Result<Self, Vec<Problem>> {
        Self::parse(files, &Contents::read(files)?, &Anchors::default(), now)
    }

    /// The same from what was read, with the gateway's own authorities beside
    /// the one of the files.
    pub(super) fn parse(
        files: &Files,
        contents: &Contents,
        own: &Anchors,
        now: Timestamp,
    ) -> Result<Self, Vec<Problem>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut problems = Vec::new();
        let authorities = authorities(&files.ca, &contents.ca, now).map_err(|problem| problems.push(problem));
        let crls = authorities.as_ref().ok().map(|authorities| {
            revocations(&files.crl, &contents.crl, authorities, &provider, now)
                .map_err(|problem| problems.push(problem))
        });
        let cert = (&*files.cert, "[tls] cert", &*contents.cert);
        let key = (&*files.key, "[tls] key", &*contents.key);
        let identity = own_identity(cert, key, &provider, now).map_err(|problem| problems.push(problem));
        let (Ok(authorities), Some(Ok(crls)), Ok(identity)) = (authorities, crls, identity) else {
            return Err(problems);
        };
        let Identity { chain, key, fingerprint, expires: certificate_expires } = identity;
        let mut roots = RootCertStore::empty();
        for authority in authorities.iter().cloned().chain(own.authorities.iter().cloned()) {
            roots
                .add(authority)
                .map_err(|error| vec![Problem::new(&files.ca, error.to_string()).key("[tls] ca")])?;
        }
        let first = crls.iter().min_by_key(|list| list.lapses);
        let Some((crl_made, crl_lapses)) = first.map(|list| (list.made, list.lapses)) else {
            return Err(vec![Problem::new(&files.crl, "holds no revocation list").key("[tls] crl")]);
        };
        let revoked = crls.iter().map(|list| list.revoked).sum();
        let issuers = crls.iter().map(|list| (list.issuer.clone(), list.made)).collect();
        // Each certificate is judged by the first list of its own issuer's name:
        // ours come first, so that no file can put another in their place.
        let lists = own.lists.iter().cloned().chain(crls.into_iter().map(|list| list.list)).collect();
        let trust = Trust::new(roots, lists, provider)
            .map_err(|error| vec![Problem::new(&files.crl, error.to_string()).key("[tls] crl")])?;
        let prints = Prints {
            authority: recording::log::hash_of(&contents.ca),
            revocation_list: recording::log::hash_of(&contents.crl),
            certificate: recording::log::hash_of(&contents.cert),
        };
        Ok(Self {
            trust,
            authorities,
            fingerprint,
            chain,
            key,
            certificate_expires,
            crl_made,
            crl_lapses,
            revoked,
            lists: issuers,
            prints,
        })
    }

    /// The CA and CRL as a judge of certificates.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// A list of an issuer that was made before the one in `newer`: both times.
    pub(super) fn older_list(&self, newer: &Self) -> Option<(Timestamp, Timestamp)> {
        self.lists.iter().find_map(|(issuer, made)| {
            newer.lists.get(issuer).filter(|known| made < known).map(|known| (*made, *known))
        })
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the gateway's own certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The CA of the files, as people who enrol get it.
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// Whether somebody who trusts the CA of the files alone knows the gateway's
/// certificate by this name.
///
/// # Errors
/// Why not, in words.
pub fn recognised(files: &Files, name: &ServerName<'_>, now: Timestamp) -> Result<(), String> {
    let material = Material::read(files, now).map_err(|_| "the files of [tls] can't be used".to_owned())?;
    if material.authorities.len() > MOST_HANDED_OUT
        || material.authorities.iter().any(|one| one.len() > wire::LONGEST_DER)
    {
        let file = files.ca.display();
        return Err(format!(
            "{file} is handed out to technicians: at most {MOST_HANDED_OUT} certificates of {} bytes each",
            wire::LONGEST_DER
        ));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(material.authorities.iter().cloned());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| error.to_string())?;
    let (first, rest) = material.chain.split_first().ok_or("there is no certificate")?;
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier
        .verify_server_cert(first, rest, name, &[], now)
        .map(drop)
        .map_err(|error| format!("technicians would not know {} by this: {error}", files.cert.display()))
}

/// A server's certificate and key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    fingerprint: [u8; 32],
    pub(crate) expires: Timestamp,
}

fn own_identity(
    (cert_path, cert_key, cert): (&Path, &str, &[u8]),
    (key_path, key_key, key): (&Path, &str, &[u8]),
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<Identity, Problem> {
    let chain = certificates(cert_path, cert_key, cert)?;
    let Some(first) = chain.first() else {
        return Err(Problem::new(cert_path, "holds no certificate").key(cert_key));
    };
    let parsed = parse_certificate(cert_path, cert_key, first)?;
    let expires = in_time(cert_path, cert_key, &parsed, now)?;
    let fingerprint = recording::log::hash_of(parsed.public_key().raw);
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| Problem::new(key_path, format!("holds no private key: {error}")).key(key_key))?;
    CertifiedKey::from_der(chain.clone(), key.clone_key(), provider).map_err(|error| {
        let reason = format!("does not belong to {}: {error}", cert_path.display());
        Problem::new(key_path, reason).key(key_key).hint("name the key that the certificate was made for")
    })?;
    Ok(Identity { chain, key, fingerprint, expires })
}

/// Reads another server certificate of ours, which must be made for `name`,
/// and its key; `keys` are the two keys of the configuration.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn identity_for(
    name: &str,
    (cert, key): (&Path, &Path),
    keys: (&str, &str),
    now: Timestamp,
) -> Result<Identity, Problem> {
    let provider = aws_lc_rs::default_provider();
    private(key, keys.1)?;
    let (cert_bytes, key_bytes) = (read_bounded(cert, keys.0)?, read_bounded(key, keys.1)?);
    let identity = own_identity((cert, keys.0, &cert_bytes), (key, keys.1, &key_bytes), &provider, now)?;
    let made_for_it = identity.chain.first().is_some_and(|first| {
        let parsed = rustls::server::ParsedCertificate::try_from(first);
        let name = ServerName::try_from(name);
        parsed.is_ok_and(|parsed| {
            name.is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
        })
    });
    if !made_for_it {
        let problem = Problem::new(cert, format!("is not made for {name}")).key(keys.0);
        return Err(problem.hint("issue one with this name, or change the origin"));
    }
    Ok(identity)
}

pub(super) fn certificates(
    path: &Path,
    key: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let list = list.map_err(|error| Problem::new(path, format!("is no PEM file: {error}")).key(key))?;
    if list.is_empty() {
        return Err(Problem::new(path, "holds no certificate in PEM").key(key));
    }
    Ok(list)
}

pub(super) fn parse_certificate<'a>(
    path: &Path,
    key: &str,
    der: &'a [u8],
) -> Result<X509Certificate<'a>, Problem> {
    let parsed = X509Certificate::from_der(der);
    let (_, certificate) =
        parsed.map_err(|error| Problem::new(path, format!("is no certificate: {error}")).key(key))?;
    Ok(certificate)
}

/// Refuses a certificate out of its time; tells when it expires.
pub(super) fn in_time(
    path: &Path,
    key: &str,
    certificate: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<Timestamp, Problem> {
    let validity = certificate.validity();
    let (Some(begins), Some(expires)) = (stamp(validity.not_before), stamp(validity.not_after)) else {
        return Err(Problem::new(path, "has impossible dates").key(key));
    };
    if expires <= now {
        return Err(Problem::new(path, format!("expired on {expires}"))
            .key(key)
            .hint("renew the certificate"));
    }
    if begins > now {
        let problem = Problem::new(path, format!("is not valid before {begins}")).key(key);
        return Err(problem.hint("check this machine's clock"));
    }
    Ok(expires)
}

pub(super) fn stamp(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

/// Reads a file that is not longer than [`LONGEST_FILE`].
fn read_bounded(path: &Path, key: &str) -> Result<Vec<u8>, Problem> {
    let refuse = |error: std::io::Error| Problem::new(path, error.to_string()).key(key);
    let length = std::fs::metadata(path).map_err(refuse)?.len();
    if length > LONGEST_FILE {
        return Err(Problem::new(path, format!("is longer than {LONGEST_FILE} bytes")).key(key));
    }
    std::fs::read(path).map_err(refuse)
}

/// Refuses a secret file that anybody but its owner can read.
pub(crate) fn private(path: &Path, key: &str) -> Result<(), Problem> {
    // A file that is not there is named by whoever reads it.
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let problem = Problem::new(path, format!("others may read this secret (mode {mode:03o})")).key(key);
    Err(problem.hint(format!("chmod 600 {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Plant, authority_named, crl, noon};

    fn told(plant: &Plant) -> Result<Material, String> {
        let [ca, crl, cert, key] =
            ["ca.pem", "crl.pem", "gateway.pem", "gateway.key"].map(|name| plant.path(name));
        let read = Material::read(&Files { ca, crl, cert, key }, noon());
        read.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn each_ca_has_a_list_of_its_own_and_none_has_two() {
        let plant = Plant::new();
        let own = std::fs::read_to_string(plant.path("crl.pem")).unwrap();
        let second = authority_named("second authority");
        let both = std::fs::read_to_string(plant.path("ca.pem")).unwrap() + second.pem().as_str();
        plant.write("ca.pem", &both);
        let refused = told(&plant).unwrap_err();
        assert!(refused.contains("is not signed by the CA: no list of CN=second authority"), "{refused}");
        let sooner = crl(&second, &[7, 8], noon(), 9);
        plant.write("crl.pem", &format!("{own}{sooner}"));
        let material = told(&plant).unwrap();
        let lapses = noon() + jiff::SignedDuration::from_hours(24 * 9);
        assert_eq!((material.revoked, material.crl_lapses), (2, lapses));
        plant.write("crl.pem", &format!("{own}{sooner}{sooner}"));
        let refused = told(&plant).unwrap_err();
        assert!(refused.contains("holds two lists of CN=second authority"), "{refused}");
        plant.write("crl.pem", &format!("{own}{sooner}-----BEGIN X509 CRL-----\nMAA=\n"));
        assert!(told(&plant).is_err(), "half a list is not left out");
    }
}
