//! What the gateway asks an authenticator, checked.
//!
//! A browser holds every site to its own name; here this file does. The relying party has to be the profile's, the
//! origin one of that name, and user verification is demanded whatever the options say.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The longest that is waited for a person, whatever the gateway says.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Challenges, in bytes: at least what WebAuthn level 3, 13.4.3 asks for.
const CHALLENGES: std::ops::RangeInclusive<usize> = 16..=128;
/// The longest credential id, in bytes (WebAuthn level 3, 6.1).
const LONGEST_ID: usize = 1023;
/// The most credentials that are asked for.
const MOST_CREDENTIALS: usize = 16;
/// The longest handle by which authenticators know a person, in bytes (WebAuthn level 3, 5.4.3).
const LONGEST_USER: usize = 64;
/// ECDSA on P-256 with SHA-256 (RFC 9053, 2.1): the one signature that every security key has.
const ES256: i64 = -7;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker<'a> {
    /// The relying party that the profile names.
    pub relying_party: &'a str,
    /// The origin that the gateway gave.
    pub origin: &'a str,
    /// The value of this connection under [`wire::passkey::EXPORTER_LABEL`].
    pub exporter: [u8; 32],
    /// How long the gateway waits.
    pub within: Duration,
}

/// A signature that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The relying party's id.
    pub relying_party: String,
    /// Who asks, as `clientDataJSON` names it.
    pub caller: String,
    /// What is to be signed.
    pub challenge: Vec<u8>,
    /// The ids of the credentials that may sign; at least one.
    pub credentials: Vec<Vec<u8>>,
    /// How long the gateway waits.
    pub within: Duration,
}

/// A credential that is wanted; one for ES256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The relying party's id.
    pub relying_party: String,
    /// Who asks, as `clientDataJSON` names it.
    pub caller: String,
    /// What is to be signed.
    pub challenge: Vec<u8>,
    /// For whom.
    pub user: User,
    /// The ids of the credentials that this person has.
    pub known: Vec<Vec<u8>>,
    /// How long the gateway waits.
    pub within: Duration,
}

/// A person as authenticators know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Random, the same for all of this person's passkeys.
    pub handle: Vec<u8>,
    /// The name that the authenticator may show.
    pub name: String,
}

