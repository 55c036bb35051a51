//! Bounds of texts and lists inside messages.
//!
//! What it is for: no text or list of a peer grows beyond what the reader expects, whatever the frame's own bound
//! would let through. Names are never cut: a name that is too long is refused when written and when read.
//! Explanations meant for people are cut when written, so that telling a reason can't fail for its length.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest target id, in bytes of UTF-8.
pub const LONGEST_TARGET: usize = 128;
/// The longest name of a service, person, zone, protocol, mode, ticket or software, in bytes of UTF-8.
pub const LONGEST_NAME: usize = 128;
/// The longest address of a gateway, `HOST:PORT`, in bytes: a DNS name (RFC 1035, 2.3.4) and a port fit.
pub const LONGEST_ADDRESS: usize = 260;
/// The longest explanation, reason or banner, in bytes of UTF-8.
pub const LONGEST_TEXT: usize = 1024;
/// The longest signed note of a checkpoint, in bytes.
pub const LONGEST_NOTE: usize = 2048;
/// The longest WebAuthn assertion, in bytes of JSON: it comes before the sign-in is complete.
pub const LONGEST_ASSERTION: usize = 3 * 1024;
/// The longest WebAuthn registration, in bytes of JSON.
pub const LONGEST_REGISTRATION: usize = 16 * 1024;
/// The longest options for an authenticator, in bytes of JSON: four credential ids of the greatest length that there is
/// (WebAuthn level 3, 6.1) fit.
pub const LONGEST_OPTIONS: usize = 8 * 1024;
/// The most elements of any list in a message.
pub const MOST_ITEMS: usize = 1024;
/// The most targets that a page names.
pub const MOST_WANTED: usize = 8;

/// The longest beginning of `text` that has at most `longest` bytes and ends between characters; `...` takes the
/// place of what was cut off.
#[must_use]
pub fn clip(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let room = longest.saturating_sub("...".len());
    let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let kept = text.get(..end).unwrap_or_default();
    if longest < "...".len() { String::new() } else { format!("{kept}...") }
}

/// Declares modules for `#[serde(with = ...)]`: texts of at most a number of bytes.
macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident($longest:expr, $write:path);)*) => {$(
        $(#[$doc])*
        pub(crate) mod $name {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$write(text, $longest).map_err(S::Error::custom)?)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
                deserializer.deserialize_str(Present(BoundedText($longest)))
            }
        }
    )*};
}

/// The same for texts that may be absent.
macro_rules! bounded_options {
    ($($(#[$doc:meta])* $name:ident($longest:expr, $write:path);)*) => {$(
        $(#[$doc])*
        pub(crate) mod $name {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
                match text {
                    Some(text) => serializer.serialize_some(&$write(text, $longest).map_err(S::Error::custom)?),
                    None => serializer.serialize_none(),
                }
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
                deserializer.deserialize_option(Optional(BoundedText($longest)))
            }
        }
    )*};
}

bounded! {
    /// A target id.
    target(LONGEST_TARGET, refuse_longer);
    /// Any other name.
    name(LONGEST_NAME, refuse_longer);
    /// An explanation for a person: cut when written.
    explanation(LONGEST_TEXT, cut);
    /// A gateway's address.
    address(LONGEST_ADDRESS, refuse_longer);
    /// A signed note.
    note(LONGEST_NOTE, refuse_longer);
    /// A WebAuthn assertion.
    assertion(LONGEST_ASSERTION, refuse_longer);
    /// A WebAuthn registration.
    registration(LONGEST_REGISTRATION, refuse_longer);
    /// Options for an authenticator.
    options(LONGEST_OPTIONS, refuse_longer);
}

bounded_options! {
    /// A name that may be absent.
    optional_name(LONGEST_NAME, refuse_longer);
    /// A technician's own reason: evidence, so it is refused rather than cut.
    optional_reason(LONGEST_TEXT, refuse_longer);
    /// An explanation that may be absent.
    optional_explanation(LONGEST_TEXT, cut);
}

fn refuse_longer(text: &str, longest: usize) -> Result<String, String> {
    if text.len() > longest {
        return Err(format!("a text of {} bytes where at most {longest} are allowed", text.len()));
    }
    Ok(text.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the same shape as refuse_longer, so that one macro takes both")]
fn cut(text: &str, longest: usize) -> Result<String, String> {
    Ok(clip(text, longest))
}

/// Reads a text only if it is short enough; nothing is allocated before.
struct BoundedText(usize);

impl BoundedText {
    fn check<E: serde::de::Error>(&self, text: &str) -> Result<String, E> {
        if text.len() > self.0 {
            return Err(E::custom("a text that is too long"));
        }
        Ok(text.to_owned())
    }
}

struct Present(BoundedText);

impl Visitor<'_> for Present {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        self.0.check(text)
    }
}

struct Optional(BoundedText);

impl<'de> Visitor<'de> for Optional {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or nothing")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_str(Present(self.0)).map(Some)
    }
}

/// Lists, for `#[serde(with = ...)]`: at most [`MOST_ITEMS`] elements, both ways.
pub(crate) mod list {
    use super::*;

    pub(crate) fn serialize<S: Serializer, T: Serialize>(
        list: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if list.len() > MOST_ITEMS {
            return Err(S::Error::custom("a list that is too long"));
        }
        serializer.collect_seq(list)
    }

    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        deserializer.deserialize_seq(BoundedList(PhantomData))
    }
}

struct BoundedList<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BoundedList<T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {MOST_ITEMS} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        // Nothing is reserved by the announced count: memory follows what has really come.
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() >= MOST_ITEMS {
                return Err(A::Error::custom("a list that is too long"));
            }
            list.push(element);
        }
        Ok(list)
    }
}

/// Target ids, for `#[serde(with = ...)]`: at most [`MOST_WANTED`], each as long as a target id may be.
pub(crate) mod wanted {
    use super::*;

    /// A target id within a list.
    struct Id<'a>(&'a str);

    impl Serialize for Id<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            target::serialize(self.0, serializer)
        }
    }

    #[derive(Deserialize)]
    struct OwnedId(#[serde(with = "target")] String);

    pub(crate) fn serialize<S: Serializer>(wanted: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        if wanted.len() > MOST_WANTED {
            return Err(S::Error::custom("a list that is too long"));
        }
        serializer.collect_seq(wanted.iter().map(|id| Id(id)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        let list: Vec<OwnedId> = list::deserialize(deserializer)?;
        if list.len() > MOST_WANTED {
            return Err(D::Error::custom("a list that is too long"));
        }
        Ok(list.into_iter().map(|id| id.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clipped_text_fits_and_stays_text() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("longer", 5), "lo...");
        assert_eq!(clip("ääää", 6), "ä...");
        assert_eq!(clip("abc", 2), "");
        assert_eq!(clip("abcd", 3), "...");
    }

    proptest::proptest! {
        #[test]
        fn a_clipped_text_never_exceeds_its_bound(text in ".{0,40}", longest in 0_usize..40) {
            proptest::prop_assert!(clip(&text, longest).len() <= longest);
        }
    }
}
