//! Moments that stand for all times between two instants.

use crate::names::WindowName;
use crate::policy::Policy;
use crate::window::Open;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How far ahead times are looked at: a year has both changes of daylight
/// saving and every week.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 366);

/// Dated windows are followed beyond that, at most so far.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 5);

/// A window of one of the policies that are looked at, by the policy's place.
pub(crate) type Sided = (usize, WindowName);

/// The open times of the windows of one or two policies.
#[derive(Debug)]
pub(crate) struct Calendar<'a> {
    from: Timestamp,
    until: Timestamp,
    policies: Vec<&'a Policy>,
    open: BTreeMap<Sided, Vec<Open>>,
    moments: BTreeMap<BTreeSet<Sided>, Vec<Timestamp>>,
}

impl<'a> Calendar<'a> {
    pub(crate) fn new(from: Timestamp, policies: &[&'a Policy]) -> Self {
        let ends = policies.iter().flat_map(|policy| policy.conditions.windows.values());
        let last = ends.filter_map(crate::window::Window::last_dated).max().unwrap_or(from);
        let near = from.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let far = from.saturating_add(FARTHEST).unwrap_or(Timestamp::MAX);
        let until = last.max(near).min(far);
        Self { from, until, policies: policies.to_vec(), open: BTreeMap::new(), moments: BTreeMap::new() }
    }

    /// When a window is open, from the beginning on.
    pub(crate) fn open(&mut self, window: &Sided) -> &[Open] {
        let (from, until) = (self.from, self.until);
        let policy = self.policies.get(window.0);
        self.open.entry(window.clone()).or_insert_with(|| {
            let window = policy.and_then(|policy| policy.conditions.windows.get(&window.1));
            window.map(|window| window.open(from, until)).unwrap_or_default()
        })
    }

    /// The time zone in which a window was written.
    pub(crate) fn zone(&self, window: &Sided) -> TimeZone {
        let policy = self.policies.get(window.0);
        let window = policy.and_then(|policy| policy.conditions.windows.get(&window.1));
        window.map_or(TimeZone::UTC, |window| window.zone().clone())
    }

    pub(crate) fn is_open(&mut self, window: &Sided, at: Timestamp) -> bool {
        let open = self.open(window);
        let next = open.partition_point(|(_, until)| *until <= at);
        open.get(next).is_some_and(|(from, _)| *from <= at)
    }

    /// Moments that show every combination of open and shut windows that
    /// there will be.
    pub(crate) fn moments(&mut self, windows: &BTreeSet<Sided>) -> Vec<Timestamp> {
        if let Some(known) = self.moments.get(windows) {
            return known.clone();
        }
        let mut changes = BTreeSet::from([self.from]);
        for window in windows {
            changes.extend(self.open(window).iter().flat_map(|(from, until)| [*from, *until]));
        }
        let until = self.until;
        let mut seen = BTreeSet::new();
        let mut moments = Vec::new();
        for at in changes.into_iter().filter(|at| *at < until) {
            let truths: Vec<bool> = windows.iter().map(|window| self.is_open(window, at)).collect();
            if seen.insert(truths) {
                moments.push(at);
            }
        }
        self.moments.insert(windows.clone(), moments.clone());
        moments
    }
}
