//! The two small values with a form of their own: a session's id and a one-time code.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The random 128-bit name of one session. It names the recording too, so it is never reused.
///
/// As text it is 32 lower-case hex digits; no other spelling is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId([u8; 16]);

/// A text that is not a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 32 lower-case hex digits")]
pub struct NotASessionId;

impl SessionId {
    /// The id with these bytes; the caller draws them from a cryptographic source.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, as they stand in a recording's header.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(NotASessionId);
        }
        let mut bytes = [0_u8; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit.wrapping_sub(b'0'),
                    b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
                    _ => return Err(NotASessionId),
                };
                *byte = (*byte << 4) | value;
            }
        }
        Ok(Self(bytes))
    }
}

/// A one-time code as the technician gave it: 1 to 16 ASCII digits. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Code(String);

/// A text that cannot be a one-time code. It does not repeat the text, which may be half a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code is 1 to 16 digits")]
pub struct NotACode;

impl Code {
    const LONGEST: usize = 16;

    /// The code that a person typed; blanks around and between the digits are dropped.
    ///
    /// # Errors
    /// [`NotACode`] if anything but 1 to 16 ASCII digits remains.
    pub fn parse(typed: &str) -> Result<Self, NotACode> {
        Self::try_from(typed.chars().filter(|character| !character.is_whitespace()).collect::<String>())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Code {
    type Error = NotACode;

    fn try_from(digits: String) -> Result<Self, NotACode> {
        let fits = (1..=Self::LONGEST).contains(&digits.len());
        if fits && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err(NotACode)
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_has_one_spelling() {
        let id = SessionId::from_bytes([0x0f; 16]);
        assert_eq!(id.to_string(), "0f".repeat(16));
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "0f", &"0F".repeat(16), &"0g".repeat(16), &"0f".repeat(17), &"é".repeat(16)] {
            assert_eq!(wrong.parse::<SessionId>(), Err(NotASessionId), "{wrong}");
        }
    }

    #[test]
    fn a_code_is_digits_and_hides_itself() {
        let code = Code::parse(" 123 456\n").unwrap();
        assert_eq!(code.as_str(), "123456");
        assert_eq!(format!("{code:?}"), "Code(hidden)");
        for wrong in ["", " ", "12345a", "１２３４５６", "12345678901234567"] {
            assert_eq!(Code::parse(wrong), Err(NotACode), "{wrong}");
        }
    }
}
