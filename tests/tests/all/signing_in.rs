//! The sign-in against a model: two people and a stranger, four connections,
//! any message in any order, over real QUIC.
//!
//! After every step the gateway's own register is looked at: whoever is in it
//! proved, on that very connection, a certificate and a code or a passkey of the
//! same person, and the sign-in is worth what was shown. The answers are the
//! model's as well, so that the proof is not one of a gateway that lets nobody
//! in.

mod authenticators;
mod model;
mod person;
mod scenes;

use crate::passkeys::{
    browser::Browser,
    site::{NAME, ORIGIN, with_page},
};
use authenticators::{Authenticator, Kept, Which, invented, place};
use model::{
    Answer, Caller, CallerIs, Challenge, Fact, KNOWN, Model, Recipe, Rights, SEATS, Sent, Signed, Signer,
    Step, Typed, Way, Who, Worth,
};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tests::{
    house::{House, Known, Member},
    visitor::{Ended, Visit, Visitor},
    workshop::{PRESS_LINE, Workshop},
};
use wire::{Assurance, Code, Loopback, Refusal, ToClient, ToGateway};

/// Gateways that are tried at the same time; a refused code takes its time, and
/// nearly nothing else does.
const AT_ONCE: usize = 8;
/// Scenes for each.
const SCENES: u32 = 8;
const MANY_SCENES: u32 = 200;
/// A port that a client might listen at.
const LOOPBACK: Loopback = Loopback { port: 40123, nonce: [1; 16] };
/// Until a connection that went is out of the register.
const PATIENCE: Duration = Duration::from_secs(60);

/// One gateway with those whom it ever let in.
struct Stage {
    workshop: Workshop,
    house: House,
    browser: Browser,
    authenticators: [Authenticator; 3],
    scenes: u32,
    /// By the port of the connection.
    proven: BTreeMap<u16, (String, Worth)>,
}

/// One scene's people and connections.
struct Scene<'a> {
    stage: &'a mut Stage,
    model: Model,
    people: [Member; 3],
    seats: [Option<(Visitor, Visit)>; SEATS],
    /// What authenticators were asked, by the number of the ceremony.
    asked: BTreeMap<usize, serde_json::Value>,
    /// The page or the options that were offered last.
    offer: Option<Offer>,
    /// Every answer that was made, the last one last.
    made: Vec<Kept>,
}

/// How the options for an authenticator came.
enum Offer {
    /// On the page at this address.
    Page(String),
    /// Themselves.
    Options(String),
}

/// The gateway's settings: nobody is turned away for coming often, and no scene
/// lasts so long that somebody is asked again.
const LIMITS: &str = "\
[limits]
connections_per_address = 1000
sign_in_deadline = \"10 min\"
factor_again_after_idle = \"20 h\"
factor_again_after = \"20 h\"

[admin]";

impl Stage {
    fn new() -> Self {
        let workshop = Workshop::new(([127, 0, 0, 1], 502).into());
        let page_at = with_page(&workshop);
        workshop.edit("gateway.toml", "[admin]", LIMITS).unwrap();
        let first = |scene| format!("g, person:tech-1-{scene}, role:press-service\n");
        let people: String = (0..=2 * MANY_SCENES).map(first).collect();
        workshop.edit("policies/policy.csv", "g2, ", &format!("{people}g2, ")).unwrap();
        let house = House::open(&workshop).unwrap();
        let browser = Browser::new(&workshop.path("pki/ca.pem"), page_at, NAME);
        let authenticators = std::array::from_fn(|_| Authenticator::new());
        Self { workshop, house, browser, authenticators, scenes: 0, proven: BTreeMap::new() }
    }

