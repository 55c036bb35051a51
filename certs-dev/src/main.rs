//! `certs-dev`: a development PKI from the command line. Exit codes: 0 done, 4 usage or I/O, 5 a damaged folder.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that tells its user what it did")]

use std::path::PathBuf;
use std::process::ExitCode;

use certs_dev::{Problem, Revoked};
use clap::{Parser, Subcommand};

/// Makes keys and certificates FOR DEVELOPMENT ONLY.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a whole infrastructure in a new folder
    Init {
        /// The folder; it must not exist or be empty
        #[arg(long)]
        dir: PathBuf,
    },
    /// Revoke every certificate of a person (or of `gateway`) and reissue the revocation list
    Revoke {
        /// The person's name, or `gateway`
        name: String,
        /// The folder that `init` made
        #[arg(long)]
        dir: PathBuf,
    },
    /// Make a new certificate over the present key of a person (or of `gateway`), or renew the list (`crl`)
    Renew {
        /// The person's name, `gateway`, or `crl`
        name: String,
        /// The folder that `init` made
        #[arg(long)]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match run(arguments.command) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("certs-dev: {problem}");
            ExitCode::from(problem.exit_code())
        }
    }
}

fn run(command: Command) -> Result<String, Problem> {
    match command {
        Command::Init { dir } => certs_dev::init(&dir).map(|made| made.to_string()),
        Command::Revoke { name, dir } => certs_dev::revoke(&dir, &name).map(|revoked| match revoked {
            Revoked::Added(count) => {
                format!("Revoked {count} certificate(s) of {name}; {} is new", dir.join("crl.pem").display())
            }
            Revoked::Already => format!("Every certificate of {name} was revoked already; nothing changed"),
        }),
        Command::Renew { name, dir } => {
            certs_dev::renew(&dir, &name)?;
            Ok(format!("Renewed {name} in {}", dir.display()))
        }
    }
}

/// Help and version are no failure; anything else is a usage error.
fn usage(error: &clap::Error) -> ExitCode {
    if error.print().is_err() {
        return ExitCode::from(4);
    }
    if error.use_stderr() { ExitCode::from(4) } else { ExitCode::SUCCESS }
}
