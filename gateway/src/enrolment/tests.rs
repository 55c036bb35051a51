//! Invitations in the state, and the endpoint in virtual time.

mod passkeys;

use super::Standing as Endpoint;
use crate::factor::Seed;
use crate::fixture::{Plant, noon};
use crate::names::Handle;
use crate::run::Running;
use crate::state::{
    AuthorityId, CertificateRow, Change, ConfirmedFactor, Enrolment, Import, Invitation, KeyHash, Renewal,
    Serial, SqliteState, Standing, State, StateError, StateFiles,
};
use jiff::{SignedDuration, Timestamp};
use std::net::UdpSocket;
use std::sync::Barrier;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wire::enrolment::Secret;

fn person() -> Handle {
    Handle::parse("tech-1@vendor-a").unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn invitation(number: u8, made: Timestamp) -> Invitation {
    let stored = Secret::from_bytes([number; 32]).stored();
    Invitation { handle: person(), stored, made, expires: made + hours(24), by: "uid 0".to_owned() }
}

fn certificate(key: u8) -> CertificateRow {
    CertificateRow {
        serial: Serial([key; 16]),
        authority: AuthorityId([9; 32]),
        key: KeyHash([key; 32]),
        issued: noon(),
        expires: noon() + hours(24 * 30),
    }
}

fn enrolment(invitation: &Invitation, key: u8) -> Enrolment {
    let factor = ConfirmedFactor::NewTotp { seed: Seed::generate(), step: 7 };
    Enrolment { invitation: invitation.stored.invitation(), factor, certificate: certificate(key) }
}

/// The factor that the person has now.
fn known_factor(state: &SqliteState) -> ConfirmedFactor {
    let factors = state.person(&person()).unwrap().unwrap().person.factors;
    ConfirmedFactor::KnownTotp { factors, relying_party: None }
}

fn state() -> (tempfile::TempDir, SqliteState) {
    let folder = tempfile::tempdir().unwrap();
    let state = SqliteState::open(&StateFiles::within(folder.path())).unwrap();
    (folder, state)
}

#[test]
fn an_invitation_is_used_up_by_one_enrolment() {
    let (folder, state) = state();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    assert_eq!(state.enrol(&enrolment(&open, 1), noon()).unwrap(), person());
    let again = state.enrol(&enrolment(&open, 2), noon());
    assert!(matches!(again, Err(StateError::InvitationOver)), "{again:?}");
    drop(state);
    let state = SqliteState::open(&StateFiles::within(folder.path())).unwrap();
    assert!(matches!(state.enrol(&enrolment(&open, 3), noon()), Err(StateError::InvitationOver)));
    let record = state.person(&person()).unwrap().unwrap();
    assert_eq!(record.keys, [KeyHash([1; 32])], "and nothing of the refused ones is there");
    assert!(state.invitation(open.stored.invitation(), noon()).unwrap().is_none());
}

#[test]
fn the_code_that_confirmed_a_factor_signs_nobody_in() {
    let (_folder, state) = state();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    state.enrol(&enrolment(&open, 1), noon()).unwrap();
    let id = state.person_by_key(&KeyHash([1; 32])).unwrap().unwrap().id;
    assert_eq!(state.accept_step(id, 7, noon()).unwrap(), crate::state::StepUse::AlreadyUsed);
    assert_eq!(state.accept_step(id, 8, noon()).unwrap(), crate::state::StepUse::Accepted);
}

#[test]
fn what_has_run_out_stays_so_whatever_the_clock_says_later() {
    let (_folder, state) = state();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    let id = open.stored.invitation();
    assert!(state.invitation(id, open.expires - hours(1)).unwrap().is_some());
    assert!(state.invitation(id, open.expires).unwrap().is_none());
    assert!(state.invitation(id, noon()).unwrap().is_none(), "the clock was set back");
    assert!(state.open_invitations(noon()).unwrap().is_empty());
}

#[test]
fn a_new_invitation_ends_the_older_one_and_one_can_be_withdrawn() {
    let (_folder, state) = state();
    let (first, second) = (invitation(1, noon()), invitation(2, noon()));
    state.invite(&first).unwrap();
    state.invite(&second).unwrap();
    assert_eq!(state.open_invitations(noon()).unwrap().len(), 1);
    assert!(matches!(state.enrol(&enrolment(&first, 1), noon()), Err(StateError::InvitationOver)));
    assert_eq!(state.withdraw_invitation(&person(), noon()).unwrap(), Change::Made);
    assert_eq!(state.withdraw_invitation(&person(), noon()).unwrap(), Change::None);
    assert!(matches!(state.enrol(&enrolment(&second, 1), noon()), Err(StateError::InvitationOver)));
}

#[test]
fn a_key_of_somebody_else_leaves_everything_as_it_was() {
    let (_folder, state) = state();
    let handle = Handle::parse("tech-2@vendor-b").unwrap();
    state.import_person(&Import { handle, key: KeyHash([5; 32]), seed: Seed::generate() }, noon()).unwrap();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    let taken = state.enrol(&enrolment(&open, 5), noon());
    assert!(matches!(taken, Err(StateError::KeyTaken { .. })), "{taken:?}");
    assert!(state.person(&person()).unwrap().is_none(), "nobody was made");
    state.enrol(&enrolment(&open, 6), noon()).unwrap();
}

#[test]
fn a_person_with_a_factor_gets_a_key_and_no_other_factor() {
    let (_folder, state) = state();
    let import = Import { handle: person(), key: KeyHash([5; 32]), seed: Seed::generate() };
    state.import_person(&import, noon()).unwrap();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    assert!(matches!(state.enrol(&enrolment(&open, 6), noon()), Err(StateError::InvitationOver)));
    let known = Enrolment { factor: known_factor(&state), ..enrolment(&open, 6) };
    state.set_standing(&person(), Standing::Disabled).unwrap();
    assert!(matches!(state.enrol(&known, noon()), Err(StateError::Disabled(_))));
    assert!(matches!(state.invite(&invitation(2, noon())), Err(StateError::Disabled(_))));
    state.set_standing(&person(), Standing::Enabled).unwrap();
    state.enrol(&known, noon()).unwrap();
    assert_eq!(state.person(&person()).unwrap().unwrap().keys.len(), 2);
}

#[test]
fn a_factor_that_was_reset_meanwhile_was_not_shown() {
    let (_folder, state) = state();
    let import = Import { handle: person(), key: KeyHash([5; 32]), seed: Seed::generate() };
    state.import_person(&import, noon()).unwrap();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    let shown = Enrolment { factor: known_factor(&state), ..enrolment(&open, 6) };
    state.remove_factors(&person()).unwrap();
    state.give_seed(&person(), &Seed::generate(), noon()).unwrap();
    assert!(matches!(state.enrol(&shown, noon()), Err(StateError::InvitationOver)));
}

#[test]
fn of_twenty_enrolments_at_once_exactly_one_is_stored() {
    let (folder, state) = state();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    // A person who has a factor: the factor alone would keep the others out else.
    let import = Import { handle: person(), key: KeyHash([99; 32]), seed: Seed::generate() };
    state.import_person(&import, noon()).unwrap();
    // Five connections to one file: SQLite's locks count, not only ours.
    let states: Vec<_> =
        (0..5).map(|_| SqliteState::open(&StateFiles::within(folder.path())).unwrap()).collect();
    let gate = Barrier::new(20);
    let won = std::thread::scope(|scope| {
        let (open, gate) = (&open, &gate);
        let one = |number: u8, state: &'_ SqliteState| {
            gate.wait();
            let known = Enrolment { factor: known_factor(state), ..enrolment(open, number + 1) };
            state.enrol(&known, noon()).is_ok()
        };
        let all: Vec<_> = (0..20_u8)
            .map(|number| {
                let state = &states[usize::from(number) % 5];
                scope.spawn(move || one(number, state))
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    assert_eq!(state.certificates(noon()).unwrap().len(), 1);
}

#[test]
fn only_a_good_certificate_of_ours_is_renewed_and_not_without_end() {
    let (_folder, state) = state();
    let open = invitation(1, noon());
    state.invite(&open).unwrap();
    state.enrol(&enrolment(&open, 1), noon()).unwrap();
    let renewal = |shown: (u8, u8), new: u8| Renewal {
        person: person(),
        serial: Serial([shown.0; 16]),
        key: KeyHash([shown.1; 32]),
        certificate: certificate(new),
    };
    let refused = |renewal: &Renewal, now| state.renew(renewal, now).unwrap_err().to_string();
    let foreign = StateError::ForeignCertificate.to_string();
    assert_eq!(refused(&renewal((2, 1), 9), noon()), foreign, "another serial");
    assert_eq!(refused(&renewal((1, 2), 9), noon()), foreign, "another key");
    assert_eq!(refused(&renewal((1, 1), 9), noon() + hours(24 * 31)), foreign, "run out");
    for new in 10..25 {
        state.renew(&renewal((1, 1), new), noon()).unwrap();
    }
    assert_eq!(refused(&renewal((1, 1), 25), noon()), StateError::TooManyCertificates.to_string());
    state.revoke_certificate(Serial([1; 16]), noon()).unwrap();
    assert_eq!(refused(&renewal((1, 1), 25), noon()), foreign, "revoked");
    state.set_standing(&person(), Standing::Disabled).unwrap();
    assert!(refused(&renewal((10, 10), 25), noon()).contains("disabled"));
}

/// A plant where people can enrol.
fn plant() -> Plant {
    let plant = Plant::new();
    std::fs::create_dir(plant.path("issuing")).unwrap();
    plant.configure(
        "[limits]",
        "[ca]\ndir = \"issuing\"\n[enrolment]\nlisten = \"127.0.0.1:0\"\nserver_name = \"localhost\"\n[limits]",
    );
    plant
}

#[test]
fn the_endpoint_is_bound_while_an_invitation_is_open_and_not_a_moment_longer() {
    let plant = plant();
    let config = plant.config().unwrap();
    let running = Running::start(config, plant.clock.clone(), |_, _, stop: CancellationToken| async move {
        stop.cancelled().await;
    })
    .unwrap();
    let office = running.office();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let look = || runtime.block_on(office.reception.look()).unwrap();
    assert_eq!(look(), Endpoint::Closed);
    office.state.invite(&invitation(1, noon())).unwrap();
    let Endpoint::Open(address) = look() else { panic!("not bound") };
    assert!(UdpSocket::bind(address).is_err(), "it is in use");
    plant.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(look(), Endpoint::Closed, "the invitation has run out");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while UdpSocket::bind(address).is_err() {
        assert!(std::time::Instant::now() < deadline, "{address} stays bound");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.stop().drain.cancel();
    running.join().unwrap();
}

#[test]
fn what_can_not_work_is_refused_before_anything_runs() {
    let told = |from: &str, to: &str| {
        let plant = plant();
        plant.configure(from, to);
        let problems = plant.config().unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let name = told("server_name = \"localhost\"", "server_name = \"elsewhere.example\"");
    assert!(name.contains("[enrolment] server_name: technicians would not know"), "{name}");
    let any = told("listen = \"127.0.0.1:0\"\nserver", "listen = \"0.0.0.0:4434\"\nserver");
    assert!(any.contains("[enrolment] address: is needed"), "{any}");
    let without = told("[ca]\ndir = \"issuing\"\n", "");
    assert!(without.contains("there is no [ca]"), "{without}");
    let long = told("dir = \"issuing\"", "dir = \"issuing\"\ncertificate_lifetime = \"10 years\"");
    assert!(long.contains("[ca] certificate_lifetime"), "{long}");
    let nowhere = told("dir = \"issuing\"", "dir = \"nowhere\"");
    assert!(nowhere.contains("nowhere: [ca] dir: "), "{nowhere}");
}
