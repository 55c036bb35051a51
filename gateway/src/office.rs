//! All that the data path and the administrator's side share.
//!
//! Built once, in the order of the fields below, each from what stands before
//! it; handed out as `Arc<Office>`. It opens files and nothing else: sockets
//! are the business of those who serve on them.

use crate::audit::{Alarm, Audit, AuditError, Kind};
use crate::ca::{CaError, IssuingCa};
use crate::clock::{Clock, SystemClock, Warden};
use crate::config::Config;
use crate::ends::Calendar;
use crate::enrolment::Reception;
use crate::passkey::{NoRelyingParty, RelyingParty};
use crate::policy::{PolicyError, PolicyHolder};
use crate::problem::Problem;
use crate::sessions::{EndOrder, Registry, SignIn};
use crate::site_log::recovery::Recovery;
use crate::site_log::{NotOpened, SiteLog};
use crate::state::{SqliteState, Standing, State, StateError};
use crate::tls::Reloader;
use crate::watchdog::Heartbeat;
use recording::log::Ledger;
use std::sync::{Arc, Mutex, PoisonError};

/// What everybody in the gateway shares.
#[derive(Debug)]
pub struct Office {
    /// The checked configuration.
    pub config: Config,
    /// The clock that everything asks.
    pub clock: Arc<dyn Clock>,
    /// What outlives a restart.
    pub state: Arc<dyn State>,
    /// What is signed and handed out of all that happens.
    pub log: Arc<SiteLog>,
    /// Where events go.
    pub audit: Arc<Audit>,
    /// Says whether the clock can be relied on.
    pub warden: Warden,
    /// The gateway's own authority, if it has one.
    pub ca: Option<Arc<IssuingCa>>,
    /// CA, CRL, certificate and key in use.
    pub tls: Arc<Reloader>,
    /// Where people enrol.
    pub reception: Reception,
    /// Who asks for passkeys; `None` where none are configured.
    pub relying_party: Option<RelyingParty>,
    /// The policy in force.
    pub policy: PolicyHolder,
    /// Who is in the house.
    pub registry: Registry,
    /// What ends by itself, and what was told of it.
    pub calendar: Calendar,
    /// What a crash left and nobody has looked at yet.
    recovery: Mutex<Recovery>,
    /// The data path's sign of life.
    pub heartbeat: Heartbeat,
}

/// Why the gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// The configuration, or files that it names.
    #[error("{}", list(.0))]
    Config(Vec<Problem>),
    /// The state's database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The gateway's own authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The audit file.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// No valid policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The site log.
    #[error("the site log: {0}")]
    Log(String),
    /// Passkeys.
    #[error(transparent)]
    Passkeys(#[from] NoRelyingParty),
    /// The socket for alarms.
    #[error("[audit] syslog: {0}")]
    Syslog(std::io::Error),
}

impl Office {
    /// Opens everything with the operating system's clock.
    ///
    /// # Errors
    /// [`OfficeError`]; nothing is left half open.
    pub fn open(config: Config) -> Result<Arc<Self>, OfficeError> {
        Self::open_with(config, Arc::new(SystemClock::new()))
    }

