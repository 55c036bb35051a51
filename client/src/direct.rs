//! A passkey without a browser: the gateway gives the options, an authenticator of this machine signs for this connection.
//!
//! What it is for: the authenticator blocks while the person finds the key, types the PIN and touches it. It does so on a
//! thread of its own; meanwhile its words are shown and the connection lives on. What it never does: it sends nothing
//! that was not signed for the connection that asked.
//!
//! Order of events: the options; [`Machine::sign`] or [`Machine::create`]; [`Working::next`] until it is done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::passkey::EXPORTER_LABEL;
use zeroize::Zeroizing;

use crate::Problem;
use crate::authenticator::{Asker, Authenticator, Creation, Dialogue, NotForUs, NotSigned, Request};
use crate::link::Control;
use crate::platform;

/// How many lines of an authenticator may wait.
const MOST_LINES: usize = 8;

/// An authenticator of this machine, and for whom it may sign.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What signs.
    pub authenticator: Arc<dyn Authenticator>,
    /// The relying party that the profile names.
    pub relying_party: String,
}

/// The options that the gateway gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The origin of the gateway's page.
    pub origin: String,
    /// The options, JSON.
    pub json: String,
    /// How long an answer counts.
    pub within: Duration,
}

/// An authenticator at work.
#[derive(Debug)]
pub struct Working {
    lines: mpsc::Receiver<String>,
    thread: JoinHandle<Result<String, NotSigned>>,
    until: Instant,
}

/// What comes from an authenticator at work.
#[derive(Debug)]
pub enum Step {
    /// A line for the person.
    Say(String),
    /// Its answer, JSON.
    Done(String),
}

impl Machine {
    /// Begins to sign for the connection of `control`.
    ///
    /// # Errors
    /// [`Problem::Refused`] for options that are not for us.
    pub fn sign(&self, control: &Control, options: &Options) -> Result<Working, Problem> {
        let request = Request::read(&options.json, &self.asker(control, options)?).map_err(refused)?;
        let authenticator = Arc::clone(&self.authenticator);
        Ok(Working::begin(request.within, move |terminal| {
            authenticator.sign(&request, terminal).map(|signed| signed.json())
        }))
    }

    /// Begins to make a credential for the person of `control`.
    ///
    /// # Errors
    /// As [`Machine::sign`].
    pub fn create(&self, control: &Control, options: &Options) -> Result<Working, Problem> {
        let creation = Creation::read(&options.json, &self.asker(control, options)?).map_err(refused)?;
        let authenticator = Arc::clone(&self.authenticator);
        Ok(Working::begin(creation.within, move |terminal| {
            authenticator.create(&creation, terminal).map(|created| created.json())
        }))
    }

    fn asker<'a>(&'a self, control: &Control, options: &'a Options) -> Result<Asker<'a>, Problem> {
        Ok(Asker {
            relying_party: &self.relying_party,
            origin: &options.origin,
            exporter: control.exporter(EXPORTER_LABEL)?,
            within: options.within,
        })
    }
}

fn refused(not_for_us: NotForUs) -> Problem {
    Problem::Refused(not_for_us.to_string())
}

impl Working {
    fn begin(
        within: Duration,
        work: impl FnOnce(&Terminal) -> Result<String, NotSigned> + Send + 'static,
    ) -> Self {
        let (says, lines) = mpsc::channel(MOST_LINES);
        let thread = tokio::task::spawn_blocking(move || work(&Terminal { says }));
        Self { lines, thread, until: Instant::now() + within }
    }

    /// What comes next. May be given up and called again without losing anything; after [`Step::Done`] or an error
    /// nothing comes any more.
    ///
    /// # Errors
    /// [`Problem::Usage`] if nothing was signed, [`Problem::Refused`] if the gateway's time is over.
    pub async fn next(&mut self) -> Result<Step, Problem> {
        tokio::select! {
            biased;
            Some(line) = self.lines.recv() => Ok(Step::Say(line)),
            done = &mut self.thread => match done {
                Ok(signed) => Ok(signed.map(Step::Done)?),
                // A library that lost its way over what a key sent: ours to survive.
                Err(error) => Err(NotSigned::Failed(error.to_string()).into()),
            },
            () = tokio::time::sleep_until(self.until) => {
                Err(Problem::Refused("no passkey was used in time: start again".to_owned()))
            }
        }
    }
}

/// The person at this terminal.
struct Terminal {
    says: mpsc::Sender<String>,
}

impl Dialogue for Terminal {
    fn say(&self, line: &str) {
        // Whoever no longer listens needs no word.
        let _ = self.says.blocking_send(line.to_owned());
    }

    fn pin(&self) -> Option<Zeroizing<String>> {
        self.say("type the PIN of the security key (it is not shown) and press Enter");
        let _shown_again = platform::Echo::remember();
        let typed = rpassword::read_password().ok().map(Zeroizing::new)?;
        (!typed.is_empty()).then_some(typed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// No test waits so long unless something is broken.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn signed(touched: &Receiver<()>) -> Result<String, NotSigned> {
        match touched.recv_timeout(PATIENCE) {
            Ok(()) => Ok("signed".to_owned()),
            Err(_) => Err(NotSigned::TimedOut),
        }
    }

    #[tokio::test]
    async fn a_key_that_waits_for_its_person_holds_up_nothing_else() {
        let (touch, touched) = channel();
        let mut working = Working::begin(PATIENCE, move |terminal| {
            terminal.say("touch it");
            signed(&touched)
        });
        assert!(matches!(working.next().await, Ok(Step::Say(line)) if line == "touch it"));
        // This very thread does the touching.
        let waited = tokio::time::timeout(Duration::from_millis(20), working.next()).await;
        assert!(waited.is_err(), "{waited:?}");
        touch.send(()).unwrap();
        assert!(matches!(working.next().await, Ok(Step::Done(json)) if json == "signed"));
    }

    #[tokio::test]
    async fn nobody_is_waited_for_longer_than_the_gateway_does() {
        let (touch, touched) = channel();
        let mut working = Working::begin(Duration::from_millis(20), move |_| signed(&touched));
        let problem = working.next().await.unwrap_err();
        assert_eq!(problem.to_string(), "no passkey was used in time: start again");
        assert_eq!(problem.exit_code(), 6);
        touch.send(()).unwrap();
    }

    #[tokio::test]
    async fn a_library_that_loses_its_way_does_not_take_the_program_with_it() {
        let mut working = Working::begin(PATIENCE, |_| panic!("an answer that no key gives"));
        let problem = working.next().await.unwrap_err();
        assert!(problem.to_string().starts_with("the security key failed"), "{problem}");
        assert_eq!(problem.exit_code(), 4);
    }
}
