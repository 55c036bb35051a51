//! A gateway that runs: its threads around one office.
//!
//! `data` carries the QUIC endpoint and all sessions on a single-threaded
//! runtime; `admin` answers on the Unix socket; `rounds` looks at files and
//! clock; `enrolment` serves people who were invited; `page` shows the passkey
//! page where one is configured; `space` looks at the room for recordings;
//! `watchdog` sees whether the data path moves. If one of them ends unasked, all end: a gateway without revocation
//! or without an administrator's kill is not left running.
//!
//! Order of a start: office (files, state, policy), admin socket, UDP socket,
//! event, threads. Nothing is bound unless all before it holds. Order of an
//! end: drain, then rounds and admin, then the last event.

use crate::admin::Socket;
use crate::audit::Kind;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::enrolment;
use crate::office::{Office, OfficeError};
use crate::passkey;
use crate::policy::watch_folder;
use crate::quic::Endpoint;
use crate::rounds;
use crate::shutdown::{self, Drained, Signals, Stop};
use crate::{space, watchdog};
use std::future::Future;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Threads for blocking work of the data path: state, recordings.
const BLOCKING_THREADS: usize = 16;

/// How long blocking work that still runs at the end is waited for.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(5);

/// Why the gateway did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Files, state, policy.
    #[error(transparent)]
    Office(#[from] OfficeError),
    /// The address for QUIC.
    #[error("listen: {address}: {source}; choose another address or stop what uses it")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The administrator's socket.
    #[error("[admin] socket: {path}: {source}")]
    Admin {
        /// The configured path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The passkey page's address or certificate.
    #[error("{0}")]
    Page(String),
    /// A thread or runtime could not be made.
    #[error("starting: {0}")]
    Start(#[from] io::Error),
    /// A thread ended in a panic; everything was stopped.
    #[error("the {0} thread failed; the gateway stopped")]
    Thread(&'static str),
}

/// A gateway whose threads run.
#[derive(Debug)]
pub struct Running {
    office: Arc<Office>,
    address: SocketAddr,
    stop: Stop,
    over: CancellationToken,
    data: JoinHandle<io::Result<Drained>>,
    others: Vec<(&'static str, JoinHandle<io::Result<()>>)>,
}

/// Runs a gateway until a signal ends it.
///
/// # Errors
/// [`RunError`]; by then everything is closed.
pub fn run<S, F>(config: Config, serve: S) -> Result<Drained, RunError>
where
    S: FnOnce(Arc<Office>, Endpoint, CancellationToken) -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let waiting = runtime(1)?;
    // Before anything runs: whoever reads that the gateway is ready may stop it
    // at once, and it has to end in order then.
    let signals = waiting.block_on(async { Signals::listen() })?;
    let running = Running::start(config, Arc::new(SystemClock::new()), serve)?;
    announce(running.address());
    waiting.block_on(shutdown::on_signals(signals, running.stop.clone(), running.over.clone()));
    running.join()
}

/// Tells whoever started the program, on one line of standard output, that it
/// is ready and where: with port 0 in `listen` nobody else knows.
fn announce(address: SocketAddr) {
    let mut out = io::stdout();
    // Somebody who closed the output does not want to know.
    let _written = writeln!(out, "listening {address}").and_then(|()| out.flush());
}

impl Running {
    /// Starts the threads; `serve` is the data path, given office, endpoint and
    /// the token that asks it to let nobody in any more.
    ///
    /// # Errors
    /// [`RunError`]; nothing is left bound.
    pub fn start<S, F>(config: Config, clock: Arc<dyn Clock>, serve: S) -> Result<Self, RunError>
    where
        S: FnOnce(Arc<Office>, Endpoint, CancellationToken) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let office = Office::open_with(config, clock)?;
        let (path, listen) = (office.config.admin.socket.clone(), office.config.listen);
        let socket = Socket::bind(&path).map_err(|source| RunError::Admin { path, source })?;
        let bind = || UdpSocket::bind(listen).and_then(|udp| Ok((udp.local_addr()?, udp)));
        let (address, udp) = bind().map_err(|source| RunError::Listen { address: listen, source })?;
        let settings = office.config.webauthn.as_ref();
        let page = settings.map(|settings| passkey::Bound::bind(settings, office.clock.wall()));
        let page = page.transpose().map_err(RunError::Page)?;
        let started = office.audit.event(Kind::GatewayStarted).what(&format!("listening on {address}"));
        office.audit.write(&started).map_err(OfficeError::from)?;
        office.reception.gateway_listens(address);
        let (stop, over) = (Stop::default(), CancellationToken::new());

        let (shared, token, ending) = (Arc::clone(&office), over.clone(), stop.drain.clone());
        let rounds = thread("rounds", ending, move || {
            let watch = watch_folder(Arc::clone(&shared), token.clone());
            runtime(1)?.block_on(async { tokio::join!(rounds::walk(&shared, token), watch) });
            Ok(())
        })?;
        let (shared, token, ending) = (Arc::clone(&office), over.clone(), stop.drain.clone());
        let watchdog = thread("watchdog", ending, move || {
            runtime(1)?.block_on(watchdog::watch(&shared, token));
            Ok(())
        })?;
        let (shared, token, ending) = (Arc::clone(&office), stop.drain.clone(), stop.drain.clone());
        let enrolment = thread("enrolment", ending, move || {
            runtime(2)?.block_on(enrolment::receive(&shared, token));
            Ok(())
        })?;
        let (shared, token, ending) = (Arc::clone(&office), over.clone(), stop.drain.clone());
        let space = thread("space", ending, move || {
            runtime(1)?.block_on(space::watch(&shared, token));
            Ok(())
        })?;
        let (shared, token, ending) = (Arc::clone(&office), over.clone(), stop.drain.clone());
        let admin = thread("admin", ending, move || runtime(4)?.block_on(socket.serve(shared, token)))?;
        let page = page.map(|bound| {
            let (shared, token, ending) = (Arc::clone(&office), over.clone(), stop.drain.clone());
            thread("page", ending, move || runtime(1)?.block_on(passkey::serve(shared, bound, token)))
        });
        let page = page.transpose()?;
        let (shared, wishes, ending) = (Arc::clone(&office), stop.clone(), over.clone());
        let data = thread("data", ending, move || {
            let runtime = runtime(BLOCKING_THREADS)?;
            let drained = runtime.block_on(carry(shared, udp, wishes, serve));
            // Not longer: what a disk holds may never come back.
            runtime.shutdown_timeout(GIVEN_UP_WITHIN);
            drained
        })?;
        let mut others = vec![
            ("rounds", rounds),
            ("watchdog", watchdog),
            ("enrolment", enrolment),
            ("space", space),
            ("admin", admin),
        ];
        others.extend(page.map(|page| ("page", page)));
        Ok(Self { office, address, stop, over, data, others })
    }

    /// What the threads share.
    pub fn office(&self) -> &Arc<Office> {
        &self.office
    }

    /// The address that QUIC is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The wishes to end.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Waits for the end and closes the books.
    ///
    /// # Errors
    /// When a thread failed.
    pub fn join(self) -> Result<Drained, RunError> {
        let drained = self.data.join();
        self.over.cancel();
        for (name, thread) in self.others {
            thread.join().map_err(|_| RunError::Thread(name))??;
        }
        let drained = drained.map_err(|_| RunError::Thread("data"))??;
        let event = self.office.audit.event(Kind::GatewayStopped);
        self.office.audit.write(&event).map_err(OfficeError::from)?;
        // In this order: the audit's thread enters what it writes.
        self.office.audit.close().map_err(OfficeError::from)?;
        self.office.log.close().map_err(|failed| OfficeError::Log(failed.to_string()))?;
        Ok(drained)
    }
}

/// The data path's thread: endpoint, certificate changes, drain.
async fn carry<S, F>(office: Arc<Office>, udp: UdpSocket, stop: Stop, serve: S) -> io::Result<Drained>
where
    S: FnOnce(Arc<Office>, Endpoint, CancellationToken) -> F,
    F: Future<Output = ()>,
{
    let mut tls = office.tls.subscribe();
    let first = tls.borrow_and_update().server.clone();
    let endpoint = Endpoint::new(udp, first)?;
    let (followed, draining) = (endpoint.clone(), stop.drain.clone());
    let follow = async move {
        while tls.changed().await.is_ok() && !draining.is_cancelled() {
            followed.change(tls.borrow_and_update().server.clone());
        }
    };
    let following = tokio::spawn(follow);
    let serving = serve(Arc::clone(&office), endpoint.clone(), stop.drain.clone());
    let drained = tokio::select! {
        drained = shutdown::drain(serving, &office, &stop) => drained,
        never = office.heartbeat.beat() => match never {},
    };
    following.abort();
    endpoint.close();
    Ok(drained)
}

/// A named thread whose end, also by a panic, cancels `ending`.
fn thread<T: Send + 'static>(
    name: &'static str,
    ending: CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ending = ending.drop_guard();
        work()
    })
}

