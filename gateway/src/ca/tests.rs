//! The authority in virtual time: lists, revocation, rotation, what is issued.

use super::*;
use crate::fixture::{Plant, noon};
use crate::state::{ConfirmedFactor, Enrolment, Invitation, SqliteState, StateFiles};
use crate::tls::{Look, Reloader, Unfit};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::pki_types::pem::PemObject;
use std::os::unix::fs::PermissionsExt;
use wire::enrolment::Secret;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

#[path = "../../../fuzz/src/requests.rs"]
mod requests;

struct House {
    plant: Plant,
    state: Arc<dyn State>,
    ca: Arc<IssuingCa>,
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn settings(plant: &Plant) -> CaSettings {
    let dir = plant.path("issuing");
    CaSettings { dir, certificate_lifetime: days(30), crl_lifetime: days(7) }
}

fn requested() -> RequestedKey {
    let request = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap();
    RequestedKey::read(request.der()).unwrap()
}

fn person() -> Handle {
    Handle::parse("tech-1@vendor-a").unwrap()
}

impl House {
    fn new() -> Self {
        Self::of(Plant::new().with_authority())
    }

    fn of(plant: Plant) -> Self {
        let state: Arc<dyn State> =
            Arc::new(SqliteState::open(&StateFiles::within(&plant.path("state"))).unwrap());
        let ca = IssuingCa::open(settings(&plant), plant.clock.clone(), Arc::clone(&state)).unwrap();
        Self { plant, state, ca: Arc::new(ca) }
    }

    fn reopen(&self) -> Result<IssuingCa, CaError> {
        IssuingCa::open(settings(&self.plant), self.plant.clock.clone(), Arc::clone(&self.state))
    }

    /// A certificate that somebody enrolled with.
    fn enrolled(&self, number: u8) -> Issued {
        let issued = self.ca.issue(&requested(), &person()).unwrap();
        let now = self.plant.clock.wall();
        let stored = Secret::from_bytes([number; 32]).stored();
        let invitation = Invitation {
            handle: person(),
            stored,
            made: now,
            expires: now + days(1),
            by: "uid 0".to_owned(),
        };
        self.state.invite(&invitation).unwrap();
        let factor = match self.state.person(&person()).unwrap() {
            Some(known) => ConfirmedFactor::KnownTotp { factors: known.person.factors, relying_party: None },
            None => ConfirmedFactor::NewTotp { seed: crate::factor::Seed::generate(), step: 1 },
        };
        let enrolment = Enrolment { invitation: stored.invitation(), factor, certificate: issued.row };
        self.state.enrol(&enrolment, now).unwrap();
        issued
    }

    fn reloader(&self) -> Reloader {
        let config = self.plant.config().unwrap();
        let windows = config.limits.windows();
        Reloader::open(config.tls, windows, self.plant.clock.clone(), Some(Arc::clone(&self.ca))).unwrap()
    }

