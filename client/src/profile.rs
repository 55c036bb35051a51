//! The profile: where the gateway is, how to know it, and who we are.
//!
//! What it never does: it opens no socket. Everything that can be wrong with the profile and the files it names is
//! found here, before anything else happens. Paths are relative to the profile's own folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::key::{self, KeptPassphrase};
use crate::passphrase::Passphrases;
use crate::{Problem, platform};

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    gateway: String,
    server_name: String,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    receipts: Option<PathBuf>,
    #[serde(default)]
    factor: UsualFactor,
    rp_id: Option<String>,
}

/// The second factor that is used where the command line does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsualFactor {
    /// The person is asked.
    #[default]
    Ask,
    /// A passkey, in the browser.
    Passkey,
    /// A passkey, by an authenticator of this machine.
    SecurityKey,
}

impl UsualFactor {
    /// As it stands in a profile; `None` for what is so without a word.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Ask => None,
            Self::Passkey => Some("passkey"),
            Self::SecurityKey => Some("security-key"),
        }
    }
}

/// Where receipts are kept if the profile does not say: a folder beside it.
const RECEIPTS: &str = "receipts";

/// What is true: everything parsed and matched.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Where the gateway listens.
    pub gateway: Address,
    /// The name that its certificate must have.
    pub server_name: String,
    /// TLS 1.3 with our certificate, trusting the profile's authority alone.
    pub tls: Arc<ClientConfig>,
    /// When our certificate is good.
    pub validity: Validity,
    /// What our key was opened with.
    pub passphrase: KeptPassphrase,
    /// The files that it names.
    pub files: Files,
    /// The profile's own file.
    pub file: PathBuf,
    /// Where receipts are kept.
    pub receipts: PathBuf,
    /// The usual second factor.
    pub factor: UsualFactor,
    /// The name that passkeys are bound to, where no browser sees to it.
    pub relying_party: String,
}

/// The files of a profile.
#[derive(Clone, Debug)]
pub struct Files {
    /// The authorities by which the gateway is known.
    pub ca: PathBuf,
    /// Our certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// When a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub begins: Timestamp,
    /// Its last one.
    pub ends: Timestamp,
}

impl Validity {
    /// A warning in the last third of a certificate's time, and after it.
    #[must_use]
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let left = self.ends.duration_since(now);
        let moment = self.ends.round(jiff::Unit::Second).unwrap_or(self.ends);
        if left.is_negative() || left.is_zero() {
            return Some(format!(
                "warning: your certificate ended on {moment}: ask the plant for a new invitation"
            ));
        }
        let third = self.ends.duration_since(self.begins) / 3;
        (left < third)
            .then(|| format!("warning: your certificate ends on {moment}: run `gatehouse renew` before"))
    }
}

/// A host, by name or address, and a UDP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// UDP port, never 0.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// An address as people write it, `HOST:PORT`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let inner = inner.strip_suffix(']')?;
                inner.parse::<std::net::Ipv6Addr>().ok()?;
                inner
            }
            None => host,
        };
        let sound = !host.is_empty() && (text.starts_with('[') || !host.contains(':'));
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        (sound && ServerName::try_from(host).is_ok()).then(|| Self { host: host.to_owned(), port })
    }
}

impl Profile {
    /// Reads and checks a profile.
    ///
    /// # Errors
    /// [`Problem::Configuration`] naming file, key and way out; [`Problem::Io`] if a file can't be read.
    pub fn load(file: &Path) -> Result<Self, Problem> {
        Self::load_with(file, &Passphrases::Prompt)
    }

    /// The same with the passphrase of the key from elsewhere than a prompt.
    ///
    /// # Errors
    /// As [`Profile::load`].
    pub fn load_with(file: &Path, passphrases: &Passphrases) -> Result<Self, Problem> {
        let said = ProfileFile::read(file)?;
        let wrong =
            |key: &str, why: &str| Problem::Configuration(format!("{}: {key}: {why}", file.display()));
        let gateway = Address::parse(&said.gateway)
            .ok_or_else(|| wrong("gateway", "use HOST:PORT, e.g. \"gateway.plant.example:4433\""))?;
        if ServerName::try_from(said.server_name.as_str()).is_err() {
            return Err(wrong("server_name", "neither a DNS name nor an IP address"));
        }
        let relying_party = said.rp_id.clone().unwrap_or_else(|| said.server_name.clone());
        if !is_domain(&relying_party) && relying_party != said.server_name {
            return Err(wrong("rp_id", "use the gateway's name for passkeys, in lower case"));
        }
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let files = Files {
            ca: folder.join(&said.ca),
            certificate: folder.join(&said.cert),
            key: folder.join(&said.key),
        };
        let (tls, validity, passphrase) = tls(&files, passphrases)?;
        let (receipts, tls) = (said.receipts(file), Arc::new(tls));
        Ok(Self {
            gateway,
            server_name: said.server_name,
            tls,
            validity,
            passphrase,
            files,
            file: file.to_owned(),
            receipts,
            factor: said.factor,
            relying_party,
        })
    }

