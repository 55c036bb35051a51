//! Windows' own dialogue for passkeys: keys, phones, and the machine itself (`webauthn.dll`), by
//! `webauthn-authenticator-rs`.
//!
//! What it is for: on Windows a program without an administrator's rights can't speak to a key itself; the system shows
//! its own dialogue, asks for PIN or face there, and signs. Only type-checked: nobody has run it.
//!
//! The library writes `clientDataJSON` by itself and takes nothing for it but challenge and origin, which is one reason
//! why the connection is named in the origin ([`wire::passkey`]).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use webauthn_authenticator_rs::AuthenticatorBackend;
use webauthn_authenticator_rs::prelude::{
    CreationChallengeResponse, RequestChallengeResponse, Url, WebauthnCError,
};
use webauthn_authenticator_rs::win10::Win10;

use super::{Authenticator, Created, Creation, Dialogue, NotSigned, Request, Signed};

/// The system's dialogue.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Authenticator for System {
    fn sign(&self, request: &Request, dialogue: &dyn Dialogue) -> Result<Signed, NotSigned> {
        let timeout = milliseconds(request.within);
        let options = json!({ "publicKey": {
            "challenge": URL_SAFE_NO_PAD.encode(&request.challenge),
            "timeout": timeout,
            "rpId": request.relying_party,
            "allowCredentials": descriptors(&request.credentials),
            "userVerification": "required",
        }});
        let options: RequestChallengeResponse = serde_json::from_value(options).map_err(odd)?;
        dialogue.say("Windows asks for your passkey in a window of its own");
        let signed = Win10::default().perform_auth(url(&request.caller)?, options.public_key, timeout);
        let signed = signed.map_err(|error| explain(&error))?;
        Ok(Signed {
            credential: signed.raw_id.to_vec(),
            client_data: signed.response.client_data_json.to_vec(),
            authenticator_data: signed.response.authenticator_data.to_vec(),
            signature: signed.response.signature.to_vec(),
        })
    }

    fn create(&self, creation: &Creation, dialogue: &dyn Dialogue) -> Result<Created, NotSigned> {
        let timeout = milliseconds(creation.within);
        let user = &creation.user;
        let options = json!({ "publicKey": {
            "rp": { "id": creation.relying_party, "name": "Gatehouse" },
            "user": { "id": URL_SAFE_NO_PAD.encode(&user.handle), "name": user.name, "displayName": user.name },
            "challenge": URL_SAFE_NO_PAD.encode(&creation.challenge),
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
            "timeout": timeout,
            "excludeCredentials": descriptors(&creation.known),
            "authenticatorSelection": { "userVerification": "required", "requireResidentKey": false },
        }});
        let options: CreationChallengeResponse = serde_json::from_value(options).map_err(odd)?;
        dialogue.say("Windows asks for your new passkey in a window of its own");
        let created = Win10::default().perform_register(url(&creation.caller)?, options.public_key, timeout);
        let created = created.map_err(|error| explain(&error))?;
        Ok(Created {
            credential: created.raw_id.to_vec(),
            client_data: created.response.client_data_json.to_vec(),
            attestation_object: created.response.attestation_object.to_vec(),
        })
    }
}

fn descriptors(ids: &[Vec<u8>]) -> Vec<Value> {
    ids.iter().map(|id| json!({ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(id) })).collect()
}

fn milliseconds(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn url(caller: &str) -> Result<Url, NotSigned> {
    Url::parse(caller).map_err(odd)
}

fn odd(error: impl std::fmt::Display) -> NotSigned {
    NotSigned::Failed(error.to_string())
}

/// The library tells almost nothing of what Windows said; the dialogue told the person.
fn explain(error: &WebauthnCError) -> NotSigned {
    if matches!(error, WebauthnCError::Cancelled) {
        return NotSigned::Cancelled;
    }
    NotSigned::Failed(format!("Windows did not sign: {error:?}"))
}
