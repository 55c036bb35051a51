//! Certificates and lists that have run out, which no tool makes on purpose.

use crate::workshop::Workshop;
use anyhow::Context;
use certs_dev::authority::{Authority, Dates, Holder};
use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};
use std::fs;
use time::{Duration, OffsetDateTime};

/// Gives `person` a certificate that ended yesterday.
///
/// # Errors
/// If the PKI of the workshop can't be read or written.
pub fn expire(workshop: &Workshop, person: &str) -> anyhow::Result<()> {
    issue(workshop, person, OffsetDateTime::now_utc() - Duration::days(1))
}

/// Gives `person` a certificate that will end `left` from now; tells when, to
/// the second.
///
/// # Errors
/// If the PKI of the workshop can't be read or written.
pub fn expire_in(
    workshop: &Workshop,
    person: &str,
    left: std::time::Duration,
) -> anyhow::Result<std::time::SystemTime> {
    let until = (OffsetDateTime::now_utc() + left).replace_nanosecond(0)?;
    issue(workshop, person, until)?;
    Ok(until.into())
}

fn issue(workshop: &Workshop, person: &str, until: OffsetDateTime) -> anyhow::Result<()> {
    let dates = Dates { from: until - Duration::days(9), until };
    let issued = Authority::in_folder(&workshop.path("pki"))?.issue(&Holder::parse(person)?, dates)?;
    workshop.write(&format!("pki/people/{person}.pem"), &issued.certificate_pem)?;
    // Written over the old key, so its mode stays.
    workshop.write(&format!("pki/people/{person}.key"), &issued.key_pem)
}

/// Replaces the CRL by one whose next update was due yesterday.
///
/// # Errors
/// If the PKI of the workshop can't be read or written.
pub fn lapse_crl(workshop: &Workshop) -> anyhow::Result<()> {
    write_crl(workshop, OffsetDateTime::now_utc() - Duration::days(1))
}

/// Replaces the CRL by one that is good for `left` more.
///
/// # Errors
/// If the PKI of the workshop can't be read or written.
pub fn replace_crl(workshop: &Workshop, left: std::time::Duration) -> anyhow::Result<()> {
    write_crl(workshop, OffsetDateTime::now_utc() + left)
}

fn write_crl(workshop: &Workshop, next_update: OffsetDateTime) -> anyhow::Result<()> {
    let read = |name: &str| fs::read_to_string(workshop.path(name)).context(name.to_owned());
    let key = KeyPair::from_pem(&read("pki/ca.key")?)?;
    let issuer = Issuer::from_ca_cert_pem(&read("pki/ca.pem")?, key)?;
    let list = CertificateRevocationListParams {
        this_update: OffsetDateTime::now_utc() - Duration::days(10),
        next_update,
        crl_number: SerialNumber::from(9),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    workshop.write("pki/crl.pem", &list.signed_by(&issuer)?.pem()?)
}
