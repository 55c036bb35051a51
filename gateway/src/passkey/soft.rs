//! An authenticator in software, for tests.

use serde_json::{Value, json};
use url::Url;
use webauthn_authenticator_rs::softtoken::SoftToken;
use webauthn_authenticator_rs::{AuthenticatorBackend, WebauthnAuthenticator};
use webauthn_rs::prelude::{CreationChallengeResponse, RequestChallengeResponse};

/// The origin of the page of [`crate::fixture::Plant::with_passkeys`].
pub(crate) const PAGE: &str = "https://localhost:8443";

/// An authenticator that says it verified its user.
pub(crate) fn token() -> SoftToken {
    SoftToken::new(true).unwrap().0
}

pub(crate) fn register_with(token: &mut impl AuthenticatorBackend, origin: &str, options: &str) -> String {
    let options: CreationChallengeResponse =
        serde_json::from_value(json!({ "publicKey": serde_json::from_str::<Value>(options).unwrap() }))
            .unwrap();
    serde_json::to_string(&token.do_registration(Url::parse(origin).unwrap(), options).unwrap()).unwrap()
}

pub(crate) fn sign_with(token: &mut impl AuthenticatorBackend, origin: &str, options: &str) -> String {
    let options: RequestChallengeResponse =
        serde_json::from_value(json!({ "publicKey": serde_json::from_str::<Value>(options).unwrap() }))
            .unwrap();
    serde_json::to_string(&token.do_authentication(Url::parse(origin).unwrap(), options).unwrap()).unwrap()
}
