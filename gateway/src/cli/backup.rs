//! `backup`, over the admin socket, and `restore`, offline.

use super::arguments::{Connection, RestoreArguments};
use super::enrol::SecretFile;
use super::exit::{Exit, Failure};
use super::print::{Form, answer};
use super::remote::wait;
use crate::admin::BackupRequest;
use crate::backup::restore::{RestoreError, Restored, Wish, restore as put_back};
use crate::backup::{BackupError, LONGEST};
use crate::clock::{Clock, SystemClock};
use recording::Recipient;
use std::path::{Path, PathBuf};

/// Room for what age adds.
const ENVELOPE: u64 = 1 << 24;

#[derive(Debug, serde::Serialize)]
struct BackedUp {
    file: PathBuf,
    bytes: usize,
    recipients: Vec<String>,
}

pub(super) fn back_up(connection: &Connection, to: &Path, recipients: &[String]) -> Result<Exit, Failure> {
    let client = connection.client()?;
    let mut all = Vec::new();
    for text in recipients {
        all.extend(read_recipients(text)?);
    }
    let request = BackupRequest { recipients: all };
    // Before the gateway is asked: what it gives once must find its place.
    let file = SecretFile::create(to)?;
    let most = usize::try_from(LONGEST.saturating_add(ENVELOPE)).unwrap_or(usize::MAX);
    let content = wait(client.fetch("/v1/backup", &request, most))?;
    file.fill_with(&content)?;
    let done = BackedUp { file: to.to_owned(), bytes: content.len(), recipients: request.recipients };
    answer(connection.form(), &done, |done| {
        format!(
            "{} ({} bytes), for {}\nrecordings and site log are not in it: copy their folders as they are",
            done.file.display(),
            done.bytes,
            done.recipients.join(", ")
        )
    })?;
    Ok(Exit::Done)
}

/// An `age1...` recipient, or a file with one a line and `#` comments.
fn read_recipients(text: &str) -> Result<Vec<String>, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, error);
    let lines = if text.starts_with("age1") {
        vec![text.to_owned()]
    } else {
        let content =
            std::fs::read_to_string(text).map_err(|error| usage(&format!("--recipient {text}: {error}")))?;
        let lines = content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    if lines.is_empty() {
        return Err(usage(&format!("--recipient {text}: there is no recipient in it")));
    }
    // The line may be a secret identity by mistake: it is not repeated.
    let refused = |_| usage(&format!("--recipient {text}: holds what is no age recipient (age1...)"));
    lines
        .into_iter()
        .map(|line| line.parse().map(|parsed: Recipient| parsed.to_string()).map_err(refused))
        .collect()
}

pub(super) fn restore(form: Form, wish: &RestoreArguments) -> Result<Exit, Failure> {
    let RestoreArguments { from, identity, config, key } = wish;
    let wish = Wish { from, identity, config, key: key.as_deref() };
    let restored = put_back(&wish, SystemClock::new().wall());
    let restored = restored.map_err(|error| Failure::new(exit_of(&error), error))?;
    answer(form, &restored, |restored| text(restored, config, key.is_some()))?;
    Ok(Exit::Done)
}

fn text(restored: &Restored, config: &Path, compared: bool) -> String {
    let mut text = format!("restored from the backup of {}: {} people", restored.made, restored.people);
    for file in &restored.files {
        text.push_str(&format!("\n  {}", file.display()));
    }
    text.push_str(&format!("\nit signs as {}", restored.signing_key));
    if !compared {
        text.push_str("\ncompare that with the auditors' key: another one would be a forged backup");
    }
    text.push_str(
        "\nwho was disabled, and whose factor or certificate was withdrawn since, is in it as before: do that again",
    );
    text.push_str(&format!("\nthen: gatehouse-gateway check --config {}", config.display()));
    text
}

fn exit_of(error: &RestoreError) -> Exit {
    match error {
        RestoreError::OtherGateway(_) => Exit::No,
        RestoreError::NoPlace(_) | RestoreError::Missing(_) | RestoreError::Config(_) => Exit::Invalid,
        RestoreError::Backup(BackupError::NotABackup) => Exit::Invalid,
        RestoreError::File { .. }
        | RestoreError::Occupied(_)
        | RestoreError::Foreign(_)
        | RestoreError::Key(_)
        | RestoreError::Backup(_)
        | RestoreError::State(_) => Exit::Usage,
    }
}
