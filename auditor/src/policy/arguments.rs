//! What the user typed.

use authz::Handle;
use clap::{Args, Subcommand};
use std::path::PathBuf;

const BACKTESTS: &str = "\
Examples:
  gatehouse-audit policy backtest --policies changed-policies --identity auditor.age recordings/*.ghr
  gatehouse-audit policy backtest --policies changed-policies --identity auditor.age recordings/*.ghr --json

Exit codes: 0 every request would be decided as it was; 1 some would not, or the recorded verdicts can't be
reproduced; 4 wrong usage or a file that can't be read; 5 the policy is invalid.";

const SUGGESTS: &str = "\
Example:
  gatehouse-audit policy suggest --policies policies --person tech-1@vendor-a --identity auditor.age recordings/*.ghr

What is printed is lines for policy.csv: read them, they are a proposal. Exit codes: 0 done; 1 the recordings hold
something that no rule can allow; 4 wrong usage or a file that can't be read; 5 the policy is invalid.";

/// The commands below `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Judge every recorded request again under another policy
    #[command(after_help = BACKTESTS)]
    Backtest(Backtest),
    /// The least rules that would have allowed exactly what was recorded
    #[command(after_help = SUGGESTS)]
    Suggest(Suggest),
}

/// `policy backtest`
#[derive(Debug, Args)]
pub struct Backtest {
    /// The policy folder to try
    #[arg(long, value_name = "DIR")]
    pub policies: PathBuf,
    /// Identity file of an auditor
    #[arg(long, value_name = "AGE")]
    pub identity: PathBuf,
    /// The recordings
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `policy suggest`
#[derive(Debug, Args)]
pub struct Suggest {
    /// The policy folder whose targets and tags are used
    #[arg(long, value_name = "DIR")]
    pub policies: PathBuf,
    /// Whose sessions
    #[arg(long, value_name = "HANDLE")]
    pub person: Handle,
    /// Identity file of an auditor
    #[arg(long, value_name = "AGE")]
    pub identity: PathBuf,
    /// The recordings; those of other people are left out
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