    async fn play(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        self.scenes += 1;
        let number = self.scenes;
        let enrol =
            |name: &str, known| self.house.enrol(&self.workshop, &format!("{name}-{number}"), known).unwrap();
        let people = [enrol("tech-1", Known::Yes), enrol("tech-2", Known::Yes), enrol("nobody", Known::No)];
        for who in KNOWN {
            self.register(who, &people[place(who)], 0);
        }
        self.authenticators[place(Who::Stranger)].keep_to_itself(NAME, ORIGIN);
        let seats = [const { None }; SEATS];
        let (asked, offer, made) = (BTreeMap::new(), None, Vec::new());
        let mut scene = Scene { stage: self, model: Model::new(), people, seats, asked, offer, made };
        for (at, step) in steps.iter().enumerate() {
            scene
                .act(*step)
                .await
                .map_err(|why| TestCaseError::fail(format!("step {at}, {step:?}: {why}")))?;
            scene.check().await.map_err(|why| {
                TestCaseError::fail(format!("after step {at}, {step:?}: {why}\n{:#?}", scene.model))
            })?;
        }
        scene.check_events().map_err(TestCaseError::fail)
    }

    fn register(&mut self, who: Who, member: &Member, generation: u32) {
        let (office, now) = (self.house.office(), self.house.now());
        self.authenticators[place(who)].register(office, &member.person.handle, generation, now);
    }
}

