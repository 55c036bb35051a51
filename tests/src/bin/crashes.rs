//! Kills a gateway again and again and checks what it left; see
//! [`tests::crashes`].
//!
//! ```text
//! cargo run -p tests --bin crashes -- --kills 5000
//! ```

use clap::Parser;
use std::{io::Write, process::ExitCode};

/// Kills a gateway again and again while a technician works, and checks each recording it leaves
#[derive(Debug, Parser)]
#[command(name = "crashes", version)]
struct Arguments {
    /// How often
    #[arg(long, default_value_t = 1000)]
    kills: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let told = tests::crashes::kill_again_and_again(arguments.kills, |number| {
        // Nobody has to look on.
        let _written = write!(std::io::stderr(), "\rkill {number} ");
    });
    let (text, code) = match told {
        Ok(tally) => (format!("\n{tally:#?}\n"), ExitCode::SUCCESS),
        Err(error) => (format!("\nIt did not hold: {error:#}\n"), ExitCode::FAILURE),
    };
    let _written = std::io::stdout().write_all(text.as_bytes());
    code
}
