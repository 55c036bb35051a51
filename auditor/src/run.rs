//! Runs a command and says how it ended.

use crate::arguments::{Arguments, Command, Keygen};
use crate::escape::{Safe, safe_json};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::trouble::Trouble;
use crate::{export, listing, policy, replay, search, showing, verification};
use recording::Identity;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

/// Where a command's answer and its complaints go. Everything passes through
/// [`Safe`] or [`safe_json`] before it gets here.
pub struct Output<'a> {
    /// The answer.
    pub out: &'a mut dyn Write,
    /// Complaints.
    pub err: &'a mut dyn Write,
    /// Whether the user wants an end.
    pub interrupt: Interrupt,
}

impl Output<'_> {
    /// Prints one line of the answer.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Trouble> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Prints a value as JSON over several lines.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Trouble> {
        let json = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.line(safe_json(&json))
    }

    /// Prints a value as JSON in one line.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Trouble> {
        let json = serde_json::to_string(value).map_err(io::Error::other)?;
        self.line(safe_json(&json))
    }

    /// Complains, unless nobody listens any more.
    pub(crate) fn complain(&mut self, trouble: &Trouble) -> Exit {
        let exit = trouble.exit();
        if exit != Exit::Done {
            let message = trouble.to_string();
            // Nothing is left to be done where even this can't be written.
            let _ = writeln!(self.err, "gatehouse-audit: {}", Safe(&message));
        }
        exit
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments, output: &mut Output<'_>) -> Exit {
    let result = match &arguments.command {
        Command::Keygen(keygen) => make_identity(keygen, output),
        Command::Ls(list) => listing::list(list, output),
        Command::Show(show) => showing::show(show, output),
        Command::Verify(verify) => verification::verify(verify, output),
        Command::Replay(replay) => replay::replay(replay, output),
        Command::Search(search) => search::search(search, output),
        Command::Export(export) => export::export(export, output),
        Command::Policy(command) => policy::run(command, output),
    };
    let result = result.and_then(|exit| output.out.flush().map(|()| exit).map_err(Trouble::from));
    result.unwrap_or_else(|trouble| output.complain(&trouble))
}

fn make_identity(keygen: &Keygen, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let identity = Identity::generate();
    identity.write(&keygen.out).map_err(Trouble::key(&keygen.out))?;
    for recipient in identity.recipients() {
        output.line(recipient)?;
    }
    Ok(Exit::Done)
}
