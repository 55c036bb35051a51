//! `export`: a recording's content for other tools.
//!
//! Order of events: nothing is at the place to write to; with a public key
//! the recording is verified, and one that was altered is not exported; one
//! that holds a password is exported as bytes only to who asks for that; its
//! entries are decrypted and written beside that place; what is whole gets its
//! name, what is not vanishes. `docs/exports.md` describes the formats.
//!
//! Reading a copy offline leaves no trace anywhere: that a recording was
//! handed out is an event of the gateway, that it was exported can't be one.

mod destination;
mod pcapng;
mod proof;
mod raw;
mod rows;

use crate::arguments::{Export, Format};
use crate::chronicle::{Chronicle, Secrets, Told, What};
use crate::escape::safe;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::recording_file;
use crate::run::Output;
use crate::trouble::Trouble;
use proof::Proof;
use recording::{Body, Event, Header, Identity, Opened, PublicKey, Recorded, Started, Stop};
use serde::Serialize;
use std::fs::File;
use std::path::Path;

/// Entries among which the recording's beginning is looked for.
const START_WITHIN: usize = 16;

pub(crate) fn export(arguments: &Export, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    destination::refuse_existing(&arguments.out)?;
    let identity = Identity::read(&arguments.identity).map_err(Trouble::key(&arguments.identity))?;
    let key = match &arguments.key {
        Some(path) => Some(PublicKey::read(path).map_err(Trouble::key(path))?),
        None => None,
    };
    output.interrupt.arm()?;
    let path = &arguments.file;
    let file = recording_file::open(path)?;
    let proof = Proof::of(&file, path, key.as_ref())?;
    let cover = Cover::new(&file, path, &identity, &proof)?;
    let secrets = Secrets::asked_for(arguments.show_secrets);
    let mut source = Source::open(&file, path, &identity, output.interrupt.clone())?;
    if let (Secrets::Masked, Some(format)) = (secrets, arguments.format.of_bytes()) {
        source.guard = Some(Guard { chronicle: Chronicle::new(secrets), format });
    }
    let out = &arguments.out;
    let written = match arguments.format {
        Format::Pcapng => pcapng::write(&cover, &mut source, out),
        Format::Jsonl => rows::write_json(&cover, &mut source, secrets, out),
        Format::Csv => rows::write_csv(&cover, &mut source, secrets, out),
        Format::Raw => raw::write(&cover, &mut source, out),
    }?;
    drop(source);
    let said = Said {
        file: path.display().to_string(),
        out: out.display().to_string(),
        written: written.count,
        what: written.what,
        closed: written.closed,
        verified: proof.word(),
        proof: proof.sentence(),
        exit: proof.exit().code(),
    };
    if arguments.json {
        output.json(&said)?;
    } else {
        output.line(safe(&said.sentence()))?;
    }
    Ok(proof.exit())
}

impl Format {
    /// Its name if it has the recorded bytes as they are. They can't be masked
    /// there: nobody could tell what was sent from what was put in its place.
    fn of_bytes(self) -> Option<&'static str> {
        match self {
            Self::Pcapng => Some("pcapng"),
            Self::Raw => Some("raw"),
            Self::Jsonl | Self::Csv => None,
        }
    }
}

/// What an export says of itself.
#[derive(Debug, Serialize)]
struct Said {
    file: String,
    out: String,
    /// How many of what were written.
    written: u64,
    what: &'static str,
    /// Whether the recording has an end.
    closed: bool,
    verified: &'static str,
    proof: String,
    exit: u8,
}

impl Said {
    fn sentence(&self) -> String {
        let end = if self.closed { "" } else { "; the recording was not closed" };
        let Self { file, out, written, what, proof, .. } = self;
        format!("{out}: {written} {what} of {file}{end}; {proof}")
    }
}

/// What every export says in front of or beside its content.
struct Cover<'a> {
    header: Header,
    started: Option<Box<Started>>,
    proof: &'a Proof,
}

impl<'a> Cover<'a> {
    fn new(file: &File, path: &Path, identity: &Identity, proof: &'a Proof) -> Result<Self, Trouble> {
        let mut opened = Opened::decrypt(file, identity).map_err(Trouble::recording(path))?;
        let mut started = None;
        for recorded in opened.by_ref().take(START_WITHIN) {
            let recorded = recorded.map_err(Trouble::recording(path))?;
            if let Body::Event(Event::Started(found)) = recorded.entry.body {
                started = Some(found);
                break;
            }
        }
        Ok(Self { header: opened.header().clone(), started, proof })
    }
}

/// How much was written, and whether the recording came to its end.
struct Written {
    count: u64,
    what: &'static str,
    closed: bool,
}

/// The entries of the recording, one after the other.
struct Source<'a> {
    path: &'a Path,
    opened: Opened<&'a File>,
    progress: Progress,
    interrupt: Interrupt,
    guard: Option<Guard>,
}

/// Stops an export of bytes where it would show a password.
struct Guard {
    chronicle: Chronicle,
    format: &'static str,
}

impl Guard {
    fn look(&self, path: &Path, told: Vec<Told>) -> Result<(), Trouble> {
        for told in told {
            match told.what {
                What::Request(request) if request.hides() => {
                    return Err(Trouble::Secret {
                        path: path.to_owned(),
                        request: request.number,
                        function: safe(&request.function),
                        format: self.format,
                    });
                }
                What::Request(_) | What::Turn(..) | What::Piece { .. } | What::Stray { .. } => {}
            }
        }
        Ok(())
    }
}

impl<'a> Source<'a> {
    fn open(
        file: &'a File,
        path: &'a Path,
        identity: &Identity,
        interrupt: Interrupt,
    ) -> Result<Self, Trouble> {
        let length = file.metadata().map_err(Trouble::file(path))?.len();
        let opened = Opened::decrypt(file, identity).map_err(Trouble::recording(path))?;
        Ok(Self { path, opened, progress: Progress::new(length, "export"), interrupt, guard: None })
    }

    /// The next entry, `None` at the end.
    fn next(&mut self) -> Result<Option<Recorded>, Trouble> {
        if self.interrupt.is_raised() {
            return Err(Trouble::Interrupted);
        }
        let next = self.opened.next().transpose().map_err(Trouble::recording(self.path))?;
        if let Some(recorded) = &next {
            self.progress.reached(recorded.position.bytes);
        }
        if let Some(guard) = &mut self.guard {
            let told = match &next {
                Some(recorded) => guard.chronicle.take(recorded.clone()),
                None => guard.chronicle.finish(self.opened.stop()),
            };
            guard.look(self.path, told)?;
        }
        Ok(next)
    }

    fn stop(&self) -> &Stop {
        self.opened.stop()
    }

    fn written(&self, count: u64, what: &'static str) -> Written {
        Written { count, what, closed: matches!(self.stop(), Stop::Ended(_)) }
    }
}
