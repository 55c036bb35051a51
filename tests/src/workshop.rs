//! One folder with all that a gateway, technicians and an auditor need.
//!
//! A [`Workshop`] is made for one test (a folder under `target/tmp`, removed
//! at its end) or for the demo (a folder that stays). It holds a development
//! PKI, the policy folder, `gateway.toml` and a profile for each technician.
//! Tests write over single files to try what happens with bad ones.
//!
//! It starts nothing; [`crate::plant`] does.

use crate::binaries::target;
use anyhow::Context;
use rcgen::{CertificateParams, IsCa, KeyPair};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The people of the development PKI.
pub const TECHNICIAN: &str = "tech-1@vendor-a";
/// A technician of another vendor, without any rule by default.
pub const OTHER_TECHNICIAN: &str = "tech-2@vendor-b";
/// Someone of the plant.
pub const OPERATOR: &str = "operator-1";

/// The press line's controller in the inventory.
pub const PRESS_LINE: &str = "press-line/plc7";

/// The rules that tests and demo begin with.
pub const RULES: &str = "\
# who, where, what, conditions, effect
p, role:press-service, zone:press, modbus:read, , allow
p, role:press-service, zone:press, modbus:write:holding[100-199], value:0..900, allow
p, role:press-service, zone:press, modbus:write:coil[0-7], , allow
p, *, zone:press, modbus:write:holding[200-209], , deny
p, *, *, *:program-write, , deny

g, person:tech-1@vendor-a, role:press-service
g2, press-line/plc7, zone:press
";

/// A target of the inventory as it is written to `targets.toml`.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// Where it is reached; the port is that of its services.
    pub address: SocketAddr,
    /// `default`, `durable` or `ordered`.
    pub mode: String,
    /// Lines of `[target.limits]`.
    pub limits: String,
    /// Name and protocol of the one service.
    pub service: (String, String),
}

impl Target {
    /// The press line's controller at `address`.
    pub fn press_line(address: SocketAddr) -> Self {
        Self {
            id: PRESS_LINE.to_owned(),
            zone: "press".to_owned(),
            address,
            mode: "default".to_owned(),
            limits: String::new(),
            service: ("plc".to_owned(), "modbus".to_owned()),
        }
    }

    fn to_toml(&self) -> String {
        let (name, protocol) = &self.service;
        format!(
            "[[target]]\nid = \"{}\"\nzone = \"{}\"\naddress = \"{}\"\nmode = \"{}\"\n\
             [target.limits]\n{}\n[target.services]\n{name} = \"{}/tcp {protocol}\"\n\n",
            self.id,
            self.zone,
            self.address.ip(),
            self.mode,
            self.limits,
            self.address.port(),
        )
    }
}

/// A folder with PKI, policies and configuration.
#[derive(Debug)]
pub struct Workshop {
    folder: PathBuf,
    /// Removes the folder of a test when dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Workshop {
    /// A workshop of its own for one test, with the press line at `plc`.
    ///
    /// # Panics
    /// If it can't be made: the test can't begin then.
    pub fn new(plc: SocketAddr) -> Self {
        match Self::temporary(plc) {
            Ok(workshop) => workshop,
            Err(error) => panic!("no workshop: {error:#}"),
        }
    }

