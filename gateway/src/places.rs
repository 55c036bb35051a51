//! How many connections there may be, in all and from one address.
//!
//! Whoever gets a place has it until it is dropped. Nothing else of a stranger
//! is kept here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a connection did not get through the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The gateway's bound on connections is reached.
    #[error("too many connections")]
    Full,
    /// The bound on connections of one address is reached.
    #[error("too many connections from one address")]
    AddressFull,
    /// The handshake did not finish in time.
    #[error("the handshake took too long")]
    TooSlow,
    /// The handshake failed: no certificate, a wrong one, a lapsed CRL.
    #[error("the handshake failed")]
    Handshake,
}

/// The places of one listener.
#[derive(Debug)]
pub struct Places {
    most: u32,
    most_of_one_address: u32,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub struct Place {
    address: IpAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Places {
    /// So many places, of which one address gets so many.
    pub fn new(most: u32, most_of_one_address: u32) -> Self {
        Self { most, most_of_one_address, counts: Arc::default() }
    }

    /// A place, if one is free.
    ///
    /// # Errors
    /// [`Rejected::Full`] and [`Rejected::AddressFull`].
    pub fn take(&self, address: IpAddr) -> Result<Place, Rejected> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.most {
            return Err(Rejected::Full);
        }
        let own = counts.by_address.get(&address).copied().unwrap_or(0);
        if own >= self.most_of_one_address {
            return Err(Rejected::AddressFull);
        }
        counts.all = counts.all.saturating_add(1);
        counts.by_address.insert(address, own.saturating_add(1));
        Ok(Place { address, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Some(own) = counts.by_address.get_mut(&self.address) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

impl Rejected {
    /// For the count of strangers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "too many connections",
            Self::AddressFull => "too many connections from one address",
            Self::TooSlow => "handshake too slow",
            Self::Handshake => "handshake failed",
        }
    }
}
