//! What the user typed.

use crate::filter::{Filter, WORDS};
use crate::pace::Speed;
use crate::policy::PolicyCommand;
use crate::seek::Seek;
use clap::{Args, Parser, Subcommand, ValueEnum};
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
3 valid so far, truncation can't be excluded; 4 wrong usage or a file that can't be read or written; 5 invalid policy.";

const REPLAYS: &str = "\
Examples:
  gatehouse-audit replay SESSION.ghr --identity auditor.age
  gatehouse-audit replay SESSION.ghr --identity auditor.age --seek 1m30s --speed 10
  gatehouse-audit replay SESSION.ghr --identity auditor.age --seek 10:31:07 --speed max --json
  gatehouse-audit replay SESSION.ghr --identity auditor.age --follow --filter 'changes or denied'
  gatehouse-audit replay recordings/*.ghr --identity auditor.age --check";

const SEARCHES: &str = "\
Examples:
  gatehouse-audit search recordings/*.ghr --identity auditor.age --filter denied
  gatehouse-audit search recordings/*.ghr --identity auditor.age --json \\
      --filter 'write and holding[100-199] and person[*@vendor-a]'";

const EXPORTS: &str = "\
Formats:
  pcapng  Wireshark and tshark decode it: one interface for each side of each channel,
          verdicts as packet comments, the proof in the section header's comment
  jsonl   one object for each request, with verdict, rule and the device's answer
  csv     the same columns, RFC 4180, safe to open in a spreadsheet
  raw     a folder with the bytes of each tap of each channel

Examples:
  gatehouse-audit export SESSION.ghr --identity auditor.age --format pcapng --out session.pcapng \\
      --key signing.pub
  gatehouse-audit export SESSION.ghr --identity auditor.age --format csv --out session.csv
  gatehouse-audit export SESSION.ghr --identity auditor.age --format raw --out session --show-secrets

Exit codes: with --key those of verify, and for an altered recording 1 and nothing is written;
without --key 0, or 1 if it does not decrypt; 4 if it can't be read or written, or if it holds
passwords and the format would show them.";

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
    /// Replaying proves nothing about alterations of what was signed: `verify` does that. With
    /// --check nothing is told; the exit code is 1 if a recorded verdict does not follow from the
    /// recorded bytes and grant.
    #[command(after_help = format!("{REPLAYS}\n\n{WORDS}"))]
    Replay(Replay),
    /// List the requests of recordings that a filter wants
    ///
    /// Without a filter all of them. Like replaying, it proves nothing.
    #[command(after_help = format!("{SEARCHES}\n\n{WORDS}"))]
    Search(Search),
    /// Write a recording's content for other tools, to a new file
    ///
    /// With the gateway's public key the recording is checked first, and the
    /// export says what was proven; one that was altered is not exported.
    /// Nothing is ever overwritten, and nothing half done stays.
    #[command(after_help = EXPORTS)]
    Export(Export),
    /// Try a policy on recorded sessions, or learn one from them
    #[command(subcommand)]
    Policy(PolicyCommand),
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
    /// How many times faster than it happened, or `max`; 1 if not said, with
    /// --follow max
    #[arg(long, value_name = "X")]
    pub speed: Option<Speed>,
    /// Begin later: a span since the start (1m30s) or a time (10:31:07,
    /// 2026-10-31T10:31:07+01:00)
    #[arg(long, value_name = "T")]
    pub seek: Option<Seek>,
    /// Go on as a recording grows that is still written, until it is closed
    #[arg(long)]
    pub follow: bool,
    /// Tell only the requests, and bytes of opaque services, that fit
    #[arg(long, value_name = "E")]
    pub filter: Option<Filter>,
    /// Show passwords, which are *** otherwise
    #[arg(long)]
    pub show_secrets: bool,
    /// Tell nothing, but judge every request again under the recorded grant: do the verdicts come
    /// out as recorded?
    #[arg(long, conflicts_with_all = ["speed", "seek", "follow", "filter", "show_secrets"])]
    pub check: bool,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `search`
#[derive(Debug, Args)]
pub struct Search {
    /// The recordings
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Identity file of an auditor
    #[arg(long, value_name = "AGE")]
    pub identity: PathBuf,
    /// List only the requests that fit
    #[arg(long, value_name = "E")]
    pub filter: Option<Filter>,
    /// Show passwords, which are *** otherwise
    #[arg(long)]
    pub show_secrets: bool,
    /// Print one JSON object per line, with the columns of an export
    #[arg(long)]
    pub json: bool,
}

/// `export`
#[derive(Debug, Args)]
pub struct Export {
    /// The recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Identity file of an auditor
    #[arg(long, value_name = "AGE")]
    pub identity: PathBuf,
    /// What to write
    #[arg(long, value_enum)]
    pub format: Format,
    /// The new file, with `raw` the new folder
    #[arg(long, value_name = "P")]
    pub out: PathBuf,
    /// The gateway's public key, to check the recording first
    #[arg(long, value_name = "PUB")]
    pub key: Option<PathBuf>,
    /// Export passwords too; without it they are masked in jsonl and csv, and
    /// a recording that holds one is not exported as pcapng or raw
    #[arg(long)]
    pub show_secrets: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Packets for Wireshark.
    Pcapng,
    /// JSON Lines.
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// Bytes.
    Raw,
}
