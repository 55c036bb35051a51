//! Names of the recording crate until they are merged.
use std::path::Path;
#[derive(Debug)]
pub struct SigningKey;
impl SigningKey {
    pub fn read(path: &Path) -> Result<Self, std::io::Error> {
        std::fs::read(path).map(|_| Self)
    }
}
#[derive(Debug)]
pub struct Recipient;
impl std::str::FromStr for Recipient {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.starts_with("age1").then_some(Self).ok_or_else(|| "no recipient".to_owned())
    }
}
