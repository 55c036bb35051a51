//! The gateway's own certificate authority.
//!
//! It issues certificates to people who were invited, keeps their serial
//! numbers in the state, and signs its own revocation lists, well before the
//! old one lapses and whenever one is revoked: with it nobody is locked out by
//! a list that somebody forgot. It never decides who gets a certificate; it
//! takes a key out of a request and nothing else ([`RequestedKey`]).
//!
//! Its folder holds a certificate and a key for each authority, numbered. The
//! highest number issues. One that was rotated out stays trusted, with a list
//! of its own, until the last certificate that it issued has run out.
//!
//! Order: [`IssuingCa::open`] at start -> [`IssuingCa::issue`] at enrolments and
//! renewals, [`IssuingCa::freshen`] in each round, [`IssuingCa::revoke`] and
//! [`IssuingCa::rotate`] by an administrator; each change of what is trusted
//! makes a new [`Anchors`], which the TLS reloader takes up at its next look.

mod authority;
mod request;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use crate::ends::End;
use crate::names::Handle;
use crate::problem::Problem;
use crate::state::{AuthorityId, CertificateRecord, CertificateRow, Serial, State, StateError};
use authority::Authority;
use jiff::{SignedDuration, Timestamp};
pub use request::{RequestError, RequestedKey};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is left of an authority's time when it issues for the last time.
const SHORTEST: SignedDuration = SignedDuration::from_hours(1);

/// The longest that an enrolment is under way.
const UNDER_WAY: SignedDuration = SignedDuration::from_hours(1);

/// The numbers of the authorities in a folder, for a backup of them.
pub(crate) fn numbers(dir: &Path) -> Result<Vec<u32>, Problem> {
    authority::numbers(dir, "pem").map(|numbers| numbers.into_iter().collect())
}

/// Where an authority's certificate (`pem`) or key (`key`) is.
pub(crate) fn file(dir: &Path, number: u32, ending: &str) -> PathBuf {
    authority::path(dir, number, ending)
}

/// A certificate that was signed and that nobody has yet.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// What the state has to keep of it.
    pub row: CertificateRow,
}

/// `[ca]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaSettings {
    /// The folder of its certificates and keys.
    pub dir: PathBuf,
    /// How long an issued certificate is good.
    pub certificate_lifetime: SignedDuration,
    /// How long a revocation list is good; a new one is signed at half time.
    pub crl_lifetime: SignedDuration,
}

/// Why the authority could not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file of its folder.
    #[error("{0}")]
    Folder(Problem),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The library could not sign.
    #[error("signing failed: {0}")]
    Signing(String),
    /// The authority's own certificate ends too soon.
    #[error("the issuing authority ends on {0}, and nothing lasts longer; make a new one with `ca rotate`")]
    Ends(Timestamp),
}

impl From<Problem> for CaError {
    fn from(problem: Problem) -> Self {
        Self::Folder(problem)
    }
}

/// What is trusted of it now: authorities with a list each.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    /// Counts up with each change, from 1; 0 where there is no authority.
    pub generation: u64,
    /// The authorities.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Their lists, in the same order.
    pub lists: Vec<CertificateRevocationListDer<'static>>,
}

/// One authority, for listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityStatus {
    /// Its number in the folder.
    pub number: u32,
    /// SHA-256 of its certificate.
    pub id: AuthorityId,
    /// Its name.
    pub name: String,
    /// Whether it issues, is still trusted, or no longer.
    pub standing: AuthorityStanding,
    /// The last moment of its own certificate.
    pub expires: Timestamp,
    /// The list in use, if it is trusted.
    pub list: Option<ListStatus>,
}

/// What an authority is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorityStanding {
    /// It issues.
    Issuing,
    /// It was rotated out; certificates of it are still good.
    Retired,
    /// All its certificates have run out: it is trusted no more.
    Over,
}

/// A revocation list in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListStatus {
    /// Its number.
    pub number: u64,
    /// When it was signed.
    pub made: Timestamp,
    /// When it lapses.
    pub lapses: Timestamp,
    /// How many certificates it names.
    pub revoked: usize,
}

/// Whether new lists were signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshened {
    /// The lists in use are fresh.
    Same,
    /// New ones are in use.
    Signed,
}

