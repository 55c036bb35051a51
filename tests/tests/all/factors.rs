//! One code, one person, one connection, once; and refusals that tell nothing.

use certs_dev::authority::{Authority, Dates, Holder};
use gateway::names::Handle;
use rcgen::{KeyPair, PublicKeyData};
use std::time::{Duration, Instant};
use tests::{
    house::{House, Known},
    visitor::{Ended, Papers, Visit, Visitor},
    workshop::Workshop,
};
use tokio::task::JoinSet;
use wire::{Code, Refusal, ToClient, ToGateway};

/// Connections that show the same code at once.
const RIVALS: usize = 50;

/// The name that stands in every certificate, so that it tells nobody apart.
const NAME: &str = "tech-1@vendor-a";

fn open() -> (Workshop, House, Visitor) {
    let workshop = Workshop::new(([127, 0, 0, 1], 502).into());
    let limits = "[limits]\nconnections_per_address = 1000\nsign_in_deadline = \"10 min\"\n\n[admin]";
    workshop.edit("gateway.toml", "[admin]", limits).unwrap();
    let house = House::open(&workshop).unwrap();
    let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
    (workshop, house, visitor)
}

async fn greeted(house: &House, visitor: &Visitor, papers: &Papers) -> Visit {
    let mut visit = visitor.knock(house.address(), papers).await.unwrap();
    assert!(matches!(visit.greet().await, Ok(ToClient::Welcome { .. })));
    visit
}

async fn gives(visit: &mut Visit, code: Code) -> Result<ToClient, Ended> {
    visit.say(&ToGateway::Totp { code }).await;
    visit.hear().await
}

fn is_in(answer: &Result<ToClient, Ended>) -> bool {
    matches!(answer, Ok(ToClient::SignedIn { .. }))
}

fn is_refused(answer: &Result<ToClient, Ended>) -> bool {
    matches!(answer, Ok(ToClient::Refused { code: Refusal::Factor, .. }))
}

