//! What the chain builder leaves open and this gateway does not.
//!
//! [`Strict`] stands before and behind rustls' verifier. Before: a chain has a
//! bounded number of certificates, because a stranger who sends a hundred of one
//! name makes the search for a path last for a tenth of a second (a hundred
//! times as long as any other refusal) on the thread that carries everybody's
//! data. Behind: the key usage of each certificate must
//! allow what it was used for, which the verifier leaves unread (RFC 5280,
//! 4.2.1.3 and 6.1.4 (n); RFC 8446, 4.4.2.2); a serial number has its one form
//! in DER, because revocation lists are searched by its bytes; no extension
//! stands there twice (RFC 5280, 4.2). It never accepts what the verifier refused.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::KeyUsage;
use x509_parser::prelude::FromDer;

/// The most certificates that may come with the one of the person. A plant's
/// CA is two or three levels deep; with four, the search for a path has at most
/// some dozens of ways to try.
pub(super) const MOST_INTERMEDIATES: usize = 4;

/// A chain that is refused whatever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unsound {
    #[error("more than {MOST_INTERMEDIATES} intermediate certificates")]
    TooManyCertificates,
    #[error("the key usage does not allow signatures")]
    NoSignatures,
    #[error("the key usage of an intermediate certificate does not allow to sign certificates")]
    NoCertificates,
}

/// A verifier with the further rules of this gateway.
#[derive(Debug)]
pub(super) struct Strict {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Strict {
    pub(super) fn new(verifier: Arc<dyn ClientCertVerifier>) -> Self {
        Self { verifier }
    }
}

impl ClientCertVerifier for Strict {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if intermediates.len() > MOST_INTERMEDIATES {
            return Err(refused(Unsound::TooManyCertificates));
        }
        // What no CA signed is not looked at any further.
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        if !proves_possession(&parse(end_entity)?) {
            return Err(refused(Unsound::NoSignatures));
        }
        for intermediate in intermediates {
            if !signs_certificates(&parse(intermediate)?) {
                return Err(refused(Unsound::NoCertificates));
            }
        }
        Ok(verified)
    }

    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whether a certificate's key usage lets it sign other certificates; without
/// the extension nothing is restricted. What can't be read signs nothing.
pub(super) fn signs_certificates(certificate: &X509Certificate<'_>) -> bool {
    allows(certificate, KeyUsage::key_cert_sign)
}

/// What proves the possession of the key in a handshake is a signature.
fn proves_possession(certificate: &X509Certificate<'_>) -> bool {
    allows(certificate, KeyUsage::digital_signature)
}

fn allows(certificate: &X509Certificate<'_>, use_of: impl Fn(&KeyUsage) -> bool) -> bool {
    certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| use_of(usage.value)))
}

/// A certificate that has its one proper form where that matters.
fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
    let proper =
        rest.is_empty() && has_one_form(certificate.raw_serial()) && certificate.extensions_map().is_ok();
    if proper { Ok(certificate) } else { Err(unreadable()) }
}

/// Whether an INTEGER's content is as short as it can be (ITU-T X.690, 8.3.2).
fn has_one_form(integer: &[u8]) -> bool {
    match integer {
        [] => false,
        [0x00, next, ..] => *next >= 0x80,
        [0xFF, next, ..] => *next < 0x80,
        [_, ..] => true,
    }
}

fn refused(why: Unsound) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

fn unreadable() -> Error {
    Error::InvalidCertificate(CertificateError::BadEncoding)
}
