//! Judging a certificate chain against the CAs and their CRLs.

use super::strict::Strict;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, Error, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// The CAs with their CRLs: the same object judges handshakes and live sign-ins.
#[derive(Debug, Clone)]
pub struct Trust {
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Why a certificate gets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The CRL lists it.
    #[error("the certificate is revoked")]
    Revoked,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not begun: a clock is off, or it was issued ahead.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The CRL's own time is over: nobody's certificate can be judged.
    #[error("the certificate revocation list has lapsed")]
    CrlLapsed,
    /// There is no certificate.
    #[error("no certificate was shown")]
    Missing,
    /// Another CA, a wrong usage, a broken signature.
    #[error("the certificate is not one of this gateway's: {0}")]
    Foreign(String),
}

impl Unfit {
    /// Whether a live sign-in must end at once. An expiry is a soft ending that
    /// the session's own deadline brings; a lapsed CRL only closes the door.
    pub fn ends_live(&self) -> bool {
        match self {
            Self::Revoked | Self::Missing | Self::Foreign(_) => true,
            Self::Expired | Self::NotYetValid | Self::CrlLapsed => false,
        }
    }
}

impl Trust {
    pub(super) fn new(
        roots: RootCertStore,
        crls: Vec<CertificateRevocationListDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        // Without this, a CRL past its own end is taken as if it were fresh.
        let verifier = builder.with_crls(crls).enforce_revocation_expiration().build()?;
        Ok(Self { verifier: Arc::new(Strict::new(verifier)) })
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Judges a chain, end entity first, as a handshake at `now` would.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), Unfit> {
        let (end_entity, intermediates) = chain.split_first().ok_or(Unfit::Missing)?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.verifier.verify_client_cert(end_entity, intermediates, now).map_err(|error| unfit(&error))?;
        Ok(())
    }
}

fn unfit(error: &Error) -> Unfit {
    let Error::InvalidCertificate(reason) = error else { return Unfit::Foreign(error.to_string()) };
    if matches!(reason, CertificateError::Revoked) {
        Unfit::Revoked
    } else if matches!(reason, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        Unfit::Expired
    } else if matches!(reason, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        Unfit::NotYetValid
    } else if matches!(
        reason,
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. }
    ) {
        Unfit::CrlLapsed
    } else {
        Unfit::Foreign(reason.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::Anchors;
    use crate::fixture::{Plant, Purpose, authority, issue, noon};
    use crate::tls::{Material, Papers};
    use jiff::SignedDuration;
    use rustls::pki_types::pem::PemObject;

    fn trust(plant: &Plant) -> Trust {
        let papers = Papers::read(&plant.files(), noon()).unwrap();
        Material::new(&plant.files(), papers, &Anchors::default()).unwrap().trust().clone()
    }

    fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()]
    }

    #[test]
    fn each_kind_of_unfit_certificate_is_told_apart() {
        let plant = Plant::new();
        plant.write_crl(&[11], noon(), 60);
        let trust = trust(&plant);
        let client = |serial| chain(&plant.issue(serial, Purpose::Client, 30).certificate);
        let later = |days: i64| noon() + SignedDuration::from_hours(24 * days);
        assert_eq!(trust.verify(&client(10), noon()), Ok(()));
        assert_eq!(trust.verify(&client(11), noon()), Err(Unfit::Revoked));
        assert_eq!(trust.verify(&client(10), later(31)), Err(Unfit::Expired));
        assert_eq!(trust.verify(&client(10), later(-2)), Err(Unfit::NotYetValid));
        assert_eq!(trust.verify(&[], noon()), Err(Unfit::Missing));
        let server = chain(&plant.issue(12, Purpose::Server, 30).certificate);
        assert!(matches!(trust.verify(&server, noon()), Err(Unfit::Foreign(_))));
        let stranger = chain(&issue(&authority(), 10, Purpose::Client, noon(), 30).certificate);
        assert!(matches!(trust.verify(&stranger, noon()), Err(Unfit::Foreign(_))));
    }

    #[test]
    fn a_lapsed_list_closes_the_door_and_ends_nobody() {
        let plant = Plant::new();
        let trust = trust(&plant);
        let good = chain(&plant.issue(10, Purpose::Client, 300).certificate);
        let lapsed = noon() + SignedDuration::from_hours(24 * 61);
        assert_eq!(trust.verify(&good, lapsed), Err(Unfit::CrlLapsed));
        assert!(!Unfit::CrlLapsed.ends_live() && !Unfit::Expired.ends_live());
        assert!(Unfit::Revoked.ends_live());
    }
}
