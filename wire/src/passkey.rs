//! A passkey without a browser: who calls an authenticator that the client speaks to itself.
//!
//! What it is for: in a browser, `clientDataJSON` names the page's origin, and nobody but the browser writes it, so that
//! whoever stands between client and gateway gets a signature for their own name alone. Without a browser the client
//! writes it, and a name says nothing. So the client names instead the one connection for which it asks: the origin of
//! the gateway's page, and behind it a value that both ends of that connection know and nobody else (the TLS exporter,
//! RFC 8446, 7.5). The authenticator signs it, and the gateway takes nothing but the name of its own connection.
//!
//! What it never does: it is no name that a browser could write, whose origins have no fragment (HTML, 7.1.1), so that a
//! page's answer and a direct one are never taken for each other; nor one that another site's check of the origin lets
//! pass.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The label of the TLS exporter to which a signature without a browser is bound. RFC 5705, section 4: labels that are
/// not registered begin with "EXPERIMENTAL".
pub const EXPORTER_LABEL: &[u8] = b"EXPERIMENTAL gatehouse passkey";

/// What stands between origin and value.
const MARK: &str = "/#gatehouse-connection=";

/// The `origin` member of `clientDataJSON` (WebAuthn level 3, 5.8.1) for a passkey without a browser: `origin` is that
/// of the gateway's page, `https://NAME[:PORT]`, `exporter` the value of [`EXPORTER_LABEL`] on the connection that asks.
#[must_use]
pub fn caller(origin: &str, exporter: &[u8; 32]) -> String {
    format!("{origin}{MARK}{}", URL_SAFE_NO_PAD.encode(exporter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_written_in_one_way() {
        assert_eq!(
            caller("https://gw.plant.example:8443", &[0xfb; 32]),
            "https://gw.plant.example:8443/#gatehouse-connection=-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s"
        );
        assert_eq!(EXPORTER_LABEL, b"EXPERIMENTAL gatehouse passkey");
        assert_ne!(caller("https://gw", &[0; 32]), caller("https://gw", &[1; 32]));
    }
}
