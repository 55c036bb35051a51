//! Keys and hashes that our own library refuses to use, by way of the `openssl`
//! program.

use super::der;
use super::form::algorithm;
use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    sign::{Signer, SigningKey},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

/// A key that lies in a file and signs by the program.
#[derive(Debug, Clone)]
pub(super) struct ForeignKey(PathBuf);

/// How bytes are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Sha256,
    Sha1,
    /// RSASSA-PSS with SHA-256, as TLS 1.3 has it.
    Pss,
}

/// Whether the program is there. In automation it has to be.
pub(super) fn available() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    assert!(there || std::env::var_os("CI").is_none(), "openssl has to be installed");
    there
}

impl ForeignKey {
    pub(super) fn rsa(folder: &Path, bits: u32) -> Self {
        let path = folder.join(format!("rsa-{bits}.pem"));
        run(Command::new("openssl").args(["genrsa", "-out"]).arg(&path).arg(bits.to_string()), &[]);
        Self(path)
    }

    /// A key of our own library, written to a file.
    pub(super) fn of(folder: &Path, key: &rcgen::KeyPair) -> Self {
        let path = folder.join("key.pem");
        std::fs::write(&path, key.serialize_pem()).unwrap();
        Self(path)
    }

    /// The SubjectPublicKeyInfo, DER.
    pub(super) fn public(&self) -> Vec<u8> {
        let mut command = Command::new("openssl");
        run(command.args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(&self.0), &[])
    }

    pub(super) fn sign(&self, manner: Manner, message: &[u8]) -> Vec<u8> {
        let mut command = Command::new("openssl");
        command.args(["dgst", if manner == Manner::Sha1 { "-sha1" } else { "-sha256" }]);
        if manner == Manner::Pss {
            command.args(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]);
        }
        run(command.arg("-sign").arg(&self.0), message)
    }

    pub(super) fn signing(&self) -> Arc<dyn SigningKey> {
        Arc::new(self.clone())
    }
}

/// The DER of the algorithm by which an RSA key signs certificates.
pub(super) fn rsa_sha256() -> Vec<u8> {
    der::sequence(&[der::object(der::RSA_SHA256), der::value(5, &[])])
}

/// The DER of ECDSA with SHA-1.
pub(super) fn ec_sha1() -> Vec<u8> {
    algorithm(der::EC_SHA1)
}

impl SigningKey for ForeignKey {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for ForeignKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(Self::sign(self, Manner::Pss, message))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PSS_SHA256
    }
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
