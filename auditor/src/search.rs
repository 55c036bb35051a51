//! `search`: the requests of many recordings that a filter wants.

use crate::arguments::Search;
use crate::chronicle::{Chronicle, Request, Secrets, Told, What};
use crate::escape::safe;
use crate::exit::Exit;
use crate::filter::{Facts, Subject};
use crate::progress::Progress;
use crate::recording_file;
use crate::row::{Row, Who};
use crate::run::Output;
use crate::story::sentence;
use crate::time::Clock;
use crate::trouble::Trouble;
use jiff::tz::TimeZone;
use recording::{Event, Identity, Opened, Stop};
use serde::Serialize;
use std::path::Path;

/// Entries between two looks at the progress and at Ctrl-C.
const LOOKS_EVERY: usize = 1024;

/// Digits of a session's id that tell it from others in a list.
const SHORT: usize = 8;

pub(crate) fn search(arguments: &Search, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let identity = Identity::read(&arguments.identity).map_err(Trouble::key(&arguments.identity))?;
    output.interrupt.arm()?;
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let total = arguments.files.iter().map(|path| length(path)).fold(0, u64::saturating_add);
    let progress = Progress::new(total, "search");
    let mut searching = Searching { arguments, identity, output, progress, found: 0, requests: 0 };
    let (mut worst, mut read) = (Exit::Done, 0_usize);
    for path in &arguments.files {
        match searching.one(path) {
            Ok(()) => read = read.saturating_add(1),
            Err(trouble @ (Trouble::Output(_) | Trouble::Interrupted)) => return Err(trouble),
            Err(trouble) => {
                let Searching { progress, output, .. } = &mut searching;
                worst = worst.max(progress.aside(|| output.complain(&trouble)));
            }
        }
        searching.progress.passed(length(path));
    }
    let Searching { found, requests, .. } = searching;
    if !arguments.json {
        output.line(format_args!("{found} of {requests} requests in {read} recordings"))?;
    }
    Ok(worst)
}

struct Searching<'a, 'b> {
    arguments: &'a Search,
    identity: Identity,
    output: &'a mut Output<'b>,
    progress: Progress,
    found: u64,
    requests: u64,
}

/// The recording that is being searched.
struct Present<'a> {
    file: &'a Path,
    session: String,
    clock: Clock,
    who: Option<Who>,
}

/// One found request for programs.
#[derive(Debug, Serialize)]
struct Found<'a> {
    file: String,
    #[serde(flatten)]
    row: Row<'a>,
}

impl Searching<'_, '_> {
    fn one(&mut self, path: &Path) -> Result<(), Trouble> {
        let file = recording_file::open(path)?;
        let mut opened = Opened::decrypt(file, &self.identity).map_err(Trouble::recording(path))?;
        let start = opened.header().started_wall;
        let clock = Clock { start, zone: TimeZone::system() };
        let mut present = Present { file: path, session: opened.header().session_hex(), clock, who: None };
        let mut chronicle = Chronicle::new(Secrets::asked_for(self.arguments.show_secrets));
        for (index, recorded) in opened.by_ref().enumerate() {
            if self.output.interrupt.is_raised() {
                return Err(Trouble::Interrupted);
            }
            let recorded = match recorded {
                Ok(recorded) => recorded,
                Err(error) => {
                    self.told(&mut present, chronicle.finish(&Stop::NotYet))?;
                    return Err(Trouble::recording(path)(error));
                }
            };
            if index % LOOKS_EVERY == 0 {
                self.progress.reached(recorded.position.bytes);
            }
            self.told(&mut present, chronicle.take(recorded))?;
        }
        self.told(&mut present, chronicle.finish(opened.stop()))
    }

    fn told(&mut self, present: &mut Present<'_>, told: Vec<Told>) -> Result<(), Trouble> {
        for Told { what, .. } in told {
            match what {
                What::Turn(_, Event::Started(started)) => present.who = Some(Who::of(&started)),
                What::Request(request) => self.request(present, &request)?,
                What::Turn(..) | What::Piece { .. } | What::Stray { .. } => {}
            }
        }
        Ok(())
    }

    fn request(&mut self, present: &Present<'_>, request: &Request) -> Result<(), Trouble> {
        self.requests = self.requests.saturating_add(1);
        let facts = Facts {
            session: &present.session,
            who: present.who.as_ref(),
            channel: &request.channel,
            subject: Subject::Request(request),
        };
        if self.arguments.filter.as_ref().is_some_and(|filter| !filter.fits(&facts)) {
            return Ok(());
        }
        self.found = self.found.saturating_add(1);
        let Self { output, progress, arguments, .. } = self;
        if arguments.json {
            let stamp = |at| present.clock.stamp(at);
            let row = Row::new(request, &present.session, present.who.as_ref(), stamp);
            let found = Found { file: present.file.display().to_string(), row };
            return progress.aside(|| output.json_line(&found));
        }
        progress.aside(|| output.line(present.line(request)))
    }
}

impl Present<'_> {
    /// `2026-10-31T10:31:07.412+01:00 2ebf8de6 #1 tech-1@vendor-a press-line/plc7: READ ...`
    fn line(&self, request: &Request) -> String {
        let session = self.session.get(..SHORT).unwrap_or(&self.session);
        let (person, target) =
            self.who.as_ref().map_or(("", ""), |who| (who.person.as_str(), who.target.as_str()));
        let service = match request.channel.service.as_str() {
            "" => String::new(),
            service => format!(":{service}"),
        };
        let what = safe(&format!("{person} {target}{service}"));
        let time = self.clock.stamp(request.asked);
        format!("{time} {session} #{} {what}: {}", request.number, sentence(request))
    }
}
