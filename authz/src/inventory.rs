//! The inventory: `targets.toml`, every device that can be reached at all.

use crate::names::{ServiceName, TargetId, ZoneName};
use crate::tag::Tag;
use dissect::Protocol;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// All targets of the plant.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    targets: BTreeMap<TargetId, Target>,
}

impl Inventory {
    /// The target of that id.
    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.targets.get(id)
    }

    /// All targets, in the order of their ids.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }
}

/// One device of the plant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: TargetId,
    /// Its zone, from here or from `policy.csv`.
    pub zone: Option<ZoneName>,
    /// Where it is.
    pub address: IpAddr,
    /// How durably its sessions are recorded.
    pub mode: Mode,
    /// What its sessions may cost it.
    pub limits: Limits,
    /// What it offers.
    pub services: BTreeMap<ServiceName, Service>,
    /// Its named addresses, in the order of their names.
    pub tags: Vec<Tag>,
}

/// One service of a target; the transport is TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name, unique within the target.
    pub name: ServiceName,
    /// The TCP port, 1 to 65535.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Protocol,
}

/// How durably a target's sessions are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// State-changing operations are on stable storage before they are sent.
    #[default]
    Default,
    /// Every operation is on stable storage before it is sent.
    Durable,
    /// Every byte of either direction is, in order.
    Ordered,
}

/// What the sessions of a target may cost it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Channels at once, 1 to 64.
    pub channels: u16,
    /// Requests per second of one session, by back-pressure; `None`: no limit.
    pub requests_per_second: Option<u32>,
    /// Requests that may wait for their answer at once, 1 to 1024.
    pub outstanding: u16,
    /// How long an answer may take, 10 ms to 10 min.
    pub answer_timeout: Duration,
    /// How long a session may last, 1 min to 7 days.
    pub session: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels: 8,
            requests_per_second: None,
            outstanding: 16,
            answer_timeout: Duration::from_secs(5),
            session: Duration::from_hours(8),
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Default => "default",
            Self::Durable => "durable",
            Self::Ordered => "ordered",
        })
    }
}
