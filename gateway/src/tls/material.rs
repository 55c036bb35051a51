//! The files read as a whole: certificate chain and key, CA and CRL.

use super::Trust;
use super::external::{External, ExternalContents, ExternalFiles};
use super::recognition;
use crate::ca::Anchors;
use crate::ends::{End, Ending};
use crate::problem::Problem;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The largest file that is read: a CRL of some ten thousand entries.
const LONGEST_FILE: u64 = 1024 * 1024;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The CA of certificates that others issue; `None` where the gateway's own
    /// authority is the only one.
    pub external: Option<ExternalFiles>,
    /// The gateway's certificate and what leads to its CA, PEM.
    pub cert: PathBuf,
    /// The gateway's private key, PEM, readable by nobody else.
    pub key: PathBuf,
}

/// The bytes of the files, read once: what is checked is what is used.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    external: Option<ExternalContents>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Contents {
    /// Reads the files; all that can't be read or must not be is named.
    pub(super) fn read(files: &Files) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let external = files.external.as_ref().map(ExternalContents::read).transpose();
        let external = external.unwrap_or_else(|found| {
            problems.extend(found);
            None
        });
        let mut take = |path: &Path, key: &str| match read_bounded(path, key) {
            Ok(bytes) => bytes,
            Err(problem) => {
                problems.push(problem);
                Vec::new()
            }
        };
        let cert = take(&files.cert, "[tls] cert");
        let key = take(&files.key, "[tls] key");
        if let Err(problem) = private(&files.key, "[tls] key") {
            problems.push(problem);
        }
        if problems.is_empty() { Ok(Self { external, cert, key }) } else { Err(problems) }
    }
}

/// Files that passed every check together. Whom they let in is another matter:
/// without a CA in them, nobody.
#[derive(Debug)]
pub struct Papers {
    /// The CA of the files, where there is one.
    pub external: Option<External>,
    identity: Identity,
    known_by: Vec<CertificateDer<'static>>,
    certificate_print: [u8; 32],
}

impl Papers {
    /// Reads and checks the files at `now`.
    ///
    /// # Errors
    /// All that is wrong with them; then nothing is to be used.
    pub fn read(files: &Files, now: Timestamp) -> Result<Self, Vec<Problem>> {
        Self::parse(files, &Contents::read(files)?, now)
    }

    pub(super) fn parse(files: &Files, contents: &Contents, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let provider = aws_lc_rs::default_provider();
        let mut problems = Vec::new();
        let both = files.external.as_ref().zip(contents.external.as_ref());
        let external = both.map(|(files, contents)| External::parse(files, contents, &provider, now));
        let external = external.transpose().map_err(|problem| problems.push(problem));
        let cert = (&*files.cert, "[tls] cert", &*contents.cert);
        let key = (&*files.key, "[tls] key", &*contents.key);
        let identity = own_identity(Ending::GatewayCertificate, cert, key, &provider, now);
        let identity = identity.map_err(|problem| problems.push(problem));
        let (Ok(external), Ok(identity)) = (external, identity) else { return Err(problems) };
        let known_by = recognition::known_by(external.as_ref(), &identity.chain, &provider, now);
        let certificate_print = recording::log::hash_of(&contents.cert);
        Ok(Self { external, identity, known_by, certificate_print })
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.identity.chain
    }

    /// What people who enrol know the gateway by; empty where nothing in the
    /// files issued its certificate.
    pub fn known_by(&self) -> &[CertificateDer<'static>] {
        &self.known_by
    }

    /// What of it ends by itself, and when.
    pub fn ends(&self) -> Vec<End> {
        let external = self.external.iter().flat_map(|external| [external.authority, external.list]);
        external.chain([self.identity.lasts]).collect()
    }
}

/// All that a handshake needs: the papers, and whom they and the gateway's own
/// authorities let in.
#[derive(Debug)]
pub struct Material {
    papers: Papers,
    trust: Trust,
}

