//! The second factor that is asked for again while sessions run.
//!
//! What it is for: the work's connections stay while a person types a code, or a seed file gives one by itself. What it
//! never does: it holds up nothing else; whoever does not answer is told the rest by the gateway.
//!
//! Order of events: [`Again::ask`]; [`Again::code`] gives a code, which is sent; [`Again::another`] if it was refused,
//! [`Again::over`] if it was accepted.

use std::io::{BufRead as _, Read as _};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::Code;
use zeroize::Zeroizing;

use crate::Problem;
use crate::sign_in::{Codes, from_seed};

/// The longest line that is read as a code, in bytes.
const LONGEST_LINE: u64 = 64;
/// How many typed lines may wait.
const MOST_LINES: usize = 4;

/// What is being answered.
pub struct Again<'a> {
    codes: &'a Codes,
    stage: Stage,
    /// What the person types; the reader is started with the first question.
    typed: Option<mpsc::Receiver<Zeroizing<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody asks.
    Idle,
    /// A code is wanted from then on.
    Asked(Instant),
    /// One was given, and the gateway has not said what it is worth.
    Answered,
}

impl<'a> Again<'a> {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(codes: &'a Codes) -> Self {
        Self { codes, stage: Stage::Idle, typed: None }
    }

    /// Whether the gateway waits for a code.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// The gateway asks. Gives what to tell the person.
    pub fn ask(&mut self) -> &'static str {
        self.stage = Stage::Asked(Instant::now());
        match self.codes {
            Codes::Seed(_) => "the seed file answers",
            Codes::Prompt => {
                let typed = self.typed.get_or_insert_with(reader);
                // What was typed before nobody had asked for.
                while typed.try_recv().is_ok() {}
                "type the code and press Enter"
            }
        }
    }

    /// The code was refused and another may follow after that many seconds. Gives what to tell the person.
    pub fn another(&mut self, after_s: u32) -> String {
        let after = match self.codes {
            // A used code is the usual reason: the next step has another.
            Codes::Seed(seed) => seed.until_next_step(unix_seconds()).max(after_s.into()),
            Codes::Prompt => after_s.into(),
        };
        self.stage = Stage::Asked(Instant::now() + Duration::from_secs(after));
        match self.codes {
            Codes::Seed(_) => format!("perhaps this one was used already; waiting {after} s for the next"),
            Codes::Prompt => "type another code and press Enter".to_owned(),
        }
    }

    /// The gateway has what it wanted.
    pub fn over(&mut self) {
        self.stage = Stage::Idle;
    }

    /// The next code to send; waits for ever while nobody asks. May be given up and begun again at any time.
    ///
    /// # Errors
    /// [`Problem::Usage`] for what is no code or if there is nobody to type one.
    pub async fn code(&mut self) -> Result<Code, Problem> {
        let Stage::Asked(from) = self.stage else { return std::future::pending().await };
        tokio::time::sleep_until(from).await;
        match (self.codes, &mut self.typed) {
            (Codes::Seed(seed), _) => {
                self.stage = Stage::Answered;
                from_seed(seed)
            }
            (Codes::Prompt, Some(typed)) => match typed.recv().await {
                Some(line) => {
                    let code = Code::parse(line.trim()).map_err(|error| Problem::Usage(error.to_string()))?;
                    self.stage = Stage::Answered;
                    Ok(code)
                }
                None => {
                    self.stage = Stage::Answered;
                    Err(Problem::Usage("nobody is there to type a code: use --totp-file".to_owned()))
                }
            },
            (Codes::Prompt, None) => std::future::pending().await,
        }
    }
}

/// Reads lines on a thread of its own, which the end of the process does not wait for. They are shown as they are typed:
/// hiding them would leave a terminal without echo if the process ended meanwhile, and a code that was sent is used up.
fn reader() -> mpsc::Receiver<Zeroizing<String>> {
    let (lines, typed) = mpsc::channel(MOST_LINES);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Zeroizing::new(String::new());
            match input.by_ref().take(LONGEST_LINE).read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if lines.blocking_send(line).is_err() => return,
                Ok(_) => {}
            }
        }
    });
    typed
}

fn unix_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}
