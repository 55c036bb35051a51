//! `replay`: tells the story of recordings at their own pace or another.

use crate::arguments::Replay;
use crate::exit::Exit;
use crate::pace::{Pace, Speed};
use crate::run::Output;
use crate::story::{Line, Story};
use crate::trouble::Trouble;
use jiff::tz::TimeZone;
use recording::{Identity, Opened};
use std::fs::File;
use std::path::Path;

pub(crate) fn replay(arguments: &Replay, output: &mut Output<'_>) -> Result<Exit, Trouble> {
    let identity = Identity::read(&arguments.identity).map_err(Trouble::key(&arguments.identity))?;
    let mut teller = Teller { output, speed: arguments.speed, json: arguments.json };
    let mut worst = Exit::Done;
    for path in &arguments.files {
        match teller.tell(path, &identity) {
            Ok(()) => {}
            Err(Trouble::Output(error)) => return Err(Trouble::Output(error)),
            Err(trouble) => worst = worst.max(teller.output.complain(&trouble)),
        }
    }
    Ok(worst)
}

struct Teller<'a, 'b> {
    output: &'a mut Output<'b>,
    speed: Speed,
    json: bool,
}

impl Teller<'_, '_> {
    fn tell(&mut self, path: &Path, identity: &Identity) -> Result<(), Trouble> {
        let file = File::open(path).map_err(Trouble::file(path))?;
        let mut opened = Opened::decrypt(file, identity).map_err(Trouble::recording(path))?;
        let mut story = Story::new(opened.header(), TimeZone::system());
        let pace = Pace::new(self.speed);
        self.print(&pace, story.begin())?;
        for recorded in opened.by_ref() {
            match recorded {
                Ok(recorded) => self.print(&pace, story.tell(recorded.entry))?,
                Err(error) => {
                    self.print(&pace, story.give_up())?;
                    return Err(Trouble::recording(path)(error));
                }
            }
        }
        self.print(&pace, story.end(opened.stop()))
    }

    fn print(&mut self, pace: &Pace, lines: Vec<Line>) -> Result<(), Trouble> {
        for line in lines {
            let wait = self.speed != Speed::Max;
            if wait {
                self.output.out.flush()?;
                pace.wait(line.at);
            }
            if self.json {
                self.output.json_line(&line.json)?;
            } else {
                self.output.line(&line.text)?;
            }
        }
        Ok(())
    }
}
