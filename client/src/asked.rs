//! What the technician asks for: `TARGET` or `TARGET:SERVICE`.

use std::fmt;
use std::str::FromStr;

use wire::{LONGEST_NAME, LONGEST_TARGET};

/// One argument of `connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The target's id.
    pub target: String,
    /// The service's name; `None` for all of the target's services.
    pub service: Option<String>,
}

/// A text that is neither `TARGET` nor `TARGET:SERVICE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "use TARGET or TARGET:SERVICE, e.g. press-line/plc7 or press-line/plc7:plc; an address is never given"
)]
pub struct NotAsked;

impl FromStr for Asked {
    type Err = NotAsked;

    fn from_str(text: &str) -> Result<Self, NotAsked> {
        let (target, service) = match text.split_once(':') {
            Some((target, service)) => (target, Some(service)),
            None => (text, None),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
        let sound = |name: &str, longest| (1..=longest).contains(&name.len()) && name.bytes().all(plain);
        if !sound(target, LONGEST_TARGET) || !service.is_none_or(|service| sound(service, LONGEST_NAME)) {
            return Err(NotAsked);
        }
        Ok(Self { target: target.to_owned(), service: service.map(str::to_owned) })
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(formatter, "{}:{service}", self.target),
            None => formatter.write_str(&self.target),
        }
    }
}

/// The distinct targets, in the order in which they were first named.
#[must_use]
pub fn targets(asked: &[Asked]) -> Vec<&str> {
    let mut targets: Vec<&str> = Vec::new();
    for one in asked {
        if !targets.contains(&one.target.as_str()) {
            targets.push(&one.target);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_and_its_service_are_told_apart() {
        let asked: Asked = "press-line/plc7:plc".parse().unwrap();
        assert_eq!((asked.target.as_str(), asked.service.as_deref()), ("press-line/plc7", Some("plc")));
        assert_eq!(asked.to_string(), "press-line/plc7:plc");
        let whole: Asked = "press-line/plc7".parse().unwrap();
        assert_eq!((whole.target.as_str(), whole.service.as_deref()), ("press-line/plc7", None));
        for wrong in ["", ":plc", "plc7:", "a:b:c", "10.0.0.1:[::]", "a b", "a\x1b", &"t".repeat(129)] {
            assert_eq!(wrong.parse::<Asked>(), Err(NotAsked), "{wrong:?}");
        }
    }

    #[test]
    fn a_target_asked_twice_is_opened_once() {
        let asked: Vec<Asked> = ["b:x", "a", "b:y"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(targets(&asked), ["b", "a"]);
    }
}
