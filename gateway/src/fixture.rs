//! A whole plant in a temporary folder, for tests: PKI, keys, policy, configuration.

use crate::clock::{Clock, ManualClock};
use crate::config::Config;
use crate::names::{Handle, SessionId, TargetId};
use crate::office::Office;
use crate::sessions::{SessionInfo, SignIn};
use crate::state::FactorEpoch;
use crate::tls::{ExternalFiles, Files};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tempfile::TempDir;

/// The wall time at which every test begins.
pub(crate) fn noon() -> Timestamp {
    "2026-03-10T12:00:00Z".parse().unwrap()
}

/// A plant with everything that a gateway needs.
pub(crate) struct Plant {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    pub(crate) clock: Arc<ManualClock>,
    /// Of the offices that were opened, so that what they told can be waited for.
    audits: Mutex<Vec<Weak<crate::audit::Audit>>>,
}

/// A certificate and its key in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What a certificate is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Client,
    Server,
}

impl Plant {
    pub(crate) fn new() -> Self {
        Self::at(noon())
    }

    /// A plant whose certificates and lists are made at that time.
    pub(crate) fn at(now: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plant = Self {
            folder,
            authority: authority(),
            clock: Arc::new(ManualClock::at(now)),
            audits: Mutex::default(),
        };
        for name in ["policies", "recordings", "state"] {
            std::fs::create_dir(plant.path(name)).unwrap();
        }
        let gateway = plant.issue(1, Purpose::Server, 90);
        plant.write("ca.pem", &plant.authority.pem());
        plant.write("gateway.pem", &gateway.certificate);
        plant.write_secret("gateway.key", &gateway.key);
        plant.write_crl(&[], now, 60);
        recording::SigningKey::generate("gatehouse").unwrap().write(&plant.path("signing.key")).unwrap();
        let (auditor, recovery) = (recording::Identity::generate(), recording::Identity::generate());
        plant.write("auditor.pub", &format!("# auditor\n{}\n", auditor.recipients()[0]));
        plant.write("recovery.pub", &format!("{}\n", recovery.recipients()[0]));
        plant.write("policies/model.conf", authz::Policy::MODEL);
        plant.write("policies/targets.toml", TARGETS);
        plant.write_policy(RULES);
        plant.write("gateway.toml", CONFIGURATION);
        plant
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        secret(&self.path(name), text);
    }

    pub(crate) fn write_policy(&self, rules: &str) {
        self.write("policies/policy.csv", rules);
    }

    /// Changes one piece of the configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("gateway.toml")).unwrap();
        assert!(text.contains(from), "{from:?} is not in the configuration");
        self.write("gateway.toml", &text.replace(from, to));
    }

    /// Adds passkeys to the configuration; the page's name is `localhost`.
    pub(crate) fn with_passkeys(self) -> Self {
        let section = "[webauthn]\nlisten = \"127.0.0.1:0\"\ncert = \"gateway.pem\"\nkey = \"gateway.key\"\n\
                       rp_id = \"localhost\"\norigin = \"https://localhost:8443\"\n[limits]";
        self.configure("[limits]", section);
        self
    }

    /// The files of `[tls]`.
    pub(crate) fn files(&self) -> Files {
        let [ca, crl, cert, key] =
            ["ca.pem", "crl.pem", "gateway.pem", "gateway.key"].map(|name| self.path(name));
        Files { external: Some(ExternalFiles { ca, crl }), cert, key }
    }

    /// Adds the gateway's own authority to the configuration.
    pub(crate) fn with_authority(self) -> Self {
        std::fs::create_dir(self.path("issuing")).unwrap();
        self.configure("[audit]", "[ca]\ndir = \"issuing\"\n[audit]");
        self
    }

    /// No PKI at all: an authority of its own, and a certificate that the
    /// gateway signed itself.
    pub(crate) fn without_pki(self) -> Self {
        self.identify(&self_signed(self.clock.wall(), 90, IsCa::ExplicitNoCa));
        self.configure("ca = \"ca.pem\"\ncrl = \"crl.pem\"\n", "");
        for file in ["ca.pem", "crl.pem"] {
            std::fs::remove_file(self.path(file)).unwrap();
        }
        self.with_authority()
    }

    /// Gives the gateway this certificate.
    pub(crate) fn identify(&self, issued: &Issued) {
        self.write("gateway.pem", &issued.certificate);
        self.write_secret("gateway.key", &issued.key);
    }

    pub(crate) fn issue(&self, serial: u64, purpose: Purpose, days: i64) -> Issued {
        issue(&self.authority, serial, purpose, self.clock.wall(), days)
    }

    /// Writes a CRL made at `made` that lapses `days` days later.
    pub(crate) fn write_crl(&self, revoked: &[u64], made: Timestamp, days: i64) {
        self.write("crl.pem", &crl(&self.authority, revoked, made, days));
    }

    pub(crate) fn config(&self) -> Result<Config, Vec<crate::problem::Problem>> {
        Config::load_at(&self.path("gateway.toml"), self.clock.wall())
    }

    pub(crate) fn office(&self) -> Arc<Office> {
        let office = Office::open_with(self.config().unwrap(), self.clock.clone()).unwrap();
        self.audits.lock().unwrap().push(Arc::downgrade(&office.audit));
        office
    }

    /// All that was told by now.
    pub(crate) fn audit_lines(&self) -> Vec<serde_json::Value> {
        for audit in self.audits.lock().unwrap().iter().filter_map(Weak::upgrade) {
            audit.settle();
        }
        let text = std::fs::read_to_string(self.path("state/audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn advance_days(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * 24 * 60 * 60));
    }
}

const CONFIGURATION: &str = r#"
listen = "127.0.0.1:0"
[tls]
ca = "ca.pem"
crl = "crl.pem"
cert = "gateway.pem"
key = "gateway.key"
[policy]
dir = "policies"
[recording]
dir = "recordings"
signing_key = "signing.key"
recipients = ["auditor.pub"]
recovery_recipient = "recovery.pub"
reserve = "1 MiB"
[state]
database = "state/gateway.db"
[audit]
file = "state/audit.jsonl"
[admin]
socket = "state/admin.sock"
[limits]
sessions = 3
sessions_per_person = 2
drain_deadline = "1 s"
"#;

const TARGETS: &str = r#"
[[target]]
id = "press-line/plc7"
zone = "press"
address = "127.0.0.1"
[target.services]
plc = "502/tcp modbus"
"#;

/// The rules that a new plant has.
pub(crate) const RULES: &str = "\
p, role:press-service, *, modbus:read, , allow
g, person:tech-1@vendor-a, role:press-service
";

pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    authority_named("test authority")
}