    fn temporary(plc: SocketAddr) -> anyhow::Result<Self> {
        let parent = target().join("tmp");
        fs::create_dir_all(&parent)?;
        let temporary = tempfile::Builder::new().prefix("w").tempdir_in(parent)?;
        let workshop = Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) };
        workshop.furnish(plc)?;
        Ok(workshop)
    }

    /// A host that has nothing yet, for what is put back there.
    ///
    /// # Errors
    /// If the folder can't be made.
    pub fn bare() -> anyhow::Result<Self> {
        let parent = target().join("tmp");
        fs::create_dir_all(&parent)?;
        let temporary = tempfile::Builder::new().prefix("b").tempdir_in(parent)?;
        Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) })
    }

    /// A workshop in `folder`, which stays; a PKI that is there is replaced.
    ///
    /// # Errors
    /// If the folder can't be written.
    pub fn at(folder: &Path, plc: SocketAddr) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let workshop = Self { folder: folder.canonicalize()?, _temporary: None };
        workshop.furnish(plc)?;
        Ok(workshop)
    }

    fn furnish(&self, plc: SocketAddr) -> anyhow::Result<()> {
        certs_dev::init(&self.path("pki"))?;
        for folder in ["policies", "recordings", "log"] {
            fs::create_dir_all(self.path(folder))?;
        }
        fs::write(self.path("policies/model.conf"), authz::Policy::MODEL)?;
        self.targets(&[Target::press_line(plc)])?;
        self.write("policies/policy.csv", RULES)?;
        self.write("policies/conditions.toml", "")?;
        self.write("gateway.toml", GATEWAY)
    }

    /// Lets the gateway issue certificates itself, and people enrol.
    ///
    /// # Errors
    /// If the configuration can't be written.
    pub fn enrolling(&self) -> anyhow::Result<()> {
        fs::create_dir_all(self.path("issuing"))?;
        let text = fs::read_to_string(self.path("gateway.toml"))?;
        self.write("gateway.toml", &format!("{text}{ENROLMENT}"))
    }

    /// Takes every CA away: the gateway signed its own certificate, and nobody
    /// but its own authority issues any.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn without_pki(&self) -> anyhow::Result<()> {
        let mut params = CertificateParams::new(vec!["gateway.plant.example".to_owned()])?;
        params.is_ca = IsCa::ExplicitNoCa;
        let key = KeyPair::generate()?;
        self.write("gateway.pem", &params.self_signed(&key)?.pem())?;
        // Written over a private file, so its mode stays.
        fs::copy(self.path("pki/gateway.key"), self.path("gateway.key"))?;
        self.write("gateway.key", &key.serialize_pem())?;
        let tls = "ca = \"pki/ca.pem\"\ncrl = \"pki/crl.pem\"\ncert = \"pki/gateway.pem\"\nkey = \"pki/gateway.key\"\n";
        self.edit("gateway.toml", tls, "cert = \"gateway.pem\"\nkey = \"gateway.key\"\n")
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file in the folder.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        fs::write(self.path(name), text).with_context(|| name.to_owned())
    }

    /// Replaces a part of a file in the folder.
    ///
    /// # Errors
    /// If the file does not contain `old`, or can't be written.
    pub fn edit(&self, name: &str, old: &str, new: &str) -> anyhow::Result<()> {
        let text = fs::read_to_string(self.path(name)).with_context(|| name.to_owned())?;
        anyhow::ensure!(text.contains(old), "{name} has no {old:?}");
        self.write(name, &text.replace(old, new))
    }

    /// Writes the inventory.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn targets(&self, targets: &[Target]) -> anyhow::Result<()> {
        let text: String = targets.iter().map(Target::to_toml).collect();
        self.write("policies/targets.toml", &text)
    }

    /// Writes the profile of `person` towards the gateway at `address`, as
    /// `profile.toml` for the first technician and by name for the others.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn profile(&self, person: &str, address: SocketAddr) -> anyhow::Result<PathBuf> {
        let name = if person == TECHNICIAN { "profile.toml".to_owned() } else { format!("{person}.toml") };
        let text = format!(
            "gateway = \"{address}\"\nserver_name = \"gateway.plant.example\"\nca = \"pki/ca.pem\"\n\
             cert = \"pki/people/{person}.pem\"\nkey = \"pki/people/{person}.key\"\n",
        );
        self.write(&name, &text)?;
        Ok(self.path(&name))
    }

    /// The sealed recordings, oldest name first.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn recordings(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.path("recordings"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "ghr") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

/// The configuration that tests and demo begin with; paths are relative to
/// the file's own folder.
const GATEWAY: &str = r#"listen = "127.0.0.1:0"

[tls]
ca = "pki/ca.pem"
crl = "pki/crl.pem"
cert = "pki/gateway.pem"
key = "pki/gateway.key"

[policy]
dir = "policies"

[recording]
dir = "recordings"
signing_key = "pki/signing.key"
recipients = ["pki/auditor.pub"]
recovery_recipient = "pki/recovery.pub"

[state]
database = "state.db"

[audit]
file = "log/audit.jsonl"

[admin]
socket = "admin.sock"
"#;

/// What [`Workshop::enrolling`] adds.
const ENROLMENT: &str = r#"
[ca]
dir = "issuing"

[enrolment]
listen = "127.0.0.1:0"
server_name = "gateway.plant.example"
"#;