    /// Where the receipts of a profile are, whether or not its keys can be used.
    ///
    /// # Errors
    /// [`Problem::Configuration`] and [`Problem::Io`], as [`Profile::load`].
    pub fn receipts_of(file: &Path) -> Result<PathBuf, Problem> {
        Ok(ProfileFile::read(file)?.receipts(file))
    }
}

/// A domain as browsers write it.
fn is_domain(name: &str) -> bool {
    let lower = name.bytes().all(|byte| !byte.is_ascii_uppercase());
    lower && matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_)))
}

/// Makes a profile name another certificate and key, beside it. It is replaced as a whole, so that key and certificate
/// always belong together.
///
/// # Errors
/// [`Problem::Configuration`] and [`Problem::Io`].
pub fn point_to(file: &Path, certificate: &Path, key: &Path) -> Result<(), Problem> {
    let text = std::fs::read_to_string(file).map_err(|source| Problem::of_file(file, source))?;
    let mut table: toml::Table = toml::from_str(&text).map_err(|error| in_file(file, &text, &error))?;
    for (name, path) in [("cert", certificate), ("key", key)] {
        let value = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        table.insert(name.to_owned(), value.into());
    }
    let failed = |source| Problem::of_file(file, source);
    let text = toml::to_string(&table).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let beside = file.with_extension("toml.new");
    let mut options = std::fs::OpenOptions::new();
    let made = platform::private_file(options.write(true).create(true).truncate(true)).open(&beside);
    made.and_then(|mut made| {
        std::io::Write::write_all(&mut made, text.as_bytes())?;
        made.sync_all()
    })
    .map_err(|source| Problem::of_file(&beside, source))?;
    std::fs::rename(&beside, file).map_err(failed)
}

impl ProfileFile {
    fn read(file: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(file).map_err(|source| Problem::of_file(file, source))?;
        toml::from_str(&text).map_err(|error| in_file(file, &text, &error))
    }

    fn receipts(&self, file: &Path) -> PathBuf {
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        folder.join(self.receipts.as_deref().unwrap_or_else(|| Path::new(RECEIPTS)))
    }
}

/// The parser's message in one line, with the place.
fn in_file(file: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.matches('\n').count().saturating_add(1));
    let place = match line {
        Some(line) => format!("{}:{line}", file.display()),
        None => file.display().to_string(),
    };
    Problem::Configuration(format!("{place}: {}", error.message().replace('\n', " ")))
}

fn tls(
    files: &Files,
    passphrases: &Passphrases,
) -> Result<(ClientConfig, Validity, KeptPassphrase), Problem> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca)? {
        roots.add(authority).map_err(|error| bad_file(&files.ca, &error.to_string()))?;
    }
    let chain = certificates(&files.certificate)?;
    let validity = chain.first().and_then(|first| validity(first));
    let validity = validity.ok_or_else(|| bad_file(&files.certificate, "not a certificate"))?;
    let secret = key::load(&files.key, passphrases)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Problem::Configuration(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, secret.der)
        .map_err(|error| {
            bad_file(&files.key, &format!("not the key of {}: {error}", files.certificate.display()))
        })?;
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    // Resuming would skip the gateway's look at our certificate; it gives no tickets, and we keep none.
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    Ok((config, validity, secret.passphrase))
}

fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let moment = |seconds| Timestamp::from_second(seconds).ok();
    let (begins, ends) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    Some(Validity { begins: moment(begins)?, ends: moment(ends)? })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let read = CertificateDer::pem_file_iter(file).and_then(|found| found.collect::<Result<Vec<_>, _>>());
    let found = read.map_err(|error| pem_problem(file, error, "not a PEM file"))?;
    if found.is_empty() { Err(bad_file(file, "no certificate in PEM")) } else { Ok(found) }
}

fn pem_problem(file: &Path, error: rustls::pki_types::pem::Error, otherwise: &str) -> Problem {
    if let rustls::pki_types::pem::Error::Io(source) = error {
        return Problem::of_file(file, source);
    }
    bad_file(file, otherwise)
}

