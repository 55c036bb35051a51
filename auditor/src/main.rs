//! `gatehouse-audit`: see the library.

use auditor::{Arguments, Exit, Interrupt, Output, run};
use clap::Parser;
use clap::error::ErrorKind;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where neither help nor complaint can be printed, the code tells.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { Exit::Done } else { Exit::Usage }.into();
        }
    };
    let (mut out, mut err) = (io::BufWriter::new(io::stdout().lock()), io::stderr().lock());
    run(&arguments, &mut Output { out: &mut out, err: &mut err, interrupt: Interrupt::default() }).into()
}
