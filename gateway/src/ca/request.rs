//! What is taken from a request for a certificate: a key, and nothing else.
//!
//! The names, extensions and attributes of a PKCS#10 request (RFC 2986) are a
//! stranger's words; they are not looked at. The key must be of a kind and
//! size that is strong enough, in the one spelling that a certificate gives it
//! (the same key in another spelling would be another person's key), and the
//! request must be signed with it: nobody gets a certificate for a key that
//! somebody else has.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rcgen::{PublicKeyData, SignatureAlgorithm, SubjectPublicKeyInfo};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::der_parser::asn1_rs::Oid;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// RSA keys that are taken, in bits of their modulus: 128 bits of strength and
/// more (NIST SP 800-57 part 1, table 2), and not so large that checking one
/// is work.
const RSA_BITS: std::ops::RangeInclusive<usize> = 3072..=4096;

/// A key that somebody has and asked a certificate for. Made by
/// [`RequestedKey::read`] only.
#[derive(Debug, Clone)]
pub struct RequestedKey(SubjectPublicKeyInfo);

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The bytes are none, or more than one.
    #[error("this is no request for a certificate (PKCS#10)")]
    Malformed,
    /// The key's algorithm.
    #[error(
        "a key of this kind is not taken: use ECDSA P-256 or P-384, Ed25519, or RSA of 3072 to 4096 bits"
    )]
    Kind,
    /// An RSA key of another size.
    #[error("an RSA key of {0} bits is not taken: use 3072 to 4096 bits, or ECDSA P-256")]
    Size(usize),
    /// The key is not spelled as in a certificate.
    #[error("the key is not in its usual form")]
    Form,
    /// The signature is not the key's.
    #[error("the request is not signed by its own key")]
    Signature,
}

