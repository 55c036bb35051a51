//! The product's binaries, built once for whoever tests them.
//!
//! Several tests, and several test binaries, may ask at the same time. The
//! first one runs `cargo build` under a file lock; the others wait for it.
//! The paths come from cargo's own messages, so that neither profile nor
//! target folder is guessed.

use anyhow::{Context, bail, ensure};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Where each binary lies.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `gatehouse-gateway`
    pub gateway: PathBuf,
    /// `gatehouse`
    pub client: PathBuf,
    /// `gatehouse-audit`
    pub auditor: PathBuf,
    /// `certs-dev`
    pub certs_dev: PathBuf,
    /// `device`, the controller of crash tests
    pub device: PathBuf,
}

/// The binaries in this process' own kind of profile, built at the first call.
///
/// # Panics
/// If they can't be built: no test can run then.
pub fn binaries() -> &'static Binaries {
    static BUILT: OnceLock<Binaries> = OnceLock::new();
    BUILT.get_or_init(|| match build() {
        Ok(binaries) => binaries,
        Err(error) => panic!("the binaries can't be built: {error:#}"),
    })
}

/// The root of the workspace.
///
/// # Panics
/// Never: this crate lies one folder below the root.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate has a parent folder")
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    named.map_or_else(|| workspace().join("target"), |folder| workspace().join(folder))
}

/// Takes the lock `target/NAME.lock`; dropping the file gives it back.
///
/// # Errors
/// If the lock file can't be made.
pub fn lock(name: &str) -> anyhow::Result<File> {
    let path = target().join(format!("{name}.lock"));
    std::fs::create_dir_all(target())?;
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    file.lock()?;
    Ok(file)
}

fn build() -> anyhow::Result<Binaries> {
    let _lock = lock("binaries")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The bench measures what is shipped, tests and demo what is quick to build.
    let profile = if cfg!(debug_assertions) { "dev" } else { "bench" };
    // With this crate among the packages, the libraries are built with the
    // features that this very process was built with, and not once more.
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["build", "--quiet", "--bins", "--profile", profile])
        .args(["--message-format", "json-render-diagnostics"])
        .args(["-p", "gateway", "-p", "client", "-p", "auditor", "-p", "certs-dev", "-p", "tests"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo")?;
    ensure!(output.status.success(), "cargo build ended with {}", output.status);
    let built = executables(&output.stdout)?;
    let find = |name: &str| built.get(name).cloned().with_context(|| format!("cargo built no {name}"));
    Ok(Binaries {
        gateway: find("gatehouse-gateway")?,
        client: find("gatehouse")?,
        auditor: find("gatehouse-audit")?,
        certs_dev: find("certs-dev")?,
        device: find("device")?,
    })
}

/// Names and paths of the executables in cargo's messages.
fn executables(messages: &[u8]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut all = BTreeMap::new();
    for line in messages.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let message: serde_json::Value = serde_json::from_slice(line)?;
        if let (Some(path), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str())
        {
            all.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    if all.is_empty() {
        bail!("cargo named no executable");
    }
    Ok(all)
}
