//! A technician who writes as fast as the way takes it, and the hands that
//! take the right away from them (promise 7: the last byte reaches the device
//! within a second).
//!
//! [`Writing::begin`] starts the flow, [`Ending::take`] takes the right, and
//! [`Writing::ends`] tells when the device got its last byte, by the device's
//! own clock, which is the caller's. Requests are sent without waiting for
//! answers, so that client, line, gateway and kernels have bytes queued.

use crate::{
    modbus::{Answer, Failure, Tool, frame, pdu},
    plant::{Connection, Gateway, Technician},
    plc::{Log, Plc},
    process::{Finished, PATIENCE, run},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};
use anyhow::Context;
use std::{
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

/// Requests that the device has got before a right is taken.
const FLOWING: usize = 50;

/// Requests sent at once.
const BATCH: u16 = 32;

/// Longer than any right here lasts, an expiring certificate's included.
const NEVER_CLOSED: Duration = Duration::from_secs(150);

/// How a right ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `sessions kill`.
    Killed,
    /// `ca revoke`: a certificate of the gateway's own authority.
    Revoked,
    /// Another CA's list is replaced by one that names the certificate.
    ListReplaced,
    /// `user disable`.
    Disabled,
    /// `user reset-factor --remove-only`.
    FactorRemoved,
    /// The certificate's last moment comes.
    Expired(SystemTime),
    /// `policy apply` of one that leaves nothing.
    PolicyNarrowed,
}

impl Ending {
    /// What the technician's client says of it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Killed => "ended by the plant",
            Self::Revoked | Self::ListReplaced => "the certificate was revoked",
            Self::Disabled => "the person was disabled",
            Self::FactorRemoved => "the second factor was removed",
            Self::Expired(_) => "the certificate has expired",
            Self::PolicyNarrowed => "the policy no longer permits it",
        }
    }

    /// Takes the right of [`TECHNICIAN`] and gives the moment from which on no
    /// byte may pass: the command's return, or the end that was known before.
    ///
    /// # Errors
    /// If the gateway refuses.
    pub fn take(self, gateway: &Gateway<'_>, workshop: &Workshop) -> anyhow::Result<Instant> {
        match self {
            Self::Killed => kill(gateway)?,
            Self::Revoked => {
                let serial = only(gateway, &["ca", "list"], "/0/serial")?;
                gateway.admin(&["ca", "revoke", &serial])?.expect_code(0)?;
            }
            Self::ListReplaced => drop(certs_dev::revoke(&workshop.path("pki"), TECHNICIAN)?),
            Self::Disabled => drop(gateway.admin(&["user", "disable", TECHNICIAN])?.expect_code(0)?),
            Self::FactorRemoved => {
                gateway.admin(&["user", "reset-factor", TECHNICIAN, "--remove-only"])?.expect_code(0)?;
            }
            Self::Expired(until) => {
                let left = until.duration_since(SystemTime::now());
                return Ok(Instant::now() + left.context("the right was over before it was used")?);
            }
            Self::PolicyNarrowed => {
                let nobody = "g, person:tech-9@vendor-a,";
                workshop.edit("policies/policy.csv", "g, person:tech-1@vendor-a,", nobody)?;
                gateway.apply_policy()?;
            }
        }
        Ok(Instant::now())
    }
}

/// Kills the only session, which must be the technician's.
fn kill(gateway: &Gateway<'_>) -> anyhow::Result<()> {
    let listed = ["sessions", "list"];
    anyhow::ensure!(only(gateway, &listed, "/sessions/0/person")? == TECHNICIAN);
    anyhow::ensure!(only(gateway, &listed, "/sessions/0/target")? == PRESS_LINE);
    let session = only(gateway, &listed, "/sessions/0/id")?;
    gateway.admin(&["sessions", "kill", &session])?.expect_code(0).map(drop)
}

fn only(gateway: &Gateway<'_>, words: &[&str], place: &str) -> anyhow::Result<String> {
    let listed = gateway.admin(&[words, &["--json"]].concat())?.expect_code(0)?;
    let listed: serde_json::Value = serde_json::from_str(&listed.out)?;
    let text = listed.pointer(place).and_then(serde_json::Value::as_str);
    Ok(text.with_context(|| format!("no {place} in {listed}"))?.to_owned())
}

