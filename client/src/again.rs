//! The second factor that is asked for again while sessions run.
//!
//! What it is for: the work's connections stay while a person types a code or uses a passkey, or a seed file gives a code
//! by itself. What it never does: it holds up nothing else; whoever does not answer is told the rest by the gateway.
//!
//! Order of events: [`Again::ask`]; [`Again::next`] gives what is to be sent, for a passkey first the wish for a page,
//! which [`Again::page`] takes, and then what it handed over; [`Again::another`] if it was refused, [`Again::over`] if it
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
use crate::hand_over::{HandOver, HandedOver};
use crate::passkey::{self, Browser};
use crate::screen::Screen;
use crate::sign_in::{Means, from_seed};

/// The longest line that is read as a code, in bytes.
const LONGEST_LINE: u64 = 64;
/// How many typed lines may wait.
const MOST_LINES: usize = 4;

/// What is being answered.
#[derive(Debug)]
pub struct Again<'a> {
    means: &'a Means,
    /// The targets that a page names.
    wanted: Vec<String>,
    /// Which factor the gateway takes.
    way: Way,
    stage: Stage,
    /// What the person types; the reader is started with the first question.
    typed: Option<mpsc::Receiver<Zeroizing<String>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Code,
    Passkey(Browser),
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
    /// An answer was given, and the gateway has not said what it is worth. The browser may still be reading our thanks.
    Answered { _thanks: Option<HandedOver> },
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Idle => "Idle",
            Self::Asked(_) => "Asked",
            Self::Page(_) => "Page",
            Self::Open(_) => "Open",
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
            Means::Prompt(browser) | Means::Passkey(browser) if factors.contains(&Factor::Webauthn) => {
                Way::Passkey(*browser)
            }
            Means::Prompt(_) | Means::Passkey(_) | Means::Seed(_) => Way::Code,
        };
        match (self.way, self.means) {
            (Way::Passkey(_), _) => "use your passkey",
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
            (Way::Passkey(_), _) => (after_s.into(), "use your passkey again".to_owned()),
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
        match (std::mem::replace(&mut self.stage, Stage::Answered { _thanks: None }), self.way) {
            (Stage::Page(listening), Way::Passkey(browser)) => {
                let origin = passkey::open_page(browser, url, code, screen)?;
                self.stage = Stage::Open(Box::pin(listening.wait(origin)));
                Ok(())
            }
            _ => Err(Problem::Refused("the gateway gave a page that nobody asked for".to_owned())),
        }
    }

    /// The gateway has what it wanted.
    pub fn over(&mut self) {
        self.stage = Stage::Idle;
    }

    /// What is to be sent next; waits for ever while there is nothing. May be given up and begun again at any time.
    ///
    /// # Errors
    /// [`Problem::Usage`] for what is no code or if there is nobody to type one; [`Problem::Io`] without a listener for
    /// the browser.
    pub async fn next(&mut self) -> Result<ToGateway, Problem> {
        match (&mut self.stage, self.way) {
            (Stage::Idle | Stage::Page(_) | Stage::Answered { .. }, _) => std::future::pending().await,
            (Stage::Open(handing), _) => {
                let handed = handing.await;
                let given = passkey::given(&handed);
                self.stage = Stage::Answered { _thanks: Some(handed) };
                given
            }
            (Stage::Asked(from), Way::Passkey(_)) => {
                tokio::time::sleep_until(*from).await;
                let listening = HandOver::bind().await?;
                let begin = passkey::begin(listening.loopback(), &self.wanted);
                self.stage = Stage::Page(listening);
                Ok(begin)
            }
            (Stage::Asked(from), Way::Code) => {
                tokio::time::sleep_until(*from).await;
                self.code().await.map(|code| ToGateway::Totp { code })
            }
        }
    }

    async fn code(&mut self) -> Result<Code, Problem> {
        match (self.means, &mut self.typed) {
            (Means::Seed(seed), _) => {
                self.stage = Stage::Answered { _thanks: None };
                from_seed(seed)
            }
            (Means::Prompt(_) | Means::Passkey(_), Some(typed)) => match typed.recv().await {
                Some(line) => {
                    let code = Code::parse(line.trim()).map_err(|error| Problem::Usage(error.to_string()))?;
                    self.stage = Stage::Answered { _thanks: None };
                    Ok(code)
                }
                None => {
                    self.stage = Stage::Answered { _thanks: None };
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
