//! Every combination of time, source, factor and value that could make a
//! difference to some rules, as a finite list of points.

use super::calendar::Sided;
use super::{Calendar, Domain, Meeting};
use crate::condition::{Predicate, Truth, lies_within};
use crate::value::{Bounds, Value};
use crate::verdict::Assurance;
use ipnet::IpNet;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most combinations at one cell.
const MOST: usize = 200_000;

/// More combinations than are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// One combination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: Timestamp,
    pub(crate) source: IpAddr,
    pub(crate) assurance: Assurance,
    pub(crate) value: Option<Value>,
}

/// What matters, and which points stand for all of it.
#[derive(Debug)]
pub(crate) struct Space {
    moments: Vec<Timestamp>,
    sources: Vec<IpAddr>,
    factors: Vec<Assurance>,
    /// Each value stands for all up to the next one.
    pub(crate) values: Vec<Option<Value>>,
    windows: BTreeSet<Sided>,
    networks: Vec<IpNet>,
}

impl Space {
    /// The space of some meetings, one of each policy of the calendar.
    pub(crate) fn new(meetings: &[&Meeting<'_>], domain: Domain, calendar: &mut Calendar<'_>) -> Self {
        let mut space = Self {
            moments: Vec::new(),
            sources: Vec::new(),
            factors: vec![Assurance::CertificateAndTotp],
            values: vec![None],
            windows: BTreeSet::new(),
            networks: Vec::new(),
        };
        let mut bounds: Vec<Bounds> = Vec::new();
        for (side, meeting) in meetings.iter().enumerate() {
            for predicate in meeting.predicates() {
                match predicate {
                    Predicate::Window(window) => {
                        space.windows.insert((side, window.clone()));
                    }
                    Predicate::From(network) => space.networks.push(*network),
                    Predicate::Webauthn => {
                        space.factors =
                            vec![Assurance::CertificateAndTotp, Assurance::CertificateAndWebauthn];
                    }
                    Predicate::Value(own) => bounds.push(*own),
                }
            }
        }
        space.moments = calendar.moments(&space.windows);
        space.sources = sources(&space.networks);
        if !bounds.is_empty() {
            space.values.extend(values(&bounds, domain).into_iter().map(Some));
        }
        space
    }

    /// All points.
    pub(crate) fn points(&self) -> Result<Vec<Point>, TooMany> {
        let sizes = [self.moments.len(), self.sources.len(), self.factors.len(), self.values.len()];
        let count = sizes.into_iter().try_fold(1_usize, usize::checked_mul);
        if count.is_none_or(|count| count > MOST) {
            return Err(TooMany);
        }
        let mut points = Vec::new();
        for at in &self.moments {
            for source in &self.sources {
                for assurance in &self.factors {
                    points.extend(self.values.iter().map(|value| Point {
                        at: *at,
                        source: *source,
                        assurance: *assurance,
                        value: *value,
                    }));
                }
            }
        }
        Ok(points)
    }

    /// What of a point matters, in words.
    pub(crate) fn words(&self, point: &Point) -> String {
        let mut words = Vec::new();
        if !self.windows.is_empty() {
            words.push(format!("at {}", point.at));
        }
        if !self.networks.is_empty() {
            words.push(format!("from {}", point.source));
        }
        if self.factors.len() > 1 {
            words.push(format!("signed in by {}", point.assurance));
        }
        if self.values.len() > 1 {
            words.push(match point.value {
                Some(value) => format!("value {value}"),
                None => "value unknown".to_owned(),
            });
        }
        words.join(", ")
    }

    /// The last value for which the one at `index` stands.
    pub(crate) fn last_of(&self, index: usize, domain: Domain) -> Option<Value> {
        let own = self.values.get(index).copied().flatten()?;
        let next = index.checked_add(1).and_then(|next| self.values.get(next)).copied().flatten();
        Some(match (own, next) {
            (Value::Integer(_), Some(Value::Integer(next))) => Value::Integer(next.saturating_sub(1)),
            (Value::Float(_), Some(Value::Float(next))) => Value::Float(next.next_down()),
            (Value::Double(_), Some(Value::Double(next))) => Value::Double(next.next_down()),
            (Value::Integer(_), _) => Value::Integer(match domain {
                Domain::Integer(_, last) => last,
                Domain::Float | Domain::Double | Domain::Wire | Domain::None => WIRE.1,
            }),
            (Value::Float(_), _) => Value::Float(f32::INFINITY),
            (Value::Double(_), _) => Value::Double(f64::INFINITY),
        })
    }
}

impl Point {
    /// Whether a predicate of the calendar's policy `side` is true there.
    pub(crate) fn truth(&self, predicate: &Predicate, side: usize, calendar: &mut Calendar<'_>) -> Truth {
        match predicate {
            Predicate::Window(window) => Truth::of(calendar.is_open(&(side, window.clone()), self.at)),
            Predicate::From(network) => Truth::of(lies_within(network, self.source)),
            Predicate::Webauthn => Truth::of(self.assurance == Assurance::CertificateAndWebauthn),
            Predicate::Value(bounds) => {
                self.value.map_or(Truth::Unknown, |value| Truth::of(bounds.contain(value)))
            }
        }
    }
}

/// An address of each region that the networks' edges divide.
fn sources(networks: &[IpNet]) -> Vec<IpAddr> {
    let mut sources: BTreeSet<IpAddr> = BTreeSet::new();
    for network in networks {
        sources.insert(network.network());
        sources.extend(after(network.broadcast()));
    }
    sources.insert(Ipv4Addr::UNSPECIFIED.into());
    sources.insert(Ipv6Addr::UNSPECIFIED.into());
    if networks.is_empty() {
        sources.clear();
        sources.insert(Ipv4Addr::UNSPECIFIED.into());
    }
    // A mapped address is its IPv4 self, which is there already.
    sources.into_iter().filter(|source| source.to_canonical() == *source).collect()
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(address) => address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

/// The whole numbers that a request can carry.
const WIRE: (i128, i128) = (i64::MIN as i128, u64::MAX as i128);

/// The least value of each region that the bounds divide, in order.
fn values(bounds: &[Bounds], domain: Domain) -> Vec<Value> {
    match domain {
        Domain::None => Vec::new(),
        Domain::Integer(first, last) => integers(bounds, first, last),
        Domain::Float => floats(bounds),
        Domain::Double => doubles(bounds),
        Domain::Wire => {
            let (first, last) = WIRE;
            [integers(bounds, first, last), floats(bounds), doubles(bounds)].concat()
        }
    }
}

fn integers(bounds: &[Bounds], first: i128, last: i128) -> Vec<Value> {
    let edges = bounds.iter().flat_map(|bounds| {
        let (low, high) = bounds.integers();
        [Some(low), high.checked_add(1)]
    });
    let starts: BTreeSet<i128> =
        edges.flatten().filter(|edge| first < *edge && *edge <= last).chain([first]).collect();
    starts.into_iter().map(Value::Integer).collect()
}

fn floats(bounds: &[Bounds]) -> Vec<Value> {
    let edges = bounds.iter().flat_map(|bounds| {
        let (low, high) = bounds.floats();
        [low, high.next_up()]
    });
    let mut starts: Vec<f32> = edges.chain([f32::NEG_INFINITY]).collect();
    starts.sort_by(f32::total_cmp);
    starts.dedup();
    starts.into_iter().map(Value::Float).collect()
}

fn doubles(bounds: &[Bounds]) -> Vec<Value> {
    let edges = bounds.iter().flat_map(|bounds| {
        let (low, high) = bounds.doubles();
        [low, high.next_up()]
    });
    let mut starts: Vec<f64> = edges.chain([f64::NEG_INFINITY]).collect();
    starts.sort_by(f64::total_cmp);
    starts.dedup();
    starts.into_iter().map(Value::Double).collect()
}
