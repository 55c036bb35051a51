//! The CA of the files and its revocation lists: certificates that others
//! issue. A gateway whose own authority is the only one has none of it.

use super::material::{certificates, in_time, parse_certificate, read_bounded, stamp};
use super::strict::signs_certificates;
use crate::audit::harmless;
use crate::ends::{End, Ending};
use crate::problem::Problem;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// Where the CA and its lists are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalFiles {
    /// The CA's certificate, PEM; several while a CA is being replaced.
    pub ca: PathBuf,
    /// The revocation lists, PEM: one of each CA, and one of each intermediate
    /// CA whose certificates come with the chain that a client shows.
    pub crl: PathBuf,
}

/// The bytes of both files, read once.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ExternalContents {
    ca: Vec<u8>,
    crl: Vec<u8>,
}

impl ExternalContents {
    /// Reads both; all that can't be read is named.
    pub(super) fn read(files: &ExternalFiles) -> Result<Self, Vec<Problem>> {
        match (read_bounded(&files.ca, "[tls] ca"), read_bounded(&files.crl, "[tls] crl")) {
            (Ok(ca), Ok(crl)) => Ok(Self { ca, crl }),
            (ca, crl) => Err(ca.err().into_iter().chain(crl.err()).collect()),
        }
    }
}

/// CA and lists that passed every check together.
#[derive(Debug)]
pub struct External {
    authorities: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    /// When each issuer's list was made, by the issuer's name in DER.
    made: BTreeMap<Vec<u8>, Timestamp>,
    /// The CA's certificate that expires first.
    pub authority: End,
    /// The list that lapses first: sign-ins under it are refused from then on.
    pub list: End,
    /// How many certificates the lists revoke.
    pub revoked: usize,
    /// SHA-256 over the CA's file as it was read.
    pub authority_print: [u8; 32],
    /// The same over the lists'.
    pub list_print: [u8; 32],
}

impl External {
    pub(super) fn parse(
        files: &ExternalFiles,
        contents: &ExternalContents,
        provider: &CryptoProvider,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let (authorities, authority) = authorities(&files.ca, &contents.ca, now)?;
        let lists = revocations(&files.crl, &contents.crl, &authorities, provider, now)?;
        let first = lists.iter().min_by_key(|list| list.lapses);
        let none = || Problem::new(&files.crl, "holds no revocation list").key("[tls] crl");
        let list = first.map(|list| End { what: Ending::Crl, begins: list.made, ends: list.lapses });
        let list = list.ok_or_else(none)?;
        Ok(Self {
            authorities,
            authority,
            list,
            revoked: lists.iter().map(|list| list.revoked).sum(),
            made: lists.iter().map(|list| (list.issuer.clone(), list.made)).collect(),
            lists: lists.into_iter().map(|list| list.list).collect(),
            authority_print: recording::log::hash_of(&contents.ca),
            list_print: recording::log::hash_of(&contents.crl),
        })
    }

    /// The CA's certificates.
    pub(super) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    pub(super) fn lists(&self) -> &[CertificateRevocationListDer<'static>] {
        &self.lists
    }

    /// A list of an issuer that was made before the one in `newer`: both times.
    pub(super) fn older_list(&self, newer: &Self) -> Option<(Timestamp, Timestamp)> {
        self.made.iter().find_map(|(issuer, made)| {
            newer.made.get(issuer).filter(|known| made < known).map(|known| (*made, *known))
        })
    }
}

/// The CA's certificates, and the one among them that expires first.
fn authorities(
    path: &Path,
    pem: &[u8],
    now: Timestamp,
) -> Result<(Vec<CertificateDer<'static>>, End), Problem> {
    let key = "[tls] ca";
    let list = certificates(path, key, pem)?;
    let mut first: Option<End> = None;
    for der in &list {
        let certificate = parse_certificate(path, key, der)?;
        if !certificate.is_ca() || !signs_certificates(&certificate) {
            let subject = harmless(&certificate.subject().to_string());
            return Err(Problem::new(path, format!("{subject} is not a CA certificate")).key(key));
        }
        let end = in_time(path, key, Ending::ExternalAuthority, &certificate, now)?;
        first = first.filter(|first| first.ends <= end.ends).or(Some(end));
    }
    let first = first.ok_or_else(|| Problem::new(path, "holds no certificate").key(key))?;
    Ok((list, first))
}

