//! The inventory: `targets.toml`, every device that can be reached at all.
//!
//! Two types: what the file says, and what is true ([`Target`]). Unknown keys
//! are errors. Says nothing about who may reach what.

use crate::document::Document;
use crate::files::Files;
use crate::names::{ServiceName, TagName, TargetId, ZoneName};
use crate::problem::{Collector, Problem};
use crate::tag::Tag;
use dissect::Protocol;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use toml::Spanned;

/// The name under which positions are told.
pub(crate) const FILE: &str = "targets.toml";

/// The most targets of one plant.
const TARGETS: usize = 20_000;

/// The most services, and the most tags, of one target.
const ENTRIES: usize = 4_096;

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

    /// Puts a target without a zone into one.
    pub(crate) fn set_zone(&mut self, id: &TargetId, zone: ZoneName) {
        if let Some(target) = self.targets.get_mut(id) {
            target.zone = Some(zone);
        }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// State-changing operations are on stable storage before they are sent.
    #[default]
    Default,
    /// Every operation is on stable storage before it is sent.
    Durable,
    /// Nothing waits for stable storage; all of it gets there soon after.
    Ordered,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Default => "default",
            Self::Durable => "durable",
            Self::Ordered => "ordered",
        })
    }
}

/// What the sessions of a target may cost it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Channels at once, 1 to 64.
    pub channels: u16,
    /// Requests per second of one session, by back-pressure, 1 to 100,000;
    /// `None`: no limit.
    pub requests_per_second: Option<u32>,
    /// Requests that may wait for their answer at once, 1 to 1024.
    pub outstanding: u16,
    /// How long an answer may take, 10 ms to 10 min.
    pub answer_timeout: Duration,
    /// How long a session may last, 1 s to 7 days.
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    target: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    zone: Option<Spanned<String>>,
    address: Spanned<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    limits: LimitsEntry,
    services: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    tags: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsEntry {
    channels: Option<Spanned<u16>>,
    requests_per_second: Option<Spanned<u32>>,
    outstanding: Option<Spanned<u16>>,
    answer_timeout: Option<Spanned<String>>,
    session: Option<Spanned<String>>,
}

impl Inventory {
    /// Reads and checks `targets.toml`.
    pub(crate) fn read(files: &Files, problems: &mut Collector) -> Self {
        let mut inventory = Self::default();
        let document = problems.take(Document::of(files, FILE));
        let Some(reader) = document.as_ref().map(Reader) else { return inventory };
        let Some(file) = problems.take(reader.0.parse::<File>()) else { return inventory };
        if file.target.len() > TARGETS {
            problems.push(Problem::of_file(FILE, format!("more than {TARGETS} targets")));
            return inventory;
        }
        for entry in file.target {
            let id = entry.id.span();
            let Some(target) = reader.target(entry, problems) else { continue };
            if inventory.targets.contains_key(&target.id) {
                problems.push(reader.0.problem(&id, format!("target {} is there twice", target.id)));
            }
            inventory.targets.insert(target.id.clone(), target);
        }
        inventory
    }
}

struct Reader<'a>(&'a Document<'a>);

