//! What a client may choose at a page: the passkey's name and its own port.

use crate::audit::harmless;
use wire::Loopback;

/// The longest name of a passkey, in bytes.
const LONGEST_NAME: usize = 64;

/// A name that can be shown and written anywhere.
///
/// # Errors
/// In words for the person.
pub fn sound_name(name: &str) -> Result<String, String> {
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.len() > LONGEST_NAME || harmless(trimmed) != trimmed {
        return Err(format!("a passkey's name has 1 to {LONGEST_NAME} bytes and no control characters"));
    }
    Ok(trimmed.to_owned())
}

/// Whether a person's client can listen there: below 1024 none does.
pub fn is_free(loopback: &Loopback) -> bool {
    loopback.port >= 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_act_on_no_terminal() {
        assert_eq!(sound_name(" laptop ").unwrap(), "laptop");
        assert_eq!(sound_name("grüner Schlüssel").unwrap(), "grüner Schlüssel");
        for wrong in ["", "  ", "a\u{1b}[2J", "a\nb", "a\u{202e}b", &"x".repeat(65)] {
            assert!(sound_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_client_listens_where_services_do() {
        let at = |port| Loopback { port, nonce: [0; 16] };
        assert!(!is_free(&at(0)) && !is_free(&at(443)) && !is_free(&at(1023)));
        assert!(is_free(&at(1024)) && is_free(&at(u16::MAX)));
    }
}