/// Somebody who signed in at noon.
pub(crate) fn sign_in(person: &str) -> SignIn {
    let (person, factors) = (Handle::parse(person).unwrap(), FactorEpoch::default());
    SignIn { person, source: ([192, 0, 2, 1], 4433).into(), since: noon(), factors, chain: Vec::new() }
}

/// A session of that person with the press line, of noon.
pub(crate) fn session_info(number: u8, person: &str) -> SessionInfo {
    SessionInfo {
        id: SessionId::from_bytes([number; 16]),
        person: Handle::parse(person).unwrap(),
        target: TargetId::parse("press-line/plc7").unwrap(),
        source: [192, 0, 2, 1].into(),
        started: noon(),
        expires: noon(),
        policy: [0; 32],
        mode: "default".to_owned(),
    }
}

pub(crate) fn authority_named(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn issue(
    authority: &CertifiedIssuer<'static, KeyPair>,
    serial: u64,
    purpose: Purpose,
    from: Timestamp,
    days: i64,
) -> Issued {
    issue_named("localhost", authority, serial, purpose, from, days)
}

fn issue_named(
    name: &str,
    authority: &CertifiedIssuer<'static, KeyPair>,
    serial: u64,
    purpose: Purpose,
    from: Timestamp,
    days: i64,
) -> Issued {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "whoever");
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date(from - SignedDuration::from_hours(1));
    params.not_after = date(from + SignedDuration::from_hours(24 * days));
    params.extended_key_usages = vec![match purpose {
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Issued { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// A certificate of the plant's CA for this name, of thirty days.
pub(crate) fn issue_for(name: &str, plant: &Plant, purpose: Purpose) -> Issued {
    issue_named(name, &plant.authority, 8, purpose, plant.clock.wall(), 30)
}

/// A server's certificate that nobody else signed.
pub(crate) fn self_signed(from: Timestamp, days: i64, is_ca: IsCa) -> Issued {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    params.not_before = date(from - SignedDuration::from_hours(1));
    params.not_after = date(from + SignedDuration::from_hours(24 * days));
    let key = KeyPair::generate().unwrap();
    Issued { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

pub(crate) fn crl(
    authority: &CertifiedIssuer<'static, KeyPair>,
    revoked: &[u64],
    made: Timestamp,
    days: i64,
) -> String {
    let entry = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date(made),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date(made),
        next_update: date(made + SignedDuration::from_hours(24 * days)),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(authority).unwrap().pem().unwrap()
}

fn date(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap()
}

fn secret(path: &Path, text: &str) {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
