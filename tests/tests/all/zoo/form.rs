//! Certificates and revocation lists as forms: each field is DER that goes in
//! as it stands, so that a test can change exactly one of them.

use super::der::{self, bits, explicit, integer, moment, object, octets, sequence, truth};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use std::sync::Arc;
use time::OffsetDateTime;

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 19];
const KEY_USAGE: &[u8] = &[0x55, 0x1D, 15];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1D, 37];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 30];
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1D, 17];

pub(super) const CLIENT: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 3, 2];
pub(super) const SERVER: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 3, 1];
pub(super) const CODE: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 3, 3];
pub(super) const ANY: &[u8] = &[0x55, 0x1D, 37, 0];

/// Bits of the key usage, the first one on the left (RFC 5280, 4.2.1.3).
pub(super) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(super) const KEY_ENCIPHERMENT: u8 = 0x20;
pub(super) const CERTIFICATE_SIGN: u8 = 0x04;
pub(super) const LIST_SIGN: u8 = 0x02;

/// Whether whoever does not know an extension must refuse.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Critical {
    Yes,
    No,
}

#[derive(Clone)]
pub(super) struct Extension {
    pub(super) identifier: Vec<u8>,
    pub(super) critical: Critical,
    pub(super) content: Vec<u8>,
}

impl Extension {
    pub(super) fn new(identifier: &[u8], critical: Critical, content: Vec<u8>) -> Self {
        Self { identifier: identifier.to_vec(), critical, content }
    }

    pub(super) fn key_usage(bits: u8) -> Self {
        let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap();
        Self::new(KEY_USAGE, Critical::Yes, der::value(0x03, &[unused, bits]))
    }

    pub(super) fn purposes(purposes: &[&[u8]]) -> Self {
        let purposes: Vec<_> = purposes.iter().map(|purpose| object(purpose)).collect();
        Self::new(EXTENDED_KEY_USAGE, Critical::No, sequence(&purposes))
    }

    pub(super) fn authority(path: Option<u8>) -> Self {
        let path = path.map(|path| integer(&[path])).unwrap_or_default();
        Self::new(BASIC_CONSTRAINTS, Critical::Yes, sequence(&[truth(), path]))
    }

    pub(super) fn no_authority() -> Self {
        Self::new(BASIC_CONSTRAINTS, Critical::Yes, sequence(&[]))
    }

    pub(super) fn host(name: &[u8]) -> Self {
        Self::new(ALTERNATIVE_NAME, Critical::No, sequence(&[der::value(0x82, name)]))
    }

    /// Only hosts of that domain (RFC 5280, 4.2.1.10).
    pub(super) fn only_hosts_of(domain: &[u8]) -> Self {
        let subtree = sequence(&[der::value(0x82, domain)]);
        Self::new(NAME_CONSTRAINTS, Critical::Yes, sequence(&[explicit(0, &subtree)]))
    }

    fn der(&self) -> Vec<u8> {
        let critical = if self.critical == Critical::Yes { truth() } else { Vec::new() };
        sequence(&[object(&self.identifier), critical, octets(&self.content)])
    }
}

/// What a certificate says (RFC 5280, 4.1). Plain parts are contents, those
/// called DER are whole values.
#[derive(Clone)]
pub(super) struct Form {
    /// DER.
    pub(super) version: Vec<u8>,
    pub(super) serial: Vec<u8>,
    /// DER, inside what is signed.
    pub(super) algorithm: Vec<u8>,
    /// DER, outside.
    pub(super) outer_algorithm: Vec<u8>,
    /// DER.
    pub(super) issuer: Vec<u8>,
    /// DER.
    pub(super) not_before: Vec<u8>,
    /// DER.
    pub(super) not_after: Vec<u8>,
    /// DER.
    pub(super) subject: Vec<u8>,
    /// DER.
    pub(super) public_key: Vec<u8>,
    /// DER that stands before the extensions.
    pub(super) unique: Vec<u8>,
    pub(super) extensions: Vec<Extension>,
}