struct Revocations {
    list: CertificateRevocationListDer<'static>,
    /// The issuer's name in DER, by which a handshake finds the list.
    issuer: Vec<u8>,
    made: Timestamp,
    lapses: Timestamp,
    revoked: usize,
}

/// Reads every list of the file. Each CA must have one of its own: without it
/// all of its certificates would be refused. A list of somebody who is no CA of
/// ours is an intermediate CA's: nobody but the handshake, which sees that CA's
/// certificate, can judge its signature, and does.
fn revocations(
    path: &Path,
    pem: &[u8],
    authorities: &[CertificateDer<'static>],
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<Vec<Revocations>, Problem> {
    let refuse = |reason: String| Problem::new(path, reason).key("[tls] crl");
    let ders: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let ders = ders.map_err(|error| refuse(format!("holds no revocation list in PEM: {error}")))?;
    if ders.is_empty() {
        return Err(refuse("holds no revocation list in PEM".to_owned()));
    }
    let mut lists: Vec<Revocations> = Vec::new();
    let mut parsed = Vec::new();
    for der in &ders {
        let (_, crl) = CertificateRevocationList::from_der(der)
            .map_err(|error| refuse(format!("is no revocation list: {error}")))?;
        let list = revocation_list(der, &crl, now).map_err(|(reason, hint)| refuse(reason).hint(hint))?;
        if lists.iter().any(|other| other.issuer == list.issuer) {
            let reason = format!("holds two lists of {}", harmless(&crl.issuer().to_string()));
            return Err(refuse(reason).hint("keep the newer one: only one of them would count"));
        }
        lists.push(list);
        parsed.push(crl);
    }
    for authority in authorities {
        let subject = parse_certificate(path, "[tls] crl", authority)?.subject().to_string();
        let own = |crl: &CertificateRevocationList<'_>| signed_by(crl, authority, provider);
        if !parsed.iter().any(own) {
            let reason = format!("is not signed by the CA: no list of {}", harmless(&subject));
            return Err(refuse(reason).hint("name the CRL of each CA in [tls] ca"));
        }
    }
    Ok(lists)
}

fn revocation_list(
    der: &CertificateRevocationListDer<'static>,
    crl: &CertificateRevocationList<'_>,
    now: Timestamp,
) -> Result<Revocations, (String, &'static str)> {
    let issue = "issue a new one with the CA";
    let made = stamp(crl.last_update()).ok_or_else(|| ("has an impossible date".to_owned(), issue))?;
    let lapses = crl
        .next_update()
        .and_then(stamp)
        .ok_or_else(|| ("does not say when it lapses (nextUpdate)".to_owned(), "issue one that does"))?;
    if made > now {
        return Err((format!("is from the future, {made}"), "check the clock of both machines"));
    }
    if lapses <= now {
        return Err((format!("lapsed on {lapses}"), issue));
    }
    let revoked = crl.iter_revoked_certificates().count();
    Ok(Revocations { list: der.clone(), issuer: crl.issuer().as_raw().to_vec(), made, lapses, revoked })
}

/// Tries the algorithms that a handshake would accept too. Only the CA's key
/// can make a signature that any of them takes.
fn signed_by(crl: &CertificateRevocationList<'_>, authority: &[u8], provider: &CryptoProvider) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(authority) else { return false };
    let key = &certificate.public_key().subject_public_key.data;
    certificate.subject() == crl.issuer()
        && provider.signature_verification_algorithms.all.iter().any(|algorithm| {
            algorithm.verify_signature(key, crl.tbs_cert_list.as_ref(), &crl.signature_value.data).is_ok()
        })
}
