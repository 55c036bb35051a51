//! The revocation list: read back, added to, signed anew under the next number (RFC 5280 section 5).

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use crate::Problem;
use crate::folder::Folder;

/// How long a list is valid.
const VALIDITY: Duration = Duration::days(30);

/// What is revoked, and the number under which it was last published.
#[derive(Debug, Default)]
pub(crate) struct List {
    number: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    serial: Vec<u8>,
    revoked_at: OffsetDateTime,
}

impl List {
    /// The list as the folder has it.
    pub(crate) fn read(folder: &Folder) -> Result<Self, Problem> {
        let unreadable =
            |why: &str| Problem::Unreadable { file: folder.path_of("crl.pem"), why: why.to_owned() };
        let text = folder.read("crl.pem")?;
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(text.as_bytes()).map_err(|_| unreadable("no PEM file"))?;
        let (_, parsed) = CertificateRevocationList::from_der(&pem.contents)
            .map_err(|_| unreadable("no revocation list"))?;
        let number = parsed
            .crl_number()
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| unreadable("a list without a usable number"))?;
        let entries = parsed
            .iter_revoked_certificates()
            .map(|revoked| Entry {
                serial: strip_zeros(revoked.raw_serial()),
                revoked_at: revoked.revocation_date.to_datetime(),
            })
            .collect();
        Ok(Self { number, entries })
    }

    /// Adds those that are not on it yet, as of now, and says how many that were.
    pub(crate) fn revoke(&mut self, serials: &[Vec<u8>]) -> usize {
        let before = self.entries.len();
        for serial in serials {
            let serial = strip_zeros(serial);
            if !self.entries.iter().any(|entry| entry.serial == serial) {
                self.entries.push(Entry { serial, revoked_at: OffsetDateTime::now_utc() });
            }
        }
        self.entries.len().saturating_sub(before)
    }

    /// The list as it is to be signed now: one number higher, valid for 30 days.
    pub(crate) fn into_params(self) -> CertificateRevocationListParams {
        let now = OffsetDateTime::now_utc();
        CertificateRevocationListParams {
            this_update: now,
            next_update: now.saturating_add(VALIDITY),
            crl_number: SerialNumber::from(self.number.saturating_add(1)),
            issuing_distribution_point: None,
            revoked_certs: self.entries.into_iter().map(Entry::into_params).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
    }
}

impl Entry {
    fn into_params(self) -> RevokedCertParams {
        RevokedCertParams {
            serial_number: SerialNumber::from(self.serial),
            revocation_time: self.revoked_at,
            reason_code: Some(RevocationReason::Unspecified),
            invalidity_date: None,
        }
    }
}

/// A serial without the zero that DER puts before a set top bit, so that equal numbers are equal bytes.
fn strip_zeros(serial: &[u8]) -> Vec<u8> {
    serial.iter().copied().skip_while(|byte| *byte == 0).collect()
}
