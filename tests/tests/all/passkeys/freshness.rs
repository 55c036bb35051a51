//! Who may add a passkey, by a clock that the test turns.

use super::site::with_page;
use std::time::Duration;
use tests::{
    house::{House, Known, Member},
    visitor::{Visit, Visitor},
    workshop::Workshop,
};
use wire::{Refusal, ToClient, ToGateway};

/// How long a factor counts as just given.
const FRESH: Duration = Duration::from_secs(5 * 60);

const MOMENT: Duration = Duration::from_secs(1);

async fn signed_in(house: &House, visitor: &Visitor, member: &Member) -> Visit {
    let mut visit = visitor.knock(house.address(), &member.papers).await.unwrap();
    visit.greet().await.unwrap();
    visit.say(&ToGateway::Totp { code: house.code(&member.person).unwrap() }).await;
    let heard = visit.hear().await.unwrap();
    assert!(matches!(heard, ToClient::SignedIn { .. }), "{heard:?}");
    visit
}

async fn begins(visit: &mut Visit) -> ToClient {
    visit.say(&ToGateway::BeginDirectRegistration { name: "key".to_owned() }).await;
    visit.hear().await.unwrap()
}

/// Whether the factor was said to be too old.
fn stale(heard: &ToClient) -> bool {
    let ToClient::PasskeyNotAdded { code: Refusal::Factor, text } = heard else { return false };
    text == "the second factor was given too long ago: sign in anew"
}

#[test]
fn a_factor_that_was_given_five_minutes_ago_adds_no_passkey() {
    let workshop = Workshop::new(([127, 0, 0, 1], 502).into());
    with_page(&workshop);
    let house = House::open(&workshop).unwrap();
    let member = house.enrol(&workshop, "tech-1@vendor-a", Known::Yes).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let visitor = Visitor::new(&workshop.path("pki/ca.pem")).unwrap();
        let mut visit = signed_in(&house, &visitor, &member).await;
        // An answer that is none, so that only the time is what refuses it.
        let answer = ToGateway::Registration { json: "{}".to_owned() };
        house.advance(FRESH - MOMENT);
        let heard = begins(&mut visit).await;
        assert!(matches!(heard, ToClient::PasskeyOptions { .. }), "{heard:?}");
        visit.say(&answer).await;
        let judged = visit.hear().await.unwrap();
        assert!(matches!(judged, ToClient::PasskeyNotAdded { .. }) && !stale(&judged), "{judged:?}");
        // Begun in time, and answered too late.
        let heard = begins(&mut visit).await;
        assert!(matches!(heard, ToClient::PasskeyOptions { .. }), "{heard:?}");
        house.advance(MOMENT);
        visit.say(&answer).await;
        let late = visit.hear().await.unwrap();
        assert!(stale(&late), "{late:?}");
        let late = begins(&mut visit).await;
        assert!(stale(&late), "{late:?}");
        visit.leave();
        // A new sign-in is a new factor.
        let mut visit = signed_in(&house, &visitor, &member).await;
        let heard = begins(&mut visit).await;
        assert!(matches!(heard, ToClient::PasskeyOptions { .. }), "{heard:?}");
    });
}
