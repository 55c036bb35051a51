//! What the user typed.

use crate::pace::Speed;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The auditor's side of Gatehouse: check, list and replay recordings.
///
/// Checking needs the gateway's public key alone; who and what needs an
/// auditor's age identity. Nothing here talks to a network.
#[derive(Debug, Parser)]
#[command(name = "gatehouse-audit", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  gatehouse-audit keygen --out auditor.age
  gatehouse-audit ls recordings --identity auditor.age
  gatehouse-audit verify recordings/*.ghr --key signing.pub
  gatehouse-audit replay recordings/2ebf8de6e37b989766970e42f7f7b74e.ghr --identity auditor.age --speed 10

Exit codes: 0 done; 1 the answer is no (altered); 2 valid, but ended uncleanly and accounted for;
3 valid so far, truncation can't be excluded; 4 wrong usage or a file that can't be read or written.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an auditor's identity; print the recipient for the gateway's configuration
    #[command(after_help = "Example:\n  gatehouse-audit keygen --out auditor.age")]
    Keygen(Keygen),
    /// List the recordings of a folder
    #[command(after_help = "Example:\n  gatehouse-audit ls recordings --identity auditor.age")]
    Ls(List),
    /// Show one recording's header, and with an identity who and what
    #[command(after_help = "Example:\n  gatehouse-audit show SESSION.ghr --identity auditor.age --json")]
    Show(Show),
    /// Check recordings with the gateway's public key alone
    #[command(after_help = "Examples:\n  gatehouse-audit verify recordings/*.ghr --key signing.pub\n  \
        gatehouse-audit verify recordings/*.ghr --key signing.pub --log log --receipt SESSION.receipt\n  \
        gatehouse-audit verify --key signing.pub --log log --receipt witness")]
    Verify(Verify),
    /// Tell what happened in a session, at its own pace or another
    ///
    /// Replaying proves nothing about alterations of what was signed: `verify` does that.
    #[command(after_help = "Examples:\n  gatehouse-audit replay SESSION.ghr --identity auditor.age\n  \
        gatehouse-audit replay SESSION.ghr --identity auditor.age --speed max --json")]
    Replay(Replay),
}

/// `keygen`
#[derive(Debug, Args)]
pub struct Keygen {
    /// The new file for the secret identity; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `ls`
#[derive(Debug, Args)]
pub struct List {
    /// The folder with the recordings
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Identity file, to show who and what
    #[arg(long, value_name = "AGE")]
    pub identity: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `show`
#[derive(Debug, Args)]
pub struct Show {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Identity file, to show who and what
    #[arg(long, value_name = "AGE")]
    pub identity: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// The recordings, or folders of them
    #[arg(value_name = "FILE", required_unless_present = "log")]
    pub files: Vec<PathBuf>,
    /// The gateway's public key
    #[arg(long, value_name = "PUB")]
    pub key: PathBuf,
    /// The folder of the gateway's site log: every session in it must have its recording
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// A receipt of a technician or a checkpoint of a witness, or a folder of them; may be given often
    #[arg(long, value_name = "R")]
    pub receipt: Vec<PathBuf>,
    /// The recordings are an excerpt: do not miss the others of the site log
    #[arg(long, requires = "log")]
    pub excerpt: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// The recordings, one after the other
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Identity file of an auditor
    #[arg(long, value_name = "AGE")]
    pub identity: PathBuf,
    /// How many times faster than it happened, or `max`
    #[arg(long, value_name = "X", default_value = "1")]
    pub speed: Speed,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}
