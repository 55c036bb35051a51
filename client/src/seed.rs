//! A TOTP seed in a file, for automation.
//!
//! The file holds one line, either an `otpauth://totp/...` URI or the seed in base32; lines that begin with `#` and
//! empty ones do not count. Whoever has this file has the second factor, so it must be its owner's alone.

use std::path::Path;

use totp_rs::{Builder, Secret, Totp};
use wire::Code;
use zeroize::Zeroizing;

use crate::{Problem, platform};

/// The most that a seed file may have, in bytes.
const LARGEST: usize = 4096;

/// A seed that gives codes (RFC 6238).
pub struct Seed(Totp);

impl Seed {
    /// Reads a seed file.
    ///
    /// # Errors
    /// [`Problem::Configuration`] if others may read it or it holds no seed, [`Problem::Io`]. None repeats what the
    /// file holds.
    pub fn load(file: &Path) -> Result<Self, Problem> {
        platform::refuse_if_others_may_read(file)?;
        let bytes = Zeroizing::new(std::fs::read(file).map_err(|source| Problem::of_file(file, source))?);
        let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= LARGEST);
        text.and_then(Self::parse).ok_or_else(|| {
            Problem::Configuration(format!(
                "{}: no seed: one line with an otpauth://totp/ URI or at least 16 bytes in base32 is needed",
                file.display()
            ))
        })
    }

    /// The seed in a text as a seed file has it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        if line.starts_with("otpauth://") {
            return Totp::from_url(line).ok().map(Self);
        }
        let compact: Zeroizing<String> =
            Zeroizing::new(line.chars().filter(|character| !matches!(character, ' ' | '-' | '=')).collect());
        let secret = Secret::try_from_base32(compact.to_ascii_uppercase()).ok()?;
        Builder::new().with_secret(secret).build().ok().map(Self)
    }

    /// The code of the step in which `unix_seconds` lies; `None` for a seed whose codes the wire cannot carry.
    #[must_use]
    pub fn code_at(&self, unix_seconds: u64) -> Option<Code> {
        Code::parse(&self.0.generate(unix_seconds).to_string()).ok()
    }

    /// Seconds from `unix_seconds` until the next step begins; at least 1.
    #[must_use]
    pub fn until_next_step(&self, unix_seconds: u64) -> u64 {
        self.0.next_step(unix_seconds).saturating_sub(unix_seconds).max(1)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seed(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors' seed of RFC 6238 appendix B, `12345678901234567890`.
    const RFC_SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn the_published_vectors_come_out() {
        let uri = format!("otpauth://totp/Gatehouse:operator-1?secret={RFC_SEED}&issuer=Gatehouse&digits=8");
        let seed = Seed::parse(&uri).unwrap();
        for (at, code) in [(59, "94287082"), (1_111_111_109, "07081804"), (20_000_000_000, "65353130")] {
            assert_eq!(seed.code_at(at).unwrap().as_str(), code);
        }
    }

    #[test]
    fn base32_may_be_written_as_people_write_it() {
        for written in
            [RFC_SEED, "# mine\n\ngezd gnbv-gy3t qojq gezd gnbv gy3t qojq\n", &format!("{RFC_SEED}====")]
        {
            assert_eq!(Seed::parse(written).unwrap().code_at(59).unwrap().as_str(), "287082", "{written}");
        }
        for wrong in [
            "",
            "# only a comment",
            "short",
            "not base32!",
            "otpauth://totp/x",
            &format!("{RFC_SEED}\n{RFC_SEED}"),
        ] {
            assert!(Seed::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_next_step_is_never_now() {
        let seed = Seed::parse(RFC_SEED).unwrap();
        assert_eq!(seed.until_next_step(59), 1);
        assert_eq!(seed.until_next_step(60), 30);
    }

    #[test]
    fn a_seed_never_shows_itself() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("seed");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true);
        let mut written = platform::private_file(&mut options).open(&file).unwrap();
        std::io::Write::write_all(&mut written, b"secretsecret!").unwrap();
        let problem = Seed::load(&file).unwrap_err();
        assert_eq!(problem.exit_code(), 5);
        assert!(!problem.to_string().contains("secret"), "{problem}");
        assert_eq!(format!("{:?}", Seed::parse(RFC_SEED).unwrap()), "Seed(hidden)");
    }
}
