//! FIDO2 keys on USB, by `ctap-hid-fido2` over the kernel's hidraw.
//!
//! What it is for: the thin shell under [`super::security_key`]: it turns the library's answers into types and decides
//! nothing. No key was at hand to try it with.

use ciborium::value::Value;
use ctap_hid_fido2::fidokey::{GetAssertionArgsBuilder, MakeCredentialArgsBuilder};
use ctap_hid_fido2::public_key_credential_user_entity::PublicKeyCredentialUserEntity;
use ctap_hid_fido2::{Cfg, FidoKeyHid, FidoKeyHidFactory, get_fidokey_devices};

use super::security_key::{Held, Key, Keys, Trouble, UserProof, Verification};
use super::{Created, Creation, NotSigned, Request, Signed};

/// CTAP 2.1, 8.2: no credential that was asked for.
const NO_CREDENTIALS: u8 = 0x2e;

/// The USB ports of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Ports;

/// A key that is plugged in.
pub struct UsbKey(FidoKeyHid);

impl Keys for Ports {
    type Key = UsbKey;

    fn plugged_in(&self) -> Result<Vec<UsbKey>, NotSigned> {
        // The library's own words would go to the standard output.
        let mut settings = Cfg::init();
        settings.enable_keep_alive_msg = false;
        // They are listed by what the kernel knows of them; opening one asks for the right to.
        let open = |device: ctap_hid_fido2::HidInfo| {
            FidoKeyHidFactory::create_by_params(&[device.param], &settings).map(UsbKey)
        };
        let opened: Vec<_> = get_fidokey_devices().into_iter().map(open).collect();
        opened.into_iter().collect::<Result<_, _>>().map_err(|_| NotSigned::NotAllowed)
    }
}

impl Key for UsbKey {
    fn verification(&self) -> Result<Verification, Trouble> {
        let info = self.0.get_info().map_err(trouble)?;
        let option = |name: &str| info.options.iter().find(|(option, _)| option == name).map(|(_, set)| *set);
        // CTAP 2.1, 6.4: present and true is set up, present and false can be, absent can't.
        Ok(match (option("uv"), option("clientPin")) {
            (Some(true), _) => Verification::BuiltIn,
            (_, Some(true)) => Verification::Pin,
            (_, Some(false)) => Verification::PinNotSet,
            (_, None) => Verification::None,
        })
    }

    fn pin_tries(&self) -> Result<u32, Trouble> {
        let left = self.0.get_pin_retries().map_err(trouble)?;
        Ok(u32::try_from(left).unwrap_or(0))
    }

    fn holds(&self, relying_party: &str, credentials: &[Vec<u8>]) -> Result<Held, Trouble> {
        if credentials.is_empty() {
            return Ok(Held::None);
        }
        // CTAP 2.1, 6.2.2: without a touch and a user a key tells only whether it has one.
        let mut ask = GetAssertionArgsBuilder::new(relying_party, b"").without_pin_and_uv().without_up();
        for credential in credentials {
            ask = ask.add_credential_id(credential);
        }
        match self.0.get_assertion_with_args(&ask.build()).map_err(trouble) {
            Ok(_) => Ok(Held::One),
            Err(Trouble::Status(NO_CREDENTIALS)) => Ok(Held::None),
            Err(other) => Err(other),
        }
    }

    fn sign(&self, request: &Request, user: &UserProof) -> Result<Signed, Trouble> {
        let client_data = request.client_data().into_bytes();
        // What the library calls a challenge is what it hashes: the client data.
        let mut ask = GetAssertionArgsBuilder::new(&request.relying_party, &client_data);
        for credential in &request.credentials {
            ask = ask.add_credential_id(credential);
        }
        if let UserProof::Pin(pin) = user {
            ask = ask.pin(pin);
        }
        let mut signed = self.0.get_assertion_with_args(&ask.build()).map_err(trouble)?;
        let signed = signed.pop().ok_or_else(|| Trouble::Broken("it signed nothing".to_owned()))?;
        // CTAP 2.1, 6.2.2: a key that was asked for one credential need not name it.
        let credential = match (signed.credential_id, request.credentials.as_slice()) {
            (named, _) if !named.is_empty() => named,
            (_, [only]) => only.clone(),
            (_, _) => return Err(Trouble::Broken("it does not say which passkey signed".to_owned())),
        };
        Ok(Signed {
            credential,
            client_data,
            authenticator_data: signed.auth_data,
            signature: signed.signature,
        })
    }

    fn create(&self, creation: &Creation, user: &UserProof) -> Result<Created, Trouble> {
        let client_data = creation.client_data().into_bytes();
        let name = creation.user.name.as_str();
        let person = PublicKeyCredentialUserEntity::new(Some(&creation.user.handle), Some(name), Some(name));
        let mut ask =
            MakeCredentialArgsBuilder::new(&creation.relying_party, &client_data).user_entity(&person);
        for credential in &creation.known {
            ask = ask.exclude_authenticator(credential);
        }
        if let UserProof::Pin(pin) = user {
            ask = ask.pin(pin);
        }
        let made = self.0.make_credential_with_args(&ask.build()).map_err(trouble)?;
        Ok(Created {
            credential: made.credential_descriptor.id,
            client_data,
            attestation_object: unattested(made.auth_data)?,
        })
    }
}

/// An attestation object (WebAuthn level 3, 6.5.4) that says nothing of the key's maker: the gateway asks for none.
fn unattested(authenticator_data: Vec<u8>) -> Result<Vec<u8>, Trouble> {
    let text = |text: &str| Value::Text(text.to_owned());
    let object = Value::Map(vec![
        (text("fmt"), text("none")),
        (text("attStmt"), Value::Map(Vec::new())),
        (text("authData"), Value::Bytes(authenticator_data)),
    ]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&object, &mut bytes).map_err(|error| Trouble::Broken(error.to_string()))?;
    Ok(bytes)
}

/// The library tells a key's status as text: `... 0x31 CTAP2_ERR_PIN_INVALID ...`.
fn trouble(error: impl std::fmt::Display) -> Trouble {
    let text = error.to_string();
    let code = text.split_once("err = 0x").and_then(|(_, rest)| rest.get(..2));
    match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
        Some(code) if !text.starts_with("read err") => Trouble::Status(code),
        Some(_) | None => Trouble::Broken(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_status_is_read_from_the_librarys_words() {
        let told = "response_status err = 0x31 CTAP2_ERR_PIN_INVALID   PIN Invalid.";
        assert_eq!(trouble(told), Trouble::Status(0x31));
        assert_eq!(trouble("response_status err = 0x6A BioPass UnKnown Error."), Trouble::Status(0x6a));
        for other in ["read err = 0xFE", "response_status err = 0xZZ", "write error", ""] {
            assert_eq!(trouble(other), Trouble::Broken(other.to_owned()));
        }
    }

    #[test]
    fn without_a_key_there_is_none() {
        // Whatever is plugged in here, it is asked for nothing.
        assert!(Ports.plugged_in().is_ok_and(|keys| keys.is_empty()) || !get_fidokey_devices().is_empty());
    }

    #[test]
    fn an_attestation_object_is_the_one_without_a_maker() {
        assert_eq!(
            unattested(vec![1, 2]).unwrap(),
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x42\x01\x02"
        );
    }
}
