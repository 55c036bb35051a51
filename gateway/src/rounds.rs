//! The gatekeeper's rounds: what must be looked at again and again.
//!
//! Twice a second the own authority's lists, the TLS files and what ends soon; after each
//! reload every live sign-in is judged anew and the ones that lost their right are ordered to end. Every
//! few seconds the clock; once a minute the counted strangers are told and the
//! audit file is to be put on stable storage. Runs on a thread of its own and
//! may block on the disk, but not on the audit file's. It gives orders and
//! alarms; it never touches a connection, and it never makes anything laxer.

use crate::audit::{Figure, Kind};
use crate::ca::Freshened;
use crate::clock::Standing;
use crate::ends::Ending;
use crate::office::Office;
use crate::sessions::EndOrder;
use crate::tls::{LOOK_EVERY, Look};
use recording::log::LogEntry;
use tokio_util::sync::CancellationToken;

/// Looks at the TLS files between two looks at the clock: 5 s.
const CLOCK_EVERY: u64 = 10;

/// Looks at the TLS files between two writings of counted strangers: 60 s.
const STRANGERS_EVERY: u64 = 120;

/// Looks at the TLS files between two heartbeats of the site log: 10 min.
const HEARTBEAT_EVERY: u64 = 1200;

/// What earlier rounds have told already.
#[derive(Debug, Default)]
pub struct Rounds {
    count: u64,
    clock: ClockTold,
    log: LogTold,
    lists: ListsTold,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ListsTold {
    #[default]
    Nothing,
    Failed,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LogTold {
    #[default]
    Nothing,
    Failed,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ClockTold {
    #[default]
    Nothing,
    Suspended,
}

/// Goes round until told to stop, and once more for what is left to write.
pub async fn walk(office: &Office, stop: CancellationToken) {
    let mut rounds = Rounds::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => rounds.go(office),
        }
    }
    rounds.write_strangers(office);
}

impl Rounds {
    /// One round.
    pub fn go(&mut self, office: &Office) {
        self.count = self.count.wrapping_add(1);
        self.keep_lists_fresh(office);
        look_at_tls(office);
        look_at_ends(office);
        office.audit.look();
        self.look_at_log(office);
        if self.count % CLOCK_EVERY == 1 {
            self.look_at_clock(office);
        }
        if self.count.is_multiple_of(STRANGERS_EVERY) {
            self.write_strangers(office);
        }
    }

    /// A failed site log ends what runs; a working one gets its heartbeat, and
    /// what a crash left is looked at, one recording a round.
    fn look_at_log(&mut self, office: &Office) {
        if let Some(failed) = office.log.failure() {
            let sessions = office.registry.end_all(EndOrder::LogFailed);
            if self.log == LogTold::Nothing {
                self.log = LogTold::Failed;
                office.audit.alarm().raise(&format!("{failed}: {sessions} sessions were told to end"));
            }
            return;
        }
        if self.count.is_multiple_of(HEARTBEAT_EVERY) {
            let sessions = u32::try_from(office.registry.sessions().len()).unwrap_or(u32::MAX);
            if let Err(failed) = office.log.enter(LogEntry::Heartbeat { sessions }) {
                tracing::error!("{failed}");
            }
        }
        if let Some(trouble) = office.log.witness_trouble() {
            office.audit.tell(&office.audit.event(Kind::WitnessFailed).why(&trouble));
        }
        if let Err(error) = office.recover_next() {
            tracing::error!("{error}");
        }
    }

    /// The own authority's lists, before the TLS files: what it signed is taken
    /// up by the same round.
    fn keep_lists_fresh(&mut self, office: &Office) {
        let Some(ca) = &office.ca else { return };
        match ca.freshen() {
            Ok(Freshened::Same) => return,
            Ok(Freshened::Signed) => {
                self.lists = ListsTold::Nothing;
                office.audit.tell(&office.audit.event(Kind::ListsSigned));
            }
            Err(error) => {
                if self.lists == ListsTold::Nothing {
                    self.lists = ListsTold::Failed;
                    let text = format!("no new revocation list can be signed: {error}");
                    office.audit.alarm().raise(&format!("{text}; sign-ins will be refused when it lapses"));
                }
                return;
            }
        }
        if let Err(failed) = office.log.enter_anchors(&ca.anchors()) {
            tracing::error!("{failed}");
        }
    }

