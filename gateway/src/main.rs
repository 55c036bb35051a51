//! `gatehouse-gateway`: arguments, configuration, run, drain, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::main(std::env::args_os(), gateway::accept::serve)
}