impl Form {
    /// A certificate about `key`, named by `issuer` and `subject` (DER), that
    /// is good from yesterday until in a month, without extensions.
    pub(super) fn new(serial: u32, issuer: Vec<u8>, subject: Vec<u8>, key: &KeyPair) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            version: explicit(0, &integer(&[2])),
            serial: positive(serial),
            algorithm: algorithm(der::EC_SHA256),
            outer_algorithm: algorithm(der::EC_SHA256),
            issuer,
            not_before: moment(now - time::Duration::days(1)),
            not_after: moment(now + time::Duration::days(30)),
            subject,
            public_key: key.subject_public_key_info(),
            unique: Vec::new(),
            extensions: Vec::new(),
        }
    }

    pub(super) fn with(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Puts an extension in the place of the one with its identifier.
    pub(super) fn replace(&mut self, extension: Extension) {
        self.remove(&extension);
        self.extensions.push(extension);
    }

    /// Takes out the extension with that identifier.
    pub(super) fn remove(&mut self, like: &Extension) {
        let before = self.extensions.len();
        self.extensions.retain(|one| one.identifier != like.identifier);
        assert_ne!(self.extensions.len(), before, "nothing to replace");
    }

    /// What is signed.
    pub(super) fn body(&self) -> Vec<u8> {
        let extensions: Vec<_> = self.extensions.iter().map(Extension::der).collect();
        let extensions = if extensions.is_empty() { Vec::new() } else { explicit(3, &sequence(&extensions)) };
        sequence(&[
            self.version.clone(),
            integer(&self.serial),
            self.algorithm.clone(),
            self.issuer.clone(),
            sequence(&[self.not_before.clone(), self.not_after.clone()]),
            self.subject.clone(),
            self.public_key.clone(),
            self.unique.clone(),
            extensions,
        ])
    }

    pub(super) fn sign(&self, key: &KeyPair) -> Vec<u8> {
        self.with_signature(&key.sign(&self.body()).unwrap())
    }

    pub(super) fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        sequence(&[self.body(), self.outer_algorithm.clone(), bits(signature)])
    }
}

/// A revocation list (RFC 5280, 5.1) as a form.
pub(super) struct List {
    /// DER.
    pub(super) issuer: Vec<u8>,
    pub(super) lapses: OffsetDateTime,
    /// Contents of serial numbers.
    pub(super) revoked: Vec<Vec<u8>>,
}

impl List {
    pub(super) fn new(issuer: Vec<u8>) -> Self {
        let lapses = OffsetDateTime::now_utc() + time::Duration::days(20);
        Self { issuer, lapses, revoked: Vec::new() }
    }

    pub(super) fn pem(&self, key: &KeyPair) -> String {
        self.signed(&algorithm(der::EC_SHA256), |body| key.sign(body).unwrap())
    }

    /// Signed in another way.
    pub(super) fn signed(&self, algorithm: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let made = OffsetDateTime::now_utc() - time::Duration::days(1);
        let entry = |serial: &Vec<u8>| sequence(&[integer(serial), moment(made)]);
        let revoked: Vec<_> = self.revoked.iter().map(entry).collect();
        let number = Extension::new(&[0x55, 0x1D, 20], Critical::No, integer(&[1]));
        let body = sequence(&[
            integer(&[1]),
            algorithm.to_vec(),
            self.issuer.clone(),
            moment(made),
            moment(self.lapses),
            if revoked.is_empty() { Vec::new() } else { sequence(&revoked) },
            explicit(0, &sequence(&[number.der()])),
        ]);
        let signature = sign(&body);
        pem("X509 CRL", &sequence(&[body, algorithm.to_vec(), bits(&signature)]))
    }
}

/// A certificate with whoever can sign others with it.
#[derive(Clone)]
pub(super) struct Authority {
    pub(super) form: Form,
    pub(super) key: Arc<KeyPair>,
}

impl Authority {
    pub(super) fn new(serial: u32, name: &str, issuer: Vec<u8>, path: Option<u8>) -> Self {
        let key = Arc::new(KeyPair::generate().unwrap());
        let form = Form::new(serial, issuer, der::common(name), &key)
            .with(Extension::authority(path))
            .with(Extension::key_usage(CERTIFICATE_SIGN | LIST_SIGN));
        Self { form, key }
    }

    /// DER.
    pub(super) fn name(&self) -> Vec<u8> {
        self.form.subject.clone()
    }
}

pub(super) fn algorithm(identifier: &[u8]) -> Vec<u8> {
    sequence(&[object(identifier)])
}

pub(super) fn pem(label: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn positive(number: u32) -> Vec<u8> {
    let bytes: Vec<u8> = number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let zero = bytes.first().is_none_or(|first| first & 0x80 != 0);
    if zero { [&[0], bytes.as_slice()].concat() } else { bytes }
}
