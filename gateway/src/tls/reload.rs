//! Watches the four files and swaps whole new material in.

use super::material::Contents;
use super::{Files, Material, Trust, Unfit, Windows, server_config};
use crate::clock::Clock;
use crate::problem::Problem;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Days before its end at which a CRL raises an alarm.
const ALARM_DAYS: [i64; 3] = [30, 14, 3];

/// The material in use and the endpoint configuration made of it.
pub struct Current {
    /// What the files say.
    pub material: Material,
    /// For `Endpoint::set_server_config`.
    pub quinn: quinn::ServerConfig,
    /// Counts up with each reload, from 1.
    pub generation: u64,
}

impl fmt::Debug for Current {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Current").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// What one look at the files found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The same bytes as before, or broken ones that may still be half written.
    Same,
    /// New material is in use; sign-ins must be walked.
    Reloaded,
    /// The files have settled on something that is refused; the old stays.
    Refused(Vec<Problem>),
}

/// Watches the files; holds what is in use.
#[derive(Debug)]
pub struct Reloader {
    files: Files,
    windows: Windows,
    clock: Arc<dyn Clock>,
    current: watch::Sender<Arc<Current>>,
    seen: Mutex<Seen>,
}

struct Seen {
    in_use: Contents,
    /// Broken contents that were seen once; told when seen again.
    broken: Option<Result<Contents, Vec<Problem>>>,
    told: bool,
    crl_alarm: Option<i64>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Seen").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Reloader {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn open(files: Files, windows: Windows, clock: Arc<dyn Clock>) -> Result<Self, Vec<Problem>> {
        let contents = Contents::read(&files)?;
        let material = Material::parse(&files, &contents, clock.wall())?;
        let quinn = server_config(&material, &windows, Arc::clone(&clock))
            .map_err(|error| vec![Problem::new(&files.cert, error.to_string()).key("[tls]")])?;
        let (current, _) = watch::channel(Arc::new(Current { material, quinn, generation: 1 }));
        let seen = Seen { in_use: contents, broken: None, told: false, crl_alarm: None };
        Ok(Self { files, windows, clock, current, seen: Mutex::new(seen) })
    }

    /// What is in use now.
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    /// Hears of each new [`Current`].
    pub fn subscribe(&self) -> watch::Receiver<Arc<Current>> {
        self.current.subscribe()
    }

    /// Judges a live sign-in's chain against the newest CA and CRL.
    pub fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Unfit> {
        self.trust().verify(chain, self.clock.wall())
    }

    /// The newest CA and CRL.
    pub fn trust(&self) -> Trust {
        self.current.borrow().material.trust().clone()
    }

    /// Looks at the files once. Blocks on the disk.
    pub fn look(&self) -> Look {
        let mut seen = lock(&self.seen);
        let read = Contents::read(&self.files);
        if read.as_ref() == Ok(&seen.in_use) {
            seen.broken = None;
            seen.told = false;
            return Look::Same;
        }
        match read.clone().and_then(|contents| self.build(&contents).map(|current| (contents, current))) {
            Ok((contents, current)) => {
                *seen = Seen { in_use: contents, broken: None, told: false, crl_alarm: None };
                self.current.send_replace(Arc::new(current));
                Look::Reloaded
            }
            Err(problems) => seen.broken(read, problems),
        }
    }

    /// The alarm that is due for the CRL's end, each at most once: days left,
    /// at most 30, 14 and 3, and 0 or less when it has lapsed.
    pub fn crl_alarm(&self) -> Option<i64> {
        let lapses = self.current.borrow().material.crl_lapses;
        let due = alarm_due(lapses, self.clock.wall())?;
        let mut seen = lock(&self.seen);
        if seen.crl_alarm.is_some_and(|told| told <= due) {
            return None;
        }
        seen.crl_alarm = Some(due);
        Some(due)
    }

    fn build(&self, contents: &Contents) -> Result<Current, Vec<Problem>> {
        let material = Material::parse(&self.files, contents, self.clock.wall())?;
        let old = self.current();
        // An older list could make a revoked certificate good again.
        if material.crl_made < old.material.crl_made {
            let reason =
                format!("is older ({}) than the one in use ({})", material.crl_made, old.material.crl_made);
            return Err(vec![Problem::new(&self.files.crl, reason).key("[tls] crl")]);
        }
        let quinn = server_config(&material, &self.windows, Arc::clone(&self.clock))
            .map_err(|error| vec![Problem::new(&self.files.cert, error.to_string()).key("[tls]")])?;
        Ok(Current { material, quinn, generation: old.generation.saturating_add(1) })
    }
}

impl Seen {
    /// Several files are replaced one after the other: what is broken counts
    /// only when it is still the same at the next look, and is told once.
    fn broken(&mut self, read: Result<Contents, Vec<Problem>>, problems: Vec<Problem>) -> Look {
        if self.broken.as_ref() != Some(&read) {
            self.broken = Some(read);
            self.told = false;
            return Look::Same;
        }
        if self.told {
            return Look::Same;
        }
        self.told = true;
        Look::Refused(problems)
    }
}

fn alarm_due(lapses: Timestamp, now: Timestamp) -> Option<i64> {
    let left = lapses.duration_since(now);
    if left <= SignedDuration::ZERO {
        return Some(0);
    }
    ALARM_DAYS.into_iter().rev().find(|days| left <= SignedDuration::from_hours(days.saturating_mul(24)))
}

/// A poisoned lock here guards what was seen last: whole at any moment.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
