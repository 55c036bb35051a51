//! `verify`: one verdict per recording, the worst of them as exit code.
//!
//! Alone a recording proves what is in it. With the site log it is told
//! whether it is all that there was, and whether a recording is missing; with
//! a receipt whether the log itself is all that there was.

use crate::accounting::{Standing, account, against_receipts, exit_of};
use crate::arguments::Verify;
use crate::books::{Books, Receipts};
use crate::escape::{Safe, safe};
use crate::exit::Exit;
use crate::log_finding::{LogFinding, Scope, recordings_of};
use crate::recording_file;
use crate::run::Output;
use crate::time::stamp;
use crate::trouble::Trouble;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use recording::{PublicKey, Report, SignedPrefix, Verdict};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Files from this size on, in bytes, show their progress on a terminal.
const LARGE: u64 = 16 * 1024 * 1024;

pub(crate) fn verify(arguments: &Verify, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let key = PublicKey::read(&arguments.key).map_err(Trouble::key(&arguments.key))?;
    let receipts = Receipts::read(&arguments.receipt, &key)?;
    let books = arguments.log.as_ref().map(|folder| Books::open(folder, &key)).transpose()?;
    let mut worst = Exit::Done;
    let mut findings = Vec::new();
    for path in &named(&arguments.files)? {
        let exit = match check(path, &key) {
            Ok(report) => {
                let standing = hold_against(path, &report, books.as_ref(), &receipts)?;
                let finding = Finding::new(path, &report, standing.as_ref());
                let exit = exit_with(&report, standing.as_ref());
                if arguments.json {
                    findings.push(finding);
                } else {
                    output.line(sentence(path, &report, &key, standing.as_ref()))?;
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
    let Some(books) = books else {
        if arguments.json {
            output.json(&findings)?;
        }
        return Ok(worst);
    };
    let scope = match (arguments.files.is_empty(), arguments.excerpt) {
        (true, _) => Scope::LogAlone,
        (false, true) => Scope::Excerpt,
        (false, false) => Scope::All,
    };
    let log = LogFinding::new(&books, &receipts, scope, &arguments.files)?;
    if arguments.json {
        output.json(&Findings { recordings: findings, log: &log })?;
    } else {
        for line in log.lines(&key) {
            output.line(safe(&line))?;
        }
    }
    Ok(worst.max(log.exit()))
}

/// The recordings that were named, those of a folder by their ending.
fn named(files: &[PathBuf]) -> Result<Vec<PathBuf>, Trouble> {
    let mut named = Vec::new();
    for file in files {
        if file.is_dir() {
            named.extend(recordings_of(file)?);
        } else {
            named.push(file.clone());
        }
    }
    Ok(named)
}

/// What log and receipts say of a recording; the weightier counts.
fn hold_against(
    path: &Path,
    report: &Report,
    books: Option<&Books>,
    receipts: &Receipts,
) -> Result<Option<Standing>, Trouble> {
    let by_log = books.map(|books| account(path, report, books)).transpose().map_err(Trouble::file(path))?;
    let by_receipt = against_receipts(path, report, receipts).map_err(Trouble::file(path))?;
    Ok(by_receipt.into_iter().chain(by_log.flatten()).max_by_key(|standing| standing.exit))
}

/// The file's own verdict, unless log or receipts know better.
fn exit_with(report: &Report, standing: Option<&Standing>) -> Exit {
    standing.map_or_else(|| exit_of(&report.verdict), |standing| standing.exit)
}

/// Everything for programs, where there is a site log.
#[derive(Debug, Serialize)]
struct Findings<'a> {
    recordings: Vec<Finding>,
    log: &'a LogFinding,
}

fn check(path: &Path, key: &PublicKey) -> Result<Report, Trouble> {
    let file = recording_file::open(path)?;
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

fn sentence(path: &Path, report: &Report, key: &PublicKey, standing: Option<&Standing>) -> String {
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
            let accounted = standing.is_some_and(|standing| standing.exit < Exit::Uncertain);
            let doubt = if accounted { "" } else { "; truncation can't be excluded" };
            format!("not closed: {}; {}{doubt}", covered(signed), tail(report))
        }
        (Verdict::Clean | Verdict::Untrimmed | Verdict::Unclean, None) => {
            "not closed: nothing in it is signed; truncation can't be excluded".to_owned()
        }
    };
    match standing {
        Some(Standing { exit: Exit::No, text }) => {
            safe(&format!("{path}: NOT ALL THAT THERE WAS: {text} (by itself {verdict})"))
        }
        Some(standing) => safe(&format!("{path}: {verdict}; {}", standing.text)),
        None => safe(&format!("{path}: {verdict}")),
    }
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
    /// What site log and receipts say of it.
    account: Option<String>,
}

impl Finding {
    fn new(path: &Path, report: &Report, standing: Option<&Standing>) -> Self {
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
            exit: exit_with(report, standing).code(),
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
            account: standing.map(|standing| standing.text.clone()),
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
            account: None,
        }
    }
}