/// The technician with a certificate of the gateway's own authority, free to
/// sign in at once.
///
/// # Errors
/// If the gateway refuses.
pub fn enrolled(gateway: &Gateway<'_>, workshop: &Workshop) -> anyhow::Result<Technician> {
    let invitation = gateway.invite(TECHNICIAN)?;
    let technician = Technician::new(workshop, "enrolled");
    run("gatehouse enroll", &mut technician.enroll(&invitation, &[]))?.expect_code(0)?;
    // The code that confirmed the factor is used up; another factor has others.
    gateway.admin(&["user", "reset-factor", TECHNICIAN, "--remove-only"])?.expect_code(0)?;
    let seed = workshop.path("another.seed");
    let file = path(&seed)?;
    gateway.admin(&["user", "reset-factor", TECHNICIAN, "--totp-file", file])?.expect_code(0)?;
    Ok(Technician { seed, ..technician })
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// A flow of writes, and what the device sees of it.
#[derive(Debug)]
pub struct Writing<'a> {
    plc: &'a Plc,
    connection: Connection,
    sender: JoinHandle<()>,
    receiver: JoinHandle<anyhow::Result<()>>,
}

impl<'a> Writing<'a> {
    /// Connects and waits until the device gets what is written.
    ///
    /// # Errors
    /// If it does not.
    pub fn begin(plc: &'a Plc, technician: &Technician) -> anyhow::Result<Self> {
        let connection = technician.connect(&[PRESS_LINE])?;
        let tool = Tool::connect(connection.address())?;
        let answers = tool.try_clone()?;
        let sender = std::thread::spawn(move || write_until_closed(tool));
        let receiver = std::thread::spawn(move || answered_until_closed(answers));
        let flows = |log: &Log| log.connections.iter().any(|one| one.requests.len() > FLOWING);
        anyhow::ensure!(plc.wait_until(PATIENCE, flows), "the device gets nothing");
        Ok(Self { plc, connection, sender, receiver })
    }

    /// Waits until the device is left alone, and ends the client.
    ///
    /// # Errors
    /// If it is not, or a write was denied.
    pub fn breaks_off(self) -> anyhow::Result<()> {
        let ended = |log: &Log| log.connections.iter().all(|one| one.ended);
        anyhow::ensure!(self.plc.wait_until(PATIENCE, ended), "the device's connection does not end");
        drop(self.connection);
        self.sender.join().ok().context("the writer panicked")?;
        self.receiver.join().ok().context("the reader panicked")?
    }

    /// Waits for the end; gives when the device got its last byte, and what the
    /// client said.
    ///
    /// # Errors
    /// If a write was denied, or nothing ends.
    pub fn ends(self) -> anyhow::Result<(Instant, Finished)> {
        let written = self.sender.join().ok().context("the writer panicked");
        self.receiver.join().ok().context("the reader panicked")??;
        written?;
        let ended = |log: &Log| log.connections.iter().all(|one| one.ended);
        anyhow::ensure!(self.plc.wait_until(PATIENCE, ended), "the device's connection does not end");
        let log = self.plc.log();
        let last = log.connections.iter().filter_map(|one| one.last_byte).max();
        let last = last.context("the device got nothing")?;
        Ok((last, self.connection.finish()?))
    }
}

/// Sends as fast as it is taken, in heaps.
fn write_until_closed(mut tool: Tool) {
    let began = Instant::now();
    let heap = |first: u16| -> Vec<u8> {
        let one = |id: u16| frame(id, 1, &pdu(6, &[100, id % 900]));
        (0..BATCH).flat_map(|next| one(first.wrapping_add(next))).collect()
    };
    let mut first: u16 = 0;
    while began.elapsed() < NEVER_CLOSED && tool.send_raw(&heap(first)).is_ok() {
        first = first.wrapping_add(BATCH);
    }
}

/// A denial is no end: rights end for everything at once.
fn answered_until_closed(mut tool: Tool) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        anyhow::ensure!(began.elapsed() < NEVER_CLOSED, "the way is not closed");
        match tool.receive() {
            Ok((_, Answer::Data(_))) => {}
            Ok((_, Answer::Exception(code))) => anyhow::bail!("denied with {code}"),
            Err(Failure::Io(_)) => return Ok(()),
            Err(mismatch @ Failure::Mismatch(_)) => return Err(mismatch.into()),
        }
    }
}
