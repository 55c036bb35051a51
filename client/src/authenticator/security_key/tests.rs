//! Keys of paper: what they answer is written down beforehand, what they and the person are asked is looked at.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::authenticator::User;

/// A key that answers one after the other as written.
#[derive(Clone, Debug)]
struct Paper {
    verification: Verification,
    held: Result<Held, Trouble>,
    tries: Arc<Mutex<u32>>,
    outcomes: Arc<Mutex<Vec<Result<(), Trouble>>>>,
    name: u8,
}

impl Paper {
    fn new(name: u8, held: Held) -> Self {
        let (verification, outcomes) = (Verification::Pin, Arc::default());
        Self { verification, held: Ok(held), tries: tries(8), outcomes, name }
    }

    fn then(self, outcomes: &[Result<(), u8>]) -> Self {
        let outcomes = outcomes.iter().rev().map(|one| one.map_err(Trouble::Status)).collect();
        *self.outcomes.lock().unwrap() = outcomes;
        self
    }

    fn outcome(&self) -> Result<Vec<u8>, Trouble> {
        let outcome = self.outcomes.lock().unwrap().pop().unwrap_or(Ok(()));
        if outcome == Err(Trouble::Status(0x31)) {
            *self.tries.lock().unwrap() -= 1;
        }
        outcome.map(|()| vec![self.name])
    }
}

impl Key for Paper {
    fn verification(&self) -> Result<Verification, Trouble> {
        Ok(self.verification)
    }

    fn pin_tries(&self) -> Result<u32, Trouble> {
        Ok(*self.tries.lock().unwrap())
    }

    fn holds(&self, relying_party: &str, _credentials: &[Vec<u8>]) -> Result<Held, Trouble> {
        assert_eq!(relying_party, "gw.plant.example");
        self.held.clone()
    }

    fn sign(&self, _request: &Request, _user: &UserProof) -> Result<Signed, Trouble> {
        let credential = self.outcome()?;
        Ok(Signed {
            credential,
            client_data: Vec::new(),
            authenticator_data: Vec::new(),
            signature: Vec::new(),
        })
    }

    fn create(&self, _creation: &Creation, _user: &UserProof) -> Result<Created, Trouble> {
        let credential = self.outcome()?;
        Ok(Created { credential, client_data: Vec::new(), attestation_object: Vec::new() })
    }
}

fn tries(left: u32) -> Arc<Mutex<u32>> {
    Arc::new(Mutex::new(left))
}

#[derive(Debug)]
struct Drawer(Result<Vec<Paper>, NotSigned>);

impl Keys for Drawer {
    type Key = Paper;

    fn plugged_in(&self) -> Result<Vec<Paper>, NotSigned> {
        self.0.clone()
    }
}

/// Somebody who types the same PIN as long as they know one.
struct Person {
    pin: Option<&'static str>,
    heard: RefCell<Vec<String>>,
}

impl Dialogue for Person {
    fn say(&self, line: &str) {
        self.heard.borrow_mut().push(line.to_owned());
    }

    fn pin(&self) -> Option<Zeroizing<String>> {
        self.say("PIN?");
        self.pin.map(|pin| Zeroizing::new(pin.to_owned()))
    }
}

fn person(pin: Option<&'static str>) -> Person {
    Person { pin, heard: RefCell::default() }
}

fn request() -> Request {
    Request {
        relying_party: "gw.plant.example".to_owned(),
        caller: "caller".to_owned(),
        challenge: vec![0; 32],
        credentials: vec![vec![1]],
        within: Duration::from_secs(120),
    }
}

fn creation() -> Creation {
    Creation {
        relying_party: "gw.plant.example".to_owned(),
        caller: "caller".to_owned(),
        challenge: vec![0; 32],
        user: User { handle: vec![1], name: "tech-1@vendor-a".to_owned() },
        known: vec![vec![1]],
        within: Duration::from_secs(120),
    }
}

fn sign(keys: Vec<Paper>) -> Result<u8, NotSigned> {
    SecurityKeys::new(Drawer(Ok(keys)))
        .sign(&request(), &person(Some("1234")))
        .map(|signed| signed.credential[0])
}

fn create(keys: Vec<Paper>) -> Result<u8, NotSigned> {
    let created = SecurityKeys::new(Drawer(Ok(keys))).create(&creation(), &person(Some("1234")));
    created.map(|created| created.credential[0])
}

