//! The command line, and what each command does with it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::asked::Asked;
use crate::connect::{self, Wish};
use crate::escape::escape;
use crate::link::Link;
use crate::opening::Purpose;
use crate::profile::Profile;
use crate::receipts;
use crate::running::{self, State};
use crate::screen::Screen;
use crate::seed::Seed;
use crate::sign_in::{Codes, sign_in};
use crate::targets::{self, Listing};
use crate::{Problem, listen};

const EXAMPLES: &str = "\
Examples:
  gatehouse targets
  gatehouse connect press-line/plc7
  gatehouse --profile plant.toml connect press-line/plc7:plc packaging/plc2 --reason \"stroke counter drifts\"
  gatehouse status --json

Exit codes: 0 done, 4 usage or I/O, 5 configuration, 6 refused by the gateway, 7 unreachable.";

const CONNECT_EXAMPLES: &str = "\
Examples:
  gatehouse connect press-line/plc7 --ticket W-1042
  gatehouse connect press-line/plc7:plc --listen 127.0.0.1:1502
  gatehouse connect press-line/plc7:plc packaging/plc2:plc --listen 127.0.0.2:502 --listen 127.0.0.3:502";

/// Remote maintenance through the plant's gatehouse.
#[derive(Debug, Parser)]
#[command(name = "gatehouse", version, after_help = EXAMPLES)]
struct Arguments {
    /// The profile that the plant gave you
    #[arg(long, value_name = "F", default_value = "profile.toml", global = true)]
    profile: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what you may open
    Targets {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        factor: FactorArguments,
    },
    /// Open targets and give your tools local addresses for their services
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(ConnectArguments),
    /// List what the gateway signed for you: with it a deleted or changed recording is found
    Receipts {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show what runs on this machine
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct ConnectArguments {
    /// TARGET for all its services, or TARGET:SERVICE
    #[arg(required = true, value_name = "TARGET[:SERVICE]")]
    asked: Vec<Asked>,
    /// Another loopback address; port 0 for any free one. Once for each
    /// service at most, in the order in which they are named
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen::parse)]
    listen: Vec<SocketAddr>,
    /// Why you come, for the recording
    #[arg(long, value_name = "TEXT", value_parser = at_most::<{ wire::LONGEST_TEXT }>)]
    reason: Option<String>,
    /// The plant's work-order number
    #[arg(long, value_name = "ID", value_parser = at_most::<{ wire::LONGEST_NAME }>)]
    ticket: Option<String>,
    #[command(flatten)]
    factor: FactorArguments,
}

#[derive(Debug, Args)]
struct FactorArguments {
    /// Make the codes from this seed instead of asking for them
    #[arg(long, value_name = "SEED_FILE")]
    totp_file: Option<PathBuf>,
}

impl FactorArguments {
    fn codes(&self) -> Result<Codes, Problem> {
        self.totp_file.as_deref().map_or(Ok(Codes::Prompt), |file| Seed::load(file).map(Codes::Seed))
    }
}

/// A text that fits into its message.
fn at_most<const LONGEST: usize>(text: &str) -> Result<String, String> {
    if text.len() > LONGEST {
        return Err(format!("{} bytes are too long, at most {LONGEST} fit", text.len()));
    }
    Ok(text.to_owned())
}

/// Runs the program. Exit codes: 0 done, 4 usage or I/O, 5 configuration, 6 refused, 7 unreachable.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let failed = error.print().is_err() || error.use_stderr();
            return if failed { ExitCode::from(4) } else { ExitCode::SUCCESS };
        }
    };
    let mut screen = Screen::standard();
    match act(&arguments, &mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            screen.end_status();
            screen.remark(&format!("gatehouse: {problem}"));
            ExitCode::from(problem.exit_code())
        }
    }
}

