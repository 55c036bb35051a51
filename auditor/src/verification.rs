//! `verify`: one verdict per recording, the worst of them as exit code.

use crate::arguments::Verify;
use crate::escape::{Safe, safe};
use crate::exit::Exit;
use crate::run::Output;
use crate::time::stamp;
use crate::trouble::Trouble;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use recording::{PublicKey, Report, SignedPrefix, Verdict};
use serde::Serialize;
use std::fs::File;
use std::path::Path;

/// Files from this size on, in bytes, show their progress on a terminal.
const LARGE: u64 = 16 * 1024 * 1024;

pub(crate) fn verify(arguments: &Verify, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let key = PublicKey::read(&arguments.key).map_err(Trouble::key(&arguments.key))?;
    let mut worst = Exit::Done;
    let mut findings = Vec::new();
    for path in &arguments.files {
        let exit = match check(path, &key) {
            Ok(report) => {
                let finding = Finding::new(path, &report);
                let exit = exit_of(&report.verdict);
                if arguments.json {
                    findings.push(finding);
                } else {
                    output.line(sentence(path, &report, &key))?;
                }
                exit
            }
            Err(trouble) => {
                findings.push(Finding::unreadable(path, &trouble));
                output.complain(&trouble)
            }
        };
        worst = worst.max(exit);
    }
    if arguments.json {
        output.json(&findings)?;
    }
    Ok(worst)
}

fn check(path: &Path, key: &PublicKey) -> Result<Report, Trouble> {
    let file = File::open(path).map_err(Trouble::file(path))?;
    let length = file.metadata().map_err(Trouble::file(path))?.len();
    if length < LARGE {
        return recording::verify(file, key).map_err(Trouble::file(path));
    }
    let bar = ProgressBar::new(length).with_message(safe(&path.display().to_string()));
    // The bar hides itself where standard error is no terminal.
    if let Ok(style) = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {wide_bar} {eta}") {
        bar.set_style(style);
    }
    let report = recording::verify_watched(file, key, |done| bar.set_position(done));
    bar.finish_and_clear();
    report.map_err(Trouble::file(path))
}

fn exit_of(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Clean => Exit::Done,
        Verdict::Untrimmed => Exit::Unclean,
        Verdict::Unclean => Exit::Uncertain,
        Verdict::Altered { .. } => Exit::No,
    }
}

fn sentence(path: &Path, report: &Report, key: &PublicKey) -> String {
    let path = path.display().to_string();
    let verdict = match (&report.verdict, &report.signed) {
        (Verdict::Altered { offset, fault }, _) => format!("ALTERED at offset {offset}: {fault}"),
        (Verdict::Clean, Some(signed)) => {
            format!("clean: {} by {}+{:08x}", covered(signed), key.name(), key.id())
        }
        (Verdict::Untrimmed, Some(signed)) => format!(
            "valid and closed, but {} reserved bytes were not given back: {}",
            report.tail.blank,
            covered(signed)
        ),
        (Verdict::Unclean, Some(signed)) => {
            format!("not closed: {}; {}; truncation can't be excluded", covered(signed), tail(report))
        }
        (Verdict::Clean | Verdict::Untrimmed | Verdict::Unclean, None) => {
            "not closed: nothing in it is signed; truncation can't be excluded".to_owned()
        }
    };
    safe(&format!("{path}: {verdict}"))
}

fn covered(signed: &SignedPrefix) -> String {
    let until = stamp(signed.time, &TimeZone::UTC);
    format!("{} frames, {} bytes, signed until {until}", signed.frames, signed.bytes)
}

fn tail(report: &Report) -> String {
    let tail = &report.tail;
    let frames = match (tail.frames, tail.bytes) {
        (0, _) => "nothing unsigned follows".to_owned(),
        (frames, bytes) => format!("{frames} frames, {bytes} bytes, follow unsigned"),
    };
    match tail.broken {
        Some(offset) => format!("{frames}; from offset {offset} on there is no frame (a torn write)"),
        None => frames,
    }
}

/// One file's verdict for programs.
#[derive(Debug, Serialize)]
struct Finding {
    file: String,
    verdict: &'static str,
    exit: u8,
    session: Option<String>,
    /// Length of the file.
    bytes: Option<u64>,
    signed_bytes: u64,
    signed_frames: u64,
    signed_until: Option<String>,
    unsigned_bytes: u64,
    unsigned_frames: u64,
    blank_bytes: u64,
    /// First offset that is not as it was signed, or that is no frame.
    offset: Option<u64>,
    reason: Option<String>,
}

impl Finding {
    fn new(path: &Path, report: &Report) -> Self {
        let (verdict, offset, reason) = match &report.verdict {
            Verdict::Clean => ("clean", None, None),
            Verdict::Untrimmed => ("untrimmed", None, None),
            Verdict::Unclean => ("unclean", report.tail.broken, None),
            Verdict::Altered { offset, fault } => ("altered", Some(*offset), Some(fault.to_string())),
        };
        let signed = report.signed.as_ref();
        Self {
            file: path.display().to_string(),
            verdict,
            exit: exit_of(&report.verdict).code(),
            session: report.header.as_ref().map(recording::Header::session_hex),
            bytes: Some(report.length),
            signed_bytes: signed.map_or(0, |signed| signed.bytes),
            signed_frames: signed.map_or(0, |signed| signed.frames),
            signed_until: signed.map(|signed| stamp(signed.time, &TimeZone::UTC)),
            unsigned_bytes: report.tail.bytes,
            unsigned_frames: report.tail.frames,
            blank_bytes: report.tail.blank,
            offset,
            reason,
        }
    }

    fn unreadable(path: &Path, trouble: &Trouble) -> Self {
        Self {
            file: path.display().to_string(),
            verdict: "unreadable",
            exit: trouble.exit().code(),
            session: None,
            bytes: None,
            signed_bytes: 0,
            signed_frames: 0,
            signed_until: None,
            unsigned_bytes: 0,
            unsigned_frames: 0,
            blank_bytes: 0,
            offset: None,
            reason: Some(Safe(&trouble.to_string()).to_string()),
        }
    }
}
