//! The CA of the files and its revocation lists.

use super::material::{certificates, in_time, parse_certificate, stamp};
use super::strict::signs_certificates;
use crate::audit::harmless;
use crate::problem::Problem;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::path::Path;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

pub(super) fn authorities(
    path: &Path,
    pem: &[u8],
    now: Timestamp,
) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let key = "[tls] ca";
    let list = certificates(path, key, pem)?;
    for der in &list {
        let certificate = parse_certificate(path, key, der)?;
        if !certificate.is_ca() || !signs_certificates(&certificate) {
            let subject = harmless(&certificate.subject().to_string());
            return Err(Problem::new(path, format!("{subject} is not a CA certificate")).key(key));
        }
        in_time(path, key, &certificate, now)?;
    }
    Ok(list)
}

pub(super) struct Revocations {
    pub(super) list: CertificateRevocationListDer<'static>,
    /// The issuer's name in DER, by which a handshake finds the list.
    pub(super) issuer: Vec<u8>,
    pub(super) made: Timestamp,
    pub(super) lapses: Timestamp,
    pub(super) revoked: usize,
}

/// Reads every list of the file. Each CA must have one of its own: without it
/// all of its certificates would be refused. A list of somebody who is no CA of
/// ours is an intermediate CA's: nobody but the handshake, which sees that CA's
/// certificate, can judge its signature, and does.
pub(super) fn revocations(
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