/// Why the options go to no authenticator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForUs {
    /// They can't be read, or hold what no gateway sends.
    #[error("the gateway sent options that can't be used ({0})")]
    Malformed(&'static str),
    /// They are for another name.
    #[error(
        "the gateway asks for a passkey of {asked:?}, but your profile is for {expected:?}; if the plant confirms that \
         name, write rp_id = {asked:?} into your profile"
    )]
    OtherParty {
        /// The name in the options.
        asked: String,
        /// The name in the profile.
        expected: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestJson {
    challenge: String,
    rp_id: String,
    allow_credentials: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreationJson {
    challenge: String,
    rp: Party,
    user: UserJson,
    pub_key_cred_params: Vec<Parameter>,
    #[serde(default)]
    exclude_credentials: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Descriptor {
    id: String,
}

#[derive(Deserialize)]
struct Party {
    id: String,
}

#[derive(Deserialize)]
struct UserJson {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Parameter {
    alg: i64,
}

/// `clientDataJSON` (WebAuthn level 3, 5.8.1), its members in the standard's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientData<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    challenge: String,
    origin: &'a str,
    cross_origin: bool,
}

impl Request {
    /// Reads `PublicKeyCredentialRequestOptionsJSON`.
    ///
    /// # Errors
    /// [`NotForUs`].
    pub fn read(json: &str, asker: &Asker<'_>) -> Result<Self, NotForUs> {
        let read: RequestJson = serde_json::from_str(json).map_err(|_| NotForUs::Malformed("not options"))?;
        let credentials = ids(&read.allow_credentials)?;
        if credentials.is_empty() {
            return Err(NotForUs::Malformed("no credential is asked for"));
        }
        Ok(Self {
            caller: asker.caller(&read.rp_id)?,
            relying_party: read.rp_id,
            challenge: challenge(&read.challenge)?,
            credentials,
            within: asker.within.min(LONGEST_WAIT),
        })
    }

    /// What is signed for, as bytes.
    #[must_use]
    pub fn client_data(&self) -> String {
        client_data("webauthn.get", &self.challenge, &self.caller)
    }
}

impl Creation {
    /// Reads `PublicKeyCredentialCreationOptionsJSON`.
    ///
    /// # Errors
    /// [`NotForUs`].
    pub fn read(json: &str, asker: &Asker<'_>) -> Result<Self, NotForUs> {
        let read: CreationJson =
            serde_json::from_str(json).map_err(|_| NotForUs::Malformed("not options"))?;
        let handle = bytes(&read.user.id, 1..=LONGEST_USER, "a person's handle of an odd length")?;
        if !read.pub_key_cred_params.iter().any(|parameter| parameter.alg == ES256) {
            return Err(NotForUs::Malformed("the usual signature is not taken"));
        }
        Ok(Self {
            caller: asker.caller(&read.rp.id)?,
            relying_party: read.rp.id,
            challenge: challenge(&read.challenge)?,
            user: User { handle, name: wire::clip(&read.user.name, LONGEST_USER) },
            known: ids(&read.exclude_credentials.unwrap_or_default())?,
            within: asker.within.min(LONGEST_WAIT),
        })
    }

    /// What is signed for, as bytes.
    #[must_use]
    pub fn client_data(&self) -> String {
        client_data("webauthn.create", &self.challenge, &self.caller)
    }
}

impl Asker<'_> {
    /// Who calls, if the options are for the profile's relying party and the origin is one of it.
    fn caller(&self, asked: &str) -> Result<String, NotForUs> {
        if asked != self.relying_party {
            let expected = self.relying_party.to_owned();
            return Err(NotForUs::OtherParty { asked: wire::clip(asked, 100), expected });
        }
        let host = host(self.origin).ok_or(NotForUs::Malformed("the page's origin is none"))?;
        let below = host.strip_suffix(asked).is_some_and(|name| name.is_empty() || name.ends_with('.'));
        if !below {
            return Err(NotForUs::Malformed("the page's origin is not of the passkey's name"));
        }
        Ok(wire::passkey::caller(self.origin, &self.exporter))
    }
}

/// The name in `https://NAME[:PORT]`, and nothing where there is more.
fn host(origin: &str) -> Option<&str> {
    let rest = origin.strip_prefix("https://")?;
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let sound = !host.is_empty() && host.bytes().all(plain);
    let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    (sound && port.is_none_or(digits)).then_some(host)
}

fn challenge(text: &str) -> Result<Vec<u8>, NotForUs> {
    bytes(text, CHALLENGES, "a challenge of an odd length")
}

fn ids(descriptors: &[Descriptor]) -> Result<Vec<Vec<u8>>, NotForUs> {
    if descriptors.len() > MOST_CREDENTIALS {
        return Err(NotForUs::Malformed("too many credentials"));
    }
    descriptors.iter().map(|one| bytes(&one.id, 1..=LONGEST_ID, "a credential of an odd length")).collect()
}

fn bytes(
    text: &str,
    lengths: std::ops::RangeInclusive<usize>,
    odd: &'static str,
) -> Result<Vec<u8>, NotForUs> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotForUs::Malformed("not base64url"))?;
    if lengths.contains(&bytes.len()) { Ok(bytes) } else { Err(NotForUs::Malformed(odd)) }
}

