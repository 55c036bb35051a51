//! Writes recordings, good and bad, with what a verifier has to say of each:
//! for comparing verifiers that were written apart. This is how
//! `vectors/corpus/` was made.
//!
//! ```text
//! cargo run -p recording --example corpus -- FOLDER        # a few dozen
//! cargo run -p recording --example corpus -- FOLDER all    # thousands: every bit and cut
//! ```
//!
//! `expected.json` in the folder names the public key and, for each file, the
//! exit code without a site log, the answer of section 9 of `FORMAT.md`, the
//! first bad offset (of an altered file, or where frames stop in an unclean
//! one; else null) and the reason in words, which another verifier may put
//! differently.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a tool for tests, made of their parts"
)]

#[path = "../tests/main/disk.rs"]
mod disk;
#[path = "../tests/main/format.rs"]
mod format;
#[path = "../tests/main/mutations.rs"]
mod mutations;
#[path = "../tests/main/sample.rs"]
mod sample;

use format::{Keys, frames, kind, rechain, resign, with_key_block};
use mutations::{Mutation, bits, cuts, rearranged, spliced};
use recording::{SigningKey, Verdict, verify};
use sample::Plant;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Of each kind of change one in so many goes into the small corpus.
const SAMPLE: usize = 37;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, step) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [folder] => (PathBuf::from(folder), SAMPLE),
        [folder, "all"] => (PathBuf::from(folder), 1),
        _ => return Err("usage: corpus FOLDER [all]".into()),
    };
    std::fs::create_dir_all(&folder)?;
    let mut corpus = Corpus { plant: Plant::new(), folder, files: serde_json::Map::new() };
    corpus.whole()?;
    corpus.changed(step)?;
    corpus.forged()?;
    let Corpus { plant, folder, files } = corpus;
    let expected = serde_json::json!({ "key": plant.signer.public().to_string(), "files": files });
    std::fs::write(folder.join("expected.json"), serde_json::to_string_pretty(&expected)? + "\n")?;
    Ok(())
}

struct Corpus {
    plant: Plant,
    folder: PathBuf,
    files: serde_json::Map<String, serde_json::Value>,
}

impl Corpus {
    fn add(&mut self, name: &str, file: &[u8]) -> std::io::Result<()> {
        let report = verify(Cursor::new(file), self.plant.signer.public())?;
        let (exit, answer, offset, reason) = match report.verdict {
            Verdict::Clean => (0, "clean", None, String::new()),
            Verdict::Untrimmed => (2, "untrimmed", None, String::new()),
            Verdict::Unclean => (3, "unclean", report.tail.broken, String::new()),
            Verdict::Altered { offset, fault } => (1, "altered", Some(offset), fault.to_string()),
        };
        let name = format!("{name}.ghr");
        std::fs::write(Path::new(&self.folder).join(&name), file)?;
        let said = serde_json::json!({ "exit": exit, "answer": answer, "offset": offset, "reason": reason });
        self.files.insert(name, said);
        Ok(())
    }

    /// Untouched ones: closed, closed but not trimmed, broken off.
    fn whole(&mut self) -> std::io::Result<()> {
        let (mut file, _) = self.plant.recorded();
        self.add("closed", &file)?;
        file.resize(file.len() + 700, 0);
        self.add("closed-untrimmed", &file)?;
        let crashed = self.plant.crashed();
        self.add("broken-off", &crashed)?;
        self.add("broken-off-torn", &crashed[..crashed.len() - 130])?;
        let mut torn = crashed;
        torn.truncate(torn.len() - 130);
        torn.resize(torn.len() + 900, 0);
        self.add("broken-off-torn-blank", &torn)?;
        self.add("empty", &[])?;
        self.add("blank", &[0; 4096])
    }

    /// Changes by somebody without the key.
    fn changed(&mut self, step: usize) -> std::io::Result<()> {
        let ((one, _), (two, _)) = (self.plant.recorded(), self.plant.recorded());
        // Bits and cuts are many: still fewer of them.
        let single = bits(&one).step_by(if step == 1 { 1 } else { step * 40 });
        let single = single.chain(cuts(&one).step_by(if step == 1 { 1 } else { step * 10 }));
        let moved = rearranged(&one).into_iter().chain(spliced(&one, &two)).step_by(step);
        for Mutation { name, file, .. } in single.chain(moved) {
            self.add(&name, &file)?;
        }
        self.add("no-recording", b"\x7fELF, or anything else that is no recording")
    }

    /// Changes by somebody with a key: another one, or the stolen one.
    fn forged(&mut self) -> std::io::Result<()> {
        let ((file, _), (other, _)) = (self.plant.recorded(), self.plant.recorded());
        let stranger = SigningKey::generate("plant-a").map_err(std::io::Error::other)?;
        self.add("signed-by-another-key", &resign(&file, &stranger))?;
        let mut behind = file.clone();
        behind.extend_from_slice(&other);
        self.add("another-recording-behind", &behind)?;
        let frame = frames(&file).into_iter().find(|frame| kind(&file[frame.clone()]) == 1).unwrap();
        let mut chained = file.clone();
        chained[frame.end - 1] ^= 1;
        rechain(&mut chained);
        self.add("chained-anew", &chained)?;
        // These verify: only a checkpoint held elsewhere, or reading, tells.
        let text = self.plant.auditor.to_text();
        let keys = Keys::unwrap(&file, text.lines().last().unwrap());
        let mut sealed = file.clone();
        keys.reseal(&mut sealed[frame], 4);
        self.add("stolen-key-old-epoch-sealed-anew", &resign(&sealed, &self.plant.signer))?;
        let swapped = with_key_block(&file, &other[format::key_block(&other)]);
        self.add("stolen-key-other-file-key", &resign(&swapped, &self.plant.signer))
    }
}
