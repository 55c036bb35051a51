//! `keygen`: a key that signs recordings, the site log or a policy's manifest.

use super::exit::{Exit, Failure};
use super::print::{Form, answer};
use recording::{DEFAULT_KEY_NAME, KeyError, SigningKey};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The ending of the public half's file.
const PUBLIC: &str = "pub";

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    private_key: PathBuf,
    public_key: PathBuf,
    /// The public half, as one C2SP verifier key line.
    verifier_key: String,
}

/// Writes a new key to `out`, and its public half beside it. Nothing is
/// overwritten, and neither file is there if the other could not be written.
pub(super) fn keygen(out: &Path, form: Form) -> Result<Exit, Failure> {
    let public = out.with_extension(PUBLIC);
    if public == out {
        let text = format!("{}: names the public half; write another ending", out.display());
        return Err(Failure::new(Exit::Usage, text));
    }
    let key = SigningKey::generate(DEFAULT_KEY_NAME).map_err(failed)?;
    key.write(out).map_err(failed)?;
    if let Err(error) = key.public().write(&public) {
        // It was made just now, and signed nothing.
        let _ = std::fs::remove_file(out);
        return Err(failed(error));
    }
    let verifier_key = key.public().to_string();
    let made = Made { private_key: out.to_owned(), public_key: public, verifier_key };
    answer(form, &made, |made| made.verifier_key.clone())?;
    Ok(Exit::Done)
}

fn failed(error: KeyError) -> Failure {
    Failure::new(Exit::Usage, error)
}