    fn list(&self) -> ListStatus {
        self.ca.status().last().unwrap().list.unwrap()
    }
}

#[test]
fn its_lists_are_signed_anew_by_themselves_long_before_they_lapse() {
    let house = House::new();
    let mut numbers = vec![house.list().number];
    for _ in 0..60 {
        house.plant.advance_days(1);
        house.ca.freshen().unwrap();
        assert!(house.list().lapses.duration_since(house.plant.clock.wall()) > days(3));
        numbers.push(house.list().number);
    }
    assert!(numbers.is_sorted() && numbers.last() > Some(&14), "{numbers:?}");
    assert_eq!(house.ca.freshen().unwrap(), Freshened::Same);
    // A restart goes on counting.
    let again = house.reopen().unwrap().status().last().unwrap().list.unwrap().number;
    assert!(Some(&again) > numbers.last());
}

#[test]
fn a_revoked_certificate_is_refused_at_the_next_look_and_no_other() {
    let house = House::new();
    let (one, other) = (house.enrolled(1), house.enrolled(2));
    let reloader = house.reloader();
    let judge = |issued: &Issued| reloader.verify(std::slice::from_ref(&issued.der));
    assert_eq!((judge(&one), judge(&other)), (Ok(()), Ok(())));
    assert_eq!(house.ca.revoke(Serial([1; 16])).unwrap(), None, "no such serial");
    let revoked = house.ca.revoke(one.row.serial).unwrap().unwrap();
    assert_eq!((revoked.person, revoked.revoked), (person(), Some(noon())));
    assert_eq!(reloader.look(), Look::Reloaded);
    assert_eq!((judge(&one), judge(&other)), (Err(Unfit::Revoked), Ok(())));
    // Also after a restart.
    let again = house.reopen().unwrap();
    assert_eq!(again.status().last().unwrap().list.unwrap().revoked, 1);
}

#[test]
fn a_list_of_the_files_that_has_lapsed_blocks_nothing_of_its_own() {
    let house = House::new();
    let reloader = house.reloader();
    // The list in the files lapses after 60 days.
    house.plant.advance_days(61);
    house.ca.freshen().unwrap();
    let (one, other) = (house.enrolled(1), house.enrolled(2));
    reloader.look();
    let judge = |issued: &Issued| reloader.verify(std::slice::from_ref(&issued.der));
    assert_eq!((judge(&one), judge(&other)), (Ok(()), Ok(())));
    house.ca.revoke(one.row.serial).unwrap();
    assert_eq!(reloader.look(), Look::Reloaded);
    assert_eq!((judge(&one), judge(&other)), (Err(Unfit::Revoked), Ok(())));
}

#[test]
fn what_was_issued_before_a_rotation_is_good_until_it_runs_out_and_no_longer() {
    let house = House::new();
    let old = house.enrolled(1);
    let reloader = house.reloader();
    house.plant.advance_days(20);
    house.ca.freshen().unwrap();
    house.ca.rotate().unwrap();
    let new = house.enrolled(2);
    assert_ne!(old.row.authority, new.row.authority);
    reloader.look();
    let judge = |issued: &Issued| reloader.verify(std::slice::from_ref(&issued.der));
    assert_eq!((judge(&old), judge(&new)), (Ok(()), Ok(())));
    let standings = |house: &House| house.ca.status().iter().map(|one| one.standing).collect::<Vec<_>>();
    assert_eq!(standings(&house), [AuthorityStanding::Retired, AuthorityStanding::Issuing]);
    house.ca.revoke(old.row.serial).unwrap();
    reloader.look();
    assert_eq!((judge(&old), judge(&new)), (Err(Unfit::Revoked), Ok(())), "the old one's list works too");
    house.plant.advance_days(11);
    house.ca.freshen().unwrap();
    assert_eq!(standings(&house), [AuthorityStanding::Over, AuthorityStanding::Issuing]);
    assert_eq!(house.ca.anchors().authorities.len(), 1);
    assert_eq!(house.reopen().unwrap().status().len(), 2);
}

#[test]
fn a_certificate_says_the_handle_and_one_use_and_nothing_of_the_request() {
    let house = House::new();
    let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "operator-1, \"\n");
    let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    let issued = house.ca.issue(&RequestedKey::read(request.der()).unwrap(), &person()).unwrap();
    let (_, parsed) = X509Certificate::from_der(&issued.der).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=tech-1@vendor-a");
    assert!(parsed.subject_alternative_name().unwrap().is_none());
    assert!(!parsed.is_ca());
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    assert_eq!(parsed.raw_serial(), issued.row.serial.0);
    assert_eq!(parsed.validity().not_after.timestamp(), (noon() + days(30)).as_second());
    let other = house.ca.issue(&requested(), &person()).unwrap();
    assert_ne!(issued.row.serial, other.row.serial);
}

#[test]
fn nothing_that_is_issued_outlives_the_authority() {
    let house = House::new();
    let end = house.ca.end().unwrap().ends;
    assert_eq!(house.ca.issue(&requested(), &person()).unwrap().row.expires, noon() + days(30));
    house.plant.advance_days(5 * 365 - 3);
    let last = house.ca.issue(&requested(), &person()).unwrap();
    assert_eq!(last.row.expires, end, "three days instead of thirty");
    let (_, parsed) = X509Certificate::from_der(&last.der).unwrap();
    assert_eq!(parsed.validity().not_after.timestamp(), end.as_second());
    // In its last hour and after it nothing at all.
    house.plant.advance_days(2);
    house.plant.clock.advance(std::time::Duration::from_secs(23 * 60 * 60));
    assert!(matches!(house.ca.issue(&requested(), &person()), Err(CaError::Ends(at)) if at == end));
    house.plant.advance_days(1);
    assert!(matches!(house.ca.issue(&requested(), &person()), Err(CaError::Ends(_))));
    house.ca.rotate().unwrap();
    assert_eq!(
        house.ca.issue(&requested(), &person()).unwrap().row.expires,
        house.plant.clock.wall() + days(30)
    );
}

