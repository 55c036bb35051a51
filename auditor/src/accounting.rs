//! What the site log and receipts say of one recording.
//!
//! A recording proves itself as far as it is signed. Whether it is all that
//! there was is told by others: the log's entries of its start, its end or of
//! what a crash left, and the checkpoints that somebody else keeps.

use crate::books::{Books, Leads, Receipts, contains};
use crate::exit::Exit;
use crate::time::stamp;
use jiff::tz::TimeZone;
use recording::log::{Account, Finding, Gap, Pseudonym, Recovered, Sealing, hash_of_reader};
use recording::{Header, Report, Verdict};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What a recording's own verdict becomes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What accounts for it or speaks against it.
    pub(crate) text: String,
}

impl Standing {
    fn no(text: impl Into<String>) -> Self {
        Self { exit: Exit::No, text: text.into() }
    }
}

/// What the file's own verdict is worth alone.
pub(crate) fn exit_of(verdict: &Verdict) -> Exit {
    match verdict {
        Verdict::Clean => Exit::Done,
        Verdict::Untrimmed => Exit::Unclean,
        Verdict::Unclean => Exit::Uncertain,
        Verdict::Altered { .. } => Exit::No,
    }
}

/// Holds one recording against the site log; `None` where neither says
/// anything about it.
pub(crate) fn account(path: &Path, report: &Report, books: &Books) -> io::Result<Option<Standing>> {
    let Some(header) = &report.header else { return Ok(None) };
    if !books.is_genuine() {
        return Ok(None);
    }
    if matches!(report.verdict, Verdict::Altered { .. }) {
        return holed(path, report, header, books);
    }
    if header.log.origin.is_empty() {
        let text = "it was made by a gateway without a site log: nothing accounts for it";
        return Ok(Some(Standing { exit: exit_of(&report.verdict), text: text.to_owned() }));
    }
    if let Some(standing) = against_its_header(header, books) {
        return Ok(Some(standing));
    }
    match books.ledger.sessions.get(&Pseudonym::of(&header.session)) {
        Some(account) => in_the_log(path, report, account).map(Some),
        None => Ok(Some(not_in_the_log(report, header, books))),
    }
}

/// An altered recording, if the gateway found it just so when it was started
/// after a crash, and a power failure may be all that happened to it. What the
/// entry says of the bytes behind the last checkpoint that passes is no more
/// than if they were not there: who had the disk before that start could have
/// cut them off as well. `None` for any other: altered it stays.
fn holed(path: &Path, report: &Report, header: &Header, books: &Books) -> io::Result<Option<Standing>> {
    if !report.could_be_a_power_failure() || against_its_header(header, books).is_some() {
        return Ok(None);
    }
    let account = books.ledger.sessions.get(&Pseudonym::of(&header.session));
    let found =
        account.filter(|account| account.ended.is_none()).and_then(|account| account.recovered.as_ref());
    let Some((_, found)) = found.filter(|(_, found)| found.finding == Finding::Holed) else {
        return Ok(None);
    };
    let started = account.and_then(|account| account.started);
    if started.is_some_and(|(_, hash)| hash != found.header) || !is_as_found(path, report, found)? {
        return Ok(None);
    }
    let until = stamp(found.signed_until, &TimeZone::UTC);
    let text = format!(
        "unclean, as the recovery found it: the gateway entered this very file when it was started after a \
         crash; a power failure may have lost bytes that were not yet on stable storage; it is complete until \
         {until}, and nothing behind that counts"
    );
    Ok(Some(Standing { exit: Exit::Unclean, text }))
}

/// Whether the file is to the byte what was found after the crash.
fn is_as_found(path: &Path, report: &Report, found: &Recovered) -> io::Result<bool> {
    let signed = report.signed.as_ref().map_or(0, |signed| signed.bytes);
    let header = report.header_hash.unwrap_or_default();
    let same = (signed, report.length, header) == (found.signed_bytes, found.bytes, found.header);
    Ok(same && hash_of_reader(File::open(path)?.take(found.bytes))? == found.hash)
}

/// A header is signed, so it is a receipt of the log as it stood before.
fn against_its_header(header: &Header, books: &Books) -> Option<Standing> {
    match books.leads_from(&header.log) {
        Leads::Here => None,
        Leads::RolledBack => Some(Standing::no(format!(
            "the site log was rolled back: it had {} entries when this session began",
            header.log.size
        ))),
        Leads::Forked => Some(Standing::no(format!(
            "the site log was rewritten: its first {} entries are not those before this session",
            header.log.size
        ))),
        Leads::Foreign => Some(Standing::no(format!(
            "it names the site log {}, which is not the one given",
            header.log.origin
        ))),
    }
}

