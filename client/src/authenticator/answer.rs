//! What an authenticator answered, as the gateway reads it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The id of the credential that signed.
    pub credential: Vec<u8>,
    /// `clientDataJSON`, byte for byte as its hash was signed.
    pub client_data: Vec<u8>,
    /// Relying party, flags and counter (WebAuthn level 3, 6.1).
    pub authenticator_data: Vec<u8>,
    /// Over the authenticator's data and the hash of the client's.
    pub signature: Vec<u8>,
}

/// A new credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub credential: Vec<u8>,
    /// `clientDataJSON`, byte for byte as its hash was signed.
    pub client_data: Vec<u8>,
    /// CBOR (WebAuthn level 3, 6.5.4).
    pub attestation_object: Vec<u8>,
}

impl Signed {
    /// `AuthenticationResponseJSON` (WebAuthn level 3, 5.1.8).
    #[must_use]
    pub fn json(&self) -> String {
        let response = json!({
            "clientDataJSON": URL_SAFE_NO_PAD.encode(&self.client_data),
            "authenticatorData": URL_SAFE_NO_PAD.encode(&self.authenticator_data),
            "signature": URL_SAFE_NO_PAD.encode(&self.signature),
        });
        public_key(&self.credential, response)
    }
}

impl Created {
    /// `RegistrationResponseJSON` (WebAuthn level 3, 5.1.8).
    #[must_use]
    pub fn json(&self) -> String {
        let response = json!({
            "clientDataJSON": URL_SAFE_NO_PAD.encode(&self.client_data),
            "attestationObject": URL_SAFE_NO_PAD.encode(&self.attestation_object),
        });
        public_key(&self.credential, response)
    }
}

fn public_key(credential: &[u8], response: serde_json::Value) -> String {
    let id = URL_SAFE_NO_PAD.encode(credential);
    json!({
        "id": id,
        "rawId": id,
        "type": "public-key",
        "response": response,
        "clientExtensionResults": {},
    })
    .to_string()
}
