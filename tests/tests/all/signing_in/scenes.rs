//! Which scenes are played.

use super::model::{Caller, Challenge, Recipe, SEATS, Sent, Signer, Step, Typed, UserCheck, Way, Who};
use proptest::prelude::*;

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![4 => Just(Who::First), 3 => Just(Who::Second), 1 => Just(Who::Stranger)]
}

fn known() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::First), Just(Who::Second)]
}

fn seat() -> impl Strategy<Value = usize> {
    0..SEATS
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Page), Just(Way::Direct)]
}

fn typed() -> impl Strategy<Value = Typed> {
    prop_oneof![
        8 => Just(Typed::Own(0)),
        2 => (-1..=1_i64).prop_map(Typed::Own),
        2 => who().prop_map(|who| Typed::Of(who, 0)),
        1 => (who(), -12..=12_i64).prop_map(|(who, ahead)| Typed::Of(who, ahead)),
        1 => prop_oneof![Just("000000"), Just("7"), Just("1234567890123456")].prop_map(Typed::Digits),
    ]
}

/// Answers that are proper but for one thing, mostly.
fn recipe() -> impl Strategy<Value = Recipe> {
    let proper = Recipe::PROPER;
    let challenge = prop_oneof![
        2 => Just(Challenge::Earlier),
        3 => seat().prop_map(Challenge::Of),
        1 => Just(Challenge::Invented),
    ];
    let signer = prop_oneof![2 => Just(Signer::Copy), 3 => who().prop_map(Signer::Of)];
    let caller = || {
        prop_oneof![
            1 => Just(Caller::OtherWay),
            1 => Just(Caller::OtherOrigin),
            2 => seat().prop_map(Caller::ConnectionOf),
        ]
    };
    prop_oneof![
        8 => Just(proper),
        3 => challenge.prop_map(move |challenge| Recipe { challenge, ..proper }),
        3 => signer.prop_map(move |signer| Recipe { signer, ..proper }),
        2 => caller().prop_map(move |caller| Recipe { caller, ..proper }),
        1 => Just(Recipe { user: UserCheck::LeftOut, ..proper }),
        1 => (seat(), who(), caller()).prop_map(|(seat, who, caller)| Recipe {
            challenge: Challenge::Of(seat),
            signer: Signer::Of(who),
            caller,
            user: UserCheck::Done,
        }),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let junk = prop_oneof![Just(""), Just("{}"), Just("[[[["), Just("{\"id\":\"AA\",\"rawId\":\"AA\"}")];
    prop_oneof![
        12 => recipe().prop_map(Sent::New),
        2 => (0..4_usize).prop_map(Sent::Again),
        1 => junk.prop_map(Sent::Junk),
    ]
}

/// One step, or some that are likely to follow each other.
fn phrase() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        2 => (seat(), who()).prop_map(|(seat, who)| Step::Knock(seat, who)),
        2 => seat().prop_map(Step::Hello),
        8 => (seat(), typed()).prop_map(|(seat, typed)| Step::Code(seat, typed)),
        4 => (seat(), way()).prop_map(|(seat, way)| Step::Begin(seat, way)),
        4 => (seat(), sent()).prop_map(|(seat, sent)| Step::Passkey(seat, sent)),
        1 => seat().prop_map(Step::OldHello),
        1 => seat().prop_map(Step::Ping),
        1 => seat().prop_map(Step::Targets),
        1 => seat().prop_map(Step::Open),
        1 => seat().prop_map(Step::Garbage),
        1 => seat().prop_map(Step::Leave),
        1 => known().prop_map(Step::Disable),
        2 => known().prop_map(Step::Enable),
        1 => known().prop_map(Step::Reset),
        2 => known().prop_map(Step::GiveNew),
        5 => Just(Step::Wait),
        1 => Just(Step::WaitLong),
    ];
    let entering = (seat(), who()).prop_map(|(seat, who)| vec![Step::Knock(seat, who), Step::Hello(seat)]);
    let answering = (seat(), way(), sent())
        .prop_map(|(seat, way, sent)| vec![Step::Begin(seat, way), Step::Passkey(seat, sent)]);
    prop_oneof![
        12 => one.prop_map(|step| vec![step]).boxed(),
        3 => entering.boxed(),
        3 => answering.boxed(),
        3 => seat().prop_flat_map(|at| interrupted(at).boxed()).boxed(),
    ]
}

/// A ceremony at a seat, something that comes between, and then an answer that
/// was a good one.
fn interrupted(at: usize) -> impl Strategy<Value = Vec<Step>> {
    let between = prop_oneof![
        4 => sent().prop_map(move |sent| vec![Step::Passkey(at, sent)]),
        2 => way().prop_map(move |way| vec![Step::Begin(at, way)]),
        1 => (seat(), way(), sent())
            .prop_map(|(seat, way, sent)| vec![Step::Begin(seat, way), Step::Passkey(seat, sent)]),
        1 => typed().prop_map(move |typed| vec![Step::Code(at, typed)]),
        1 => Just(vec![Step::WaitLong]),
        1 => known().prop_map(|who| vec![Step::Reset(who), Step::GiveNew(who)]),
        1 => known().prop_map(|who| vec![Step::Disable(who)]),
    ];
    let then = [Step::Passkey(at, Sent::New(Recipe::PROPER)), Step::Targets(at)];
    (way(), between).prop_map(move |(way, between)| [&[Step::Begin(at, way)], &*between, &then].concat())
}

/// Scenes in which all seats are taken, and then anything happens.
pub(super) fn scenes() -> impl Strategy<Value = Vec<Step>> {
    let seated = prop::collection::vec(who(), SEATS).prop_map(|people| {
        let knocks = people.into_iter().enumerate().map(|(seat, who)| Step::Knock(seat, who));
        knocks.chain((0..SEATS).map(Step::Hello)).collect::<Vec<_>>()
    });
    let rest = prop::collection::vec(phrase(), 8..28).prop_map(|phrases| phrases.concat());
    (seated, rest).prop_map(|(seated, rest)| [seated, rest].concat())
}