impl Reader<'_> {
    fn target(&self, entry: Entry, problems: &mut Collector) -> Option<Target> {
        let id = problems.take(self.parse(&entry.id, TargetId::parse));
        let zone = entry.zone.as_ref().map(|zone| problems.take(self.parse(zone, ZoneName::parse)));
        let address = problems.take(self.parse(&entry.address, parse_address));
        let limits = self.limits(&entry.limits, problems);
        let services = self.services(&entry.services, entry.id.span(), problems);
        let tags = self.tags(&entry.tags, problems);
        Some(Target {
            id: id?,
            zone: zone.flatten(),
            address: address?,
            mode: entry.mode,
            limits,
            services,
            tags,
        })
    }

    fn services(
        &self,
        entries: &BTreeMap<Spanned<String>, Spanned<String>>,
        target: std::ops::Range<usize>,
        problems: &mut Collector,
    ) -> BTreeMap<ServiceName, Service> {
        if entries.is_empty() || entries.len() > ENTRIES {
            problems.push(self.0.problem(&target, format!("a target has 1 to {ENTRIES} services")));
            return BTreeMap::new();
        }
        let mut services: BTreeMap<ServiceName, Service> = BTreeMap::new();
        for (name, text) in entries {
            let Some(name) = problems.take(self.parse(name, ServiceName::parse)) else { continue };
            let service = parse_service(&name, text.get_ref());
            let service = service.map_err(|error| self.0.problem(&text.span(), error));
            let Some(service) = problems.take(service) else { continue };
            // Otherwise what one service denies another would carry.
            if let Some(other) = services.values().find(|other| other.port == service.port) {
                let message = format!("port {} is service {} already", service.port, other.name);
                problems.push(self.0.problem(&text.span(), message));
            }
            services.insert(name, service);
        }
        services
    }

    fn tags(
        &self,
        entries: &BTreeMap<Spanned<String>, Spanned<String>>,
        problems: &mut Collector,
    ) -> Vec<Tag> {
        let mut tags: Vec<Tag> = Vec::new();
        if let Some((name, _)) = entries.iter().nth(ENTRIES) {
            problems.push(self.0.problem(&name.span(), format!("more than {ENTRIES} tags")));
            return tags;
        }
        for (name, text) in entries {
            let Some(name) = problems.take(self.parse(name, TagName::parse)) else { continue };
            // The column of the text itself is one behind its quote.
            let tag = Tag::parse(name, text.get_ref()).map_err(|slip| {
                let start = text.span().start.saturating_add(1).saturating_add(slip.offset);
                self.0.problem(&(start..start), slip.message).with_hint(slip.hint)
            });
            let Some(tag) = problems.take(tag) else { continue };
            if let Some(other) = tags.iter().find(|other| other.overlaps(&tag)) {
                let message = format!("overlaps tag {}: an address has one name and one type", other.name);
                problems.push(self.0.problem(&text.span(), message));
            }
            tags.push(tag);
        }
        tags.sort_by(|one, other| one.name.cmp(&other.name));
        tags
    }

    fn limits(&self, entry: &LimitsEntry, problems: &mut Collector) -> Limits {
        let usual = Limits::default();
        let hours = |hours| Duration::from_hours(hours);
        Limits {
            channels: self.bounded(entry.channels.as_ref(), usual.channels, 1, 64, problems),
            requests_per_second: entry
                .requests_per_second
                .as_ref()
                .map(|entry| self.bounded(Some(entry), 1, 1, 100_000, problems)),
            outstanding: self.bounded(entry.outstanding.as_ref(), usual.outstanding, 1, 1024, problems),
            answer_timeout: self.duration(
                entry.answer_timeout.as_ref(),
                usual.answer_timeout,
                (Duration::from_millis(10), Duration::from_mins(10)),
                problems,
            ),
            session: self.duration(
                entry.session.as_ref(),
                usual.session,
                (Duration::from_secs(1), hours(7 * 24)),
                problems,
            ),
        }
    }

    fn bounded<T: Copy + PartialOrd + fmt::Display>(
        &self,
        entry: Option<&Spanned<T>>,
        usual: T,
        least: T,
        most: T,
        problems: &mut Collector,
    ) -> T {
        let Some(entry) = entry else { return usual };
        let value = *entry.get_ref();
        if value < least || value > most {
            problems.push(self.0.problem(&entry.span(), format!("must be {least} to {most}")));
        }
        value
    }

    fn duration(
        &self,
        entry: Option<&Spanned<String>>,
        usual: Duration,
        (least, most): (Duration, Duration),
        problems: &mut Collector,
    ) -> Duration {
        let Some(entry) = entry else { return usual };
        let value = entry.get_ref().parse::<jiff::SignedDuration>().ok();
        match value.and_then(|value| Duration::try_from(value).ok()) {
            Some(value) if least <= value && value <= most => value,
            Some(_) | None => {
                let message = format!("expected a time such as \"5s\" or \"8h\", {least:?} to {most:?}");
                problems.push(self.0.problem(&entry.span(), message));
                usual
            }
        }
    }

    fn parse<T, E: fmt::Display>(
        &self,
        text: &Spanned<String>,
        parse: fn(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        parse(text.get_ref()).map_err(|error| self.0.problem(&text.span(), error.to_string()))
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| format!("{text:?} is no IP address"))?;
    let nowhere = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    if address.is_unspecified() || address.is_multicast() || nowhere {
        return Err(format!("{address} is no address of one device"));
    }
    Ok(address)
}