/// The authority.
#[derive(Debug)]
pub struct IssuingCa {
    settings: CaSettings,
    clock: Arc<dyn Clock>,
    state: Arc<dyn State>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// In the order of their numbers; never empty, the last one issues.
    authorities: Vec<Authority>,
    /// By the place in `authorities`.
    lists: Vec<(usize, authority::List)>,
    anchors: Arc<Anchors>,
}

impl IssuingCa {
    /// Reads the folder; an empty one gets its first authority. Then signs the
    /// lists of all that are trusted.
    ///
    /// # Errors
    /// [`CaError`]; a folder with a broken authority is refused whole.
    pub fn open(settings: CaSettings, clock: Arc<dyn Clock>, state: Arc<dyn State>) -> Result<Self, CaError> {
        let mut authorities = authority::read_all(&settings.dir)?;
        if authorities.is_empty() {
            authorities.push(Authority::create(&settings.dir, clock.wall())?);
        }
        let inner = Inner { authorities, lists: Vec::new(), anchors: Arc::default() };
        let ca = Self { settings, clock, state, inner: Mutex::new(inner) };
        ca.sign_lists(&mut ca.lock())?;
        Ok(ca)
    }

    /// Whether the folder can be worked with; writes nothing. `Some` is how long
    /// the authority in it that issues lasts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(dir: &Path) -> Result<Option<End>, Problem> {
        Ok(authority::read_all(dir)?.last().map(Authority::end))
    }

    /// What is trusted now.
    pub fn anchors(&self) -> Arc<Anchors> {
        Arc::clone(&self.lock().anchors)
    }

    /// Signs a certificate for a person's key. It counts for nothing until the
    /// state has it. It does not outlive the authority.
    ///
    /// # Errors
    /// [`CaError::Signing`]; [`CaError::Ends`] in the authority's last hour and
    /// after it.
    pub fn issue(&self, key: &RequestedKey, person: &Handle) -> Result<Issued, CaError> {
        let now = self.clock.wall();
        self.issue_beyond(key, person, now.saturating_add(SHORTEST).unwrap_or(now))
    }

    /// The same for somebody who has a certificate until `until`.
    ///
    /// # Errors
    /// Those of [`IssuingCa::issue`]; [`CaError::Ends`] also where the authority's
    /// end leaves nothing that lasts longer than what they have.
    pub fn renew(&self, key: &RequestedKey, person: &Handle, until: Timestamp) -> Result<Issued, CaError> {
        let now = self.clock.wall();
        self.issue_beyond(key, person, until.max(now.saturating_add(SHORTEST).unwrap_or(now)))
    }

    /// Refuses where the authority's own end comes no later than `least`.
    fn issue_beyond(&self, key: &RequestedKey, person: &Handle, least: Timestamp) -> Result<Issued, CaError> {
        let now = self.clock.wall();
        let wanted = now.saturating_add(self.settings.certificate_lifetime).unwrap_or(now);
        let inner = self.lock();
        let issuing = inner.issuing()?;
        if issuing.expires <= least {
            return Err(CaError::Ends(issuing.expires));
        }
        issuing.issue(key, person, now, wanted.min(issuing.expires))
    }

    /// How long the authority that issues lasts.
    pub fn end(&self) -> Option<End> {
        self.lock().authorities.last().map(Authority::end)
    }

    /// Signs new lists where one is half over. Blocks on the disk.
    ///
    /// # Errors
    /// [`CaError`]; the lists in use stay.
    pub fn freshen(&self) -> Result<Freshened, CaError> {
        let now = self.clock.wall();
        let mut inner = self.lock();
        let fresh = |list: &authority::List| {
            // A list from the future was made before the clock was set back.
            let age = now.duration_since(list.made);
            age >= SignedDuration::ZERO && age < list.lapses.duration_since(list.made) / 2
        };
        if inner.lists.iter().all(|(_, list)| fresh(list)) {
            return Ok(Freshened::Same);
        }
        self.sign_lists(&mut inner)?;
        Ok(Freshened::Signed)
    }

    /// Revokes a certificate and signs the list that says so. `None` if no
    /// certificate has this serial. Blocks on the disk.
    ///
    /// # Errors
    /// [`CaError`]. A certificate that the state has as revoked while its list
    /// could not be signed gets on the next one.
    pub fn revoke(&self, serial: Serial) -> Result<Option<CertificateRecord>, CaError> {
        let mut inner = self.lock();
        let record = self.state.revoke_certificate(serial, self.clock.wall())?;
        if record.is_some() {
            self.sign_lists(&mut inner)?;
        }
        Ok(record)
    }

    /// Makes a new authority, which issues from now on. The old ones stay
    /// trusted until their certificates have run out. Blocks on the disk.
    ///
    /// # Errors
    /// [`CaError`]; then the old one goes on issuing.
    pub fn rotate(&self) -> Result<AuthorityStatus, CaError> {
        let mut inner = self.lock();
        let made = Authority::create(&self.settings.dir, self.clock.wall())?;
        inner.authorities.push(made);
        if let Err(error) = self.sign_lists(&mut inner) {
            // It is in the folder, and would issue from the next start on.
            if let Some(made) = inner.authorities.pop() {
                made.remove(&self.settings.dir);
            }
            return Err(error);
        }
        let status = inner.status();
        drop(inner);
        status.into_iter().next_back().ok_or_else(|| CaError::Signing("no authority".to_owned()))
    }

    /// Every authority of the folder, the issuing one last.
    pub fn status(&self) -> Vec<AuthorityStatus> {
        self.lock().status()
    }

    /// The lists in use, PEM, one after the other.
    ///
    /// # Errors
    /// [`CaError::Signing`] if one can't be written as PEM.
    pub fn lists_pem(&self) -> String {
        self.lock().lists.iter().map(|(_, list)| list.pem.as_str()).collect()
    }

    /// The authorities that are trusted, PEM, one after the other.
    pub fn authorities_pem(&self) -> String {
        let inner = self.lock();
        inner.trusted().map(|authority| authority.pem.as_str()).collect()
    }

    /// A list for each authority that is needed, and what is trusted with them.
    fn sign_lists(&self, inner: &mut Inner) -> Result<(), CaError> {
        let now = self.clock.wall();
        let mut lists = Vec::new();
        for (place, authority) in inner.authorities.iter().enumerate() {
            let successor = inner.authorities.get(place.saturating_add(1));
            if !self.is_needed(authority, successor, now)? {
                continue;
            }
            let revoked = self.state.revocations(authority.id, now)?;
            let number = self.state.next_list_number(authority.id)?;
            let lapses = now.saturating_add(self.settings.crl_lifetime).unwrap_or(now);
            lists.push((place, authority.sign_list(number, &revoked, now, lapses)?));
        }
        inner.lists = lists;
        inner.anchors = Arc::new(Anchors {
            generation: inner.anchors.generation.saturating_add(1),
            authorities: inner.trusted().map(|authority| authority.certificate.clone()).collect(),
            lists: inner.lists.iter().map(|(_, list)| list.der.clone()).collect(),
        });
        Ok(())
    }

    /// The one that issues is; one that was rotated out while its certificates
    /// are good, and a little longer for what was signed and not yet stored.
    fn is_needed(
        &self,
        authority: &Authority,
        successor: Option<&Authority>,
        now: Timestamp,
    ) -> Result<bool, CaError> {
        let Some(successor) = successor else { return Ok(true) };
        let until = self.state.authority_needed_until(authority.id)?;
        let just_retired = now.duration_since(successor.made) < UNDER_WAY;
        Ok(just_retired || until.is_some_and(|until| until > now))
    }

    /// A panic while it was held left whole values: they are put in place last.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn issuing(&self) -> Result<&Authority, CaError> {
        self.authorities.last().ok_or_else(|| CaError::Signing("no authority".to_owned()))
    }

    fn trusted(&self) -> impl Iterator<Item = &Authority> {
        self.lists.iter().filter_map(|(place, _)| self.authorities.get(*place))
    }

    fn status(&self) -> Vec<AuthorityStatus> {
        let last = self.authorities.len().saturating_sub(1);
        let one = |(place, authority): (usize, &Authority)| {
            let list = self.lists.iter().find(|(of, _)| *of == place).map(|(_, list)| list.status());
            let standing = match &list {
                _ if place == last => AuthorityStanding::Issuing,
                Some(_) => AuthorityStanding::Retired,
                None => AuthorityStanding::Over,
            };
            AuthorityStatus {
                number: authority.number,
                id: authority.id,
                name: authority.name.clone(),
                standing,
                expires: authority.expires,
                list,
            }
        };
        self.authorities.iter().enumerate().map(one).collect()
    }
}
