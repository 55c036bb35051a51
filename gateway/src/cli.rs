//! The command line: what can be asked of `gatehouse-gateway`.
//!
//! `run` and `check` work on a configuration file, `keygen` and most of `policy` on
//! files; all else speaks to a running gateway over its admin socket. Listings print for people, or as JSON with
//! `--json`. Exit codes: 0 done, 1 the answer is no, 4 usage or I/O, 5
//! configuration or policy invalid, 6 refused by the gateway, 7 unreachable.

mod arguments;
mod backup;
mod ca;
mod check;
mod enrol;
mod exit;
mod invite;
mod keygen;
mod policy;
mod print;
mod remote;
#[cfg(test)]
mod tests;

use crate::ca::CaError;
use crate::config::Config;
use crate::office::{Office, OfficeError};
use crate::quic::Endpoint;
use crate::run::{RunError, run};
use crate::shutdown::Drained;
use arguments::{Arguments, Command};
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::future::Future;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use exit::{Exit, Failure};

/// The environment variable that sets what is logged.
const LOG_VARIABLE: &str = "GATEHOUSE_LOG";

/// Parses the arguments, does what they say, and gives the exit code. `serve`
/// is the data path of `run`.
pub fn main<S, F>(arguments: impl IntoIterator<Item = OsString>, serve: S) -> ExitCode
where
    S: FnOnce(Arc<Office>, Endpoint, CancellationToken) -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match dispatch(arguments, serve) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell(),
    }
}

fn dispatch<S, F>(arguments: Arguments, serve: S) -> Result<Exit, Failure>
where
    S: FnOnce(Arc<Office>, Endpoint, CancellationToken) -> F + Send + 'static,
    F: Future<Output = ()>,
{
    match arguments.command {
        Command::Run { config } => start(&config, serve),
        Command::Check { config } => check::configuration(&config, arguments.connection.form()),
        Command::Keygen { out } => keygen::keygen(&out, arguments.connection.form()),
        Command::User(command) => remote::user(&arguments.connection, command),
        Command::Sessions(command) => remote::sessions(&arguments.connection, command),
        Command::Policy(command) => policy::run(&arguments.connection, command),
        Command::Ca(command) => ca::run(&arguments.connection, command),
        Command::Backup { to, recipient } => backup::back_up(&arguments.connection, &to, &recipient),
        Command::Restore(wish) => backup::restore(arguments.connection.form(), &wish),
        Command::Clock(command) => remote::clock(&arguments.connection, command),
    }
}

fn start<S, F>(config: &Path, serve: S) -> Result<Exit, Failure>
where
    S: FnOnce(Arc<Office>, Endpoint, CancellationToken) -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let config = Config::load(config).map_err(Failure::problems)?;
    log_to_standard_error();
    match run(config, serve) {
        Ok(Drained::Whole | Drained::Cut) => Ok(Exit::Done),
        Err(error) => Err(Failure::new(exit_of(&error), error)),
    }
}

fn exit_of(error: &RunError) -> Exit {
    match error {
        RunError::Office(
            OfficeError::Config(_) | OfficeError::Policy(_) | OfficeError::Ca(CaError::Folder(_)),
        ) => Exit::Invalid,
        RunError::Office(
            OfficeError::State(_)
            | OfficeError::Ca(_)
            | OfficeError::Audit(_)
            | OfficeError::Log(_)
            | OfficeError::Passkeys(_)
            | OfficeError::Syslog(_),
        )
        | RunError::Listen { .. }
        | RunError::Page(_)
        | RunError::Admin { .. }
        | RunError::Start(_)
        | RunError::Thread(_) => Exit::Usage,
    }
}

fn log_to_standard_error() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    writer.with_ansi(std::io::stderr().is_terminal()).init();
}

/// Help and version are answers; everything else is a mistake of usage.
fn usage(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    // A closed terminal takes no help; the code says it all.
    let _ = error.print();
    if asked { Exit::Done.into() } else { Exit::Usage.into() }
}
