//! One row for each request, as JSON Lines or CSV with the same columns.

use super::destination::NewFile;
use super::proof::Proof;
use super::{Cover, Source, Written};
use crate::chronicle::{Chronicle, Request, Secrets, Told, What};
use crate::escape::{safe, safe_json};
use crate::row::{Row, Who};
use crate::time::Clock;
use crate::trouble::Trouble;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// The columns of a CSV file: the keys of a JSON object.
pub(super) const COLUMNS: [&str; 24] = [
    "time",
    "session",
    "person",
    "target",
    "zone",
    "channel",
    "service",
    "protocol",
    "port",
    "request",
    "function",
    "operation",
    "accesses",
    "effect",
    "decision",
    "rule",
    "reason",
    "answer",
    "refused",
    "answered",
    "request_bytes",
    "answer_bytes",
    "signed",
    "verified",
];

/// A row with what is proven of it.
#[derive(Debug, Serialize)]
struct ProvenRow<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    signed: Option<bool>,
    verified: &'static str,
}

pub(super) fn write_json(
    cover: &Cover<'_>,
    source: &mut Source<'_>,
    secrets: Secrets,
    out: &Path,
) -> Result<Written, Trouble> {
    let mut file = NewFile::create(out)?;
    let count = each(cover, source, secrets, |row| {
        let json = serde_json::to_string(row).map_err(io::Error::other)?;
        writeln!(file, "{}", safe_json(&json))
    });
    let count = count.map_err(at(out))?;
    file.finish()?;
    Ok(source.written(count, "requests"))
}

pub(super) fn write_csv(
    cover: &Cover<'_>,
    source: &mut Source<'_>,
    secrets: Secrets,
    out: &Path,
) -> Result<Written, Trouble> {
    let file = NewFile::create(out)?;
    // RFC 4180: lines end in CR LF, quotes only where they are needed.
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
    csv.write_record(COLUMNS).map_err(|error| Trouble::file(out)(error.into()))?;
    let count = each(cover, source, secrets, |row| csv.write_record(row.cells()).map_err(io::Error::from));
    let count = count.map_err(at(out))?;
    csv.flush().map_err(Trouble::file(out))?;
    let file = csv.into_inner().map_err(|error| Trouble::file(out)(io::Error::other(error.to_string())))?;
    file.finish()?;
    Ok(source.written(count, "requests"))
}

/// What stopped the rows.
enum Stopped {
    Reading(Trouble),
    Writing(io::Error),
}

fn at(out: &Path) -> impl FnOnce(Stopped) -> Trouble {
    |stopped| match stopped {
        Stopped::Reading(trouble) => trouble,
        Stopped::Writing(error) => Trouble::file(out)(error),
    }
}

/// Gives each request's row; tells how many there were.
fn each(
    cover: &Cover<'_>,
    source: &mut Source<'_>,
    secrets: Secrets,
    mut give: impl FnMut(&ProvenRow<'_>) -> io::Result<()>,
) -> Result<u64, Stopped> {
    let session = cover.header.session_hex();
    let who = cover.started.as_deref().map(Who::of);
    let clock = Clock { start: cover.header.started_wall, zone: TimeZone::UTC };
    let mut chronicle = Chronicle::new(secrets);
    let mut count = 0_u64;
    let mut tell = |told: Vec<Told>| -> io::Result<()> {
        for Told { what, .. } in told {
            let What::Request(request) = what else { continue };
            give(&ProvenRow::new(&request, &session, who.as_ref(), &clock, cover.proof))?;
            count = count.saturating_add(1);
        }
        Ok(())
    };
    while let Some(recorded) = source.next().map_err(Stopped::Reading)? {
        tell(chronicle.take(recorded)).map_err(Stopped::Writing)?;
    }
    tell(chronicle.finish(source.stop())).map_err(Stopped::Writing)?;
    Ok(count)
}

impl<'a> ProvenRow<'a> {
    fn new(
        request: &'a Request,
        session: &'a str,
        who: Option<&'a Who>,
        clock: &Clock,
        proof: &Proof,
    ) -> Self {
        Self {
            row: Row::new(request, session, who, |at| clock.exact(at)),
            signed: proof.covers(request.last_position()),
            verified: proof.word(),
        }
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let Self { row, signed, verified } = self;
        let text = |text: &str| cell(text);
        let maybe = |text: Option<&str>| text.map(cell).unwrap_or_default();
        let truth = |known: Option<bool>| known.map(|known| known.to_string()).unwrap_or_default();
        let accesses: Vec<String> = row.accesses.iter().map(ToString::to_string).collect();
        [
            text(&row.time),
            text(row.session),
            maybe(row.person),
            maybe(row.target),
            maybe(row.zone),
            row.channel.to_string(),
            text(row.service),
            text(row.protocol),
            row.port.to_string(),
            row.request.to_string(),
            text(row.function),
            text(row.operation),
            text(&accesses.join("; ")),
            text(row.effect),
            text(row.decision.name()),
            text(row.rule),
            text(row.reason),
            maybe(row.answer),
            truth(row.refused),
            maybe(row.answered.as_deref()),
            maybe(row.request_bytes.as_deref()),
            maybe(row.answer_bytes.as_deref()),
            truth(*signed),
            text(verified),
        ]
    }
}

/// A text for a cell: harmless for a terminal, and no formula for a
/// spreadsheet (OWASP, CSV Injection): where it could begin one, or begins
/// with an apostrophe, it gets an apostrophe in front.
fn cell(text: &str) -> String {
    let harmless = safe(text);
    let first = harmless.trim_start().chars().next();
    // The wide forms count as the narrow ones in some locales.
    let risky = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\''];
    if first.is_some_and(|first| risky.contains(&first)) { format!("'{harmless}") } else { harmless }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn no_cell_begins_a_formula() {
        for (text, shown) in [
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\\x09=1"),
            ("\r=1", "\\x0d=1"),
            (" =1", "' =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("'=1", "''=1"),
            ("write holding[100] = 731", "write holding[100] = 731"),
            ("", ""),
        ] {
            assert_eq!(cell(text), shown, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_text_says(text in any::<String>()) {
            let cell = cell(&text);
            let first = cell.chars().next();
            assert!(!matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n')), "{cell:?}");
            assert!(cell.chars().all(crate::escape::is_harmless));
        }
    }
}