    fn look_at_clock(&mut self, office: &Office) {
        let told = match office.warden.look() {
            Ok(Standing::Steady { .. }) => ClockTold::Nothing,
            Ok(Standing::Suspended { step, .. }) => {
                if self.clock == ClockTold::Nothing {
                    let text =
                        format!("the clock stepped by {} s: sign-ins are suspended", step.step_seconds);
                    office.audit.alarm().raise(&format!("{text}; look at it, then `clock accept`"));
                    let event = office.audit.event(Kind::ClockStepped).what(&text);
                    office.audit.tell(&event.figure(Figure::Step(step.step_seconds)));
                }
                ClockTold::Suspended
            }
            Err(error) => return office.audit.alarm().raise(&error.to_string()),
        };
        self.clock = told;
    }

    fn write_strangers(&self, office: &Office) {
        office.audit.flush_strangers();
        office.audit.ask_for_sync();
    }
}

/// Takes up what changed in the TLS files or in the own authority's lists;
/// tells how many sessions were told to end for it.
pub fn look_at_tls(office: &Office) -> usize {
    let mut ended = 0;
    match office.tls.look() {
        Look::Same => {}
        Look::Reloaded => {
            let current = office.tls.current();
            let external = current.material.papers().external.as_ref();
            let list = external.map(|one| format!("{} revoked, CRL until {}, ", one.revoked, one.list.ends));
            let what = format!(
                "generation {}, {}certificate until {}",
                current.generation,
                list.unwrap_or_default(),
                current.material.certificate_expires()
            );
            office.audit.tell(&office.audit.event(Kind::TlsReloaded).what(&what));
            if let Err(failed) = office.log.enter_tls_keys(&current.material) {
                tracing::error!("{failed}");
            }
            ended = end_the_revoked(office);
        }
        Look::Refused(problems) => {
            for problem in problems {
                office.audit.alarm().raise(&format!("{problem}; what was loaded before stays in use"));
                let event = office.audit.event(Kind::TlsRefused).why(&problem.to_string());
                office.audit.tell(&event);
            }
        }
    }
    ended
}

/// Tells of what ends soon or has ended: by an alarm and an event, once each.
pub fn look_at_ends(office: &Office) {
    office.note_ends();
    for reminder in office.calendar.due(office.clock.wall()) {
        let text = reminder.text();
        office.audit.alarm().raise(&text);
        let kind = match reminder.what {
            Ending::Crl => Kind::CrlExpiry,
            Ending::ExternalAuthority
            | Ending::GatewayCertificate
            | Ending::IssuingAuthority
            | Ending::PageCertificate => Kind::CertificateExpiry,
        };
        office.audit.tell(&office.audit.event(kind).what(&text));
    }
}

/// Judges every live sign-in against the newest CA and CRL; tells how many
/// sessions were told to end.
pub fn end_the_revoked(office: &Office) -> usize {
    let mut ended: usize = 0;
    for (id, sign_in) in office.registry.sign_ins() {
        let Err(unfit) = office.tls.verify(&sign_in.chain) else { continue };
        if !unfit.ends_live() {
            continue;
        }
        let sessions = office.registry.end_sign_in(id, EndOrder::CertificateRevoked);
        let event = office.audit.event(Kind::CertificateRevoked).person(&sign_in.person);
        let event = event.source(sign_in.source.ip()).why(&unfit.to_string());
        office.audit.tell(&event.what(&format!("{sessions} sessions ended")));
        ended = ended.saturating_add(sessions);
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Plant, Purpose, noon};
    use crate::names::Handle;
    use crate::sessions::{SignIn, SignInPlace};
    use jiff::SignedDuration;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    fn sign_in(plant: &Plant, office: &Office, handle: &str, serial: u64) -> SignInPlace {
        let certificate = plant.issue(serial, Purpose::Client, 30).certificate;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let person = Handle::parse(handle).unwrap();
        office.registry.sign_in(SignIn {
            person,
            source: ([192, 0, 2, 1], 1).into(),
            since: noon(),
            factors: Default::default(),
            chain,
        })
    }

    fn events(plant: &Plant, kind: &str) -> usize {
        plant.audit_lines().iter().filter(|line| line["event"] == kind).count()
    }

    #[test]
    fn one_round_after_a_new_list_the_revoked_are_ordered_to_end() {
        let plant = Plant::new();
        let office = plant.office();
        let (a, b) = (
            sign_in(&plant, &office, "tech-1@vendor-a", 10),
            sign_in(&plant, &office, "tech-2@vendor-b", 11),
        );
        let mut rounds = Rounds::default();
        rounds.go(&office);
        assert_eq!(*a.order.borrow(), None);
        plant.write_crl(&[10], noon(), 60);
        rounds.go(&office);
        assert_eq!(*a.order.borrow(), Some(EndOrder::CertificateRevoked));
        assert_eq!(*b.order.borrow(), None);
        assert_eq!((events(&plant, "tls_reloaded"), events(&plant, "certificate_revoked")), (1, 1));
    }

    #[test]
    fn a_sign_in_that_slipped_in_during_a_revocation_is_found_by_the_second_look() {
        let plant = Plant::new();
        let office = plant.office();
        let certificate = plant.issue(10, Purpose::Client, 30).certificate;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let person = Handle::parse("tech-1@vendor-a").unwrap();
        let late = SignIn {
            person,
            source: ([192, 0, 2, 1], 1).into(),
            since: noon(),
            factors: Default::default(),
            chain,
        };
        assert_eq!(office.still_welcome(&late), Err(EndOrder::PersonDisabled), "nobody imported this person");
        let import = crate::state::Import {
            handle: late.person.clone(),
            key: crate::state::KeyHash([1; 32]),
            seed: crate::factor::Seed::generate(),
        };
        office.state.import_person(&import, noon()).unwrap();
        assert_eq!(office.still_welcome(&late), Ok(()));
        // Removed and given anew: a factor is there, and it is not that one.
        office.state.remove_factors(&late.person).unwrap();
        office.state.give_seed(&late.person, &crate::factor::Seed::generate(), noon()).unwrap();
        assert_eq!(office.still_welcome(&late), Err(EndOrder::FactorRemoved));
        let factors = office.state.person(&late.person).unwrap().unwrap().person.factors;
        let late = SignIn { factors, ..late };
        assert_eq!(office.still_welcome(&late), Ok(()));
        plant.write_crl(&[10], noon(), 60);
        Rounds::default().go(&office);
        assert_eq!(office.still_welcome(&late), Err(EndOrder::CertificateRevoked));
        office.state.set_standing(&late.person, crate::state::Standing::Disabled).unwrap();
        assert_eq!(office.still_welcome(&late), Err(EndOrder::PersonDisabled));
    }

    #[test]
    fn whatever_ends_is_told_ahead_and_at_its_end() {
        // Gateway and page share a certificate of 90 days; the list lasts 60.
        let plant = Plant::new().with_authority().with_passkeys();
        let office = plant.office();
        let mut rounds = Rounds::default();
        for _ in 0..92 {
            rounds.go(&office);
            plant.advance_days(1);
        }
        assert_eq!((events(&plant, "crl_expiry"), events(&plant, "certificate_expiry")), (4, 8));
        let told = |what: &str| {
            let lines = plant.audit_lines();
            let texts = lines.iter().filter_map(|line| line["what"].as_str());
            texts.filter(|text| text.contains(what)).map(str::to_owned).collect::<Vec<_>>()
        };
        let page = told("the passkey page's certificate");
        assert!(page[0].contains("expires within 30 days") && page[3].contains("has expired"), "{page:?}");
        assert_eq!(told("the issuing authority").len(), 0);
        plant.advance_days(5 * 365 - 92 - 30);
        rounds.go(&office);
        let authority = told("the issuing authority");
        assert!(authority[0].contains("ends within 30 days") && authority[0].contains("`ca rotate`"));
        office.ca.as_ref().unwrap().rotate().unwrap();
        plant.advance_days(40);
        rounds.go(&office);
        assert_eq!(told("the issuing authority").len(), 1, "the new one has years");
    }

    #[test]
    fn a_step_of_the_clock_is_told_once() {
        let plant = Plant::new();
        let office = plant.office();
        plant.clock.step_to(noon() + SignedDuration::from_hours(2));
        let mut rounds = Rounds::default();
        for _ in 0..60 {
            rounds.go(&office);
        }
        assert_eq!(events(&plant, "clock_stepped"), 1);
    }

    #[test]
    fn strangers_are_written_once_a_minute() {
        let plant = Plant::new();
        let office = plant.office();
        let mut rounds = Rounds::default();
        for _ in 0..STRANGERS_EVERY - 1 {
            office.audit.stranger("handshake failed");
            rounds.go(&office);
        }
        assert_eq!(events(&plant, "strangers_refused"), 0);
        rounds.go(&office);
        assert_eq!(events(&plant, "strangers_refused"), 1);
    }
}
