//! `gatehouse-gateway`: arguments, configuration, run, drain, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::main(std::env::args_os(), |_office, endpoint: quinn::Endpoint, stop| async move {
        stop.cancelled().await;
        endpoint.set_server_config(None);
    })
}