fn runtime(blocking_threads: usize) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(blocking_threads).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{Client, SessionList};
    use crate::fixture::Plant;
    use std::time::Instant;

    /// A data path that serves nobody and stops when told to.
    async fn nobody(_: Arc<Office>, _: Endpoint, stop: CancellationToken) {
        stop.cancelled().await;
    }

    fn start<S, F>(plant: &Plant, serve: S) -> Running
    where
        S: FnOnce(Arc<Office>, Endpoint, CancellationToken) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        Running::start(plant.config().unwrap(), plant.clock.clone(), serve).unwrap()
    }

    fn kinds(plant: &Plant) -> Vec<String> {
        plant.audit_lines().iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_gateway_starts_answers_and_ends_in_order() {
        let plant = Plant::new();
        let running = start(&plant, nobody);
        assert_ne!(running.address().port(), 0);
        let client = Client::new(&running.office().config.admin.socket);
        let asked = runtime(1).unwrap().block_on(client.get::<SessionList>("/v1/sessions"));
        assert!(asked.is_ok(), "{asked:?}");
        running.stop().drain.cancel();
        assert_eq!(running.join().unwrap(), Drained::Whole);
        assert_eq!(kinds(&plant), ["policy_applied", "gateway_started", "gateway_stopped"]);
        assert!(!plant.path("state/admin.sock").exists());
    }

    #[test]
    fn what_does_not_end_is_cut_at_the_deadline_or_when_told_twice() {
        for told in ["once", "twice"] {
            let plant = Plant::new();
            if told == "twice" {
                plant.configure("\"1 s\"", "\"10 min\"");
            }
            let running = start(&plant, |_, _, _| std::future::pending());
            let before = Instant::now();
            running.stop().drain.cancel();
            if told == "twice" {
                running.stop().cut.cancel();
            }
            assert_eq!(running.join().unwrap(), Drained::Cut, "{told}");
            assert!(before.elapsed() < Duration::from_secs(60), "{told}");
        }
    }

    #[test]
    fn a_data_path_that_panics_ends_the_gateway() {
        async fn broken(_: Arc<Office>, _: Endpoint, _: CancellationToken) {
            panic!("on purpose");
        }
        let plant = Plant::new();
        let running = start(&plant, broken);
        // Whoever waits for signals hears of it too.
        let heard = async { tokio::time::timeout(Duration::from_secs(20), running.over.cancelled()).await };
        assert!(runtime(1).unwrap().block_on(heard).is_ok());
        assert!(matches!(running.join(), Err(RunError::Thread("data"))));
        assert!(!plant.path("state/admin.sock").exists());
    }

    #[test]
    fn a_supervisor_that_ends_unasked_drains_the_gateway() {
        for failing in [true, false] {
            let token = CancellationToken::new();
            let ended = thread("rounds", token.clone(), move || assert!(!failing, "on purpose")).unwrap();
            assert_eq!(ended.join().is_err(), failing);
            assert!(token.is_cancelled());
        }
    }

    #[test]
    fn an_occupied_address_or_socket_is_named_and_leaves_nothing() {
        let plant = Plant::new();
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        plant.configure("127.0.0.1:0", &address);
        let refused =
            Running::start(plant.config().unwrap(), plant.clock.clone(), nobody).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("listen: {address}: ")), "{refused}");
        assert!(!plant.path("state/admin.sock").exists());
        drop(taken);
        let _other = std::os::unix::net::UnixListener::bind(plant.path("state/admin.sock")).unwrap();
        let refused =
            Running::start(plant.config().unwrap(), plant.clock.clone(), nobody).unwrap_err().to_string();
        assert!(refused.contains("another gateway answers on this socket"), "{refused}");
    }
}
