//! `[webauthn]`: what is true of it.

use super::checks::Checks;
use super::{WebauthnSettings, written};
use crate::passkey::Origin;

impl Checks<'_> {
    pub(super) fn webauthn(&mut self, webauthn: written::Webauthn) -> Option<WebauthnSettings> {
        let listen = self.address("[webauthn] listen", &webauthn.listen);
        let key = "[webauthn] origin";
        let origin = Origin::parse(&webauthn.origin).map_err(|reason| {
            self.wrong(key, reason, "write https://NAME:PORT, as browsers reach the page");
        });
        let (listen, origin) = (listen?, origin.ok()?);
        if let Err(error) = crate::passkey::library(&webauthn.rp_id, &origin) {
            let reason = format!("{:?} does not fit to {}: {error}", webauthn.rp_id, origin.as_str());
            let hint = "write the name in origin, or a domain above it that you own whole";
            self.wrong("[webauthn] rp_id", reason, hint);
        }
        let (cert, key) = (self.path(&webauthn.cert), self.path(&webauthn.key));
        let keys = ("[webauthn] cert", "[webauthn] key");
        match crate::tls::identity_for(origin.host(), (&cert, &key), keys, self.now) {
            Ok(identity) => self.ends.push(identity.lasts),
            Err(problem) => self.problems.push(problem),
        }
        Some(WebauthnSettings { listen, cert, key, relying_party: webauthn.rp_id, origin })
    }
}
