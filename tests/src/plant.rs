//! The running parts: gateway, technicians and auditor as real processes.
//!
//! Order of events for a test: [`Gateway::start`] (waits until it listens),
//! [`Gateway::apply_policy`], [`Gateway::import`] for each person, then
//! [`Technician::connect`]. Each part is killed when it is dropped.

use crate::{
    binaries::binaries,
    process::{Finished, PATIENCE, Process, run},
    workshop::Workshop,
};
use anyhow::Context;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// A gateway that listens.
#[derive(Debug)]
pub struct Gateway<'a> {
    workshop: &'a Workshop,
    process: Process,
    address: SocketAddr,
}

/// A technician's connection with its listeners.
#[derive(Debug)]
pub struct Connection {
    process: Process,
    listeners: Vec<SocketAddr>,
}

/// The command that runs the gateway of `workshop`.
pub fn gateway_command(workshop: &Workshop) -> Command {
    let mut command = Command::new(&binaries().gateway);
    command.arg("run").arg("--config").arg(workshop.path("gateway.toml"));
    command
}

impl<'a> Gateway<'a> {
    /// Starts the gateway of `workshop` and waits until it listens.
    ///
    /// # Errors
    /// With what it printed, if it does not.
    pub fn start(workshop: &'a Workshop) -> anyhow::Result<Self> {
        Self::start_with(workshop, &mut gateway_command(workshop))
    }

    /// The same with a command of the caller's own, e.g. one that limits what
    /// the process may use.
    ///
    /// # Errors
    /// With what it printed, if it does not listen.
    pub fn start_with(workshop: &'a Workshop, command: &mut Command) -> anyhow::Result<Self> {
        let process = Process::start("gatehouse-gateway", command)?;
        let address = process.wait_for(PATIENCE, |line| {
            let (_, rest) = line.split_once("listening ")?;
            rest.split_whitespace().next()?.parse().ok()
        })?;
        Ok(Self { workshop, process, address })
    }

    /// A gateway ready for work: started, policy applied.
    ///
    /// # Errors
    /// If a step fails.
    pub fn ready(workshop: &'a Workshop) -> anyhow::Result<Self> {
        let gateway = Self::start(workshop)?;
        gateway.apply_policy()?;
        Ok(gateway)
    }

    /// Where it listens (UDP).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it as a service manager does.
    ///
    /// # Errors
    /// If it does not end.
    pub fn terminate(self) -> anyhow::Result<Finished> {
        self.process.terminate()
    }

    /// Ends it like a crash.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill(self) -> anyhow::Result<Finished> {
        self.process.kill()
    }

    /// Runs an admin command over the socket.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn admin(&self, words: &[&str]) -> anyhow::Result<Finished> {
        let mut command = Command::new(&binaries().gateway);
        command.args(words).arg("--socket").arg(self.workshop.path("admin.sock"));
        run("gatehouse-gateway", &mut command)
    }

    /// Applies the policy folder as it is now.
    ///
    /// # Errors
    /// If the gateway refuses it.
    pub fn apply_policy(&self) -> anyhow::Result<()> {
        self.admin(&["policy", "apply", "--yes"])?.expect_code(0).map(drop)
    }

    /// Makes `person` known by the certificate of the PKI, writes profile and
    /// seed file; gives what the technician needs.
    ///
    /// # Errors
    /// If the gateway refuses.
    pub fn import(&self, person: &str) -> anyhow::Result<Technician> {
        let certificate = self.workshop.path(&format!("pki/people/{person}.pem"));
        let certificate = certificate.to_str().context("a path in UTF-8")?;
        let seed = self.workshop.path(&format!("{person}.seed"));
        let file = seed.to_str().context("a path in UTF-8")?;
        let words = ["user", "import", person, "--cert", certificate, "--totp-file", file];
        self.admin(&words)?.expect_code(0)?;
        Ok(Technician { profile: self.workshop.profile(person, self.address)?, seed })
    }

    /// Invites `person`; gives the file with the token.
    ///
    /// # Errors
    /// If the gateway refuses.
    pub fn invite(&self, person: &str) -> anyhow::Result<PathBuf> {
        let file = self.workshop.path(&format!("{person}.{}.token", random_name()?));
        let path = file.to_str().context("a path in UTF-8")?;
        self.admin(&["user", "invite", person, "--token-file", path])?.expect_code(0)?;
        Ok(file)
    }

    /// Waits until the audit file has a line that contains all `words`.
    ///
    /// # Errors
    /// With the file, if it never does.
    pub fn wait_for_event(&self, words: &[&str]) -> anyhow::Result<String> {
        let path = self.workshop.path("log/audit.jsonl");
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(&path).unwrap_or_default();
            if let Some(line) = text.lines().find(|line| words.iter().all(|word| line.contains(word))) {
                return Ok(line.to_owned());
            }
            anyhow::ensure!(std::time::Instant::now() < deadline, "no event with {words:?} in:\n{text}");
            // A file can't be waited for; asking again is the wait.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn random_name() -> anyhow::Result<String> {
    let name = tempfile::Builder::new().prefix("").rand_bytes(8).tempfile()?;
    Ok(name.path().file_name().context("a name")?.to_string_lossy().into_owned())
}

/// What a technician has at hand.
#[derive(Debug, Clone)]
pub struct Technician {
    /// Their profile.
    pub profile: PathBuf,
    /// Their second factor, for automation.
    pub seed: PathBuf,
}

impl Technician {
    /// Somebody with nothing but a place for a profile, by this name.
    pub fn new(workshop: &Workshop, name: &str) -> Self {
        let seed = workshop.path(&format!("{name}.seed"));
        Self { profile: workshop.path(&format!("{name}.toml")), seed }
    }

