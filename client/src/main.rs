//! `gatehouse`: the technician's program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    client::run(std::env::args_os())
}
