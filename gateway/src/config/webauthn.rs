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

#[cfg(test)]
mod tests {
    use crate::fixture::{Plant, Purpose, issue_for};
    use std::os::unix::fs::PermissionsExt;

    /// The one problem of a plant with passkeys that was changed.
    fn told(spoil: impl FnOnce(&Plant)) -> String {
        let plant = Plant::new().with_passkeys();
        // Files of the page's own, so that nothing of `[tls]` is spoilt.
        let page = issue_for("localhost", &plant, Purpose::Server);
        plant.write("page.pem", &page.certificate);
        plant.write_secret("page.key", &page.key);
        let shared = "cert = \"gateway.pem\"\nkey = \"gateway.key\"\nrp_id";
        plant.configure(shared, "cert = \"page.pem\"\nkey = \"page.key\"\nrp_id");
        assert!(plant.config().is_ok());
        spoil(&plant);
        let problems = plant.config().expect_err("the configuration passed");
        let [problem] = problems.as_slice() else { panic!("{problems:#?}") };
        problem.to_string().replace(&plant.path("").display().to_string(), "")
    }

    #[test]
    fn the_listener_needs_an_address() {
        let told = told(|plant| {
            plant.configure("[webauthn]\nlisten = \"127.0.0.1:0\"", "[webauthn]\nlisten = \"localhost\"")
        });
        assert_eq!(told, "gateway.toml: [webauthn] listen: \"localhost\" is no address; write ADDRESS:PORT");
    }

    #[test]
    fn an_origin_is_https_a_name_and_a_port_and_nothing_more() {
        for (origin, why) in [
            ("http://localhost:8443", "is not https"),
            ("https://127.0.0.1:8443", "names no domain"),
            ("https://[::1]:8443", "names no domain"),
            ("https://localhost:8443/", "has more than scheme, name and port"),
            ("https://localhost:8443/a?b#c", "has more than scheme, name and port"),
            ("https://user:secret@localhost:8443", "has more than scheme, name and port"),
            ("https://LOCALHOST:8443", "has more than scheme, name and port"),
            ("localhost", "relative URL"),
            ("", "relative URL"),
        ] {
            let told = told(|plant| plant.configure("https://localhost:8443", origin));
            assert!(
                told.starts_with("gateway.toml: [webauthn] origin: ") && told.contains(why),
                "{origin}: {told}"
            );
            assert!(told.ends_with("write https://NAME:PORT, as browsers reach the page"), "{told}");
        }
    }

    /// Passkeys are bound to it for ever, and a browser gives none to a page
    /// that is not within it (WebAuthn Level 3, 5.1.4).
    #[test]
    fn the_relying_party_is_the_pages_name_or_a_domain_above_it() {
        for wrong in ["elsewhere", "ocalhost", "page.localhost", "https://localhost", "localhost:8443", ""] {
            let told = told(|plant| plant.configure("rp_id = \"localhost\"", &format!("rp_id = {wrong:?}")));
            assert!(
                told.starts_with(&format!("gateway.toml: [webauthn] rp_id: {wrong:?} does not fit")),
                "{told}"
            );
            assert!(told.contains("write the name in origin"), "{told}");
        }
    }

    #[test]
    fn files_are_there_belong_together_and_the_key_is_private() {
        for (file, key) in [("page.pem", "[webauthn] cert"), ("page.key", "[webauthn] key")] {
            let missing = told(|plant| std::fs::remove_file(plant.path(file)).unwrap());
            assert!(missing.starts_with(&format!("{file}: {key}: ")), "{missing}");
            let junk = told(|plant| plant.write(file, "junk"));
            assert!(junk.starts_with(&format!("{file}: {key}: holds no ")), "{junk}");
        }
        let open = told(|plant| {
            let mode = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(plant.path("page.key"), mode).unwrap();
        });
        assert!(
            open.starts_with("page.key: [webauthn] key: others may read this secret (mode 644)"),
            "{open}"
        );
        let other = told(|plant| plant.write("page.key", &plant.issue(9, Purpose::Server, 9).key));
        assert!(other.starts_with("page.key: [webauthn] key: does not belong to page.pem"), "{other}");
    }

    #[test]
    fn the_certificate_is_in_time_and_made_for_the_pages_name() {
        let named = told(|plant| {
            let page = issue_for("elsewhere.example", plant, Purpose::Server);
            plant.write("page.pem", &page.certificate);
            plant.write("page.key", &page.key);
        });
        assert!(
            named.starts_with("page.pem: [webauthn] cert: is not made for localhost; issue one"),
            "{named}"
        );
        let expired = told(|plant| {
            let page = plant.issue(9, Purpose::Server, 1);
            plant.write("page.pem", &page.certificate);
            plant.write("page.key", &page.key);
            plant.advance_days(2);
        });
        assert!(
            expired.starts_with("page.pem: [webauthn] cert: expired on 2026-03-11T12:00:00Z; renew"),
            "{expired}"
        );
    }

    #[test]
    fn keys_that_are_missing_or_unknown_are_told_with_their_line() {
        let unknown = told(|plant| plant.configure("rp_id =", "rp = \"x\"\nrp_id ="));
        assert!(unknown.contains("unknown field `rp`"), "{unknown}");
        let missing = told(|plant| plant.configure("rp_id = \"localhost\"\n", ""));
        assert!(missing.contains("missing field `rp_id`"), "{missing}");
    }
}