#[tokio::test]
async fn of_fifty_connections_that_show_one_code_at_once_one_gets_in() {
    let (workshop, house, visitor) = open();
    let member = house.enrol(&workshop, NAME, Known::Yes).unwrap();
    for round in 1..=3 {
        let mut rivals = JoinSet::new();
        let code = house.code(&member.person).unwrap();
        // All are greeted before the first one gives the code.
        let start = std::sync::Arc::new(tokio::sync::Barrier::new(RIVALS));
        for _ in 0..RIVALS {
            let mut visit = greeted(&house, &visitor, &member.papers).await;
            let (code, start) = (code.clone(), std::sync::Arc::clone(&start));
            rivals.spawn(async move {
                start.wait().await;
                let answer = gives(&mut visit, code).await;
                (visit, answer)
            });
        }
        let rivals = rivals.join_all().await;
        let (got_in, refused): (Vec<_>, Vec<_>) = rivals.iter().partition(|(_, answer)| is_in(answer));
        assert_eq!(got_in.len(), 1, "round {round}");
        assert!(refused.iter().all(|(_, answer)| is_refused(answer)), "round {round}");
        let registered = house.office().registry.sign_ins();
        assert_eq!(registered.len(), 1, "round {round}");
        for (visit, _) in rivals {
            visit.leave();
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while !house.office().registry.sign_ins().is_empty() {
            assert!(Instant::now() < deadline, "round {round}: somebody who left is still there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Those who came too late have locked the person for a while.
        house.office().state.unlock_person(&Handle::parse(NAME).unwrap()).unwrap();
        house.advance(Duration::from_secs(31));
    }
}

#[tokio::test]
async fn a_code_that_is_relayed_to_another_persons_connection_is_refused_and_not_used_up() {
    let (workshop, house, visitor) = open();
    let victim = house.enrol(&workshop, NAME, Known::Yes).unwrap();
    let thief = house.enrol(&workshop, "tech-2@vendor-b", Known::Yes).unwrap();
    let stranger = house.enrol(&workshop, "nobody", Known::No).unwrap();
    let phished = house.code(&victim.person).unwrap();
    for who in [&thief, &stranger] {
        let mut visit = greeted(&house, &visitor, &who.papers).await;
        assert!(is_refused(&gives(&mut visit, phished.clone()).await), "{}", who.person.handle);
    }
    // It is still good where it belongs, once.
    let mut own = greeted(&house, &visitor, &victim.papers).await;
    assert!(is_in(&gives(&mut own, phished.clone()).await));
    let mut again = greeted(&house, &visitor, &victim.papers).await;
    assert!(is_refused(&gives(&mut again, phished).await));
    // The thief's own factor is none for the victim's certificate.
    let mut mixed = greeted(&house, &visitor, &victim.papers).await;
    assert!(is_refused(&gives(&mut mixed, house.code(&thief.person).unwrap()).await));
}

/// Whom the gateway refuses, and why.
#[derive(Debug, Clone, Copy)]
enum Reason {
    UnknownKey,
    WrongCode,
    UsedCode,
    CodeOfAnotherTime,
    Locked,
    DisabledWithTheRightCode,
    NoFactor,
}

const REASONS: [Reason; 7] = [
    Reason::UnknownKey,
    Reason::WrongCode,
    Reason::UsedCode,
    Reason::CodeOfAnotherTime,
    Reason::Locked,
    Reason::DisabledWithTheRightCode,
    Reason::NoFactor,
];

/// Somebody with [`NAME`] in the certificate.
fn alike(workshop: &Workshop) -> (Papers, Vec<u8>) {
    let authority = Authority::in_folder(&workshop.path("pki")).unwrap();
    let issued = authority.issue(&Holder::parse(NAME).unwrap(), Dates::days(30)).unwrap();
    let key = KeyPair::from_pem(&issued.key_pem).unwrap().subject_public_key_info();
    (Papers::from_pem(&issued.certificate_pem, &issued.key_pem).unwrap(), key)
}

/// Brings somebody about whom the gateway refuses for that reason, with the
/// code that they will give.
async fn refused_for(
    reason: Reason,
    workshop: &Workshop,
    house: &House,
    visitor: &Visitor,
) -> (Papers, Code) {
    let handle = format!("alike-{}", format!("{reason:?}").to_lowercase());
    let (papers, key) = alike(workshop);
    let wrong = Code::parse("000000").unwrap();
    if let Reason::UnknownKey = reason {
        return (papers, wrong);
    }
    let person = house.import(&handle, &key).unwrap();
    let (known, right) = (Handle::parse(&handle).unwrap(), house.code(&person).unwrap());
    let state = &house.office().state;
    let code = match reason {
        Reason::UnknownKey | Reason::WrongCode => wrong,
        Reason::UsedCode => {
            let mut visit = greeted(house, visitor, &papers).await;
            assert!(is_in(&gives(&mut visit, right.clone()).await));
            right
        }
        Reason::CodeOfAnotherTime => {
            house.code_at(&person, house.now() + jiff::SignedDuration::from_secs(150)).unwrap()
        }
        Reason::Locked => {
            for _ in 0..2 {
                let mut visit = greeted(house, visitor, &papers).await;
                for _ in 0..3 {
                    assert!(is_refused(&gives(&mut visit, wrong.clone()).await));
                }
            }
            right
        }
        Reason::DisabledWithTheRightCode => {
            state.set_standing(&known, gateway::state::Standing::Disabled).unwrap();
            right
        }
        Reason::NoFactor => {
            state.remove_factors(&known).unwrap();
            right
        }
    };
    (papers, code)
}

#[tokio::test]
async fn whoever_is_refused_at_the_second_factor_sees_the_same_bytes_and_the_same_close() {
    let (workshop, house, visitor) = open();
    let mut seen = Vec::new();
    for reason in REASONS {
        let (papers, code) = refused_for(reason, &workshop, &house, &visitor).await;
        let mut visit = greeted(&house, &visitor, &papers).await;
        for _ in 0..3 {
            assert!(is_refused(&gives(&mut visit, code.clone()).await), "{reason:?}");
        }
        let end = visit.hear().await.unwrap_err();
        assert!(matches!(end, Ended::Closed { .. }), "{reason:?}: {end:?}");
        seen.push((reason, visit.heard().to_vec(), end));
    }
    let (_, bytes, end) = &seen[0];
    for (reason, others_bytes, others_end) in &seen {
        assert_eq!((others_bytes, others_end), (bytes, end), "{reason:?} differs from {:?}", REASONS[0]);
    }
    // The audit tells them apart all the same, a moment later.
    let reasons = [
        "unknown certificate",
        "the code is wrong",
        "the code was used before",
        "the code belongs to another time",
        "locked after too many failures",
        "the person is disabled",
        "no second factor is stored",
    ];
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let events = std::fs::read_to_string(workshop.path("log/audit.jsonl")).unwrap();
        let missing: Vec<_> = reasons.iter().filter(|words| !events.contains(**words)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "no event says {missing:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