fn client_data(kind: &str, challenge: &[u8], caller: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(challenge);
    let data = ClientData { kind, challenge, origin: caller, cross_origin: false };
    // Texts and a boolean: there is nothing in it that can't be written.
    serde_json::to_string(&data).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn asker(origin: &str) -> Asker<'_> {
        let within = Duration::from_secs(120);
        Asker { relying_party: "gw.plant.example", origin, exporter: [0xfb; 32], within }
    }

    const ORIGIN: &str = "https://gw.plant.example:8443";

    fn request() -> Value {
        json!({
            "challenge": URL_SAFE_NO_PAD.encode([7; 32]),
            "rpId": "gw.plant.example",
            "allowCredentials": [{ "type": "public-key", "id": "AQID" }],
            "userVerification": "discouraged",
        })
    }

    fn creation() -> Value {
        json!({
            "challenge": URL_SAFE_NO_PAD.encode([7; 32]),
            "rp": { "id": "gw.plant.example", "name": "Gatehouse" },
            "user": { "id": "AAAA", "name": "tech-1@vendor-a", "displayName": "tech-1@vendor-a" },
            "pubKeyCredParams": [{ "type": "public-key", "alg": -8 }, { "type": "public-key", "alg": -7 }],
            "excludeCredentials": [{ "type": "public-key", "id": "AQID" }],
        })
    }

    fn with(mut options: Value, place: &str, value: Value) -> String {
        *options.pointer_mut(place).unwrap() = value;
        options.to_string()
    }

    #[test]
    fn what_is_signed_names_the_connection() {
        let request = Request::read(&request().to_string(), &asker(ORIGIN)).unwrap();
        assert_eq!(request.credentials, [vec![1, 2, 3]]);
        assert_eq!(
            request.client_data(),
            "{\"type\":\"webauthn.get\",\"challenge\":\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\",\"origin\":\
             \"https://gw.plant.example:8443/#gatehouse-connection=-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s\",\
             \"crossOrigin\":false}"
        );
        let creation = Creation::read(&creation().to_string(), &asker(ORIGIN)).unwrap();
        assert_eq!((creation.user.handle.as_slice(), creation.known.len()), ([0; 3].as_slice(), 1));
        assert!(creation.client_data().starts_with("{\"type\":\"webauthn.create\""));
    }

    #[test]
    fn nothing_is_signed_for_another_name_than_the_profiles() {
        for name in ["bank.example", "plant.example", "GW.plant.example", "evil.gw.plant.example", ""] {
            let options = with(request(), "/rpId", json!(name));
            let refused = Request::read(&options, &asker(ORIGIN)).unwrap_err();
            assert!(matches!(refused, NotForUs::OtherParty { .. }), "{name}: {refused}");
            let options = with(creation(), "/rp/id", json!(name));
            let refused = Creation::read(&options, &asker(ORIGIN)).unwrap_err();
            assert!(matches!(refused, NotForUs::OtherParty { .. }), "{name}: {refused}");
        }
        for origin in [
            "https://bank.example",
            "https://plant.example",
            "https://evil-gw.plant.example",
            "https://gw.plant.example.evil.example",
            "http://gw.plant.example",
            "https://gw.plant.example/a",
            "https://gw.plant.example:8443/",
            "https://user@gw.plant.example",
            "https://gw.plant.example:",
            "https://gw.plant.example#a",
            "https://GW.plant.example",
            "",
        ] {
            assert!(Request::read(&request().to_string(), &asker(origin)).is_err(), "{origin}");
        }
        assert!(Request::read(&request().to_string(), &asker("https://a.gw.plant.example")).is_ok());
    }

    #[test]
    fn what_no_gateway_sends_is_refused() {
        let long = URL_SAFE_NO_PAD.encode([1; LONGEST_ID + 1]);
        let many: Vec<Value> = (0..=MOST_CREDENTIALS).map(|_| json!({ "id": "AQID" })).collect();
        for broken in [
            String::new(),
            "[]".to_owned(),
            with(request(), "/challenge", json!("AAAA")),
            with(request(), "/challenge", json!("not base64url")),
            with(request(), "/allowCredentials", json!([])),
            with(request(), "/allowCredentials", json!(many)),
            with(request(), "/allowCredentials/0/id", json!("")),
            with(request(), "/allowCredentials/0/id", json!(long)),
        ] {
            let refused = Request::read(&broken, &asker(ORIGIN)).unwrap_err();
            assert!(matches!(refused, NotForUs::Malformed(_)), "{broken}: {refused}");
        }
        for broken in [
            with(creation(), "/pubKeyCredParams", json!([{ "alg": -257 }])),
            with(creation(), "/user/id", json!("")),
            with(creation(), "/user/id", json!(URL_SAFE_NO_PAD.encode([1; LONGEST_USER + 1]))),
            with(creation(), "/excludeCredentials", json!(many)),
        ] {
            let refused = Creation::read(&broken, &asker(ORIGIN)).unwrap_err();
            assert!(matches!(refused, NotForUs::Malformed(_)), "{broken}: {refused}");
        }
    }
}
