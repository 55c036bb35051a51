//! Where tools find a service: a loopback address of this machine, and never one that others can reach.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::Problem;

/// How far above a port that can't be had the offered one lies: 502 becomes 15502, easy to remember.
const ABOVE: u16 = 15_000;

/// A listener, and why it is not where it was wanted.
#[derive(Debug)]
pub struct Bound<L = TcpListener> {
    /// The listener.
    pub listener: L,
    /// Its actual address.
    pub address: SocketAddr,
    /// Why another port had to be taken, in one sentence; `None` if it is where it was wanted.
    pub instead: Option<String>,
}

/// Reads `--listen`.
///
/// # Errors
/// A sentence if it is no address with a port, or not a loopback address: whoever can reach the port acts as the
/// signed-in technician.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "use ADDR:PORT, e.g. 127.0.0.1:15502 or [::1]:0".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "{} is not a loopback address: whoever reached it would work in your name; use 127.x.y.z or [::1]",
        address.ip()
    ))
}

/// The address of a service that was not given one.
#[must_use]
pub fn usual(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Listens at `wanted`, or at a free port of the same address if that one needs privileges or is taken.
///
/// # Errors
/// [`Problem::Io`] if the address itself can't be had.
pub async fn bind(wanted: SocketAddr) -> Result<Bound, Problem> {
    let mut refused = None;
    for address in candidates(wanted) {
        match TcpListener::bind(address).await {
            Ok(listener) => return bound(listener, wanted, refused),
            Err(error) => match hindrance(&error) {
                Some(hindrance) => refused = refused.or(Some(hindrance)),
                None => return Err(cannot_listen(address, error)),
            },
        }
    }
    Err(cannot_listen(wanted, io::ErrorKind::AddrInUse.into()))
}

fn bound(listener: TcpListener, wanted: SocketAddr, refused: Option<&'static str>) -> Result<Bound, Problem> {
    let address = listener.local_addr().map_err(|error| cannot_listen(wanted, error))?;
    let instead = refused.map(|why| format!("port {} {why}: listening on {address} instead", wanted.port()));
    Ok(Bound { listener, address, instead })
}

fn cannot_listen(address: SocketAddr, source: io::Error) -> Problem {
    Problem::Io { what: format!("cannot listen on {address}"), source }
}

/// The addresses to try, in order; the last lets the system choose.
fn candidates(wanted: SocketAddr) -> Vec<SocketAddr> {
    let ports = [Some(wanted.port()), wanted.port().checked_add(ABOVE), Some(0)];
    ports.into_iter().flatten().map(|port| SocketAddr::new(wanted.ip(), port)).collect()
}

/// What another port can help against.
fn hindrance(error: &io::Error) -> Option<&'static str> {
    let kind = error.kind();
    if kind == io::ErrorKind::PermissionDenied {
        return Some("needs privileges");
    }
    (kind == io::ErrorKind::AddrInUse).then_some("is taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_listened_on() {
        for sound in ["127.0.0.1:502", "127.3.4.5:0", "[::1]:15502"] {
            assert_eq!(parse(sound).unwrap().to_string(), sound);
        }
        for wrong in ["0.0.0.0:502", "192.168.0.7:502", "[::]:502", "[::ffff:127.0.0.1]:1"] {
            assert!(parse(wrong).unwrap_err().contains("is not a loopback address"), "{wrong}");
        }
        for wrong in ["", "502", "127.0.0.1", "localhost:502", "127.0.0.1:65536"] {
            assert!(parse(wrong).unwrap_err().starts_with("use ADDR:PORT"), "{wrong}");
        }
    }

    #[test]
    fn a_port_that_cannot_be_had_is_told_apart_from_an_address_that_cannot() {
        assert_eq!(hindrance(&io::ErrorKind::PermissionDenied.into()), Some("needs privileges"));
        assert_eq!(hindrance(&io::ErrorKind::AddrInUse.into()), Some("is taken"));
        assert_eq!(hindrance(&io::ErrorKind::AddrNotAvailable.into()), None);
    }

    #[test]
    fn the_offered_port_is_easy_to_remember() {
        let ports = |port| candidates(usual(port)).iter().map(SocketAddr::port).collect::<Vec<_>>();
        assert_eq!(ports(502), [502, 15_502, 0]);
        assert_eq!(ports(60_000), [60_000, 0]);
    }

    #[tokio::test]
    async fn a_taken_port_is_said_so_and_a_free_one_is_used() {
        let first = bind(usual(0)).await.unwrap();
        assert_eq!(first.instead, None);
        let second = bind(first.address).await.unwrap();
        assert_ne!(second.address.port(), first.address.port());
        assert_eq!(
            second.instead.unwrap(),
            format!("port {} is taken: listening on {} instead", first.address.port(), second.address)
        );
    }
}
