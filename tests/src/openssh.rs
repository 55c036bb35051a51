//! OpenSSH's server and client, on loopback with keys of their own.
//!
//! They are Debian's packages `openssh-server` and `openssh-client`. Where
//! they are missing the tests say so and skip; with `CI=true` they fail
//! instead. The server runs by [`Inetd`], where the folder that it wants in
//! `/run` is made; nothing of the machine's own SSH is read or changed.

use crate::{
    inetd::Inetd,
    process::{Finished, PATIENCE, Process, run},
};
use anyhow::Context;
use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Debian's place for it, which is on nobody's search path.
const SERVER: &str = "/usr/sbin/sshd";

/// A server for one connection after the other.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    inetd: Inetd,
    fingerprint: String,
}

/// Whether server and client are at hand, after having said so if not.
///
/// # Panics
/// With `CI=true`, where a skipped test would look like a passed one.
pub fn is_there() -> bool {
    let client = Command::new("ssh").arg("-V").stderr(Stdio::null()).status();
    let there = Path::new(SERVER).exists() && client.is_ok_and(|status| status.success());
    if !there {
        let demanded = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!demanded, "OpenSSH's server or client is missing, and CI=true demands them");
        // A closed standard error is no reason to fail a test.
        let _written = writeln!(std::io::stderr(), "openssh: SKIPPED, its server or client is missing");
    }
    there
}

impl Server {
    /// A server with fresh keys in `folder`; whoever has the client's gets the
    /// line `said` and nothing else.
    ///
    /// # Errors
    /// If keys can't be made or no port can be had.
    pub fn start(folder: &Path, said: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        for key in ["host", "client"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(folder.join(key));
            run("ssh-keygen", &mut keygen)?.expect_code(0)?;
        }
        let mut keygen = Command::new("ssh-keygen");
        let printed = run("ssh-keygen", keygen.arg("-lf").arg(folder.join("host.pub")))?.expect_code(0)?.out;
        let fingerprint = printed.split(' ').nth(1).context(printed.clone())?.to_owned();
        let place = folder.display();
        let config = format!(
            "HostKey {place}/host\nAuthorizedKeysFile {place}/client.pub\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n\
             ForceCommand echo '{said}'\n"
        );
        fs::write(folder.join("sshd_config"), config)?;
        let arguments = ["-i", "-e", "-f", &folder.join("sshd_config").display().to_string()];
        let setup = "mount -t tmpfs none /run && mkdir /run/sshd";
        let inetd = Inetd::start(setup, SERVER, &arguments, &folder.join("sshd_config.log"))?;
        Ok(Self { folder: folder.to_owned(), inetd, fingerprint })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.inetd.address()
    }

    /// Its host key's, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Runs the client towards `address`, which is to lead here.
    ///
    /// # Errors
    /// If it does not end.
    pub fn client(&self, address: SocketAddr) -> anyhow::Result<Finished> {
        let mut client = Command::new("ssh");
        client.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new"]);
        client.arg("-o").arg(format!("UserKnownHostsFile={}", self.folder.join("known").display()));
        client.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(self.folder.join("client"));
        client.args(["-p", &address.port().to_string(), "-l", "root", &address.ip().to_string()]);
        client.env_remove("SSH_AUTH_SOCK");
        Process::start("ssh", &mut client)?.finish(PATIENCE)
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("sshd_config.log")).unwrap_or_default()
    }
}
