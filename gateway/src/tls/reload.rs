//! Watches the files and swaps whole new material in.

use super::material::Contents;
use super::{Files, Material, Papers, Trust, Unfit};
use crate::ca::{Anchors, IssuingCa};
use crate::clock::Clock;
use crate::problem::Problem;
use crate::quic::{ServerConfig, Windows, server_config};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The material in use and the endpoint configuration made of it.
pub struct Current {
    /// What the files say.
    pub material: Material,
    /// For the endpoint.
    pub server: ServerConfig,
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
    own: Option<Arc<IssuingCa>>,
    current: watch::Sender<Arc<Current>>,
    seen: Mutex<Seen>,
}

struct Seen {
    in_use: Contents,
    /// When they were taken: they were in time then.
    taken: Timestamp,
    /// The generation of the own authority's anchors that are in use.
    anchors: u64,
    /// Broken contents that were seen once; told when seen again.
    broken: Option<Result<Contents, Vec<Problem>>>,
    told: bool,
}

impl fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Seen").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Reloader {
    /// Reads the files for the first time; `own` is the gateway's own
    /// authority, if it has one.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn open(
        files: Files,
        windows: Windows,
        clock: Arc<dyn Clock>,
        own: Option<Arc<IssuingCa>>,
    ) -> Result<Self, Vec<Problem>> {
        let (contents, taken) = (Contents::read(&files)?, clock.wall());
        let anchors = anchors(own.as_ref());
        let material = Material::new(&files, Papers::parse(&files, &contents, taken)?, &anchors)?;
        let server = server_config(&material, &windows, Arc::clone(&clock))
            .map_err(|error| vec![Problem::new(&files.cert, error.to_string()).key("[tls]")])?;
        let (current, _) = watch::channel(Arc::new(Current { material, server, generation: 1 }));
        let anchors = anchors.generation;
        let seen = Seen { in_use: contents, taken, anchors, broken: None, told: false };
        Ok(Self { files, windows, clock, own, current, seen: Mutex::new(seen) })
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
        let (read, own) = (Contents::read(&self.files), anchors(self.own.as_ref()));
        let same_files = read.as_ref() == Ok(&seen.in_use);
        if same_files && own.generation == seen.anchors {
            seen.broken = None;
            seen.told = false;
            return Look::Same;
        }
        let built = |contents: Contents| Ok((self.build(&contents, &own)?, contents));
        match read.clone().and_then(built) {
            Ok((current, in_use)) => {
                let (taken, anchors) = (self.clock.wall(), own.generation);
                *seen = Seen { in_use, taken, anchors, broken: None, told: false };
                self.current.send_replace(Arc::new(current));
                Look::Reloaded
            }
            Err(problems) => self.own_alone(&mut seen, &own).unwrap_or_else(|| seen.broken(read, problems)),
        }
    }

    /// Files that are broken now, or a list in them that has lapsed, must not
    /// keep a revocation of the own authority from working: it is taken up with
    /// the files in use, which go on refusing whom they refuse.
    fn own_alone(&self, seen: &mut Seen, own: &Anchors) -> Option<Look> {
        if own.generation == seen.anchors {
            return None;
        }
        let current = self.build_from(&seen.in_use, own, seen.taken).ok()?;
        seen.anchors = own.generation;
        self.current.send_replace(Arc::new(current));
        Some(Look::Reloaded)
    }

    fn build(&self, contents: &Contents, own: &Anchors) -> Result<Current, Vec<Problem>> {
        let current = self.build_from(contents, own, self.clock.wall())?;
        // An older list could make a revoked certificate good again.
        if let Some((made, known)) = current.material.older_list(&self.current().material) {
            let reason = format!("is older ({made}) than the one in use ({known})");
            let file = self.files.external.as_ref().map_or(&self.files.cert, |external| &external.crl);
            return Err(vec![Problem::new(file, reason).key("[tls] crl")]);
        }
        Ok(current)
    }

    fn build_from(&self, contents: &Contents, own: &Anchors, at: Timestamp) -> Result<Current, Vec<Problem>> {
        let material = Material::new(&self.files, Papers::parse(&self.files, contents, at)?, own)?;
        let old = self.current();
        let server = server_config(&material, &self.windows, Arc::clone(&self.clock))
            .map_err(|error| vec![Problem::new(&self.files.cert, error.to_string()).key("[tls]")])?;
        Ok(Current { material, server, generation: old.generation.saturating_add(1) })
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

fn anchors(own: Option<&Arc<IssuingCa>>) -> Arc<Anchors> {
    own.map_or_else(Arc::default, |own| own.anchors())
}

/// A poisoned lock here guards what was seen last: whole at any moment.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Plant, Purpose, authority_named, crl, issue, noon};
    use jiff::SignedDuration;
    use rustls::pki_types::pem::PemObject;

    fn reloader(plant: &Plant) -> Reloader {
        let config = plant.config().unwrap();
        Reloader::open(config.tls, config.limits.windows(), plant.clock.clone(), None).unwrap()
    }

    fn client(plant: &Plant, serial: u64) -> Vec<CertificateDer<'static>> {
        vec![
            CertificateDer::from_pem_slice(plant.issue(serial, Purpose::Client, 30).certificate.as_bytes())
                .unwrap(),
        ]
    }

    #[test]
    fn a_new_list_is_taken_at_the_next_look() {
        let plant = Plant::new();
        let reloader = reloader(&plant);
        let person = client(&plant, 10);
        let heard = reloader.subscribe();
        assert_eq!((reloader.look(), reloader.verify(&person)), (Look::Same, Ok(())));
        plant.write_crl(&[10], noon(), 60);
        assert_eq!((reloader.look(), reloader.verify(&person)), (Look::Reloaded, Err(Unfit::Revoked)));
        assert_eq!((reloader.look(), reloader.current().generation), (Look::Same, 2));
        assert!(heard.has_changed().unwrap());
    }

    #[test]
    fn broken_files_change_nothing_and_are_told_once() {
        let plant = Plant::new();
        let reloader = reloader(&plant);
        let person = client(&plant, 10);
        plant.write("crl.pem", "not a list");
        assert_eq!(reloader.look(), Look::Same, "it may be half written");
        let Look::Refused(problems) = reloader.look() else { panic!("not told") };
        assert!(problems.iter().any(|problem| problem.key.as_deref() == Some("[tls] crl")), "{problems:?}");
        assert_eq!((reloader.look(), reloader.verify(&person)), (Look::Same, Ok(())));
        std::fs::remove_file(plant.path("crl.pem")).unwrap();
        assert_eq!(reloader.look(), Look::Same);
        assert!(matches!(reloader.look(), Look::Refused(_)));
        plant.write_crl(&[10], noon(), 60);
        assert_eq!((reloader.look(), reloader.verify(&person)), (Look::Reloaded, Err(Unfit::Revoked)));
    }

    #[test]
    fn an_older_list_can_not_bring_a_revoked_certificate_back() {
        let plant = Plant::new();
        plant.write_crl(&[10], noon(), 60);
        let reloader = reloader(&plant);
        plant.write_crl(&[], noon() - SignedDuration::from_hours(1), 60);
        assert_eq!(reloader.look(), Look::Same);
        let Look::Refused(problems) = reloader.look() else { panic!("not told") };
        assert!(problems.iter().any(|problem| problem.reason.contains("is older")), "{problems:?}");
        assert_eq!(reloader.verify(&client(&plant, 10)), Err(Unfit::Revoked));
    }

    #[test]
    fn nor_can_an_older_list_of_another_ca() {
        let plant = Plant::new();
        let second = authority_named("second authority");
        let both = std::fs::read_to_string(plant.path("ca.pem")).unwrap() + second.pem().as_str();
        plant.write("ca.pem", &both);
        let write_lists = |revoked: &[u64], made: Timestamp| {
            plant.write_crl(&[], noon(), 60);
            let own = std::fs::read_to_string(plant.path("crl.pem")).unwrap();
            plant.write("crl.pem", &format!("{own}{}", crl(&second, revoked, made, 70)));
        };
        write_lists(&[10], noon());
        let reloader = reloader(&plant);
        let issued = issue(&second, 10, Purpose::Client, noon(), 30);
        let person = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
        assert_eq!(reloader.verify(&person), Err(Unfit::Revoked));
        write_lists(&[], noon() - SignedDuration::from_hours(1));
        assert_eq!(reloader.look(), Look::Same);
        assert!(matches!(reloader.look(), Look::Refused(_)));
        assert_eq!(reloader.verify(&person), Err(Unfit::Revoked));
    }

    #[test]
    fn certificate_and_key_are_swapped_together_or_not_at_all() {
        let plant = Plant::new();
        let reloader = reloader(&plant);
        let renewed = plant.issue(77, Purpose::Server, 90);
        plant.write("gateway.pem", &renewed.certificate);
        assert_eq!((reloader.look(), reloader.current().generation), (Look::Same, 1));
        plant.write_secret("gateway.key", &renewed.key);
        assert_eq!((reloader.look(), reloader.current().generation), (Look::Reloaded, 2));
    }
}