impl RequestedKey {
    /// Reads a request and checks key and signature.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn read(der: &[u8]) -> Result<Self, RequestError> {
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| RequestError::Malformed)?;
        if !rest.is_empty() {
            return Err(RequestError::Malformed);
        }
        let info = &request.certification_request_info;
        let raw = info.subject_pki.raw;
        let key = SubjectPublicKeyInfo::from_der(raw).map_err(|_| RequestError::Kind)?;
        let kind = Kind::of(key.algorithm()).ok_or(RequestError::Kind)?;
        if kind == Kind::Rsa {
            let Ok(PublicKey::RSA(rsa)) = info.subject_pki.parsed() else { return Err(RequestError::Form) };
            let bits = rsa.key_size();
            if !RSA_BITS.contains(&bits) {
                return Err(RequestError::Size(bits));
            }
        }
        // The certificate's key is what the person will be known by.
        if key.subject_public_key_info() != raw || !kind.is_usual(key.der_bytes()) {
            return Err(RequestError::Form);
        }
        let algorithm =
            kind.verification(&request.signature_algorithm.algorithm).ok_or(RequestError::Signature)?;
        UnparsedPublicKey::new(algorithm, key.der_bytes())
            .verify(info.raw, &request.signature_value.data)
            .map_err(|_| RequestError::Signature)?;
        Ok(Self(key))
    }
}

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl Kind {
    fn of(algorithm: &'static SignatureAlgorithm) -> Option<Self> {
        let kinds = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Self::P256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Self::P384),
            (&rcgen::PKCS_ED25519, Self::Ed25519),
            (&rcgen::PKCS_RSA_SHA256, Self::Rsa),
        ];
        kinds.into_iter().find(|(known, _)| *known == algorithm).map(|(_, kind)| kind)
    }

    /// Points uncompressed (SEC 1, 2.3.3); for RSA the library takes strict DER
    /// only.
    fn is_usual(self, key: &[u8]) -> bool {
        match self {
            Self::P256 => key.len() == 65 && key.first() == Some(&4),
            Self::P384 => key.len() == 97 && key.first() == Some(&4),
            Self::Ed25519 => key.len() == 32,
            Self::Rsa => true,
        }
    }

    fn verification(self, signature: &Oid<'_>) -> Option<&'static dyn VerificationAlgorithm> {
        let found: &'static dyn VerificationAlgorithm = match self {
            Self::P256 if *signature == OID_SIG_ECDSA_WITH_SHA256 => &ECDSA_P256_SHA256_ASN1,
            Self::P256 if *signature == OID_SIG_ECDSA_WITH_SHA384 => &ECDSA_P256_SHA384_ASN1,
            Self::P384 if *signature == OID_SIG_ECDSA_WITH_SHA256 => &ECDSA_P384_SHA256_ASN1,
            Self::P384 if *signature == OID_SIG_ECDSA_WITH_SHA384 => &ECDSA_P384_SHA384_ASN1,
            Self::Ed25519 if *signature == OID_SIG_ED25519 => &ED25519,
            Self::Rsa if *signature == OID_PKCS1_SHA256WITHRSA => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rsa if *signature == OID_PKCS1_SHA384WITHRSA => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rsa if *signature == OID_PKCS1_SHA512WITHRSA => &RSA_PKCS1_2048_8192_SHA512,
            Self::P256 | Self::P384 | Self::Ed25519 | Self::Rsa => return None,
        };
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, RsaKeySize};

    fn request(key: &KeyPair) -> Vec<u8> {
        CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
    }

    fn rsa(size: RsaKeySize) -> KeyPair {
        KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap()
    }

    fn refused(der: &[u8]) -> Option<RequestError> {
        RequestedKey::read(der).err()
    }

    #[test]
    fn strong_keys_are_taken_as_they_stand_in_a_certificate() {
        let kinds = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        let mut keys: Vec<_> = kinds.map(|kind| KeyPair::generate_for(kind).unwrap()).into();
        keys.push(rsa(RsaKeySize::_3072));
        for key in keys {
            let taken = RequestedKey::read(&request(&key)).unwrap();
            assert_eq!(taken.subject_public_key_info(), key.subject_public_key_info());
        }
    }

    #[test]
    fn weak_and_strange_keys_are_not() {
        assert_eq!(refused(&request(&rsa(RsaKeySize::_2048))), Some(RequestError::Size(2048)));
        let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        assert_eq!(refused(&request(&p521)), Some(RequestError::Kind));
    }

    #[test]
    fn a_request_is_signed_by_its_own_key_and_by_no_other() {
        let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut bent = request(&own);
        *bent.last_mut().unwrap() ^= 1;
        assert!(matches!(refused(&bent), Some(RequestError::Signature)), "{:?}", refused(&bent));
        // Somebody else's key in a request that is otherwise whole.
        let (mut stolen, victim) = (request(&own), other.subject_public_key_info());
        let place = own.subject_public_key_info();
        let at = stolen.windows(place.len()).position(|window| window == place).unwrap();
        stolen[at..at + place.len()].copy_from_slice(&victim);
        assert_eq!(refused(&stolen), Some(RequestError::Signature));
    }

    #[test]
    fn what_is_no_request_or_more_than_one_is_refused() {
        let whole = request(&KeyPair::generate().unwrap());
        for length in [0, 1, 10, whole.len() - 1] {
            assert_eq!(refused(&whole[..length]), Some(RequestError::Malformed), "{length}");
        }
        assert_eq!(refused(&[whole.as_slice(), &[0]].concat()), Some(RequestError::Malformed));
    }

    /// The point compressed (SEC 1, 2.3.3) is the same key under another hash.
    #[test]
    fn another_spelling_of_a_key_is_refused() {
        let key = KeyPair::generate().unwrap();
        let raw = key.der_bytes();
        let mut compressed = vec![if raw[64] & 1 == 0 { 2 } else { 3 }];
        compressed.extend_from_slice(&raw[1..33]);
        assert!(!Kind::P256.is_usual(&compressed) && Kind::P256.is_usual(raw));
    }
}
