//! Authenticators in software: the one of each person and a copy of it, and
//! answers of every kind.

use super::model::{Signed, UserCheck, Who};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway::{
    names::Handle,
    office::Office,
    passkey::Through,
    state::{Behind, NewPasskey},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;
use webauthn_authenticator_rs::{WebauthnAuthenticator, softtoken::SoftToken};
use wire::{ToClient, passkey::caller};

/// What one person has.
pub(super) struct Authenticator {
    token: SoftToken,
    copy: SoftToken,
    /// The credential of this scene, and which one it is.
    credential: Vec<u8>,
    generation: u32,
}

/// Which of the two is used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    Genuine,
    Copied,
}

impl Authenticator {
    /// A new one, which knows nothing yet.
    pub(super) fn new() -> Self {
        let token = SoftToken::new(true).unwrap().0;
        let copy = copy_of(&token);
        Self { token, copy, credential: Vec::new(), generation: 0 }
    }

    /// Registers a passkey of `handle` as the gateway's own registration does.
    pub(super) fn register(&mut self, office: &Office, handle: &str, generation: u32, now: Timestamp) {
        let party = office.relying_party.as_ref().unwrap();
        let person = office.state.person(&Handle::parse(handle).unwrap()).unwrap().unwrap().person;
        let mut fresh = [0; 16];
        aws_lc_rs::rand::fill(&mut fresh).unwrap();
        let user = office.state.user_handle(person.id, fresh).unwrap();
        let exporter = [7; 32];
        let through = Through::Client { person: handle.to_owned(), exporter };
        let ceremony = party.begin_registration(&[], user, "key", through).unwrap();
        let ToClient::PasskeyOptions { origin, json, .. } = party.offer(ceremony.reach()) else {
            panic!("no options")
        };
        let answer = self.make_credential(&caller(&origin, &exporter), &json, generation);
        let passkey = ceremony.judge(party, &answer).unwrap();
        let behind = Behind::NoPasskey;
        let new = NewPasskey { person: person.id, factors: person.factors, behind, passkey };
        office.state.add_passkey(&new, now).unwrap();
    }

    /// Makes a passkey that no gateway knows.
    pub(super) fn keep_to_itself(&mut self, relying_party: &str, origin: &str) {
        let options = json!({
            "rp": { "id": relying_party, "name": "nobody" },
            "user": { "id": "AAAA", "name": "nobody", "displayName": "nobody" },
            "challenge": URL_SAFE_NO_PAD.encode([9; 32]),
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
            "authenticatorSelection": { "requireResidentKey": false, "userVerification": "required" },
        });
        self.make_credential(origin, &options.to_string(), 0);
    }

    fn make_credential(&mut self, caller: &str, options: &str, generation: u32) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        let options = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let made = self.token.do_registration(Url::parse(caller).unwrap(), options).unwrap();
        (self.credential, self.generation) = (made.raw_id.to_vec(), generation);
        self.copy = copy_of(&self.token);
        serde_json::to_string(&made).unwrap()
    }

    /// Signs a challenge, whoever's it is and whatever the options say of the
    /// user; gives the answer and its counter.
    pub(super) fn sign(&mut self, which: Which, caller: &str, options: &Value, user: UserCheck) -> Made {
        let mut options = options.clone();
        let credential = URL_SAFE_NO_PAD.encode(&self.credential);
        options["allowCredentials"] = json!([{ "type": "public-key", "id": credential }]);
        options["userVerification"] = match user {
            UserCheck::Done => json!("required"),
            UserCheck::LeftOut => json!("discouraged"),
        };
        let options = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let token = match which {
            Which::Genuine => &mut self.token,
            Which::Copied => &mut self.copy,
        };
        let made = token.do_authentication(Url::parse(caller).unwrap(), options).unwrap();
        Made {
            counter: counter(made.response.authenticator_data.as_ref()),
            generation: self.generation,
            json: serde_json::to_string(&made).unwrap(),
        }
    }
}

/// An answer just made.
pub(super) struct Made {
    pub(super) json: String,
    pub(super) counter: u32,
    pub(super) generation: u32,
}

/// An answer that was made in this scene, with what it is.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) json: String,
    pub(super) signed: Signed,
}

/// What an authenticator is asked that nobody asked.
pub(super) fn invented(relying_party: &str) -> Value {
    json!({
        "challenge": URL_SAFE_NO_PAD.encode([8; 32]),
        "rpId": relying_party,
        "timeout": 1000,
    })
}

/// Index of a person's authenticator.
pub(super) fn place(who: Who) -> usize {
    match who {
        Who::First => 0,
        Who::Second => 1,
        Who::Stranger => 2,
    }
}

fn copy_of(token: &SoftToken) -> SoftToken {
    SoftToken::from_cbor(&token.to_cbor().unwrap()).unwrap()
}

/// The signature counter of authenticator data (WebAuthn level 3, 6.1).
fn counter(data: &[u8]) -> u32 {
    u32::from_be_bytes(data[33..37].try_into().unwrap())
}
