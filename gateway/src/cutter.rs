//! Cuts a session's connections to its device from outside its task.
//!
//! Normally the session's own task resets its sockets. When that task can't
//! run (the disk hangs under a write on the data thread), somebody else must
//! be able to: a kill may not wait for a disk. So each connection to a device
//! has a second descriptor here, and dissolving the connection through it
//! (`connect` to an address of no family) throws away what the kernel still
//! holds for the device and sends a reset.
//!
//! Order: [`Cutter::hold`] when the connection stands -> [`Held`] lives as
//! long as the connection -> [`Cutter::cut`] at most once.

use rustix::net::connect_unspec;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections of one session.
#[derive(Debug, Default)]
pub struct Cutter(Mutex<Wires>);

#[derive(Debug, Default)]
struct Wires {
    next: u64,
    standing: Standing,
    wires: BTreeMap<u64, OwnedFd>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Standing {
    #[default]
    Whole,
    Cut,
}

impl Cutter {
    /// Takes a second descriptor of a connection.
    ///
    /// # Errors
    /// When there is none to be had, or the session was cut: the connection
    /// must not be used then.
    pub fn hold(self: &Arc<Self>, connection: impl AsFd) -> io::Result<Held> {
        let mut wires = self.wires();
        if wires.standing == Standing::Cut {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the session was cut"));
        }
        let number = wires.next;
        wires.next = number.saturating_add(1);
        wires.wires.insert(number, connection.as_fd().try_clone_to_owned()?);
        Ok(Held { cutter: Arc::clone(self), number })
    }

    /// Resets all connections, now and for good; tells how many there were.
    pub fn cut(&self) -> usize {
        let mut wires = self.wires();
        wires.standing = Standing::Cut;
        for wire in wires.wires.values() {
            if let Err(error) = connect_unspec(wire) {
                tracing::error!("a device's connection can't be cut: {error}");
            }
        }
        wires.wires.len()
    }

    /// A poisoned lock here guards a map that is whole at any moment.
    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's second descriptor; it closes with the first.
#[derive(Debug)]
pub struct Held {
    cutter: Arc<Cutter>,
    number: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.cutter.wires().wires.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (near, far)
    }

    #[test]
    fn what_the_kernel_still_holds_is_thrown_away() {
        let (mut near, mut far) = pair();
        near.set_nonblocking(true).unwrap();
        let mut queued = 0;
        while let Ok(count) = near.write(&[7; 65_536]) {
            queued += count;
        }
        let cutter = Arc::new(Cutter::default());
        let _held = cutter.hold(&near).unwrap();
        assert_eq!(cutter.cut(), 1);
        let mut arrived = Vec::new();
        let ended = far.read_to_end(&mut arrived);
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(arrived.len() < queued, "{} of {queued}", arrived.len());
        assert!(near.write(b"more").is_err());
    }

    #[test]
    fn a_session_that_was_cut_gets_no_connection_any_more() {
        let cutter = Arc::new(Cutter::default());
        assert_eq!(cutter.cut(), 0);
        assert!(cutter.hold(&pair().0).is_err());
    }

    #[test]
    fn a_connection_closes_with_its_first_descriptor() {
        let (near, mut far) = pair();
        let cutter = Arc::new(Cutter::default());
        let held = cutter.hold(&near).unwrap();
        drop((near, held));
        assert_eq!(far.read(&mut [0; 1]).unwrap(), 0, "the other side hears the end");
        assert_eq!(cutter.cut(), 0);
    }
}
