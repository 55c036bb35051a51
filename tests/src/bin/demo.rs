//! `cargo demo`: see [`tests::demo`].

use clap::Parser;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tests::demo::{Afterwards, prepare, tell};

/// Shows one maintenance session from sign-in to audit, with the real programs
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Folder for keys, policies and recordings; what an earlier demo left there is replaced
    #[arg(long, default_value = "target/demo")]
    dir: PathBuf,
    /// Stay up afterwards, and print commands to try by hand
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let afterwards = if arguments.keep { Afterwards::Keep } else { Afterwards::End };
    let told = prepare(&arguments.dir).and_then(|folder| tell(&folder, afterwards));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere is left to complain about a closed standard error.
            let _written = writeln!(std::io::stderr(), "\nThe demo did not hold: {error:#}");
            ExitCode::FAILURE
        }
    }
}