fn bad_file(file: &Path, why: &str) -> Problem {
    Problem::Configuration(format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::SignedDuration;
    use rcgen::KeyPair;

    use super::*;

    /// A folder with a sound profile and its files.
    fn sound() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        write_secret(&place.path().join("me.key"), &key.serialize_pem());
        fs::write(place.path().join("me.pem"), certificate.pem()).unwrap();
        fs::write(place.path().join("ca.pem"), certificate.pem()).unwrap();
        write(place.path(), "127.0.0.1:4433", "");
        place
    }

    fn write_secret(file: &Path, text: &str) {
        use std::io::Write as _;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        platform::private_file(&mut options).open(file).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn write(folder: &Path, gateway: &str, more: &str) {
        let text = format!(
            "gateway = \"{gateway}\"\nserver_name = \"localhost\"\nca = \"ca.pem\"\ncert = \"me.pem\"\nkey = \
             \"me.key\"\n{more}"
        );
        fs::write(folder.join("profile.toml"), text).unwrap();
    }

    fn refusal(folder: &Path) -> (u8, String) {
        let problem = Profile::load(&folder.join("profile.toml")).unwrap_err();
        let text = problem.to_string();
        assert!(!text.contains('\n'), "one line: {text}");
        (problem.exit_code(), text.replace(&folder.display().to_string(), "D"))
    }

    #[test]
    fn a_sound_profile_is_read_relative_to_its_folder() {
        let place = sound();
        let profile = Profile::load(&place.path().join("profile.toml")).unwrap();
        assert_eq!(profile.gateway.to_string(), "127.0.0.1:4433");
        assert_eq!(profile.tls.alpn_protocols, [wire::ALPN.to_vec()]);
        assert!(!profile.tls.enable_early_data);
    }

    #[test]
    fn an_unknown_and_a_missing_key_are_named_with_their_line() {
        let place = sound();
        write(place.path(), "127.0.0.1:4433", "colour = 1\n");
        let (code, text) = refusal(place.path());
        assert_eq!(code, 5);
        assert!(text.starts_with("D/profile.toml:6: unknown field `colour`"), "{text}");
        fs::write(place.path().join("profile.toml"), "gateway = \"a:1\"\n").unwrap();
        assert!(refusal(place.path()).1.contains("missing field `server_name`"));
    }

    #[test]
    fn addresses_are_host_and_port() {
        for sound in ["gateway.plant.example:4433", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(Address::parse(sound).unwrap().to_string(), sound);
        }
        for wrong in
            ["", "host", "host:", "host:0", "host:65536", ":1", "::1:4", "[::1:4", "[host]:4", "a b:1"]
        {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
        let place = sound();
        write(place.path(), "gateway", "");
        let (code, text) = refusal(place.path());
        assert_eq!(
            (code, text.as_str()),
            (5, "D/profile.toml: gateway: use HOST:PORT, e.g. \"gateway.plant.example:4433\"")
        );
    }

    #[test]
    fn passkeys_are_for_the_gateways_name_or_for_the_one_that_is_written() {
        let place = sound();
        let read = |more: &str| {
            write(place.path(), "127.0.0.1:4433", more);
            Profile::load(&place.path().join("profile.toml")).unwrap()
        };
        assert_eq!(read("").relying_party, "localhost");
        let profile = read("rp_id = \"plant.example\"\nfactor = \"security-key\"\n");
        assert_eq!(profile.relying_party, "plant.example");
        assert_eq!(profile.factor, UsualFactor::SecurityKey);
        for wrong in ["", "127.0.0.1", "Plant.example", "https://plant.example", "plant.example:8443"] {
            write(place.path(), "127.0.0.1:4433", &format!("rp_id = \"{wrong}\"\n"));
            let (code, text) = refusal(place.path());
            assert_eq!(code, 5);
            assert!(text.starts_with("D/profile.toml: rp_id: use the gateway's name"), "{text}");
        }
    }

    #[test]
    fn a_missing_file_and_a_wrong_one_are_named() {
        let place = sound();
        fs::write(place.path().join("ca.pem"), "nothing").unwrap();
        assert_eq!(refusal(place.path()), (5, "D/ca.pem: no certificate in PEM".to_owned()));
        fs::remove_file(place.path().join("ca.pem")).unwrap();
        let (code, text) = refusal(place.path());
        assert_eq!(code, 4);
        assert!(text.starts_with("D/ca.pem: "), "{text}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let place = sound();
        write_secret(&place.path().join("me.key"), &KeyPair::generate().unwrap().serialize_pem());
        let (code, text) = refusal(place.path());
        assert_eq!(code, 5);
        assert!(text.starts_with("D/me.key: not the key of D/me.pem"), "{text}");
    }

    #[test]
    fn the_end_of_a_certificate_is_told_in_its_last_third() {
        let begins = Timestamp::from_second(1_000_000_000).unwrap();
        let validity = Validity { begins, ends: begins + SignedDuration::from_hours(30 * 24) };
        let after = |days: i64| validity.warning(begins + SignedDuration::from_hours(days * 24));
        assert_eq!((after(0), after(19)), (None, None));
        assert!(after(21).unwrap().ends_with("run `gatehouse renew` before"));
        assert!(after(30).unwrap().contains("ask the plant"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = sound();
        fs::set_permissions(place.path().join("me.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let (code, text) = refusal(place.path());
        assert_eq!(code, 5);
        assert!(text.starts_with("D/me.key may be read by others (mode 644)"), "{text}");
    }
}
