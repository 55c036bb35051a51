//! What hangs on the gateway's clock, through its real door: steps that suspend
//! sign-ins, and factors that are due again.

use jiff::SignedDuration;
use std::time::Duration;
use tests::{
    house::{House, Known, Member},
    visitor::{Ended, Visit, Visitor},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};
use wire::{CloseCode, Code, Refusal, ToClient, ToGateway};

fn open() -> (Workshop, House, Visitor, Member) {
    let workshop = Workshop::new(([127, 0, 0, 1], 502).into());
    let house = House::open(&workshop).unwrap();
    let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
    let member = house.enrol(&workshop, TECHNICIAN, Known::Yes).unwrap();
    (workshop, house, visitor, member)
}

async fn knock(house: &House, visitor: &Visitor, member: &Member) -> (Visit, Result<ToClient, Ended>) {
    let mut visit = visitor.knock(house.address(), &member.papers).await.unwrap();
    let greeting = visit.greet().await;
    (visit, greeting)
}

async fn gives(visit: &mut Visit, code: Code) -> Result<ToClient, Ended> {
    visit.say(&ToGateway::Totp { code }).await;
    visit.hear().await
}

async fn signed_in(house: &House, visitor: &Visitor, member: &Member) -> Visit {
    let (mut visit, greeting) = knock(house, visitor, member).await;
    assert!(matches!(greeting, Ok(ToClient::Welcome { .. })), "{greeting:?}");
    let answer = gives(&mut visit, house.code(&member.person).unwrap()).await;
    assert!(matches!(answer, Ok(ToClient::SignedIn { .. })), "{answer:?}");
    visit
}

fn is_suspended(greeting: &Result<ToClient, Ended>) -> bool {
    matches!(greeting, Ok(ToClient::Refused { code: Refusal::Clock, retry_after_s: None, .. }))
}

#[tokio::test]
async fn a_stepped_clock_lets_nobody_new_in_until_an_administrator_accepts_it() {
    let (workshop, house, visitor, member) = open();
    let mut working = signed_in(&house, &visitor, &member).await;
    house.advance(Duration::from_secs(60));
    house.step_to(house.now() + SignedDuration::from_mins(4));
    let (_, greeting) = knock(&house, &visitor, &member).await;
    assert!(matches!(greeting, Ok(ToClient::Welcome { .. })), "a small step: {greeting:?}");
    house.step_to(house.now() + SignedDuration::from_mins(6));
    let (_, greeting) = knock(&house, &visitor, &member).await;
    assert!(is_suspended(&greeting), "{greeting:?}");
    // Back again is no way to hide it.
    house.step_to(house.now() - SignedDuration::from_mins(10));
    let (_, greeting) = knock(&house, &visitor, &member).await;
    assert!(is_suspended(&greeting), "{greeting:?}");
    working.say(&ToGateway::Ping).await;
    assert_eq!(working.hear().await, Ok(ToClient::Pong), "who is in goes on");
    let accepted: serde_json::Value = house.admin().post("/v1/clock/accept", &()).await.unwrap();
    assert_eq!(accepted["standing"], "steady");
    house.advance(Duration::from_secs(60));
    signed_in(&house, &visitor, &member).await;
    // The highest time is remembered: a clock that stands before it at the
    // next start is a step.
    house.advance(Duration::from_secs(3600));
    let (_, greeting) = knock(&house, &visitor, &member).await;
    assert!(matches!(greeting, Ok(ToClient::Welcome { .. })), "{greeting:?}");
    drop(house);
    let house = House::open(&workshop).unwrap();
    let (_, greeting) = knock(&house, &visitor, &member).await;
    assert!(is_suspended(&greeting), "{greeting:?}");
}

#[tokio::test]
async fn only_a_fresh_code_of_that_person_answers_when_the_factor_is_asked_for_again() {
    let (workshop, house, visitor, member) = open();
    let other = house.enrol(&workshop, "tech-2@vendor-b", Known::Yes).unwrap();
    let used = house.code(&member.person).unwrap();
    let mut visit = signed_in(&house, &visitor, &member).await;
    // Nobody asked: it is not judged, so not used up or counted either.
    house.advance(Duration::from_secs(60));
    visit.say(&ToGateway::Totp { code: house.code(&member.person).unwrap() }).await;
    visit.say(&ToGateway::Ping).await;
    assert_eq!(visit.hear().await, Ok(ToClient::Pong));
    house.advance(Duration::from_secs(15 * 60));
    let asked = visit.hear().await;
    assert!(matches!(asked, Ok(ToClient::FactorAgain { within_s: 120, .. })), "{asked:?}");
    let wish = ToGateway::Open { request: 1, target: PRESS_LINE.to_owned(), reason: None, ticket: None };
    visit.say(&wish).await;
    let refused = visit.hear().await;
    assert!(matches!(refused, Ok(ToClient::NotOpened { code: Refusal::FactorAgain, .. })), "{refused:?}");
    for wrong in [used, house.code(&other.person).unwrap()] {
        let answer = gives(&mut visit, wrong).await;
        let again =
            matches!(answer, Ok(ToClient::Refused { code: Refusal::Factor, retry_after_s: Some(0), .. }));
        assert!(again, "{answer:?}");
    }
    let answer = gives(&mut visit, house.code(&member.person).unwrap()).await;
    assert!(matches!(answer, Ok(ToClient::SignedIn { .. })), "{answer:?}");
    // What was judged for the one is still good for the other, once.
    signed_in(&house, &visitor, &other).await;
    house.advance(Duration::from_secs(8 * 3600));
    let asked = visit.hear().await;
    assert!(matches!(asked, Ok(ToClient::FactorAgain { .. })), "{asked:?}");
    let wrong = Code::parse("000000").unwrap();
    for _ in 0..2 {
        assert!(matches!(gives(&mut visit, wrong.clone()).await, Ok(ToClient::Refused { .. })));
    }
    let ended = gives(&mut visit, wrong).await;
    let withdrawn = u64::from(CloseCode::Withdrawn.number());
    assert!(matches!(ended, Err(Ended::Closed { code, .. }) if code == withdrawn), "{ended:?}");
}