/// `PORT/tcp [PROTOCOL]`; without the second word the service's own name is
/// the protocol, if there is one of that name, or it is opaque.
fn parse_service(name: &ServiceName, text: &str) -> Result<Service, String> {
    let (port, word) = text.split_once(' ').map_or((text, None), |(port, word)| (port, Some(word)));
    let number = port.strip_suffix("/tcp").and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    let port = number.ok_or_else(|| format!("expected \"PORT/tcp PROTOCOL\", found {text:?}"))?;
    let protocol = match word {
        None => Protocol::from_name(name.as_str()).unwrap_or(Protocol::Tcp),
        Some(word) => Protocol::from_name(word).ok_or_else(|| {
            let known = Protocol::ALL.map(Protocol::name).join(", ");
            format!("unknown protocol {word:?} (known: {known})")
        })?,
    };
    Ok(Service { name: name.clone(), port, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
[[target]]
id = "press-line/plc7"
zone = "press"
address = "127.0.0.1"
mode = "durable"
[target.limits]
channels = 4
requests_per_second = 200
outstanding = 8
answer_timeout = "500ms"
session = "4h"
[target.services]
plc = "502/tcp modbus"
modbus = "503/tcp"
vnc = "5900/tcp"
[target.tags]
pump_setpoint = "modbus:holding[40]:f32:be-swap"
"#;

    fn read(text: &str) -> Result<Inventory, String> {
        let files = Files::from_contents([(FILE, text.as_bytes())]).unwrap();
        let mut problems = Collector::default();
        let inventory = Inventory::read(&files, &mut problems);
        problems.finish(inventory).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_target_is_read_with_all_that_it_says() {
        let inventory = read(SAMPLE).unwrap();
        let target = inventory.target(&TargetId::parse("press-line/plc7").unwrap()).unwrap();
        assert_eq!((target.mode, target.limits.channels), (Mode::Durable, 4));
        assert_eq!(target.limits.answer_timeout, Duration::from_millis(500));
        assert_eq!(target.limits.session, Duration::from_hours(4));
        let services: Vec<_> =
            target.services.values().map(|service| (service.port, service.protocol)).collect();
        assert_eq!(services, [(503, Protocol::Modbus), (502, Protocol::Modbus), (5900, Protocol::Tcp)]);
        assert_eq!(target.tags.len(), 1);
    }

    #[test]
    fn services_of_every_protocol_are_known_by_name_or_by_word() {
        let text = SAMPLE.replace(
            "vnc = ",
            "s7 = \"102/tcp\"\nlogix = \"44818/tcp enip\"\nhmi = \"103/tcp s7plus\"\nvnc = ",
        );
        let tags =
            "level = \"s7:db12[4]:f32\"\nvalve = \"s7:q[0.1]\"\nspeed = \"enip:symbol[Line.Speed]:i16\"\n";
        let inventory = read(&format!("{text}{tags}")).unwrap();
        let target = inventory.target(&TargetId::parse("press-line/plc7").unwrap()).unwrap();
        let protocol = |name| target.services[&ServiceName::parse(name).unwrap()].protocol;
        assert_eq!(["s7", "logix", "hmi"].map(protocol), [Protocol::S7, Protocol::Enip, Protocol::S7Plus]);
        assert_eq!(target.tags.len(), 4);
        let twice = "speed2 = \"enip:symbol[LINE]\"\n";
        assert!(read(&format!("{text}{tags}{twice}")).unwrap_err().contains("overlaps tag"));
    }

    #[test]
    fn each_slip_is_refused_with_its_place() {
        for (from, to, told) in [
            ("zone = ", "zoen = ", "targets.toml:4:1: unknown field `zoen`"),
            ("\"press-line/plc7\"", "\"Press\"", "targets.toml:3:6: 'P' can't be part of a target"),
            ("127.0.0.1", "plc7.plant.example", "targets.toml:5:11: \"plc7.plant.example\" is no IP"),
            ("127.0.0.1", "0.0.0.0", "is no address of one device"),
            ("channels = 4", "channels = 0", "targets.toml:8:12: must be 1 to 64"),
            ("\"500ms\"", "\"1ms\"", "targets.toml:11:18: expected a time"),
            ("\"4h\"", "\"8d\"", "targets.toml:12:11: expected a time"),
            ("502/tcp modbus", "502/udp modbus", "targets.toml:14:7: expected \"PORT/tcp"),
            ("502/tcp modbus", "502/tcp mobdus", "unknown protocol \"mobdus\""),
            ("5900/tcp", "502/tcp", "port 502 is service plc already"),
            (":be-swap", ":be-swop", "targets.toml:18:41: unknown byte order"),
            ("\"durable\"", "\"fast\"", "unknown variant `fast`"),
        ] {
            let error = read(&SAMPLE.replace(from, to)).expect_err(told);
            assert!(error.contains(told), "{told} in {error}");
        }
    }

    #[test]
    fn a_target_is_there_once_and_an_address_has_one_tag() {
        let twice = format!("{SAMPLE}\n{SAMPLE}");
        assert!(read(&twice).unwrap_err().contains("is there twice"));
        let overlap = format!("{SAMPLE}level = \"modbus:holding[41]\"\n");
        assert!(read(&overlap).unwrap_err().contains("overlaps tag"));
        let none = SAMPLE.replace("plc = \"502/tcp modbus\"\nmodbus = \"503/tcp\"\nvnc = \"5900/tcp\"\n", "");
        assert!(read(&none).unwrap_err().contains("1 to 4096 services"));
    }
}
