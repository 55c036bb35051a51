//! An authenticator in software where a program has one of its machine.
//!
//! It signs whatever it is told to, so that what the gateway has to refuse can be
//! tried; it exists in tests alone.

use client::{
    authenticator::{Authenticator, Created, Creation, Dialogue, NotSigned, Request, Signed},
    direct::Machine,
    passkey::Through,
};
use serde_json::{Value, json};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use webauthn_authenticator_rs::{
    AuthenticatorBackendHashedClientData, error::WebauthnCError, softpasskey::SoftPasskey,
};
use webauthn_rs::prelude::{CreationChallengeResponse, RequestChallengeResponse};

/// How it verifies its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Verified,
    Present,
}

/// The authenticator. Copies are the same one.
#[derive(Clone)]
pub(crate) struct Soft {
    token: Arc<Mutex<SoftPasskey>>,
    user: User,
    /// What it says once instead of signing.
    trouble: Arc<Mutex<Option<NotSigned>>>,
}

impl fmt::Debug for Soft {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Soft").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Soft {
    pub(crate) fn new() -> Self {
        let token = Arc::new(Mutex::new(SoftPasskey::new(true)));
        Self { token, user: User::Verified, trouble: Arc::default() }
    }

    /// The same one with a user whom it does not verify.
    pub(crate) fn verifying(&self, user: User) -> Self {
        Self { user, ..self.clone() }
    }

    /// The next time it signs nothing and says this.
    pub(crate) fn fail_once(&self, trouble: NotSigned) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    /// As the client reaches it, for `rp_id`.
    pub(crate) fn through(&self, rp_id: &str) -> Through {
        let authenticator = Arc::new(self.clone());
        Through::Machine(Machine { authenticator, relying_party: rp_id.to_owned() })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut SoftPasskey) -> Result<T, WebauthnCError>,
    ) -> Result<T, NotSigned> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut token).map_err(|error| NotSigned::Failed(format!("{error:?}")))
    }

    fn wish(&self) -> &'static str {
        match self.user {
            User::Verified => "required",
            User::Present => "discouraged",
        }
    }
}

impl Authenticator for Soft {
    fn sign(&self, request: &Request, dialogue: &dyn Dialogue) -> Result<Signed, NotSigned> {
        if let Some(trouble) = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(trouble);
        }
        dialogue.say("touch what there is in software");
        let client_data = request.client_data().into_bytes();
        let options: RequestChallengeResponse = parsed(json!({ "publicKey": {
            "challenge": base64(&request.challenge),
            "rpId": request.relying_party,
            "allowCredentials": descriptors(&request.credentials),
            "userVerification": self.wish(),
        }}));
        let signed =
            self.with(|token| token.perform_auth(sha256(&client_data), options.public_key, 60_000))?;
        Ok(Signed {
            credential: signed.raw_id.to_vec(),
            client_data,
            authenticator_data: signed.response.authenticator_data.to_vec(),
            signature: signed.response.signature.to_vec(),
        })
    }

    fn create(&self, creation: &Creation, dialogue: &dyn Dialogue) -> Result<Created, NotSigned> {
        dialogue.say("touch what there is in software");
        let client_data = creation.client_data().into_bytes();
        let options: CreationChallengeResponse = parsed(json!({ "publicKey": {
            "rp": { "id": creation.relying_party, "name": "Gatehouse" },
            "user": { "id": base64(&creation.user.handle), "name": creation.user.name,
                "displayName": creation.user.name },
            "challenge": base64(&creation.challenge),
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
            "authenticatorSelection": { "requireResidentKey": false, "userVerification": self.wish() },
        }}));
        let made =
            self.with(|token| token.perform_register(sha256(&client_data), options.public_key, 60_000))?;
        Ok(Created {
            credential: made.raw_id.to_vec(),
            client_data,
            attestation_object: made.response.attestation_object.to_vec(),
        })
    }
}

/// Nobody to talk to.
pub(crate) struct Silence;

impl Dialogue for Silence {
    fn say(&self, _line: &str) {}

    fn pin(&self) -> Option<zeroize::Zeroizing<String>> {
        None
    }
}

fn parsed<T: serde::de::DeserializeOwned>(options: Value) -> T {
    serde_json::from_value(options).unwrap()
}

fn descriptors(ids: &[Vec<u8>]) -> Vec<Value> {
    ids.iter().map(|id| json!({ "type": "public-key", "id": base64(id) })).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}
