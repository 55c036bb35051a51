//! By what technicians know the gateway.
//!
//! Whoever enrols is handed certificates to trust, and knows the gateway by
//! them from then on. That is whoever issued the certificate of the gateway
//! itself, which need not be the one who issues those of people: the CA of
//! `[tls]` if it did, and otherwise what stands last in the certificate's own
//! file, its CA's certificate or its own where nobody else signed it.

use super::external::External;
use super::{Files, Papers};
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use std::sync::Arc;
use std::time::Duration;

/// The most certificates that an enrolment hands out.
const MOST_HANDED_OUT: usize = 8;

/// What to hand out; nothing where neither issued the gateway's certificate.
pub(super) fn known_by(
    external: Option<&External>,
    chain: &[CertificateDer<'static>],
    provider: &CryptoProvider,
    now: Timestamp,
) -> Vec<CertificateDer<'static>> {
    let last = chain.last().map_or(&[][..], std::slice::from_ref);
    let ways = [external.map_or(&[][..], External::authorities), last];
    let issued = |authorities: &&[CertificateDer<'static>]| leads_to(chain, authorities, provider, now);
    ways.into_iter().find(issued).unwrap_or_default().to_vec()
}

fn leads_to(
    chain: &[CertificateDer<'static>],
    authorities: &[CertificateDer<'static>],
    provider: &CryptoProvider,
    now: Timestamp,
) -> bool {
    let Some((first, rest)) = chain.split_first() else { return false };
    let Ok(parsed) = ParsedCertificate::try_from(first) else { return false };
    let algorithms = provider.signature_verification_algorithms.all;
    let roots = roots(authorities);
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, rest, unix(now), algorithms).is_ok()
}

/// Whether somebody who enrols would know the gateway's certificate by this
/// name.
///
/// # Errors
/// Why not, in words.
pub fn recognised(files: &Files, name: &ServerName<'_>, now: Timestamp) -> Result<(), String> {
    let papers = Papers::read(files, now).map_err(|_| "the files of [tls] can't be used".to_owned())?;
    let (cert, known_by) = (files.cert.display(), papers.known_by());
    if known_by.is_empty() {
        let ca = if files.external.is_some() {
            "neither in [tls] ca nor at the end of"
        } else {
            "not at the end of"
        };
        return Err(format!("technicians would not know {cert}: whoever issued it is {ca} this file"));
    }
    if known_by.len() > MOST_HANDED_OUT || known_by.iter().any(|one| one.len() > wire::LONGEST_DER) {
        return Err(format!(
            "what is handed out to technicians, to know {cert} by, is at most {MOST_HANDED_OUT} certificates of \
             {} bytes each",
            wire::LONGEST_DER
        ));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(known_by)), provider).build();
    let verifier = verifier.map_err(|error| error.to_string())?;
    let (first, rest) = papers.chain().split_first().ok_or("there is no certificate")?;
    verifier
        .verify_server_cert(first, rest, name, &[], unix(now))
        .map(drop)
        .map_err(|error| format!("technicians would not know {cert} by this: {error}"))
}

fn roots(authorities: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    roots
}

fn unix(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Issued, Plant, Purpose, authority_named, issue, noon, self_signed};
    use rcgen::{BasicConstraints, IsCa};
    use rustls::pki_types::pem::PemObject;

    fn localhost(files: &Files) -> Result<(), String> {
        recognised(files, &ServerName::try_from("localhost").unwrap(), noon())
    }

    fn handed_out(files: &Files) -> Vec<CertificateDer<'static>> {
        Papers::read(files, noon()).unwrap().known_by().to_vec()
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    /// The plant's files without the CA of people.
    fn own_alone(plant: &Plant) -> Files {
        Files { external: None, ..plant.files() }
    }

    #[test]
    fn the_ca_of_people_is_handed_out_where_it_issued_the_gateways_certificate() {
        let plant = Plant::new();
        let ca = der(&std::fs::read_to_string(plant.path("ca.pem")).unwrap());
        assert_eq!(handed_out(&plant.files()), [ca]);
        assert_eq!(localhost(&plant.files()), Ok(()));
    }

    #[test]
    fn a_certificate_that_nobody_else_signed_is_handed_out_itself() {
        let plant = Plant::new();
        let own = self_signed(noon(), 90, IsCa::ExplicitNoCa);
        plant.identify(&own);
        // The CA of people did not issue it, and nobody is told to trust that.
        for files in [own_alone(&plant), plant.files()] {
            assert_eq!(handed_out(&files), [der(&own.certificate)]);
            assert_eq!(localhost(&files), Ok(()));
        }
    }

    #[test]
    fn a_ca_for_servers_alone_is_taken_from_the_end_of_the_chain() {
        let plant = Plant::new();
        let servers = authority_named("authority of servers");
        let Issued { certificate, key } = issue(&servers, 7, Purpose::Server, noon(), 90);
        plant.identify(&Issued { certificate: certificate + servers.pem().as_str(), key });
        for files in [own_alone(&plant), plant.files()] {
            assert_eq!(handed_out(&files), [der(servers.pem().as_str())]);
            assert_eq!(localhost(&files), Ok(()));
        }
    }

    #[test]
    fn a_certificate_of_somebody_who_is_nowhere_is_refused() {
        let plant = Plant::new();
        plant.identify(&issue(&authority_named("nowhere"), 7, Purpose::Server, noon(), 90));
        let refused = localhost(&own_alone(&plant)).unwrap_err();
        assert!(refused.contains("whoever issued it is not at the end of this file"), "{refused}");
        let refused = localhost(&plant.files()).unwrap_err();
        assert!(refused.contains("is neither in [tls] ca nor at the end of this file"), "{refused}");
    }

    #[test]
    fn whoever_has_its_own_certificate_knows_the_next_one_of_the_same_key_and_no_other() {
        let params = || rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let (key, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let made = |key| der(&params().self_signed(key).unwrap().pem());
        let (known, next, foreign) = ([made(&key)], [made(&key)], [made(&other)]);
        let provider = aws_lc_rs::default_provider();
        assert_ne!(known, next, "serial numbers differ");
        assert!(leads_to(&next, &known, &provider, noon()));
        assert!(!leads_to(&foreign, &known, &provider, noon()));
    }

    /// Clients refuse a CA's certificate as a server's (RFC 5280, 4.2.1.9).
    #[test]
    fn a_ca_that_is_its_own_server_is_refused() {
        let plant = Plant::new();
        plant.identify(&self_signed(noon(), 90, IsCa::Ca(BasicConstraints::Unconstrained)));
        assert!(localhost(&own_alone(&plant)).is_err());
    }

    #[test]
    fn another_name_than_the_certificates_is_refused() {
        let plant = Plant::new();
        let name = ServerName::try_from("elsewhere.example").unwrap();
        let refused = recognised(&plant.files(), &name, noon()).unwrap_err();
        assert!(refused.contains("by this"), "{refused}");
    }
}