fn act(arguments: &Arguments, screen: &mut Screen) -> Result<(), Problem> {
    match &arguments.command {
        Command::Status { json } => show_running(&arguments.profile, listing(*json), screen),
        Command::Receipts { json } => {
            let kept = receipts::list(&Profile::receipts_of(&arguments.profile)?)?;
            receipts::show(&kept, listing(*json), screen)
        }
        Command::Targets { json, factor } => {
            let profile = Profile::load(&arguments.profile)?;
            let codes = factor.codes()?;
            block_on(list_targets(&profile, &codes, listing(*json), screen))
        }
        Command::Connect(wanted) => {
            let profile = Profile::load(&arguments.profile)?;
            let wish = Wish {
                asked: wanted.asked.clone(),
                listen: wanted.listen.clone(),
                purpose: Purpose { reason: wanted.reason.clone(), ticket: wanted.ticket.clone() },
                codes: wanted.factor.codes()?,
            };
            block_on(connect::connect(&profile, &wish, screen))
        }
    }
}

const fn listing(json: bool) -> Listing {
    if json { Listing::Json } else { Listing::Text }
}

/// One thread carries everything: the work is waiting, and small requests gain from not changing threads.
fn block_on(work: impl Future<Output = Result<(), Problem>>) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Problem::Io { what: "the runtime".to_owned(), source })?;
    let done = runtime.block_on(work);
    // A name look-up that hangs must not keep the program.
    runtime.shutdown_background();
    done
}

async fn list_targets(
    profile: &Profile,
    codes: &Codes,
    listing: Listing,
    screen: &mut Screen,
) -> Result<(), Problem> {
    let link = Link::open(profile).await?;
    let mut control = link.control().await?;
    sign_in(&mut control, codes, screen).await?;
    let found = targets::ask(&mut control).await?;
    link.close().await;
    targets::show(&found, listing, screen)
}

fn show_running(profile: &Path, listing: Listing, screen: &mut Screen) -> Result<(), Problem> {
    let states = running::list(&running::folder(profile))?;
    match listing {
        Listing::Json => screen.answer(&targets::harmless_json(&states)?),
        Listing::Text if states.is_empty() => {
            screen.remark("nothing is connected");
            Ok(())
        }
        Listing::Text => {
            states.iter().flat_map(running_lines).try_for_each(|line| screen.answer(&escape(&line)))
        }
    }
}

fn running_lines(state: &State) -> Vec<String> {
    let mut lines = vec![format!(
        "{} at {} since {} (process {}, {})",
        state.person, state.gateway, state.since, state.process, state.profile
    )];
    for service in &state.services {
        lines.push(format!("  {}:{} at {}", service.target, service.service, service.listen));
    }
    for session in &state.sessions {
        let operations = session.operations.map_or_else(String::new, |count| format!(", {count} operations"));
        let last = session.last_denial.as_ref().map_or_else(String::new, |last| format!(" (last: {last})"));
        lines.push(format!(
            "  {}: {} channels{operations}, {} denied{last}, until {}",
            session.target, session.channels, session.denied, session.until
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn several_targets_with_all_options_are_understood() {
        let line = "gatehouse --profile p connect a/b:plc c --listen 127.0.0.1:0 --listen 127.0.0.2:1502 --reason leak --ticket W1 --totp-file s";
        let Command::Connect(wanted) = parse(line).unwrap().command else {
            panic!("connect");
        };
        assert_eq!(wanted.asked.len(), 2);
        assert_eq!(wanted.listen.iter().map(SocketAddr::port).collect::<Vec<_>>(), [0, 1502]);
        assert_eq!(wanted.ticket.as_deref(), Some("W1"));
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_happens() {
        assert!(parse("gatehouse connect").unwrap_err().contains("TARGET"));
        assert!(
            parse("gatehouse connect a --listen 0.0.0.0:502").unwrap_err().contains("not a loopback address")
        );
        assert!(parse("gatehouse connect 10.0.0.1:502:x").unwrap_err().contains("an address is never given"));
        let long = "x".repeat(wire::LONGEST_TEXT + 1);
        assert!(parse(&format!("gatehouse connect a --reason {long}")).unwrap_err().contains("too long"));
        assert!(matches!(
            parse("gatehouse receipts --json").unwrap().command,
            Command::Receipts { json: true }
        ));
    }
}