/// Only a gateway that stopped right after the header, and was not started
/// since, leaves a recording that the log does not know.
fn not_in_the_log(report: &Report, header: &Header, books: &Books) -> Standing {
    let started_since = books.ledger.gateway_started.is_some_and(|started| started.number >= header.log.size);
    if started_since {
        return Standing::no("the site log does not know of it, although the gateway was started since");
    }
    let text =
        "the site log does not know of it: the gateway stopped before it was entered, or the log was cut";
    Standing { exit: exit_of(&report.verdict).max(Exit::Uncertain), text: text.to_owned() }
}

fn in_the_log(path: &Path, report: &Report, account: &Account) -> io::Result<Standing> {
    if account.started.is_some_and(|(_, header)| report.header_hash != Some(header)) {
        return Ok(Standing::no("the site log has the start of this session with another header"));
    }
    if let Some((_, sealing)) = &account.ended
        && !is_sealed_as(report, sealing)
    {
        let text = format!("the site log has its end at {} bytes: it was cut or replaced", sealing.bytes);
        return Ok(Standing::no(text));
    }
    match (&account.recovered, &account.ended) {
        (Some((_, recovered)), _) => recovered_as(path, report, recovered),
        (None, Some(_)) => Ok(Standing {
            exit: exit_of(&report.verdict),
            text: "start and end are in the site log".to_owned(),
        }),
        (None, None) => {
            let text = "its start is in the site log, its end is not: the session runs, or the gateway \
                        stopped and was not started since";
            Ok(Standing { exit: exit_of(&report.verdict), text: text.to_owned() })
        }
    }
}

fn is_sealed_as(report: &Report, sealing: &Sealing) -> bool {
    let closed = matches!(report.verdict, Verdict::Clean | Verdict::Untrimmed);
    let signed = report.signed.as_ref();
    closed
        && signed.is_some_and(|signed| {
            (signed.frames, signed.root, signed.bytes) == (sealing.leaves, sealing.root, sealing.bytes)
        })
}

/// The file must be to the byte what was found after the crash.
fn recovered_as(path: &Path, report: &Report, found: &Recovered) -> io::Result<Standing> {
    if found.finding == Finding::Missing {
        return Ok(Standing::no(
            "it was missing when the gateway was started after a crash, and is here now",
        ));
    }
    if !is_as_found(path, report, found)? {
        let signed = report.signed.as_ref().map_or(0, |signed| signed.bytes);
        let text = format!(
            "it is not what was found after the crash: {} bytes, {} of them signed, then; {}, {signed} of \
             them signed, now",
            found.bytes, found.signed_bytes, report.length
        );
        return Ok(Standing::no(text));
    }
    let until = stamp(found.signed_until, &TimeZone::UTC);
    let (exit, what) = match found.finding {
        Finding::Clean => (Exit::Done, "sealed"),
        Finding::Untrimmed => (Exit::Unclean, "sealed, its reserved space kept"),
        Finding::Unclean => (Exit::Unclean, "unclean"),
        Finding::Altered | Finding::Missing | Finding::Holed => (Exit::No, "altered"),
    };
    let gap = match found.gap {
        Gap::NoStart => "the gateway stopped before its start was entered; nothing was dialled",
        Gap::NoEnd => "the session broke off",
        Gap::EndNotLogged => "the gateway stopped before its end was entered",
        Gap::ReceiptNotGiven => "the gateway stopped before the receipt was given",
    };
    let text = format!("{what}: {gap}; a recovery entry accounts for it, it is complete until {until}");
    Ok(Standing { exit: exit.max(exit_of(&report.verdict).min(Exit::Unclean)), text })
}

/// Holds one recording against the checkpoints of it that others keep.
pub(crate) fn against_receipts(
    path: &Path,
    report: &Report,
    receipts: &Receipts,
) -> io::Result<Option<Standing>> {
    let Some(header) = &report.header else { return Ok(None) };
    let own = receipts.sessions.iter().filter(|(_, said, _)| said.session == header.session);
    for (from, said, note) in own {
        let frames = report.signed.as_ref().map_or(0, |signed| signed.frames);
        if frames <= said.leaves.saturating_sub(1) {
            let until = stamp(said.time, &TimeZone::UTC);
            let text = format!("{} has a later checkpoint, of {until}: it was cut", from.display());
            return Ok(Some(Standing::no(text)));
        }
        if !contains(path, note.as_bytes())? {
            let text = format!("{} has a checkpoint that is not in it: it was rewritten", from.display());
            return Ok(Some(Standing::no(text)));
        }
    }
    Ok(None)
}