#[test]
fn a_renewal_that_the_authoritys_end_makes_worthless_is_refused_and_no_other() {
    let house = House::new();
    let renew = |until| house.ca.renew(&requested(), &person(), until).map(|issued| issued.row.expires);
    // Under a shorter lifetime than the one of the old certificate.
    assert_eq!(renew(noon() + days(90)).unwrap(), noon() + days(30));
    house.plant.advance_days(5 * 365 - 10);
    let (end, now) = (house.ca.end().unwrap().ends, house.plant.clock.wall());
    assert_eq!(renew(now + days(1)).unwrap(), end, "nine days more are something");
    let refused = renew(end).unwrap_err().to_string();
    assert!(refused.contains("nothing lasts longer; make a new one with `ca rotate`"), "{refused}");
    house.ca.rotate().unwrap();
    assert_eq!(renew(end).unwrap(), now + days(30));
}

#[test]
fn without_any_other_ca_only_its_own_are_let_in_and_a_revocation_works() {
    let house = House::of(Plant::new().without_pki());
    let reloader = house.reloader();
    let (one, other) = (house.enrolled(1), house.enrolled(2));
    let judge = |issued: &Issued| reloader.verify(std::slice::from_ref(&issued.der));
    assert_eq!((judge(&one), judge(&other)), (Ok(()), Ok(())));
    let foreign = house.plant.issue(9, crate::fixture::Purpose::Client, 30).certificate;
    let foreign = CertificateDer::from_pem_slice(foreign.as_bytes()).unwrap();
    assert!(matches!(reloader.verify(&[foreign]), Err(Unfit::Foreign(_))));
    house.ca.revoke(one.row.serial).unwrap();
    assert_eq!(reloader.look(), Look::Reloaded);
    assert_eq!((judge(&one), judge(&other)), (Err(Unfit::Revoked), Ok(())));
    // Its list is as binding as any other: nobody signs a new one, nobody comes in.
    house.plant.advance_days(8);
    assert_eq!(judge(&other), Err(Unfit::CrlLapsed));
    house.ca.freshen().unwrap();
    assert_eq!((reloader.look(), judge(&other)), (Look::Reloaded, Ok(())));
    // And a broken certificate of the gateway's own keeps no revocation away.
    house.plant.write("gateway.pem", "nothing");
    house.ca.revoke(other.row.serial).unwrap();
    assert_eq!((reloader.look(), judge(&other)), (Look::Reloaded, Err(Unfit::Revoked)));
}

#[test]
fn without_any_authority_nothing_can_be_opened() {
    let plant = Plant::new().without_pki();
    let config = plant.config().unwrap();
    let opened = Reloader::open(config.tls, config.limits.windows(), plant.clock.clone(), None);
    assert!(opened.is_err());
}

#[test]
fn a_folder_that_is_not_as_it_should_be_is_refused_with_the_file() {
    let told = |spoil: &dyn Fn(&Path)| {
        let house = House::new();
        spoil(&settings(&house.plant).dir);
        house.reopen().unwrap_err().to_string()
    };
    let mode = told(&|dir| {
        let key = dir.join("authority-1.key");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o640)).unwrap();
    });
    assert!(mode.contains("authority-1.key: [ca] dir: others may read this secret (mode 640)"), "{mode}");
    let missing = told(&|dir| std::fs::remove_file(dir.join("authority-1.key")).unwrap());
    assert!(missing.contains("authority-1.key: [ca] dir: "), "{missing}");
    let other = told(&|dir| {
        let key = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(dir.join("authority-1.key"), key).unwrap();
    });
    assert!(other.contains("does not belong to"), "{other}");
}

#[test]
fn a_crash_between_key_and_certificate_is_harmless() {
    let house = House::new();
    std::fs::write(settings(&house.plant).dir.join("authority-2.key"), "half").unwrap();
    assert_eq!(house.reopen().unwrap().status().len(), 1);
    assert_eq!(house.ca.rotate().unwrap().number, 3);
}

#[test]
fn the_corpus_of_requests_gives_the_keys_that_stand_in_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/request");
    let inputs = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let key = |der: &[u8]| Some(RequestedKey::read(der).ok()?.subject_public_key_info());
    let mut taken: Vec<String> = inputs
        .filter(|input| requests::request(&std::fs::read(input.path()).unwrap(), key))
        .map(|input| input.file_name().into_string().unwrap())
        .collect();
    taken.sort();
    assert_eq!(taken, ["ed25519", "p256", "p384", "rsa-3072", "with-attributes"]);
}
