//! The certificates as rustls judges them: the very verifiers that the gateway and the client use.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use certs_dev::authority::{Authority, Dates, Holder};
use certs_dev::{Revoked, init, renew, revoke};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};

fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

fn roots(folder: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&folder.join("ca.pem"))).unwrap();
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// As the gateway builds it: list required, its expiry enforced.
fn client_verifier(folder: &Path) -> Arc<dyn ClientCertVerifier> {
    let list = CertificateRevocationListDer::from_pem_file(folder.join("crl.pem")).unwrap();
    WebPkiClientVerifier::builder_with_provider(roots(folder), provider())
        .with_crls([list])
        .enforce_revocation_expiration()
        .build()
        .unwrap()
}

fn judge(folder: &Path, certificate: &CertificateDer<'_>, at: UnixTime) -> Result<(), Error> {
    client_verifier(folder).verify_client_cert(certificate, &[], at).map(|_| ())
}

fn now_and(days: u64) -> UnixTime {
    let now = UnixTime::now().as_secs();
    UnixTime::since_unix_epoch(Duration::from_secs(now + days * 86_400))
}

fn person(folder: &Path, name: &str) -> CertificateDer<'static> {
    certificate(&folder.join(format!("people/{name}.pem")))
}

fn made() -> (tempfile::TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pki");
    init(&folder).unwrap();
    (place, folder)
}

#[test]
fn people_are_clients_and_the_gateway_is_a_server_and_neither_is_the_other() {
    let (_place, folder) = made();
    for name in certs_dev::PEOPLE {
        judge(&folder, &person(&folder, name), now_and(0)).unwrap();
    }
    let gateway = certificate(&folder.join("gateway.pem"));
    let server = WebPkiServerVerifier::builder_with_provider(roots(&folder), provider()).build().unwrap();
    for name in ["gateway.plant.example", "localhost", "127.0.0.1", "::1"] {
        let name = ServerName::try_from(name).unwrap();
        server.verify_server_cert(&gateway, &[], &name, &[], now_and(0)).unwrap();
    }
    let localhost = ServerName::try_from("localhost").unwrap();
    let elsewhere = ServerName::try_from("other.plant.example").unwrap();
    assert!(server.verify_server_cert(&gateway, &[], &elsewhere, &[], now_and(0)).is_err());
    assert!(judge(&folder, &gateway, now_and(0)).is_err());
    let operator = person(&folder, "operator-1");
    assert!(server.verify_server_cert(&operator, &[], &localhost, &[], now_and(0)).is_err());
}

#[test]
fn the_list_and_the_certificates_run_out_when_they_say() {
    let (_place, folder) = made();
    let operator = person(&folder, "operator-1");
    judge(&folder, &operator, now_and(29)).unwrap();
    assert!(matches!(
        judge(&folder, &operator, now_and(31)),
        Err(Error::InvalidCertificate(CertificateError::ExpiredRevocationListContext { .. }))
    ));
    assert!(matches!(
        judge(&folder, &operator, now_and(91)),
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
    ));
}

#[test]
fn revoking_a_name_revokes_all_its_certificates_and_no_other() {
    let (_place, folder) = made();
    let old = person(&folder, "tech-1@vendor-a");
    renew(&folder, "tech-1@vendor-a").unwrap();
    let new = person(&folder, "tech-1@vendor-a");
    assert_ne!(old, new);
    judge(&folder, &new, now_and(0)).unwrap();
    assert_eq!(revoke(&folder, "tech-2@vendor-b").unwrap(), Revoked::Added(1));
    assert_eq!(revoke(&folder, "tech-1@vendor-a").unwrap(), Revoked::Added(2));
    for revoked in [&old, &new, &person(&folder, "tech-2@vendor-b")] {
        assert_eq!(
            judge(&folder, revoked, now_and(0)),
            Err(Error::InvalidCertificate(CertificateError::Revoked))
        );
    }
    judge(&folder, &person(&folder, "operator-1"), now_and(0)).unwrap();
}

#[test]
fn a_renewed_certificate_has_the_old_key_and_a_renewed_list_the_next_number() {
    let (_place, folder) = made();
    let key_of = |certificate: &CertificateDer<'_>| {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
        parsed.public_key().raw.to_vec()
    };
    let number = || {
        let list = CertificateRevocationListDer::from_pem_file(folder.join("crl.pem")).unwrap();
        let (_, parsed) = x509_parser::parse_x509_crl(&list).unwrap();
        u64::try_from(parsed.crl_number().unwrap()).unwrap()
    };
    let before = key_of(&person(&folder, "operator-1"));
    renew(&folder, "operator-1").unwrap();
    assert_eq!(key_of(&person(&folder, "operator-1")), before);
    assert_eq!(number(), 1);
    renew(&folder, "crl").unwrap();
    assert_eq!(number(), 2);
    revoke(&folder, "tech-1@vendor-a").unwrap();
    assert_eq!(number(), 3);
    judge(&folder, &person(&folder, "operator-1"), now_and(0)).unwrap();
}

#[test]
fn certificates_with_chosen_dates_are_judged_by_them() {
    let (_place, folder) = made();
    let now = time::OffsetDateTime::now_utc();
    let authority = Authority::in_folder(&folder).unwrap();
    let issue = |from: i64, until: i64| {
        let dates =
            Dates { from: now + time::Duration::days(from), until: now + time::Duration::days(until) };
        let issued = authority.issue(&Holder::parse("tech-1@vendor-a").unwrap(), dates).unwrap();
        CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap()
    };
    judge(&folder, &issue(-1, 1), now_and(0)).unwrap();
    assert!(matches!(
        judge(&folder, &issue(-2, -1), now_and(0)),
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
    ));
    assert!(matches!(
        judge(&folder, &issue(1, 2), now_and(0)),
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }))
    ));
}