#[test]
fn the_key_that_is_meant_is_found_among_several() {
    let (has, new) = (Paper::new(1, Held::One), Paper::new(2, Held::None));
    assert_eq!(sign(vec![has.clone()]), Ok(1));
    assert_eq!(sign(vec![new.clone(), has.clone()]), Ok(1));
    assert_eq!(create(vec![has.clone(), new.clone()]), Ok(2));
    assert_eq!(sign(vec![]), Err(NotSigned::NoKey));
    assert_eq!(create(vec![]), Err(NotSigned::NoKey));
    assert_eq!(sign(vec![new.clone(), new.clone()]), Err(NotSigned::WrongKey));
    assert_eq!(create(vec![has.clone(), has.clone()]), Err(NotSigned::KnownKey));
    assert_eq!(sign(vec![has.clone(), has.clone()]), Err(NotSigned::Several(2)));
    assert_eq!(create(vec![new.clone(), new.clone(), has.clone()]), Err(NotSigned::Several(3)));
    let mut silent = Paper::new(3, Held::None);
    silent.held = Err(Trouble::Status(0x36));
    assert_eq!(sign(vec![silent.clone(), has]), Err(NotSigned::Several(2)), "one that tells nothing");
    assert_eq!(sign(vec![silent]), Ok(3), "the only one need not tell");
    let closed = SecurityKeys::new(Drawer(Err(NotSigned::NotAllowed)));
    assert_eq!(closed.sign(&request(), &person(None)), Err(NotSigned::NotAllowed));
}

#[test]
fn a_wrong_pin_is_asked_for_again_with_the_tries_that_are_left() {
    let someone = person(Some("1234"));
    let key = Paper::new(1, Held::One).then(&[Err(0x31), Ok(())]);
    SecurityKeys::new(Drawer(Ok(vec![key]))).sign(&request(), &someone).unwrap();
    assert_eq!(
        someone.heard.into_inner(),
        [
            "8 tries are left for the key's PIN",
            "PIN?",
            "touch your security key when it blinks",
            "that PIN is wrong",
            "7 tries are left for the key's PIN",
            "PIN?",
            "touch your security key when it blinks",
        ]
    );
    let thrice = Paper::new(1, Held::One).then(&[Err(0x31), Err(0x31), Err(0x31), Ok(())]);
    assert_eq!(sign(vec![thrice]), Err(NotSigned::PinPaused), "nobody is asked a fourth time");
    let mut last = Paper::new(1, Held::One);
    last.tries = tries(1);
    let someone = person(Some("1234"));
    SecurityKeys::new(Drawer(Ok(vec![last.clone()]))).sign(&request(), &someone).unwrap();
    assert!(someone.heard.borrow()[0].contains("one try is left"), "{:?}", someone.heard);
    last.tries = tries(0);
    let someone = person(Some("1234"));
    let blocked = SecurityKeys::new(Drawer(Ok(vec![last]))).sign(&request(), &someone);
    assert_eq!(blocked, Err(NotSigned::PinBlocked));
    assert!(someone.heard.borrow().is_empty(), "no PIN is asked for in vain: {:?}", someone.heard);
    let nobody =
        SecurityKeys::new(Drawer(Ok(vec![Paper::new(1, Held::One)]))).sign(&request(), &person(None));
    assert_eq!(nobody, Err(NotSigned::NoPin));
}

#[test]
fn a_key_that_verifies_by_itself_falls_back_to_its_pin() {
    let mut finger = Paper::new(1, Held::One);
    finger.verification = Verification::BuiltIn;
    let someone = person(None);
    SecurityKeys::new(Drawer(Ok(vec![finger.clone()]))).sign(&request(), &someone).unwrap();
    assert_eq!(someone.heard.into_inner(), ["touch the sensor of your security key"]);
    for status in [0x3c, 0x3f] {
        assert_eq!(sign(vec![finger.clone().then(&[Err(status), Ok(())])]), Ok(1));
    }
    finger.verification = Verification::PinNotSet;
    assert_eq!(sign(vec![finger.clone()]), Err(NotSigned::PinNotSet));
    finger.verification = Verification::None;
    assert_eq!(sign(vec![finger]), Err(NotSigned::CanNotVerify), "never without a verified user");
}

#[test]
fn each_trouble_is_one_line_that_says_what_to_do() {
    for (status, told, words) in [
        (0x19, NotSigned::KnownKey, "plug in the one that is new"),
        (0x2e, NotSigned::WrongKey, "plug in the one that you registered"),
        (0x27, NotSigned::Cancelled, "start again"),
        (0x2d, NotSigned::Cancelled, "start again"),
        (0x2f, NotSigned::TimedOut, "touch it when it blinks"),
        (0x3a, NotSigned::TimedOut, "touch it when it blinks"),
        (0x05, NotSigned::TimedOut, "touch it when it blinks"),
        (0x32, NotSigned::PinBlocked, "reset your factors"),
        (0x34, NotSigned::PinPaused, "unplug the key"),
        (0x35, NotSigned::PinNotSet, "set one first"),
        (0x37, NotSigned::PinMustChange, "change it"),
        (0x26, NotSigned::Unfit("it has no ES256".to_owned()), "use another one"),
        (0x28, NotSigned::Unfit("it has no room".to_owned()), "use another one"),
        (0x7f, NotSigned::Failed("status 0x7f".to_owned()), "plug it in again"),
    ] {
        let refused = sign(vec![Paper::new(1, Held::One).then(&[Err(status)])]);
        assert_eq!(refused, Err(told.clone()), "0x{status:02x}");
        let line = told.to_string();
        assert!(line.contains(words) && !line.contains('\n'), "{line}");
    }
    let broken = explain(Trouble::Broken("read error".to_owned()));
    assert_eq!(broken, NotSigned::Failed("read error".to_owned()));
}
