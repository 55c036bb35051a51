//! A plant whose gateway has a passkey page.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicU8, Ordering},
};
use tests::{
    plant::{Connection, Gateway, Technician},
    process::{PATIENCE, Process},
    workshop::{PRESS_LINE, Workshop},
};

/// The page's name, for which the development PKI makes a certificate.
pub(crate) const NAME: &str = "gateway.plant.example";

/// The page's origin. Its port is part of it, so each test has the port on a
/// loopback address of its own.
pub(crate) const ORIGIN: &str = "https://gateway.plant.example:8443";

/// Adds the page to the gateway's configuration; gives its address.
pub(crate) fn with_page(workshop: &Workshop) -> SocketAddr {
    static NUMBER: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 64 | (high & 63), low, NUMBER.fetch_add(1, Ordering::Relaxed));
    let section = format!(
        "[webauthn]\nlisten = \"{address}:8443\"\ncert = \"pki/gateway.pem\"\nkey = \"pki/gateway.key\"\n\
         rp_id = \"{NAME}\"\norigin = \"{ORIGIN}\"\n\n[admin]"
    );
    workshop.edit("gateway.toml", "[admin]", &section).unwrap();
    SocketAddr::from((address, 8443))
}

/// What the client prints while it waits for the browser.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) url: String,
    pub(crate) code: String,
}

/// Waits until the client shows a page.
pub(crate) fn offered(client: &Process) -> Offered {
    offered_after(client, &[])
}

/// Waits until the client shows a page that is none of those.
pub(crate) fn offered_after(client: &Process, seen: &[&Offered]) -> Offered {
    let after = |line: &str, words: &str| line.split_once(words).map(|(_, rest)| rest.trim().to_owned());
    let is_new = |found: &String| seen.iter().all(|seen| seen.url != *found && seen.code != *found);
    let wait = |words: &str| client.wait_for(PATIENCE, |line| after(line, words).filter(is_new)).unwrap();
    Offered { url: wait("open in a browser on this machine:"), code: wait("the page must show this code:") }
}

/// Starts `gatehouse` with these words and no browser.
pub(crate) fn start(technician: &Technician, words: &[&str]) -> Process {
    Process::start("gatehouse", technician.client(words).arg("--no-browser")).unwrap()
}

/// Starts the registration of a passkey under a code.
pub(crate) fn start_adding(technician: &Technician, name: &str) -> Process {
    let mut command = technician.client(&["factor", "add", "--name", name, "--no-browser", "--totp-file"]);
    Process::start("gatehouse factor add", command.arg(&technician.seed)).unwrap()
}

/// Starts an enrolment with a passkey.
pub(crate) fn start_enrolling(technician: &Technician, invitation: &Path, words: &[&str]) -> Process {
    let mut command = technician.client(&["enroll", "--passkey", "--no-browser", "--token-file"]);
    Process::start("gatehouse enroll", command.arg(invitation).args(words)).unwrap()
}

/// The client's connection once it listens.
pub(crate) fn listening(client: Process) -> Connection {
    Connection::of(client, &[PRESS_LINE]).unwrap()
}

/// Waits for an event with all these words.
pub(crate) fn event(gateway: &Gateway<'_>, words: &[&str]) -> serde_json::Value {
    serde_json::from_str(&gateway.wait_for_event(words).unwrap()).unwrap()
}