    /// The command that enrols with the token in a file, without a person.
    pub fn enroll(&self, token: &Path, words: &[&str]) -> Command {
        let mut command = self.client(&["enroll"]);
        command.arg("--token-file").arg(token).arg("--totp-file").arg(&self.seed).args(words);
        command
    }

    /// The client with this technician's profile.
    pub fn client(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&binaries().client);
        command.arg("--profile").arg(&self.profile).args(words);
        command
    }

    /// Runs a command that signs in, with the seed file.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Finished> {
        run("gatehouse", self.client(words).arg("--totp-file").arg(&self.seed))
    }

    /// Connects to `targets`, each with a listener of its own.
    ///
    /// # Errors
    /// If a listener does not come up.
    pub fn connect(&self, targets: &[&str]) -> anyhow::Result<Connection> {
        let mut command = self.client(&["connect"]);
        command.args(targets);
        // Several services get their usual ports, or free ones beside them.
        if targets.len() == 1 {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let process = Process::start("gatehouse connect", command.arg("--totp-file").arg(&self.seed))?;
        Connection::of(process, targets)
    }
}

impl Connection {
    /// The connection of a client that was started for `targets`, once it
    /// listens for each.
    ///
    /// # Errors
    /// If a listener does not come up.
    pub fn of(process: Process, targets: &[&str]) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for target in targets {
            listeners.push(process.wait_for(PATIENCE, |line| {
                let (service, address) = line.strip_prefix("listening ")?.split_once(' ')?;
                service.starts_with(target).then(|| address.parse().ok())?
            })?);
        }
        Ok(Self { process, listeners })
    }

    /// Where the tool of the first target connects.
    ///
    /// # Panics
    /// If it was made for no target.
    pub fn address(&self) -> SocketAddr {
        *self.listeners.first().expect("a connection has a target")
    }

    /// Where the tools connect, in the order of the targets.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends the sessions as Ctrl-C does and waits for it.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(self) -> anyhow::Result<Finished> {
        self.process.interrupt()
    }

    /// Waits for the client's own end.
    ///
    /// # Errors
    /// If it does not end.
    pub fn finish(self) -> anyhow::Result<Finished> {
        self.process.finish(PATIENCE)
    }
}

/// The auditor's commands with the keys of a workshop.
#[derive(Debug)]
pub struct Auditor<'a> {
    workshop: &'a Workshop,
}

impl<'a> Auditor<'a> {
    /// The auditor of `workshop`.
    pub fn of(workshop: &'a Workshop) -> Self {
        Self { workshop }
    }

    /// Checks a recording with the public key alone.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn verify(&self, recording: &Path) -> anyhow::Result<Finished> {
        let mut command = Command::new(&binaries().auditor);
        command.arg("verify").arg(recording).arg("--key").arg(self.workshop.path("pki/signing.pub"));
        run("gatehouse-audit verify", &mut command)
    }

    /// Checks recordings, the site log or both, with the public key.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn verify_all(&self, recordings: &[PathBuf], words: &[&std::ffi::OsStr]) -> anyhow::Result<Finished> {
        let mut command = Command::new(&binaries().auditor);
        command.arg("verify").args(recordings).args(words);
        command.arg("--key").arg(self.workshop.path("pki/signing.pub"));
        run("gatehouse-audit verify", &mut command)
    }

    /// Replays a recording without waiting as long as it took.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn replay(&self, recording: &Path) -> anyhow::Result<Finished> {
        run("gatehouse-audit replay", &mut self.replay_command(recording))
    }

    /// Shows what a recording says in all.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn show(&self, recording: &Path) -> anyhow::Result<Finished> {
        let mut command = Command::new(&binaries().auditor);
        command.arg("show").arg(recording);
        command.arg("--identity").arg(self.workshop.path("pki/auditor.age"));
        run("gatehouse-audit show", &mut command)
    }

    /// The same as [`Self::replay`], one JSON object for each line.
    ///
    /// # Errors
    /// If the replay fails or gives no JSON.
    pub fn replay_json(&self, recording: &Path) -> anyhow::Result<Vec<serde_json::Value>> {
        let mut command = self.replay_command(recording);
        let finished = run("gatehouse-audit replay", command.arg("--json"))?.expect_code(0)?;
        finished.out.lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
    }

    /// Exports a recording after having verified it.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn export(&self, recording: &Path, format: &str, out: &Path) -> anyhow::Result<Finished> {
        let mut command = Command::new(&binaries().auditor);
        command.arg("export").arg(recording).args(["--format", format]).arg("--out").arg(out);
        command.arg("--identity").arg(self.workshop.path("pki/auditor.age"));
        command.arg("--key").arg(self.workshop.path("pki/signing.pub"));
        run("gatehouse-audit export", &mut command)
    }

    /// Writes a recording for other tools, with what is secret in it.
    ///
    /// # Errors
    /// If the command can't be run at all.
    pub fn export_all(&self, recording: &Path, format: &str, out: &Path) -> anyhow::Result<Finished> {
        let mut command = self.command(&["export", "--show-secrets", "--format", format]);
        run("gatehouse-audit export", command.arg("--out").arg(out).arg(recording))
    }

    /// A command on recordings with the auditor's identity, to be completed.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&binaries().auditor);
        command.args(words).arg("--identity").arg(self.workshop.path("pki/auditor.age"));
        command
    }

    fn replay_command(&self, recording: &Path) -> Command {
        let mut command = Command::new(&binaries().auditor);
        command.arg("replay").arg(recording).args(["--speed", "1000"]);
        command.arg("--identity").arg(self.workshop.path("pki/auditor.age"));
        command
    }
}
