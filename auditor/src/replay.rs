//! `replay`: tells the story of recordings at their own pace or another, from
//! any place on, and of one that is still written as it grows. With `--check`
//! it judges the requests again instead.

use crate::arguments::Replay;
use crate::chronicle::{Chronicle, Secrets, Told, What};
use crate::exit::Exit;
use crate::filter::{Facts, Filter, Subject};
use crate::interrupt::Interrupt;
use crate::pace::{Pace, Speed};
use crate::policy::{self, Form};
use crate::recording_file;
use crate::row::Who;
use crate::run::Output;
use crate::seek::Seek;
use crate::story::{Line, Story};
use crate::trouble::Trouble;
use jiff::tz::TimeZone;
use recording::{Event, Identity, Opened, Stop};
use std::path::Path;
use std::time::Duration;

/// How often a recording that is still written is looked at.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

pub(crate) fn replay(arguments: &Replay, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    if arguments.follow && arguments.files.len() > 1 {
        return Err(Trouble::FollowsOne(arguments.files.len()));
    }
    let identity = Identity::read(&arguments.identity).map_err(Trouble::key(&arguments.identity))?;
    if arguments.check {
        let form = if arguments.json { Form::Json } else { Form::Text };
        return policy::check(&arguments.files, &identity, form, output);
    }
    output.interrupt.arm()?;
    let usual = if arguments.follow { Speed::Max } else { Speed::Times(1.0) };
    let speed = arguments.speed.unwrap_or(usual);
    let mut worst = Exit::Done;
    for path in &arguments.files {
        let interrupt = output.interrupt.clone();
        let mut teller = Teller { arguments, output, interrupt, speed, pace: None };
        match teller.tell(path, &identity) {
            Ok(()) => {}
            Err(Trouble::Output(error)) => return Err(Trouble::Output(error)),
            Err(trouble) => worst = worst.max(output.complain(&trouble)),
        }
        if output.interrupt.is_raised() {
            break;
        }
    }
    Ok(worst)
}

struct Teller<'a, 'b> {
    arguments: &'a Replay,
    output: &'a mut Output<'b>,
    interrupt: Interrupt,
    speed: Speed,
    /// Set once something is told that happened after the place to begin at.
    pace: Option<Pace>,
}

/// What is told of a recording, and since when.
struct Telling {
    story: Story,
    session: String,
    who: Option<Who>,
    from: Duration,
}

impl Teller<'_, '_> {
    fn tell(&mut self, path: &Path, identity: &Identity) -> Result<(), Trouble> {
        let file = recording_file::open(path)?;
        let mut opened = Opened::decrypt(file, identity).map_err(Trouble::recording(path))?;
        let zone = TimeZone::system();
        let started = opened.header().started_wall;
        let from = self.arguments.seek.map_or(Duration::ZERO, |seek: Seek| seek.after(started, &zone));
        let story = Story::new(opened.header(), zone);
        let mut telling = Telling { story, session: opened.header().session_hex(), who: None, from };
        let mut chronicle = Chronicle::new(Secrets::asked_for(self.arguments.show_secrets));
        self.print(telling.story.begin())?;
        while !self.interrupt.is_raised() {
            match opened.next() {
                Some(Ok(recorded)) => self.told(&mut telling, chronicle.take(recorded))?,
                Some(Err(error)) => {
                    self.told(&mut telling, chronicle.finish(&Stop::NotYet))?;
                    self.print(telling.story.give_up())?;
                    return Err(Trouble::recording(path)(error));
                }
                None if self.arguments.follow && matches!(opened.stop(), Stop::Cut { .. }) => {
                    self.output.out.flush()?;
                    self.interrupt.wait(LOOKS_EVERY);
                    opened.resume().map_err(Trouble::recording(path))?;
                }
                None => {
                    self.told(&mut telling, chronicle.finish(opened.stop()))?;
                    return self.print(telling.story.end(opened.stop()));
                }
            }
        }
        Ok(())
    }

    fn told(&mut self, telling: &mut Telling, told: Vec<Told>) -> Result<(), Trouble> {
        for told in told {
            if let What::Turn(_, Event::Started(started)) = &told.what {
                telling.who = Some(Who::of(started));
            }
            if !telling.wants(&told, self.arguments.filter.as_ref()) {
                telling.story.skip(&told);
                continue;
            }
            if self.pace.is_none() && told.at >= telling.from {
                self.pace = Some(Pace::new(self.speed, telling.from));
                if !telling.from.is_zero() {
                    self.print(telling.story.sought(telling.from))?;
                }
            }
            self.print(telling.story.tell(told))?;
        }
        Ok(())
    }

    fn print(&mut self, lines: Vec<Line>) -> Result<(), Trouble> {
        for line in lines {
            if let (Some(pace), true) = (&self.pace, self.speed != Speed::Max) {
                self.output.out.flush()?;
                pace.wait(line.at, &self.interrupt);
            }
            if self.interrupt.is_raised() {
                return Ok(());
            }
            if self.arguments.json {
                self.output.json_line(&line.json)?;
            } else {
                self.output.line(&line.text)?;
            }
        }
        Ok(())
    }
}

impl Telling {
    /// Whether it is told: from the place on, and as the filter says. Who
    /// worked where is told always.
    fn wants(&self, told: &Told, filter: Option<&Filter>) -> bool {
        let begins = matches!(told.what, What::Turn(_, Event::Started(_)));
        begins || told.at >= self.from && filter.is_none_or(|filter| self.fits(told, filter))
    }

    fn fits(&self, told: &Told, filter: &Filter) -> bool {
        let facts =
            |channel, subject| Facts { session: &self.session, who: self.who.as_ref(), channel, subject };
        match &told.what {
            What::Request(request) => filter.fits(&facts(&request.channel, Subject::Request(request))),
            What::Piece { channel, tap, .. } => filter.fits(&facts(channel, Subject::Piece(*tap))),
            What::Turn(..) | What::Stray { .. } => false,
        }
    }
}
