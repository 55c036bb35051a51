//! The steps of the demo, each with its check.

use super::voice::Voice;
use crate::{
    binaries::binaries,
    modbus::{Answer, Tool},
    plant::{Auditor, Connection, Gateway, Technician},
    plc::{Manners, Plc},
    press_line::address,
    workshop::{PRESS_LINE, RULES, TECHNICIAN, Workshop},
};
use anyhow::{Context, ensure};
use std::{fs, path::Path};

/// What happens when the story has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// All parts end.
    End,
    /// Controller and gateway stay up until Ctrl-C.
    Keep,
}

/// Allowed by the demo's policy, within 0..900.
const NEW_FORCE: u16 = 731;
/// Beyond what the safety relay may ever be set to.
const FORBIDDEN_LIMIT: u16 = 2000;

/// Tells the story in `folder`, which [`super::prepare`] made ready.
///
/// # Errors
/// With the first step that did not hold.
pub fn tell(folder: &Path, afterwards: Afterwards) -> anyhow::Result<()> {
    let mut voice = Voice::default();
    voice.plain(&format!("Gatehouse: a maintenance session, start to end, in {}", folder.display()));
    binaries();

    voice.step("A development PKI, and a press line's controller (simulated, Modbus/TCP)");
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::at(folder, plc.address())?;
    voice.line(&format!("{PRESS_LINE} listens on {}", plc.address()));

    let gateway = open_the_gate(&mut voice, &workshop)?;
    let technician = gateway.import(TECHNICIAN)?;
    voice.step(&format!("{TECHNICIAN} signs in with certificate and code, and connects to {PRESS_LINE}"));
    let mut connection = technician.connect(&[PRESS_LINE])?;
    voice.line(&format!("their tool finds the controller at {}", connection.address()));

    work(&mut voice, &plc, &mut connection)?;

    voice.step("They hang up; the gateway seals the recording");
    connection.end()?.expect_code(0)?;
    let recording = only_recording(&workshop)?;
    voice.line(&format!("{} ({} bytes, encrypted)", recording.display(), fs::metadata(&recording)?.len()));

    audit(&mut voice, &workshop, &recording)?;
    forge(&mut voice, &workshop, &recording)?;

    voice.plain(&format!("\nAll {} steps held.", voice.steps()));
    match afterwards {
        Afterwards::End => gateway.terminate()?.expect_code(0).map(drop),
        Afterwards::Keep => keep(&voice, &workshop, &gateway, &technician),
    }
}

fn open_the_gate<'a>(voice: &mut Voice, workshop: &'a Workshop) -> anyhow::Result<Gateway<'a>> {
    voice.step("The gateway starts and the policy is applied");
    let gateway = Gateway::start(workshop)?;
    gateway.apply_policy()?;
    // The next start shall listen where the profile points.
    workshop.edit("gateway.toml", "127.0.0.1:0", &gateway.address().to_string())?;
    voice.quote(RULES);
    voice.line(&format!("it listens on {} (QUIC)", gateway.address()));
    Ok(gateway)
}

/// Reads, writes what is allowed, tries what is not.
fn work(voice: &mut Voice, plc: &Plc, connection: &mut Connection) -> anyhow::Result<()> {
    let mut tool = Tool::connect(connection.address())?;

    voice.step("They read the set points");
    let values = tool.read_holding(address::FORCE_SET_POINT, 2)?;
    ensure!(values == Ok(vec![650, 120]), "the read gave {values:?}");
    voice.line("read holding[100-101] = 650 120");

    voice.step("They set the pressing force: the policy allows holding[100-199] up to 900");
    let answer = tool.write_holding(address::FORCE_SET_POINT, NEW_FORCE)?;
    ensure!(matches!(answer, Answer::Data(_)), "the write was answered with {answer:?}");
    ensure!(plc.holding(address::FORCE_SET_POINT) == Some(NEW_FORCE), "the controller does not hold it");
    voice.line(&format!("write holding[100] = {NEW_FORCE}: the controller holds {NEW_FORCE}"));

    voice.step("They try to raise the safety limit: a rule denies that to everybody");
    let before = plc.log().requests().len();
    let answer = tool.write_holding(address::SAFETY_FORCE_LIMIT, FORBIDDEN_LIMIT)?;
    let Answer::Exception(code) = answer else { anyhow::bail!("the write was answered with {answer:?}") };
    ensure!(plc.holding(address::SAFETY_FORCE_LIMIT) == Some(900), "the controller was changed");
    ensure!(plc.log().requests().len() == before, "the request reached the controller");
    let told = connection.process().wait_for_words("holding[200]")?;
    voice.line(&format!("write holding[200] = {FORBIDDEN_LIMIT}: the tool gets Modbus exception {code},"));
    voice.line("the controller never saw the request, and the client says:");
    voice.quote(told.trim());
    Ok(())
}

