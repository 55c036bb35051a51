//! Answers for people and for programs.

use crate::admin::{ClockReport, PersonReport, PolicyReport, SessionReport};
pub(super) use crate::audit::harmless as harmless_cell;
use crate::audit::harmless;
use crate::clock::Standing as ClockStanding;
use crate::policy::{Changes, FolderState, Line, Preview, SessionEffect};
use crate::state::{FactorPresence, Standing};
use jiff::Timestamp;
use serde::Serialize;
use std::io::{self, Write};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Writes an answer to standard output.
pub(super) fn answer<T: Serialize>(
    form: Form,
    answer: &T,
    text: impl FnOnce(&T) -> String,
) -> io::Result<()> {
    let text = match form {
        Form::Text => text(answer).trim_end().to_owned(),
        Form::Json => serde_json::to_string_pretty(answer)?,
    };
    write_out(&mut io::stdout().lock(), &text)
}

/// Whoever closed the pipe has read what they wanted.
fn write_out(out: &mut impl Write, text: &str) -> io::Result<()> {
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

pub(super) fn actions(words: &[authz::Word]) -> String {
    let row = |word: &authz::Word| [word.action.clone(), word.meaning.to_owned()];
    table(["ACTION", "MEANING"], words.iter().map(row))
}

pub(super) fn people(list: &[PersonReport]) -> String {
    if list.is_empty() {
        return "nobody is imported yet; see `user import --help`".to_owned();
    }
    let heads = ["PERSON", "STANDING", "FACTOR", "LOCK", "KEYS", "SIGNED IN", "LAST SIGN-IN"];
    let row = |person: &PersonReport| {
        [
            person.handle.clone(),
            standing(person.standing).to_owned(),
            factor(person).to_owned(),
            person.lock.to_string(),
            person.keys.len().to_string(),
            person.signed_in.to_string(),
            person.last_sign_in.map_or_else(|| "never".to_owned(), moment),
        ]
    };
    table(heads, list.iter().map(row))
}

pub(super) fn person(person: &PersonReport) -> String {
    let own = match factor(person) {
        "none" => "none: this person can't sign in",
        present => present,
    };
    let last = person.last_sign_in.map_or_else(|| "never".to_owned(), moment);
    let mut text = format!(
        "{}\n  standing      {}\n  second factor {own}\n  failures      {}, {}\n  imported      {}\n  last sign-in  {last}\n  signed in now {}\n",
        person.handle,
        standing(person.standing),
        person.failures,
        person.lock,
        moment(person.created),
        person.signed_in,
    );
    for passkey in &person.passkeys {
        let used =
            passkey.last_used.map_or_else(|| "never used".to_owned(), |at| format!("used {}", moment(at)));
        text.push_str(&format!("  passkey       {} for {}, {used}\n", passkey.name, passkey.rp_id));
    }
    for key in &person.keys {
        text.push_str(&format!("  key           {key}\n"));
    }
    text
}

fn factor(person: &PersonReport) -> &'static str {
    match (person.factor, person.passkeys.is_empty()) {
        (FactorPresence::Totp, true) => "TOTP",
        (FactorPresence::Totp, false) => "TOTP, passkeys",
        (FactorPresence::None, false) => "passkeys",
        (FactorPresence::None, true) => "none",
    }
}

pub(super) fn sessions(list: &[SessionReport]) -> String {
    if list.is_empty() {
        return "no session runs".to_owned();
    }
    let heads = ["SESSION", "PERSON", "TARGET", "FROM", "SINCE", "CHANNELS", "OPERATIONS", "DENIED"];
    let row = |session: &SessionReport| {
        [
            session.id.clone(),
            session.person.clone(),
            session.target.clone(),
            session.source.to_string(),
            moment(session.started),
            session.counted.channels.to_string(),
            session.counted.operations.to_string(),
            session.counted.denied.to_string(),
        ]
    };
    table(heads, list.iter().map(row))
}

pub(super) fn policy(report: &PolicyReport) -> String {
    let folder = match &report.folder {
        FolderState::Applied => "the folder has the same content".to_owned(),
        FolderState::Differs { folder_hash } => {
            format!("the folder differs ({folder_hash}); `policy apply` would bring it in")
        }
        FolderState::Invalid { problems } => {
            let problems: Vec<String> =
                problems.iter().map(|problem| format!("  {}", harmless(problem))).collect();
            format!("the folder is not valid, `policy apply` would refuse it:\n{}", problems.join("\n"))
        }
    };
    format!(
        "in force: {}\napplied {} by {}\n{folder}",
        report.hash,
        moment(report.applied),
        harmless(&report.by)
    )
}

pub(super) fn changes(changes: &Changes) -> String {
    let mut text = if changes.hash == changes.before {
        format!("applied again: {}\n", changes.hash)
    } else {
        format!("applied: {} (before: {})\n", changes.hash, changes.before)
    };
    for (sign, lines) in [('-', &changes.removed), ('+', &changes.added)] {
        for Line { file, text: line } in lines {
            text.push_str(&format!("  {sign} {}: {}\n", harmless(file), harmless(line)));
        }
    }
    for warning in &changes.warnings {
        text.push_str(&format!("warning: {}\n", harmless(warning)));
    }
    text
}

pub(super) fn preview(preview: &Preview) -> String {
    let mut text = format!("in force: {}\nfolder:   {}\n", preview.before, preview.hash);
    if let Some(commit) = &preview.commit {
        text.push_str(&format!("commit:   {commit} (whether the files differ from it is not known)\n"));
    }
    for line in preview.effect.to_string().lines() {
        text.push_str(&format!("{}\n", harmless(line)));
    }
    if preview.sessions.is_empty() {
        text.push_str("no session runs\n");
    }
    for SessionEffect { id, person, target, fate, .. } in &preview.sessions {
        text.push_str(&format!("session {id} of {} on {}: {fate}\n", harmless(person), harmless(target)));
    }
    for warning in &preview.warnings {
        text.push_str(&format!("warning: {}\n", harmless(warning)));
    }
    text
}

pub(super) fn clock(report: &ClockReport) -> String {
    match &report.standing {
        ClockStanding::Steady { now } => format!("steady, {}: sign-ins are open", moment(*now)),
        ClockStanding::Suspended { now, step } => format!(
            "SUSPENDED, {}: the clock stepped by {} s at {}; sign-ins are refused until `clock accept`",
            moment(*now),
            step.step_seconds,
            moment(step.since)
        ),
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Enabled => "enabled",
        Standing::Disabled => "disabled",
    }
}

/// To the second, with zone: for people.
pub(super) fn moment(at: Timestamp) -> String {
    at.round(jiff::Unit::Second).unwrap_or(at).to_string()
}

pub(super) fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(heads.map(str::to_owned))
        .chain(rows.map(|row| row.map(|cell| harmless(&cell))))
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal, a disk or a pipe that fails in this way.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_enough_is_no_failure_and_a_full_disk_is_one() {
        assert!(write_out(&mut Failing(io::ErrorKind::BrokenPipe), "answer").is_ok());
        assert!(write_out(&mut Failing(io::ErrorKind::StorageFull), "answer").is_err());
    }

    #[test]
    fn a_table_lines_up_and_can_not_act_on_a_terminal() {
        let rows = [["a\u{1b}[2J".to_owned(), "1".to_owned()], ["bb".to_owned(), "22".to_owned()]];
        let text = table(["NAME", "N"], rows.into_iter());
        assert_eq!(text, "NAME        N\na\\u{1b}[2J  1\nbb          22");
    }
}
