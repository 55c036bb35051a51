//! A gateway within the test's own process, with a clock that the test turns.
//!
//! It is the whole gateway (its threads, its endpoint on a real UDP port, its
//! state on disk); only time is ours, so that a list can lapse and a new code
//! become due without waiting. [`crate::plant`] has the one that is a program.

use crate::{visitor::Papers, workshop::Workshop};
use anyhow::Context;
use certs_dev::authority::{Authority, Dates, Holder};
use gateway::{
    accept,
    admin::Client,
    clock::{Clock, ManualClock},
    config::Config,
    factor::Seed,
    names::Handle,
    office::Office,
    run::Running,
    state::{Import, KeyHash},
};
use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use totp_rs::{Builder, Secret};
use wire::Code;

/// A running gateway; ended when dropped.
#[derive(Debug)]
pub struct House {
    running: Option<Running>,
    clock: Arc<ManualClock>,
}

/// Somebody whom the gateway knows, with the second factor at hand.
#[derive(Debug, Clone)]
pub struct Person {
    /// The handle.
    pub handle: String,
    seed: Seed,
}

/// Somebody with a certificate of the plant's CA, known to the gateway or not.
#[derive(Debug, Clone)]
pub struct Member {
    /// Whom the gateway knows, unless it does not.
    pub person: Person,
    /// What is shown in the handshake.
    pub papers: Papers,
}

/// Whether the gateway is told of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The key is mapped to a person.
    Yes,
    /// The certificate is good, but its key is nobody's.
    No,
}

impl House {
    /// Runs the gateway that the workshop's `gateway.toml` describes; its clock
    /// stands at the present time.
    ///
    /// # Errors
    /// If the configuration is refused or the gateway does not start.
    pub fn open(workshop: &Workshop) -> anyhow::Result<Self> {
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let config = Config::load_at(&workshop.path("gateway.toml"), clock.wall())
            .map_err(|problems| anyhow::anyhow!("{problems:#?}"))?;
        let running = Running::start(config, clock.clone(), accept::serve)?;
        Ok(Self { running: Some(running), clock })
    }

    /// What the gateway's rooms share.
    pub fn office(&self) -> &Arc<Office> {
        self.running().office()
    }

    /// Where it listens (UDP).
    pub fn address(&self) -> SocketAddr {
        self.running().address()
    }

    /// The gateway's wall time.
    pub fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// Lets time pass at the gateway.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Sets the gateway's wall clock, as a person or a hostile time source does.
    pub fn step_to(&self, wall: Timestamp) {
        self.clock.step_to(wall);
    }

    /// Maps a key (its SubjectPublicKeyInfo in DER) to `handle`, as `user
    /// import` does.
    ///
    /// # Errors
    /// If the state refuses.
    pub fn import(&self, handle: &str, public_key: &[u8]) -> anyhow::Result<Person> {
        let seed = Seed::generate();
        let import =
            Import { handle: Handle::parse(handle)?, key: KeyHash::of(public_key), seed: seed.clone() };
        self.office().state.import_person(&import, self.now())?;
        Ok(Person { handle: handle.to_owned(), seed })
    }

    /// Gives a person whose factors were removed another seed.
    ///
    /// # Errors
    /// If the state refuses.
    pub fn give_code(&self, person: &mut Person) -> anyhow::Result<()> {
        let seed = Seed::generate();
        self.office().state.give_seed(&Handle::parse(&person.handle)?, &seed, self.now())?;
        person.seed = seed;
        Ok(())
    }

    /// Gives somebody a certificate of the workshop's CA.
    ///
    /// # Errors
    /// If it can't be issued, or the state refuses the key.
    pub fn enrol(&self, workshop: &Workshop, handle: &str, known: Known) -> anyhow::Result<Member> {
        let holder = Holder::parse(handle)?;
        let issued = Authority::in_folder(&workshop.path("pki"))?.issue(&holder, Dates::days(30))?;
        let key = KeyPair::from_pem(&issued.key_pem)?;
        let person = match known {
            Known::Yes => self.import(handle, &key.subject_public_key_info())?,
            Known::No => Person { handle: handle.to_owned(), seed: Seed::generate() },
        };
        Ok(Member { person, papers: Papers::from_pem(&issued.certificate_pem, &issued.key_pem)? })
    }

    /// What speaks to the admin socket.
    pub fn admin(&self) -> Client {
        Client::new(&self.office().config.admin.socket)
    }

    /// The code of `person` that is due now.
    ///
    /// # Errors
    /// If the seed gives none.
    pub fn code(&self, person: &Person) -> anyhow::Result<Code> {
        self.code_at(person, self.now())
    }

    /// The code of `person` at another time.
    ///
    /// # Errors
    /// If the seed gives none.
    pub fn code_at(&self, person: &Person, at: Timestamp) -> anyhow::Result<Code> {
        let secret = Secret::new(person.seed.expose().to_vec().into_boxed_slice());
        let totp = Builder::new().with_secret(secret).build()?;
        let seconds = u64::try_from(at.as_second()).context("a time before 1970")?;
        Ok(Code::parse(&totp.generate(seconds).to_string())?)
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.stop().drain.cancel();
        running.stop().cut.cancel();
        // How it ended is the business of tests that ask for it.
        let _ended = running.join();
    }
}
