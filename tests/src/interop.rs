//! Tools that nobody here wrote, provided for the tests that need them.
//!
//! A Python virtual environment under `target/interop/` holds the pinned
//! packages of `tests/interop/requirements.txt` and of the second verifier in
//! `recording/verify-py/`. The first test that asks makes it under a file lock,
//! later runs find it ready. Where there is no python3, or nothing can be
//! fetched, the tests say so and skip; with `CI=true` they fail instead.
//! Nothing is installed outside `target/`.

use crate::{
    binaries::{lock, target, workspace},
    process::{Finished, Process},
};
use anyhow::Context;
use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

/// Fetching packages may take a slow line a while.
const FETCH: Duration = Duration::from_secs(300);

/// The tools at hand.
#[derive(Debug)]
pub struct Tools {
    python: PathBuf,
}

/// The tools, or `None` after having said why there are none.
///
/// # Panics
/// With `CI=true`, where a skipped test would look like a passed one.
pub fn tools() -> Option<&'static Tools> {
    static TOOLS: OnceLock<Option<Tools>> = OnceLock::new();
    let found = TOOLS.get_or_init(|| match provide() {
        Ok((tools, versions)) => {
            say(&format!("interop: uses {}", versions.trim().replace('\n', ", ")));
            Some(tools)
        }
        Err(error) => {
            let demanded = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!demanded, "interop tools can't be had, and CI=true demands them: {error:#}");
            say(&format!("interop: SKIPPED, {error:#}"));
            None
        }
    });
    found.as_ref()
}

/// Past the test harness' capture: whoever reads the run shall see it.
fn say(line: &str) {
    // A closed standard error is no reason to fail a test.
    let _written = writeln!(std::io::stderr(), "{line}");
}

/// Makes the environment if its marker is not of these requirements.
fn provide() -> anyhow::Result<(Tools, String)> {
    let lists = [script("requirements.txt"), second_verifier().join("requirements.txt")];
    let wanted = lists.iter().map(std::fs::read_to_string).collect::<Result<String, _>>()?;
    let _lock = lock("interop")?;
    let folder = target().join("interop");
    let (marker, python) = (folder.join("ready"), folder.join("venv/bin/python"));
    let tools = Tools { python };
    if let Ok(ready) = std::fs::read_to_string(&marker)
        && let Some(versions) = ready.strip_prefix(&wanted)
        && tools.python.exists()
    {
        return Ok((tools, versions.to_owned()));
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder.join("venv"));
    step("python3 -m venv", &mut venv).context("python3 with its venv module is needed")?;
    let mut pip = Command::new(&tools.python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for list in &lists {
        pip.arg("-r").arg(list);
    }
    step("pip install", &mut pip)?;
    let mut python = Command::new(&tools.python);
    let mut freeze = Command::new(&tools.python);
    let python = step("python --version", python.arg("--version"))?;
    let packages = step("pip freeze", freeze.args(["-m", "pip", "freeze", "--disable-pip-version-check"]))?;
    let versions = format!("{}{}", python.out, packages.out);
    std::fs::write(&marker, format!("{wanted}{versions}"))?;
    Ok((tools, versions))
}

fn step(name: &str, command: &mut Command) -> anyhow::Result<Finished> {
    Process::start(name, command)?.finish(FETCH)?.expect_code(0).context(name.to_owned())
}

/// A file of `tests/interop/`.
fn script(name: &str) -> PathBuf {
    workspace().join("tests/interop").join(name)
}

/// The folder of the verifier that was written from the format's text.
pub fn second_verifier() -> PathBuf {
    workspace().join("recording/verify-py")
}

/// A device that nobody here wrote, as a process of its own.
#[derive(Debug)]
pub struct Device {
    process: Process,
    address: SocketAddr,
}

impl Device {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it printed so far.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// What it said of each request that reached it so far, in order.
    ///
    /// # Errors
    /// If it printed something else.
    pub fn seen(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        let said = self.process.said();
        let lines = said.lines().filter(|line| !line.starts_with("listening "));
        lines.map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
    }

    /// The PDUs in hex that the Modbus device decoded so far, in order.
    ///
    /// # Errors
    /// If it printed something else.
    pub fn requests(&self) -> anyhow::Result<Vec<String>> {
        self.words("pdu")
    }

    /// One field of all that it said.
    ///
    /// # Errors
    /// If it printed something else.
    pub fn words(&self, field: &str) -> anyhow::Result<Vec<String>> {
        let seen = self.seen()?;
        seen.iter().map(|seen| Ok(seen[field].as_str().context(seen.to_string())?.to_owned())).collect()
    }
}

impl Tools {
    /// Starts the pymodbus device on a free port.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn device(&self) -> anyhow::Result<Device> {
        self.other_end("modbus_server.py")
    }

    /// Starts the device of that script on a free port.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn other_end(&self, script: &str) -> anyhow::Result<Device> {
        Self::listening(script, &mut self.script(script))
    }

    /// Starts a service of that kind (see `services.py`) on a free port.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn serve(&self, kind: &str, files: &[&Path]) -> anyhow::Result<Device> {
        Self::listening(kind, self.script("services.py").args(["serve", kind]).args(files))
    }

    /// Uses a service of that kind at `address`; gives what it said.
    ///
    /// # Errors
    /// If it can't be used.
    pub fn use_service(&self, kind: &str, address: SocketAddr) -> anyhow::Result<String> {
        let mut command = self.script("services.py");
        let process = Process::start(kind, command.args(["use", kind]).arg(address.to_string()))?;
        Ok(process.finish(crate::process::PATIENCE)?.expect_code(0)?.out.trim().to_owned())
    }

    fn listening(name: &str, command: &mut Command) -> anyhow::Result<Device> {
        let process = Process::start(name, command)?;
        let line = process.wait_for_words("listening ")?;
        let address = line.trim_start_matches("listening ").parse()?;
        Ok(Device { process, address })
    }

    /// Runs pymodbus' client through `steps` (see `modbus_client.py`); gives
    /// one result for each.
    ///
    /// # Errors
    /// If it fails or does not end.
    pub fn technician(
        &self,
        address: SocketAddr,
        steps: &serde_json::Value,
    ) -> anyhow::Result<Vec<serde_json::Value>> {
        self.tool("modbus_client.py", address, steps)
    }

    /// Runs the tool of that script through `steps`, which the script
    /// describes; gives one result for each.
    ///
    /// # Errors
    /// If it fails or does not end.
    pub fn tool(
        &self,
        script: &str,
        address: SocketAddr,
        steps: &serde_json::Value,
    ) -> anyhow::Result<Vec<serde_json::Value>> {
        self.tool_with(&[script], address, steps)
    }

    /// The same with words between the script and the address.
    ///
    /// # Errors
    /// If it fails or does not end.
    pub fn tool_with(
        &self,
        words: &[&str],
        address: SocketAddr,
        steps: &serde_json::Value,
    ) -> anyhow::Result<Vec<serde_json::Value>> {
        let (script, words) = words.split_first().context("a script is needed")?;
        let mut command = self.script(script);
        command.args(words).arg(address.to_string());
        let input = serde_json::to_vec(steps)?;
        let process = Process::start_with_input(script, &mut command, &input)?;
        let finished = process.finish(crate::process::PATIENCE)?.expect_code(0)?;
        finished.out.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Python with the pinned packages, run in the second verifier's folder
    /// and leaving nothing there.
    pub fn in_second_verifier(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.current_dir(second_verifier()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-u").arg(Path::new(&script(name)));
        command
    }
}
