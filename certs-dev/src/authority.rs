//! The certificate authority: who can hold a certificate, for how long, and what it may be used for.

use std::path::Path;

use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::Problem;
use crate::crl::List;
use crate::folder::Folder;

/// The names under which clients may reach the gateway.
const GATEWAY_NAMES: [&str; 4] = ["gateway.plant.example", "localhost", "127.0.0.1", "::1"];

/// A person's name as it may stand in a file name and a certificate: the form of a handle, 1 to 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name in `text`.
    ///
    /// # Errors
    /// [`Problem::BadName`] for anything but lower-case letters, digits, `.`, `_`, `-` and one `@` between them, for
    /// a leading dot, and for the names that other files of the folder have.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-@".contains(&byte);
        let sound = (1..=64).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with(['.', '@', '-'])
            && !text.ends_with('@')
            && text.matches('@').count() <= 1
            && !["ca", "crl", "gateway"].contains(&text);
        if sound { Ok(Self(text.to_owned())) } else { Err(Problem::BadName(text.to_owned())) }
    }
}

/// Who a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The gateway itself (server).
    Gateway,
    /// A person (client).
    Person(Name),
}

impl Holder {
    /// `gateway`, or a person's name.
    ///
    /// # Errors
    /// [`Problem::BadName`].
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text == "gateway" { Ok(Self::Gateway) } else { Name::parse(text).map(Self::Person) }
    }

    fn name(&self) -> &str {
        match self {
            Self::Gateway => "gateway",
            Self::Person(Name(name)) => name,
        }
    }

    pub(crate) fn certificate_file(&self) -> String {
        self.file("pem")
    }

    pub(crate) fn key_file(&self) -> String {
        self.file("key")
    }

    fn file(&self, ending: &str) -> String {
        match self {
            Self::Gateway => format!("gateway.{ending}"),
            Self::Person(Name(name)) => format!("people/{name}.{ending}"),
        }
    }
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub struct Dates {
    /// The first moment.
    pub from: OffsetDateTime,
    /// The last moment.
    pub until: OffsetDateTime,
}

impl Dates {
    /// From five minutes ago (for clocks that are a little behind) until `days` days from now.
    #[must_use]
    pub fn days(days: i64) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            from: now.saturating_sub(Duration::minutes(5)),
            until: now.saturating_add(Duration::days(days)),
        }
    }
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its key, PKCS#8.
    pub key_pem: String,
    serial: Vec<u8>,
    until: OffsetDateTime,
}

impl Issued {
    /// The line of `issued.txt`: serial in hex, holder, last moment in seconds since 1970.
    pub(crate) fn line(&self, holder: &Holder) -> String {
        let serial: String = self.serial.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{serial} {} {}", holder.name(), self.until.unix_timestamp())
    }
}

/// The authority with its key.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority, valid for one year.
    pub(crate) fn create() -> Result<Self, Problem> {
        let crypto = |error: rcgen::Error| Problem::Crypto { what: "the authority", why: error.to_string() };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(crypto)?;
        let mut params = bare_params("Gatehouse development authority", Dates::days(365))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(crypto)?;
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// The authority of a folder that [`crate::init`] made.
    ///
    /// # Errors
    /// [`Problem::Unreadable`], [`Problem::Io`].
    pub fn in_folder(folder: &Path) -> Result<Self, Problem> {
        Self::open(&Folder::open(folder))
    }

    pub(crate) fn open(folder: &Folder) -> Result<Self, Problem> {
        let unreadable =
            |file: &str, why: &str| Problem::Unreadable { file: folder.path_of(file), why: why.to_owned() };
        let certificate_pem = folder.read("ca.pem")?;
        let key =
            KeyPair::from_pem(&folder.read("ca.key")?).map_err(|_| unreadable("ca.key", "no private key"))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)
            .map_err(|_| unreadable("ca.pem", "no certificate of an authority"))?;
        Ok(Self { certificate_pem, issuer })
    }

    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate_pem.clone()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate over a fresh P-256 key. Nothing is written: what is issued here for a test is unknown to
    /// [`crate::revoke`].
    ///
    /// # Errors
    /// [`Problem::Crypto`].
    pub fn issue(&self, holder: &Holder, dates: Dates) -> Result<Issued, Problem> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|error| Problem::Crypto { what: "a key", why: error.to_string() })?;
        self.sign(holder, dates, &key)
    }

    /// A certificate over a key that exists.
    pub(crate) fn issue_for_key(
        &self,
        holder: &Holder,
        dates: Dates,
        key_pem: &str,
    ) -> Result<Issued, Problem> {
        let key = KeyPair::from_pem(key_pem).map_err(|_| Problem::Unreadable {
            file: holder.key_file().into(),
            why: "no private key".to_owned(),
        })?;
        self.sign(holder, dates, &key)
    }

    fn sign(&self, holder: &Holder, dates: Dates, key: &KeyPair) -> Result<Issued, Problem> {
        let crypto = |error: rcgen::Error| Problem::Crypto { what: "a certificate", why: error.to_string() };
        let serial = random_serial()?;
        let mut params = match holder {
            Holder::Gateway => {
                let mut params = bare_params("gateway.plant.example", dates)?;
                params.subject_alt_names = CertificateParams::new(GATEWAY_NAMES.map(str::to_owned))
                    .map_err(crypto)?
                    .subject_alt_names;
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                params
            }
            Holder::Person(Name(name)) => {
                let mut params = bare_params(name, dates)?;
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params
            }
        };
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(key, &self.issuer).map_err(crypto)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            serial,
            until: dates.until,
        })
    }

    /// An empty list, number 1.
    pub(crate) fn first_crl(&self) -> Result<String, Problem> {
        self.sign_crl(List::default())
    }

    pub(crate) fn sign_crl(&self, list: List) -> Result<String, Problem> {
        let signed = list.into_params().signed_by(&self.issuer).and_then(|crl| crl.pem());
        signed.map_err(|error| Problem::Crypto { what: "the revocation list", why: error.to_string() })
    }
}

/// Parameters with nothing but a name, dates and no rights.
fn bare_params(common_name: &str, dates: Dates) -> Result<CertificateParams, Problem> {
    let mut params = CertificateParams::new(Vec::new())
        .map_err(|error| Problem::Crypto { what: "a certificate", why: error.to_string() })?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = dates.from;
    params.not_after = dates.until;
    Ok(params)
}

/// 127 random bits: positive, and never zero in the first byte, so that every reader spells it alike.
fn random_serial() -> Result<Vec<u8>, Problem> {
    let mut serial = [0_u8; 16];
    rand::fill(&mut serial)
        .map_err(|_| Problem::Crypto { what: "a serial number", why: "no randomness".to_owned() })?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(serial.to_vec())
}

/// Every serial that `issued.txt` has for `holder`.
pub(crate) fn issued_to(folder: &Folder, holder: &Holder) -> Result<Vec<Vec<u8>>, Problem> {
    let damaged = || Problem::Unreadable {
        file: folder.path_of("issued.txt"),
        why: "not the list of serials".to_owned(),
    };
    let mut serials = Vec::new();
    for line in folder.read("issued.txt")?.lines() {
        let mut words = line.split(' ');
        let (Some(serial), Some(name)) = (words.next(), words.next()) else {
            return Err(damaged());
        };
        if name == holder.name() {
            serials.push(from_hex(serial).ok_or_else(damaged)?);
        }
    }
    if serials.is_empty() {
        let looked_at = folder.path_of(&holder.certificate_file());
        return Err(Problem::NoSuchName { name: holder.name().to_owned(), looked_at });
    }
    Ok(serials)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
