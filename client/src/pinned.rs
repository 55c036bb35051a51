//! Knowing a gateway by the key that a token names, and by nothing else.
//!
//! What it is for: who enrols has no certificate authority yet. The token was handed over by the plant and holds the
//! SHA-256 of the gateway's key; a certificate with that key, and a signature that only its owner can make, is the
//! gateway's, whatever names and dates stand in it. Any other key is refused in the handshake, before anything of ours
//! was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};

use crate::Problem;

/// Accepts one key.
#[derive(Debug)]
pub struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    /// Whether another key was shown.
    met_another: AtomicBool,
}

impl Pinned {
    /// Accepts the key whose SubjectPublicKeyInfo has this SHA-256.
    #[must_use]
    pub fn new(fingerprint: [u8; 32]) -> Arc<Self> {
        let provider = Arc::new(provider::default_provider());
        Arc::new(Self { fingerprint, provider, met_another: AtomicBool::new(false) })
    }

    /// Whether somebody with another key answered.
    pub fn met_another(&self) -> bool {
        self.met_another.load(Ordering::Relaxed)
    }

    /// TLS 1.3 towards the enrolment endpoint of that gateway, without a certificate of ours.
    ///
    /// # Errors
    /// [`Problem::Configuration`] if the library refuses its own defaults.
    pub fn tls(self: &Arc<Self>, alpn: &[u8]) -> Result<Arc<ClientConfig>, Problem> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| Problem::Configuration(error.to_string()))?
            // The library calls every judge but its own dangerous; this one accepts a single key.
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Self>::clone(self))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_early_data = false;
        Ok(Arc::new(config))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        if digest(&SHA256, &key).as_ref() == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        self.met_another.store(true, Ordering::Relaxed);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    use super::*;

    #[test]
    fn one_key_is_accepted_whatever_its_certificate_says_and_no_other() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let hash = digest(&SHA256, &key.subject_public_key_info());
        let pinned = Pinned::new(hash.as_ref().try_into().unwrap());
        let judge = |key: &KeyPair| {
            let certificate =
                CertificateParams::new(vec!["whoever".to_owned()]).unwrap().self_signed(key).unwrap();
            let name = ServerName::try_from("gateway.plant.example").unwrap();
            pinned.verify_server_cert(certificate.der(), &[], &name, &[], UnixTime::now()).is_ok()
        };
        assert!(judge(&key) && !pinned.met_another());
        assert!(!judge(&other) && pinned.met_another());
    }
}