    /// Opens everything with a given clock.
    ///
    /// # Errors
    /// [`OfficeError`]; nothing is left half open.
    pub fn open_with(config: Config, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OfficeError> {
        let alarm = match config.audit.syslog {
            Some(collector) => Alarm::to_syslog(collector).map_err(OfficeError::Syslog)?,
            None => Alarm::to_log(),
        };
        let key = &config.recording.signing_key;
        let opened = SiteLog::open(&config.log, key, Arc::clone(&clock), alarm.clone());
        let (log, ledger) = opened.map_err(|error| match error {
            NotOpened::Unavailable(problem) => OfficeError::Log(problem.to_string()),
            NotOpened::Refused(problem) => OfficeError::Config(vec![problem]),
        })?;
        let log = Arc::new(log);
        let audit = Audit::open(&config.audit.file, alarm, Arc::clone(&clock), Some(Arc::clone(&log)))?;
        let audit = Arc::new(audit);
        let state: Arc<dyn State> = Arc::new(SqliteState::open(&config.state)?);
        let open_ca = |settings| IssuingCa::open(settings, Arc::clone(&clock), Arc::clone(&state));
        let ca = config.ca.clone().map(open_ca).transpose()?.map(Arc::new);
        let tls = Reloader::open(config.tls.clone(), config.limits.windows(), Arc::clone(&clock), ca.clone());
        let tls = Arc::new(tls.map_err(OfficeError::Config)?);
        let warden = Warden::open(Arc::clone(&clock), Arc::clone(&state))?;
        let party = config
            .webauthn
            .as_ref()
            .map(|settings| RelyingParty::open(settings, &*state, Arc::clone(&clock)));
        let relying_party = party.transpose()?;
        let policy = PolicyHolder::open(config.policy.clone(), Arc::clone(&state), Arc::clone(&audit))?;
        let registry = Registry::new(config.limits.bounds());
        let (recovery, heartbeat) = (Mutex::default(), Heartbeat::default());
        let (reception, calendar) = (Reception::default(), Calendar::default());
        config.ends.iter().for_each(|end| calendar.note(*end));
        let office = Self {
            config,
            clock,
            state,
            log,
            audit,
            warden,
            ca,
            tls,
            reception,
            relying_party,
            policy,
            registry,
            calendar,
            recovery,
            heartbeat,
        };
        office.note_ends();
        office.settle(&ledger)?;
        Ok(Arc::new(office))
    }

    /// Judges a sign-in once more, right after it was entered into the registry:
    /// a person disabled, a factor removed or a certificate revoked between the
    /// first judgement and the entry was not in the registry yet when others
    /// were told to end.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// The order that came too early.
    pub fn still_welcome(&self, sign_in: &SignIn) -> Result<(), EndOrder> {
        let person = self.state.person(&sign_in.person).ok().flatten().map(|record| record.person);
        let enabled = person.filter(|person| person.standing == Standing::Enabled);
        let Some(person) = enabled else { return Err(EndOrder::PersonDisabled) };
        if person.factors != sign_in.factors {
            return Err(EndOrder::FactorRemoved);
        }
        self.tls.verify(&sign_in.chain).map_err(|_| EndOrder::CertificateRevoked)
    }

    /// Puts the ends of what is in use now into the calendar. The passkey page
    /// puts its own there.
    pub fn note_ends(&self) {
        let papers = self.tls.current();
        papers.material.papers().ends().into_iter().for_each(|end| self.calendar.note(end));
        if let Some(end) = self.ca.as_ref().and_then(|ca| ca.end()) {
            self.calendar.note(end);
        }
    }

    /// Runs one blocking piece of work, such as a transaction of the state, off
    /// the caller's runtime thread.
    ///
    /// # Errors
    /// The work's own error in words, or that it panicked.
    pub async fn blocking<T, E, F>(self: &Arc<Self>, work: F) -> Result<T, String>
    where
        T: Send + 'static,
        E: std::fmt::Display + Send + 'static,
        F: FnOnce(&Self) -> Result<T, E> + Send + 'static,
    {
        let office = Arc::clone(self);
        let done =
            tokio::task::spawn_blocking(move || work(&office).map_err(|error| error.to_string())).await;
        done.unwrap_or_else(|panic| Err(panic.to_string()))
    }

    /// Looks at the next recording that a crash left; blocks on the disk.
    ///
    /// # Errors
    /// In words.
    pub fn recover_next(&self) -> Result<(), String> {
        let mut recovery = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        recovery.step(self).map(drop)
    }

    /// Sessions that a crash cut short get their end in site log, index and
    /// events, in this order: what is in the index is looked for again.
    fn settle(&self, ledger: &Ledger) -> Result<(), OfficeError> {
        let failed = |error: &dyn std::fmt::Display| OfficeError::Log(error.to_string());
        self.log.enter_recording_keys(&self.config.recording).map_err(|error| failed(&error))?;
        self.log.enter_tls_keys(&self.tls.current().material).map_err(|error| failed(&error))?;
        if let Some(ca) = &self.ca {
            self.log.enter_anchors(&ca.anchors()).map_err(|error| failed(&error))?;
        }
        let (origin, interrupted) = (self.log.position().origin, self.state.interrupted()?);
        let found = Recovery::find(ledger, &self.config.recording.dir, &origin, &interrupted);
        let mut recovery = found.map_err(|error| failed(&error))?;
        recovery.begin(self).map_err(|error| failed(&error))?;
        *self.recovery.lock().unwrap_or_else(PoisonError::into_inner) = recovery;
        if let Some(restoration) = self.state.untold_restoration()? {
            let event = self.audit.event(Kind::Restored);
            let what = format!("from a backup of {}, at {}", restoration.made, restoration.restored);
            self.audit.write(&event.what(&what))?;
            self.state.restoration_told()?;
        }
        for session in self.state.close_interrupted(self.clock.wall())? {
            let event = self.audit.event(Kind::SessionEnded).session(session);
            self.audit.write(&event.why("interrupted: the gateway stopped while it ran"))?;
        }
        Ok(())
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
