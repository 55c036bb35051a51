//! Every command and option.

use super::exit::{Exit, Failure};
use super::print::Form;
use crate::admin::Client;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  gatehouse-gateway check --config gateway.toml
  gatehouse-gateway run --config gateway.toml
  gatehouse-gateway --socket admin.sock user import --cert tech-1@vendor-a.pem tech-1@vendor-a
  gatehouse-gateway --socket admin.sock sessions list
  gatehouse-gateway --socket admin.sock policy apply

Exit codes: 0 done, 4 usage or I/O, 5 configuration or policy invalid, 6 refused by the gateway, 7 unreachable.";

const USER_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock user import --cert tech-1@vendor-a.pem tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user list --json
  gatehouse-gateway --socket admin.sock user disable tech-1@vendor-a";

const SESSIONS_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock sessions list
  gatehouse-gateway --socket admin.sock sessions kill 8f0e3c2b9a7d4e6f8f0e3c2b9a7d4e6f";

const POLICY_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock policy status
  gatehouse-gateway --socket admin.sock policy apply
  gatehouse-gateway policy actions";

const ACTIONS_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway policy actions
  gatehouse-gateway policy actions --json";

const CLOCK_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock clock status
  gatehouse-gateway --socket admin.sock clock accept";

const IMPORT_EXAMPLES: &str = "\
Examples:
  gatehouse-gateway --socket admin.sock user import --cert tech-1@vendor-a.pem tech-1@vendor-a
  gatehouse-gateway --socket admin.sock user import --cert new.pem --totp-file seed.txt tech-2@vendor-b";

/// The plant's side of Gatehouse: lets technicians through to exactly what
/// the policy allows, and records it.
#[derive(Debug, Parser)]
#[command(name = "gatehouse-gateway", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How a running gateway is spoken to.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The running gateway's admin socket, as `[admin] socket` names it
    #[arg(long, global = true, value_name = "SOCKET", env = "GATEHOUSE_SOCKET")]
    socket: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    #[command(after_help = "Example:\n  gatehouse-gateway run --config gateway.toml")]
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check the configuration and all that it names; bind and change nothing
    #[command(after_help = "Example:\n  gatehouse-gateway check --config gateway.toml --json")]
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Persons and their keys
    #[command(subcommand, after_help = USER_EXAMPLES)]
    User(UserCommand),
    /// Running sessions
    #[command(subcommand, after_help = SESSIONS_EXAMPLES)]
    Sessions(SessionsCommand),
    /// The policy in force
    #[command(subcommand, after_help = POLICY_EXAMPLES)]
    Policy(PolicyCommand),
    /// The clock that sign-ins rely on
    #[command(subcommand, after_help = CLOCK_EXAMPLES)]
    Clock(ClockCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Map a certificate's key to a person, for ever; a new person gets a
    /// second factor, shown this once
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The person's certificate, PEM
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
        /// Write the second factor's otpauth address to a new file of mode
        /// 0600 instead of showing it
        #[arg(long, value_name = "FILE")]
        totp_file: Option<PathBuf>,
        /// The permanent handle, such as tech-1@vendor-a
        handle: String,
    },
    /// Everybody
    List,
    /// One person with keys and lock
    Show {
        /// The person's handle
        handle: String,
    },
    /// Refuse a person from now on and end their sessions at once
    Disable {
        /// The person's handle
        handle: String,
    },
    /// Let a disabled person sign in again
    Enable {
        /// The person's handle
        handle: String,
    },
    /// Forget failed codes and the lock they brought
    Unlock {
        /// The person's handle
        handle: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionsCommand {
    /// All that run now
    List,
    /// End one at once
    Kill {
        /// The session's id, as listed
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Bring the policy folder's content into force
    Apply,
    /// What is in force, and whether the folder differs
    Status,
    /// Every action that a rule can have, with what it means; needs no
    /// running gateway
    #[command(after_help = ACTIONS_EXAMPLES)]
    Actions,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClockCommand {
    /// Whether sign-ins may rely on the clock
    Status,
    /// Take the present time as true after a step
    Accept,
}

impl Connection {
    pub(super) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }

    pub(super) fn client(&self) -> Result<Client, Failure> {
        let missing =
            || Failure::new(Exit::Usage, "name the running gateway's admin socket with --socket SOCKET");
        self.socket.as_deref().map(Client::new).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn socket_and_json_stand_before_or_after_the_command() {
        for line in [
            ["gatehouse-gateway", "--socket", "s", "--json", "user", "list"],
            ["gatehouse-gateway", "user", "list", "--socket", "s", "--json"],
        ] {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert_eq!(arguments.connection.form(), Form::Json);
            assert!(arguments.connection.client().is_ok());
        }
    }
}