impl Material {
    /// Puts the gateway's own authorities beside the one of the files.
    pub(super) fn new(files: &Files, papers: Papers, own: &Anchors) -> Result<Self, Vec<Problem>> {
        let (path, key) = match &files.external {
            Some(external) => (&external.ca, "[tls] ca"),
            None => (&files.cert, "[tls]"),
        };
        let refuse = |error: &dyn std::fmt::Display| vec![Problem::new(path, error.to_string()).key(key)];
        let external = papers.external.as_ref();
        let mut roots = RootCertStore::empty();
        let authorities = external.map_or(&[][..], External::authorities);
        for authority in authorities.iter().chain(&own.authorities) {
            roots.add(authority.clone()).map_err(|error| refuse(&error))?;
        }
        // Each certificate is judged by the first list of its own issuer's name:
        // ours come first, so that no file can put another in their place.
        let lists = external.map_or(&[][..], External::lists);
        let lists = own.lists.iter().chain(lists).cloned().collect();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let trust = Trust::new(roots, lists, provider).map_err(|error| refuse(&error))?;
        Ok(Self { papers, trust })
    }

    /// What the files say.
    pub fn papers(&self) -> &Papers {
        &self.papers
    }

    /// The CAs and their lists as a judge of certificates.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// A list of an issuer that was made before the one in `newer`: both times.
    pub(super) fn older_list(&self, newer: &Self) -> Option<(Timestamp, Timestamp)> {
        let (own, newer) = (self.papers.external.as_ref()?, newer.papers.external.as_ref()?);
        own.older_list(newer)
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the gateway's own certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.papers.identity.fingerprint
    }

    /// SHA-256 over the file of the gateway's own certificate.
    pub fn certificate_print(&self) -> [u8; 32] {
        self.papers.certificate_print
    }

    /// When the gateway's own certificate expires.
    pub fn certificate_expires(&self) -> Timestamp {
        self.papers.identity.lasts.ends
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.papers.identity.chain.clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.papers.identity.key.clone_key()
    }
}

/// A server's certificate and key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    fingerprint: [u8; 32],
    pub(crate) lasts: End,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Identity").field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

fn own_identity(
    what: Ending,
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
    let lasts = in_time(cert_path, cert_key, what, &parsed, now)?;
    let fingerprint = recording::log::hash_of(parsed.public_key().raw);
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| Problem::new(key_path, format!("holds no private key: {error}")).key(key_key))?;
    CertifiedKey::from_der(chain.clone(), key.clone_key(), provider).map_err(|error| {
        let reason = format!("does not belong to {}: {error}", cert_path.display());
        Problem::new(key_path, reason).key(key_key).hint("name the key that the certificate was made for")
    })?;
    Ok(Identity { chain, key, fingerprint, lasts })
}

/// Reads the passkey page's certificate, which must be made for `name`, and its
/// key; `keys` are the two keys of the configuration.
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
    let identity = own_identity(
        Ending::PageCertificate,
        (cert, keys.0, &cert_bytes),
        (key, keys.1, &key_bytes),
        &provider,
        now,
    )?;
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

/// Refuses a certificate out of its time; tells how long it lasts.
pub(super) fn in_time(
    path: &Path,
    key: &str,
    what: Ending,
    certificate: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<End, Problem> {
    let validity = certificate.validity();
    let (Some(begins), Some(ends)) = (stamp(validity.not_before), stamp(validity.not_after)) else {
        return Err(Problem::new(path, "has impossible dates").key(key));
    };
    if ends <= now {
        return Err(Problem::new(path, format!("expired on {ends}")).key(key).hint("renew the certificate"));
    }
    if begins > now {
        let problem = Problem::new(path, format!("is not valid before {begins}")).key(key);
        return Err(problem.hint("check this machine's clock"));
    }
    Ok(End { what, begins, ends })
}

pub(super) fn stamp(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

/// Reads a file that is not longer than [`LONGEST_FILE`].
pub(super) fn read_bounded(path: &Path, key: &str) -> Result<Vec<u8>, Problem> {
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

    fn told(plant: &Plant) -> Result<External, String> {
        let read = Papers::read(&plant.files(), noon());
        read.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            .map(|papers| papers.external.unwrap())
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
        let external = told(&plant).unwrap();
        let lapses = noon() + jiff::SignedDuration::from_hours(24 * 9);
        assert_eq!((external.revoked, external.list.ends), (2, lapses));
        plant.write("crl.pem", &format!("{own}{sooner}{sooner}"));
        let refused = told(&plant).unwrap_err();
        assert!(refused.contains("holds two lists of CN=second authority"), "{refused}");
        plant.write("crl.pem", &format!("{own}{sooner}-----BEGIN X509 CRL-----\nMAA=\n"));
        assert!(told(&plant).is_err(), "half a list is not left out");
    }
}