impl Scene<'_> {
    fn member(&self, who: Who) -> &Member {
        &self.people[place(who)]
    }

    async fn act(&mut self, step: Step) -> Result<(), String> {
        let now = self.stage.house.now();
        let (fact, answer) = match step {
            Step::Code(seat, typed) => (Fact::Code(self.fits(seat, typed)), None),
            Step::Passkey(seat, sent) => {
                let (json, signed) = self.answer(seat, sent);
                (Fact::Answer(signed), Some(json))
            }
            Step::Knock(..)
            | Step::Hello(_)
            | Step::OldHello(_)
            | Step::Begin(..)
            | Step::Ping(_)
            | Step::Targets(_)
            | Step::Open(_)
            | Step::Garbage(_)
            | Step::Leave(_)
            | Step::Disable(_)
            | Step::Enable(_)
            | Step::Reset(_)
            | Step::GiveNew(_)
            | Step::Wait
            | Step::WaitLong => (Fact::None, None),
        };
        let sat = self.model.sits_at(step);
        if let Step::GiveNew(who) = step
            && self.model.can_have_new(who)
        {
            self.give_new(who);
        }
        let expected = self.model.expect(step, fact, now);
        let answer = self.perform(step, answer, &expected).await?;
        if !expected.contains(&answer) {
            return Err(format!("{expected:?} expected, but {answer:?}"));
        }
        if let Step::Begin(seat, _) = step
            && matches!(answer, Answer::Page | Answer::Options)
        {
            let number = self.model.asked_for(seat, 0).ok_or("no ceremony")?.number;
            let options = self.options().ok_or("nothing was offered")?;
            self.asked.insert(number, options);
        }
        if let Some((seat, who)) = sat {
            self.model.heard(seat, answer);
            if let Answer::SignedIn(worth) = answer {
                let port = self.seats[seat].as_ref().unwrap().0.port().unwrap();
                let handle = self.member(who).person.handle.clone();
                self.stage.proven.insert(port, (handle, worth));
            }
        }
        Ok(())
    }

    /// What the page or the options say that were offered last.
    fn options(&mut self) -> Option<serde_json::Value> {
        let json = match self.offer.take()? {
            Offer::Page(url) => self.stage.browser.visit(&url).attribute("data-options"),
            Offer::Options(json) => json,
        };
        Some(serde_json::from_str(&json).unwrap())
    }

    fn give_new(&mut self, who: Who) {
        let house = &self.stage.house;
        house.give_code(&mut self.people[place(who)].person).unwrap();
        let generation = self.model.passkeys(who);
        self.stage.register(who, &self.people[place(who)], generation);
    }

    /// What is sent as an authenticator's answer, and what of it was signed.
    fn answer(&mut self, seat: usize, sent: Sent) -> (String, Option<Signed>) {
        match sent {
            Sent::Junk(text) => (text.to_owned(), None),
            Sent::Again(back) => match self.made.iter().rev().nth(back) {
                Some(kept) => (kept.json.clone(), Some(kept.signed)),
                None => ("null".to_owned(), None),
            },
            Sent::New(recipe) => {
                let kept = self.make(seat, recipe);
                self.made.push(kept.clone());
                (kept.json, Some(kept.signed))
            }
        }
    }

    fn make(&mut self, seat: usize, recipe: Recipe) -> Kept {
        let ceremony = match recipe.challenge {
            Challenge::Newest => self.model.asked_for(seat, 0),
            Challenge::Earlier => self.model.asked_for(seat, 1),
            Challenge::Of(other) => self.model.asked_for(other, 0),
            Challenge::Invented => None,
        };
        let way = ceremony.map_or(Way::Page, |ceremony| ceremony.way);
        let (caller, caller_is) = self.caller(seat, way, recipe.caller);
        let sitting = self.model.sits(seat).unwrap_or(Who::Stranger);
        let (who, which) = match recipe.signer {
            Signer::Sitting => (sitting, Which::Genuine),
            Signer::Copy => (sitting, Which::Copied),
            Signer::Of(who) => (who, Which::Genuine),
        };
        let options = ceremony.map_or_else(|| invented(NAME), |one| self.asked[&one.number].clone());
        let made = self.stage.authenticators[place(who)].sign(which, &caller, &options, recipe.user);
        let signed = Signed {
            challenge: ceremony.map(|ceremony| ceremony.number),
            credential: (who, made.generation),
            caller: caller_is,
            user: recipe.user,
            counter: made.counter,
        };
        Kept { json: made.json, signed }
    }

    /// Whom an answer names as its caller.
    fn caller(&self, seat: usize, way: Way, caller: Caller) -> (String, CallerIs) {
        let of_connection = |seat: usize| {
            let visit = self.model.visit(seat)?;
            let exporter = self.seats[seat].as_ref()?.1.exporter(wire::passkey::EXPORTER_LABEL).ok()?;
            Some((wire::passkey::caller(ORIGIN, &exporter), CallerIs::Connection(visit)))
        };
        let page = Some((ORIGIN.to_owned(), CallerIs::Page));
        let named = match (caller, way) {
            (Caller::Fitting, Way::Page) | (Caller::OtherWay, Way::Direct) => page,
            (Caller::Fitting, Way::Direct) | (Caller::OtherWay, Way::Page) => of_connection(seat),
            (Caller::ConnectionOf(other), _) => of_connection(other),
            (Caller::OtherOrigin, _) => None,
        };
        named.unwrap_or_else(|| (format!("https://{NAME}:9443"), CallerIs::Nobody))
    }

    async fn perform(
        &mut self,
        step: Step,
        answer: Option<String>,
        expected: &BTreeSet<Answer>,
    ) -> Result<Answer, String> {
        let (seat, message) = match step {
            Step::Knock(seat, who) => {
                let visitor = Visitor::new(&self.stage.workshop.path("pki/ca.pem")).unwrap();
                let papers = &self.member(who).papers;
                let visit = visitor.knock(self.stage.house.address(), papers).await;
                self.seats[seat] = Some((visitor, visit.map_err(|ended| format!("{ended:?}"))?));
                return Ok(Answer::Nothing);
            }
            Step::Leave(seat) => {
                self.seats[seat] = None;
                return Ok(Answer::Nothing);
            }
            Step::Disable(who) => return self.order(who, "disable").await,
            Step::Enable(who) => return self.order(who, "enable").await,
            Step::Reset(who) => return self.order(who, "reset-factor").await,
            Step::GiveNew(_) => return Ok(Answer::Nothing),
            Step::Wait => {
                self.stage.house.advance(Duration::from_secs(31));
                return Ok(Answer::Nothing);
            }
            Step::WaitLong => {
                self.stage.house.advance(Duration::from_secs(120));
                return Ok(Answer::Nothing);
            }
            Step::Garbage(seat) => return self.say(seat, &[0xFF; 8], expected).await,
            Step::Hello(seat) => (seat, hello(wire::VERSION)),
            Step::OldHello(seat) => (seat, hello(wire::VERSION - 1)),
            Step::Code(seat, typed) => (seat, ToGateway::Totp { code: self.code(seat, typed) }),
            Step::Begin(seat, Way::Page) => {
                (seat, ToGateway::BeginPasskey { loopback: LOOPBACK, wanted: vec![PRESS_LINE.to_owned()] })
            }
            Step::Begin(seat, Way::Direct) => (seat, ToGateway::BeginDirectPasskey),
            Step::Passkey(seat, _) => {
                (seat, ToGateway::Assertion { json: answer.ok_or("no answer was made")? })
            }
            Step::Ping(seat) => (seat, ToGateway::Ping),
            Step::Targets(seat) => (seat, ToGateway::Targets),
            Step::Open(seat) => (
                seat,
                ToGateway::Open { request: 1, target: PRESS_LINE.to_owned(), reason: None, ticket: None },
            ),
        };
        self.say(seat, &wire::encode(&message).unwrap(), expected).await
    }

    async fn say(
        &mut self,
        seat: usize,
        bytes: &[u8],
        expected: &BTreeSet<Answer>,
    ) -> Result<Answer, String> {
        let Some((_, visit)) = &mut self.seats[seat] else { return Ok(Answer::Closed) };
        visit.say_bytes(bytes).await;
        if expected.contains(&Answer::Nothing) {
            return Ok(Answer::Nothing);
        }
        loop {
            match visit.hear().await {
                Ok(message) => {
                    if let Some(answer) = meaning(&message)? {
                        if let ToClient::PasskeyPage { url, .. } = &message {
                            self.offer = Some(Offer::Page(url.clone()));
                        } else if let ToClient::PasskeyOptions { json, .. } = &message {
                            self.offer = Some(Offer::Options(json.clone()));
                        }
                        return Ok(answer);
                    }
                }
                Err(Ended::Closed { .. } | Ended::Forgotten) => return Ok(Answer::Closed),
                Err(other @ (Ended::Alert { .. } | Ended::Lost(_))) => return Err(format!("{other:?}")),
            }
        }
    }

    async fn order(&self, who: Who, order: &str) -> Result<Answer, String> {
        let page = format!("/v1/users/{}/{order}", self.member(who).person.handle);
        let body = match order {
            "reset-factor" => serde_json::json!({ "replacement": "none" }),
            _ => serde_json::json!({}),
        };
        let answer = self.stage.house.admin().post::<serde_json::Value>(&page, &body).await;
        answer.map(|_| Answer::Nothing).map_err(|error| error.to_string())
    }

    fn code(&self, seat: usize, typed: Typed) -> Code {
        match typed {
            Typed::Own(ahead) => self.code_of(self.model.sits(seat).unwrap_or(Who::Stranger), ahead),
            Typed::Digits(digits) => Code::parse(digits).unwrap(),
            Typed::Of(who, ahead) => self.code_of(who, ahead),
        }
    }

    fn code_of(&self, who: Who, ahead: i64) -> Code {
        let house = &self.stage.house;
        let at = house.now() + jiff::SignedDuration::from_secs(30 * ahead);
        house.code_at(&self.member(who).person, at).unwrap()
    }

    /// Which step's code the text is for whoever sits there, by chance too.
    fn fits(&self, seat: usize, typed: Typed) -> Option<i64> {
        let (who, code) = (self.model.sits(seat)?, self.code(seat, typed));
        let mut steps: Vec<i64> = (-10..=10).collect();
        steps.sort_by_key(|ahead| ahead.abs() > 1);
        steps.into_iter().find(|ahead| self.code_of(who, *ahead) == code)
    }

    /// Who is in the register proved who they are, and all who did are in it.
    async fn check(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let entries = self.stage.house.office().registry.sign_ins();
            for (_, entry) in &entries {
                let proven = self.stage.proven.get(&entry.source.port());
                if proven.is_none_or(|(who, _)| *who != entry.person.to_string()) {
                    return Err(format!("{} got in by {}", entry.person, entry.source));
                }
            }
            let ports: BTreeSet<u16> = entries.iter().map(|(_, entry)| entry.source.port()).collect();
            let expected: BTreeSet<u16> = (0..SEATS)
                .filter(|seat| self.model.signed_in(*seat).is_some())
                .filter_map(|seat| self.seats[seat].as_ref()?.0.port().ok())
                .collect();
            // Those who left are out a moment later.
            if ports == expected {
                return Ok(());
            }
            if !expected.is_subset(&ports) || Instant::now() > deadline {
                return Err(format!("ports {expected:?} expected in the register, but {ports:?}"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn check_events(&self) -> Result<(), String> {
        let text = std::fs::read_to_string(self.stage.workshop.path("log/audit.jsonl")).unwrap();
        for (who, worth) in KNOWN.into_iter().flat_map(|who| [(who, Worth::Code), (who, Worth::Passkey)]) {
            let handle = format!("\"{}\"", self.member(who).person.handle);
            let what = match worth {
                Worth::Code => "\"certificate and code\"",
                Worth::Passkey => "\"certificate and security key: key\"",
            };
            let words = ["\"signed_in\"", &handle, what];
            let events = text.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
            let times = self.model.times(who, worth);
            if events != times {
                return Err(format!("{who:?}, {worth:?}: {times} sign-ins, and there are {events} events"));
            }
        }
        Ok(())
    }
}

fn hello(version: u16) -> ToGateway {
    ToGateway::Hello { version, software: "scene".to_owned() }
}

/// What a message answers; `None` for what comes unasked.
fn meaning(message: &ToClient) -> Result<Option<Answer>, String> {
    Ok(Some(match message {
        ToClient::Welcome { .. } => Answer::Welcome,
        ToClient::SignedIn { assurance: Assurance::CertificateAndTotp, .. } => Answer::SignedIn(Worth::Code),
        ToClient::SignedIn { assurance: Assurance::CertificateAndWebauthn, .. } => {
            Answer::SignedIn(Worth::Passkey)
        }
        ToClient::PasskeyPage { .. } => Answer::Page,
        ToClient::PasskeyOptions { .. } => Answer::Options,
        ToClient::Refused { code: Refusal::Factor, retry_after_s: Some(_), .. } => Answer::Again,
        ToClient::Refused { code: Refusal::Factor, retry_after_s: None, .. } => Answer::No,
        ToClient::Refused { code: Refusal::SignInFirst, retry_after_s: None, .. } => Answer::SignInFirst,
        ToClient::Refused { code: Refusal::Version, retry_after_s: None, .. } => Answer::OtherVersion,
        ToClient::Targets(targets) if targets.is_empty() => Answer::TargetsOf(Rights::None),
        ToClient::Targets(_) => Answer::TargetsOf(Rights::Some),
        ToClient::Opened { .. } => Answer::Opened,
        ToClient::NotOpened { code: Refusal::Limit, .. } => Answer::AtTheLimit,
        ToClient::NotOpened { code: Refusal::NoSuchTarget | Refusal::NotPermitted, .. } => {
            Answer::NotPermitted
        }
        ToClient::Pong => Answer::Pong,
        ToClient::Notice { .. } | ToClient::Checkpoint { .. } | ToClient::LogCheckpoint { .. } => {
            return Ok(None);
        }
        // No scene lasts so long that somebody is asked again, and nobody in it asks for a certificate or registers a passkey.
        ToClient::Refused { .. }
        | ToClient::NotOpened { .. }
        | ToClient::FactorAgain { .. }
        | ToClient::PasskeyAdded { .. }
        | ToClient::PasskeyNotAdded { .. }
        | ToClient::Renewal(_) => return Err(format!("{message:?}")),
    }))
}

/// Plays so many scenes for each gateway.
fn play(scenes: u32) {
    let worths: Vec<Worth> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(move || play_at_one(scenes))).collect();
        let played = threads.into_iter().map(|thread| thread.join());
        played.flat_map(|played| played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let played = usize::try_from(scenes).unwrap() * AT_ONCE;
    for worth in [Worth::Code, Worth::Passkey] {
        let proven = worths.iter().filter(|proven| **proven == worth).count();
        assert!(proven >= played / 3, "only {proven} sign-ins by {worth:?} in {played} scenes prove little");
    }
}

/// Gives what each sign-in was worth.
fn play_at_one(scenes: u32) -> Vec<Worth> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stage = RefCell::new(Stage::new());
    let config =
        Config { cases: scenes, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let ran = TestRunner::new(config)
        .run(&scenes::scenes(), |steps| runtime.block_on(stage.borrow_mut().play(&steps)));
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    stage.into_inner().proven.into_values().map(|(_, worth)| worth).collect()
}

#[test]
fn nobody_signs_in_who_did_not_prove_everything_on_that_connection() {
    play(SCENES);
}

#[test]
#[ignore = "sixteen hundred scenes take ten minutes and more"]
fn nobody_signs_in_who_did_not_prove_everything_on_that_connection_in_many_scenes() {
    play(MANY_SCENES);
}