fn only_recording(workshop: &Workshop) -> anyhow::Result<std::path::PathBuf> {
    let recordings = workshop.recordings()?;
    let [recording] = recordings.as_slice() else {
        anyhow::bail!("one recording expected, found {recordings:?}");
    };
    Ok(recording.clone())
}

/// Verifies with the public key, replays with the auditor's.
fn audit(voice: &mut Voice, workshop: &Workshop, recording: &Path) -> anyhow::Result<()> {
    let auditor = Auditor::of(workshop);
    voice.step("An auditor verifies the recording with the gateway's public key alone");
    voice.quote(&auditor.verify(recording)?.expect_code(0)?.out);

    voice.step("With the site log and the technician's receipt, nothing can be missing either");
    let (log, receipts) = (workshop.path("log"), workshop.path("receipts"));
    let words = ["--log".as_ref(), log.as_os_str(), "--receipt".as_ref(), receipts.as_os_str()];
    voice.quote(&auditor.verify_all(&[workshop.path("recordings")], &words)?.expect_code(0)?.out);
    let aside = workshop.path("aside.ghr");
    fs::rename(recording, &aside)?;
    let missed = auditor.verify_all(&[workshop.path("recordings")], &words)?.expect_code(1)?;
    fs::rename(&aside, recording)?;
    voice.line("and with the recording put aside:");
    voice.quote(&missed.out);

    voice.step("With the auditor's own key, the recording replays");
    let replay = auditor.replay(recording)?.expect_code(0)?.out;
    voice.quote(&replay);
    let shows = |words: &[&str]| {
        let found = replay.lines().any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(found, "the replay has no line with {words:?}:\n{replay}");
        Ok(())
    };
    shows(&["holding[100-101]", "650"])?;
    shows(&[&format!("holding[100] = {NEW_FORCE}"), "ok"])?;
    shows(&[&format!("holding[200] = {FORBIDDEN_LIMIT}"), "DENIED", "policy.csv:5"])
}

/// Flips one bit in the middle of a copy.
fn forge(voice: &mut Voice, workshop: &Workshop, recording: &Path) -> anyhow::Result<()> {
    voice.step("One bit of a copy is flipped, and verification finds it");
    let mut bytes = fs::read(recording)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty recording")? ^= 1;
    let altered = workshop.path("altered.ghr");
    fs::write(&altered, bytes)?;
    let finished = Auditor::of(workshop).verify(&altered)?.expect_code(1)?;
    voice.line(&format!("byte {middle} of altered.ghr:"));
    voice.quote(&finished.all());
    Ok(())
}

/// Prints what to try by hand and stays until Ctrl-C.
fn keep(
    voice: &Voice,
    workshop: &Workshop,
    gateway: &Gateway<'_>,
    technician: &Technician,
) -> anyhow::Result<()> {
    let paths = binaries();
    let client = format!("{} --profile {}", paths.client.display(), technician.profile.display());
    let seed = technician.seed.display();
    let audit = paths.auditor.display();
    let recordings = workshop.path("recordings");
    voice.plain(&format!("\nController and gateway ({}) stay up until Ctrl-C. Try:\n", gateway.address()));
    for command in [
        format!("{client} targets --totp-file {seed}"),
        format!("{client} connect {PRESS_LINE} --listen 127.0.0.1:1502 --totp-file {seed}"),
        format!(
            "{} sessions list --socket {}",
            paths.gateway.display(),
            workshop.path("admin.sock").display()
        ),
        format!("{audit} ls {}", recordings.display()),
        format!(
            "{audit} replay {}/*.ghr --identity {}",
            recordings.display(),
            workshop.path("pki/auditor.age").display()
        ),
    ] {
        voice.plain(&format!("  {command}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(tokio::signal::ctrl_c())?)
}
