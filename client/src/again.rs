//! The second factor that is asked for again while sessions run.
//!
//! What it is for: the work's connections stay while a person types a code or uses a passkey, or a seed file gives a code
//! by itself. What it never does: it holds up nothing else; whoever does not answer is told the rest by the gateway.
//!
//! Order of events: [`Again::ask`]; [`Again::next`] gives what is to be sent, for a passkey first the wish for a page,
//! which [`Again::page`] takes, or for the options, which [`Again::options`] takes, and then what was answered; [`Again::another`] if it was refused, [`Again::over`] if it
//! was accepted.

use std::fmt;
use std::io::{BufRead as _, Read as _};
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::{Code, Factor, ToGateway};
use zeroize::Zeroizing;

use crate::Problem;
use crate::direct::{Machine, Options, Step, Working};
use crate::hand_over::{HandOver, HandedOver};
use crate::link::Control;
use crate::passkey::{self, Answered, Browser, Through};
use crate::screen::Screen;
use crate::sign_in::{Means, from_seed};

/// The longest line that is read as a code, in bytes.
const LONGEST_LINE: u64 = 64;
/// How many typed lines may wait.
const MOST_LINES: usize = 4;

/// How long after an authenticator of this machine failed it is asked once more.
const ONCE_MORE: Duration = Duration::from_secs(10);

/// What is next.
#[derive(Debug)]
pub enum Next {
    /// To be sent.
    Send(ToGateway),
    /// To be shown.
    Say(String),
}

/// What is being answered.
#[derive(Debug)]
pub struct Again<'a> {
    means: &'a Means,
    /// The targets that a page names.
    wanted: Vec<String>,
    /// Which factor the gateway takes.
    way: Way<'a>,
    stage: Stage,
    /// What the person types; the reader is started with the first question.
    typed: Option<mpsc::Receiver<Zeroizing<String>>>,
}

#[derive(Clone, Copy, Debug)]
enum Way<'a> {
    Code,
    Page(Browser),
    Machine(&'a Machine),
}

enum Stage {
    /// Nobody asks.
    Idle,
    /// An answer is wanted from then on.
    Asked(Instant),
    /// A page was asked for.
    Page(HandOver),
    /// The page is open.
    Open(Pin<Box<dyn Future<Output = HandedOver>>>),
    /// The options were asked for.
    Options,
    /// An authenticator of this machine is at work.
    Working(Working),
    /// An answer was given, and the gateway has not said what it is worth.
    Answered { _given: Option<Answered> },
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Idle => "Idle",
            Self::Asked(_) => "Asked",
            Self::Page(_) => "Page",
            Self::Open(_) => "Open",
            Self::Options => "Options",
            Self::Working(_) => "Working",
            Self::Answered { .. } => "Answered",
        })
    }
}

impl<'a> Again<'a> {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(means: &'a Means, wanted: Vec<String>) -> Self {
        Self { means, wanted, way: Way::Code, stage: Stage::Idle, typed: None }
    }

    /// Whether the gateway waits for an answer.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }

    /// The gateway asks for one of these. Gives what to tell the person.
    pub fn ask(&mut self, factors: &[Factor]) -> &'static str {
        self.stage = Stage::Asked(Instant::now());
        self.way = match self.means {
            Means::Prompt(through) | Means::Passkey(through) if factors.contains(&Factor::Webauthn) => {
                match through {
                    Through::Page(browser) => Way::Page(*browser),
                    Through::Machine(machine) => Way::Machine(machine),
                }
            }
            Means::Prompt(_) | Means::Passkey(_) | Means::Seed(_) => Way::Code,
        };
        match (self.way, self.means) {
            (Way::Page(_) | Way::Machine(_), _) => "use your passkey",
            (Way::Code, Means::Seed(_)) => "the seed file answers",
            (Way::Code, Means::Prompt(_) | Means::Passkey(_)) => {
                let typed = self.typed.get_or_insert_with(reader);
                // What was typed before nobody had asked for.
                while typed.try_recv().is_ok() {}
                "type the code and press Enter"
            }
        }
    }

    /// The answer was refused and another may follow after that many seconds. Gives what to tell the person.
    pub fn another(&mut self, after_s: u32) -> String {
        let (after, told) = match (self.way, self.means) {
            (Way::Page(_) | Way::Machine(_), _) => (after_s.into(), "use your passkey again".to_owned()),
            // A used code is the usual reason: the next step has another.
            (Way::Code, Means::Seed(seed)) => {
                let after = seed.until_next_step(unix_seconds()).max(after_s.into());
                (after, format!("perhaps this one was used already; waiting {after} s for the next"))
            }
            (Way::Code, Means::Prompt(_) | Means::Passkey(_)) => {
                (after_s.into(), "type another code and press Enter".to_owned())
            }
        };
        self.stage = Stage::Asked(Instant::now() + Duration::from_secs(after));
        told
    }

    /// The gateway gave the page that was asked for.
    ///
    /// # Errors
    /// [`Problem::Refused`] for an address that is not opened, or for a page that nobody asked for.
    pub fn page(&mut self, url: &str, code: &str, screen: &mut Screen) -> Result<(), Problem> {
        match (std::mem::replace(&mut self.stage, Stage::Answered { _given: None }), self.way) {
            (Stage::Page(listening), Way::Page(browser)) => {
                let origin = passkey::open_page(browser, url, code, screen)?;
                self.stage = Stage::Open(Box::pin(listening.wait(origin)));
                Ok(())
            }
            _ => Err(Problem::Refused("the gateway gave a page that nobody asked for".to_owned())),
        }
    }

    /// The gateway gave the options that were asked for.
    ///
    /// # Errors
    /// [`Problem::Refused`] for options that are not for us, or that nobody asked for.
    pub fn options(&mut self, control: &Control, options: &Options) -> Result<(), Problem> {
        match (std::mem::replace(&mut self.stage, Stage::Answered { _given: None }), self.way) {
            (Stage::Options, Way::Machine(machine)) => {
                self.stage = Stage::Working(machine.sign(control, options)?);
                Ok(())
            }
            _ => Err(Problem::Refused("the gateway gave options that nobody asked for".to_owned())),
        }
    }

    /// The gateway has what it wanted.
    pub fn over(&mut self) {
        self.stage = Stage::Idle;
    }

    /// What comes next; waits for ever while there is nothing. May be given up and begun again at any time.
    ///
    /// # Errors
    /// [`Problem::Usage`] for what is no code, if there is nobody to type one, or if an authenticator of this machine
    /// signed nothing (it is asked once more a little later); [`Problem::Io`] without a listener for the browser.
    pub async fn next(&mut self) -> Result<Next, Problem> {
        match (&mut self.stage, self.way) {
            (Stage::Idle | Stage::Page(_) | Stage::Options | Stage::Answered { .. }, _) => {
                std::future::pending().await
            }
            (Stage::Open(handing), _) => {
                let handed = handing.await;
                self.answer(handed.into())
            }
            (Stage::Working(working), _) => match working.next().await {
                Ok(Step::Say(line)) => Ok(Next::Say(line)),
                Ok(Step::Done(json)) => self.answer(json.into()),
                Err(problem) => {
                    self.stage = Stage::Asked(Instant::now() + ONCE_MORE);
                    Err(problem)
                }
            },
            (Stage::Asked(from), Way::Machine(_)) => {
                tokio::time::sleep_until(*from).await;
                self.stage = Stage::Options;
                Ok(Next::Send(ToGateway::BeginDirectPasskey))
            }
            (Stage::Asked(from), Way::Page(_)) => {
                tokio::time::sleep_until(*from).await;
                let listening = HandOver::bind().await?;
                let begin = passkey::begin(listening.loopback(), &self.wanted);
                self.stage = Stage::Page(listening);
                Ok(Next::Send(begin))
            }
            (Stage::Asked(from), Way::Code) => {
                tokio::time::sleep_until(*from).await;
                self.code().await.map(|code| Next::Send(ToGateway::Totp { code }))
            }
        }
    }

    fn answer(&mut self, answered: Answered) -> Result<Next, Problem> {
        let given = passkey::given(&answered);
        self.stage = Stage::Answered { _given: Some(answered) };
        given.map(Next::Send)
    }

    async fn code(&mut self) -> Result<Code, Problem> {
        match (self.means, &mut self.typed) {
            (Means::Seed(seed), _) => {
                self.stage = Stage::Answered { _given: None };
                from_seed(seed)
            }
            (Means::Prompt(_) | Means::Passkey(_), Some(typed)) => match typed.recv().await {
                Some(line) => {
                    let code = Code::parse(line.trim()).map_err(|error| Problem::Usage(error.to_string()))?;
                    self.stage = Stage::Answered { _given: None };
                    Ok(code)
                }
                None => {
                    self.stage = Stage::Answered { _given: None };
                    Err(Problem::Usage("nobody is there to type a code: use --totp-file".to_owned()))
                }
            },
            (Means::Prompt(_) | Means::Passkey(_), None) => std::future::pending().await,
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
