//! The names that policy files use, each a type of its own.
//!
//! All are lower-case ASCII of a bounded length: no comma, quote, space,
//! control character or colon can get into a Casbin row or a log line
//! through a name.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest name of any kind, in bytes.
const LONGEST: usize = 64;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {kind} can't be empty")]
    Empty {
        /// What the name was to stand for.
        kind: &'static str,
    },
    /// Longer than 64 bytes.
    #[error("a {kind} has at most {LONGEST} characters")]
    Long {
        /// What the name was to stand for.
        kind: &'static str,
    },
    /// A character outside of the allowed set.
    #[error("{found:?} can't be part of a {kind} (allowed: {allowed})")]
    Character {
        /// What the name was to stand for.
        kind: &'static str,
        /// The first character that does not fit.
        found: char,
        /// The allowed ones, for people.
        allowed: &'static str,
    },
    /// Characters that fit in an order that does not.
    #[error("not a {kind}: expected {expected}")]
    Shape {
        /// What the name was to stand for.
        kind: &'static str,
        /// What it should look like.
        expected: &'static str,
    },
}

const PLAIN: &str = "a-z 0-9 . _ -";

fn is_plain(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

fn check(kind: &'static str, allowed: &'static str, extra: char, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if text.len() > LONGEST {
        return Err(NameError::Long { kind });
    }
    match text.chars().find(|&character| !is_plain(character) && character != extra) {
        Some(found) => Err(NameError::Character { kind, found, allowed }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$documentation:meta])* $name:ident, $parse:expr) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the name.
            ///
            /// # Errors
            /// [`NameError`] says which character or shape does not fit.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $parse;
                check(text)?;
                Ok(Self(text.to_owned()))
            }

            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name! {
    /// A person's permanent handle, e.g. `tech-1@vendor-a`; at most one `@`.
    Handle, |text| {
        const KIND: &str = "handle";
        check(KIND, "a-z 0-9 . _ - and one @", '@', text)?;
        let parts: Vec<&str> = text.split('@').collect();
        match parts.as_slice() {
            [name] if !name.is_empty() => Ok(()),
            [name, organisation] if !name.is_empty() && !organisation.is_empty() => Ok(()),
            _ => Err(NameError::Shape { kind: KIND, expected: "name or name@organisation" }),
        }
    }
}

name! {
    /// A target of the inventory, e.g. `press-line/plc7`.
    TargetId, |text| {
        const KIND: &str = "target";
        check(KIND, "a-z 0-9 . _ - /", '/', text)?;
        if text.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(NameError::Shape { kind: KIND, expected: "names joined by single /" });
        }
        Ok(())
    }
}

name! {
    /// A service of a target, e.g. `plc`.
    ServiceName, |text| check("service", PLAIN, '-', text)
}

name! {
    /// A zone, without its `zone:`.
    ZoneName, |text| check("zone", PLAIN, '-', text)
}

name! {
    /// A window of time, without its `window:`.
    WindowName, |text| check("window", PLAIN, '-', text)
}

name! {
    /// A group of people who approve, release or supervise.
    GroupName, |text| check("group", PLAIN, '-', text)
}

name! {
    /// A role, without its `role:`.
    RoleName, |text| check("role", PLAIN, '-', text)
}

name! {
    /// A named address of a target.
    TagName, |text| check("tag", PLAIN, '-', text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_bounded_ascii() {
        for good in ["tech-1@vendor-a", "operator-1", "a", "x.y_z@plant.example"] {
            assert_eq!(Handle::parse(good).expect(good).as_str(), good);
        }
        let long = "a".repeat(65);
        for bad in ["", "@", "a@", "@b", "a@b@c", "A", "ä", "a b", "a,b", "a\"b", "a\nb", "a#b", "*", &long]
        {
            assert!(Handle::parse(bad).is_err(), "{bad:?} passed");
        }
    }

    #[test]
    fn target_ids_have_no_empty_part() {
        for good in ["press-line/plc7", "plc7", "a/b/c"] {
            assert!(TargetId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "/a", "a/", "a//b", "../a", "zone:press", "a b", "*"] {
            assert!(TargetId::parse(bad).is_err(), "{bad:?} passed");
        }
    }

    #[test]
    fn a_name_from_bytes_is_checked_too() {
        let bytes = postcard::to_stdvec("Not,A-Name").unwrap();
        assert!(postcard::from_bytes::<ZoneName>(&bytes).is_err());
    }
}
