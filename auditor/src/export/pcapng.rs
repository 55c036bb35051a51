//! Packets that Wireshark and tshark decode.
//!
//! Each channel has two interfaces, since its two sides may differ: `client`
//! carries what the technician's tool sent and got, `device` what the device
//! was sent and gave. Each is a synthetic TCP conversation with the recorded
//! bytes and times. Verdicts are comments on the packet that ends the request
//! they are about, and on the device's side nothing of a refused request is
//! seen.
//!
//! A verdict comes after the bytes that it is about, so packets wait for it in
//! [`mod@line`]; sequence numbers are [`conversation`]'s.

mod conversation;
mod line;
mod section;

use super::destination::NewFile;
use super::{Cover, Source, Written};
use crate::escape::safe;
use crate::trouble::Trouble;
use conversation::{Address, Conversation, End, Segment, Sign};
use dissect::{Carriage, Protocol};
use line::{Line, Packet};
use recording::{Body, Decision, Event, Tap};
use section::{Direction, Section};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// The port of the first connection's opener; the next has the next, so that
/// no two are taken for one.
const FIRST_PORT: u32 = 49_152;

/// Ports below it are well known, and would be taken for a protocol's.
const LOWEST_PORT: u32 = 1024;

/// Addresses for what the recording does not tell: RFC 5737, RFC 3849.
const GATEWAY: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const UNKNOWN_TECHNICIAN: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const UNKNOWN_DEVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// Locally administered hardware addresses.
const TECHNICIAN_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const GATEWAY_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 2];
const DEVICE_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 3];

pub(super) fn write(cover: &Cover<'_>, source: &mut Source<'_>, out: &Path) -> Result<Written, Trouble> {
    let failed = |error| Trouble::file(out)(error);
    let section = Section::begin(NewFile::create(out)?, cover).map_err(failed)?;
    let mut capture = Capture::new(section, cover);
    while let Some(recorded) = source.next()? {
        let at = recorded.entry.at;
        match recorded.entry.body {
            Body::Bytes { channel, tap, offset, bytes } => {
                capture.bytes(at, channel, (tap, offset), &bytes).map_err(failed)?;
            }
            Body::Event(event) => capture.event(at, event).map_err(failed)?,
            // The reader gives the bytes themselves.
            Body::Same { .. } => {}
        }
    }
    let (file, packets) = capture.line.finish().map_err(failed)?;
    file.finish()?;
    Ok(source.written(packets, "packets"))
}

/// All connections of a session on their way into a file.
struct Capture {
    line: Line<NewFile>,
    technician: IpAddr,
    device: IpAddr,
    channels: BTreeMap<u32, Channel>,
    /// Connections so far.
    connections: u32,
    /// Verdicts on opaque services that were not opened yet.
    openings: BTreeMap<u32, String>,
}

/// One channel with its two connections.
struct Channel {
    client: Leg,
    device: Leg,
    carriage: Carriage,
    /// Refusals that come next, by their ends in `to_client`.
    refusals: VecDeque<(u64, String)>,
}

/// One connection on its interface.
struct Leg {
    channel: u32,
    interface: u32,
    conversation: Conversation,
    /// The end at which the gateway is.
    gateway: End,
}

impl Capture {
    fn new(section: Section<NewFile>, cover: &Cover<'_>) -> Self {
        let started = cover.started.as_deref();
        let address = |text: Option<&str>, unknown| text.and_then(read_address).unwrap_or(unknown);
        Self {
            line: Line::new(section),
            technician: address(started.map(|started| started.source.as_str()), UNKNOWN_TECHNICIAN),
            device: address(started.map(|started| started.address.as_str()), UNKNOWN_DEVICE),
            channels: BTreeMap::new(),
            connections: 0,
            openings: BTreeMap::new(),
        }
    }

    fn event(&mut self, at: Duration, event: Event) -> io::Result<()> {
        match event {
            Event::ChannelOpened { channel, service, protocol, port } => {
                return self.open(at, channel, (&service, &protocol, port));
            }
            Event::ChannelConnected { channel } => return self.connected(at, channel),
            Event::ChannelClosed { channel, by, how, reason, .. } => {
                return self.close(at, channel, &by, &how, &reason);
            }
            event @ Event::Operation { .. } => return self.operation(at, event),
            Event::Refusal { request, channel, offset, length } => {
                let text = format!("the gateway's own refusal of request {request}, not the device's answer");
                if let Some(open) = self.channels.get_mut(&channel) {
                    open.refusals.push_back((offset.saturating_add(length.into()), text));
                }
            }
            Event::Observed { channel, tap, fact, value, .. } => {
                let text = format!("{} shows {}: {}", safe(&tap), safe(&fact), safe(&value));
                self.line.remark(Some(channel), text);
            }
            Event::Unframed { channel, tap, reason } => {
                let text = format!("{} can't be understood from here on: {}", safe(&tap), safe(&reason));
                self.line.remark(Some(channel), text);
            }
            Event::TermsChanged { policy_hash, .. } => {
                self.line.remark(None, format!("now judged by policy {}", hex::encode(&policy_hash)));
            }
            Event::PathChanged { source } => {
                self.line.remark(None, format!("the technician is now at {}", safe(&source)));
            }
            Event::ClockStep { step_ms } => {
                self.line.remark(None, format!("the gateway's clock jumped by {step_ms} ms"));
            }
            Event::Ending { reason, in_s } => {
                self.line.remark(None, format!("the session will end in {in_s} s: {}", safe(&reason)));
            }
            Event::Note { text } => self.line.remark(None, safe(&text)),
            Event::Started(_) | Event::Answer { .. } => {}
        }
        Ok(())
    }

    /// The tool's connection stands, the device's is asked for.
    fn open(&mut self, at: Duration, number: u32, service: (&str, &str, u16)) -> io::Result<()> {
        let verdict = self.openings.remove(&number);
        let client = self.client_leg(at, number, service, verdict)?;
        let device = self.device_leg(at, number, service)?;
        let carriage = Protocol::from_name(service.1).map_or(Carriage::Opaque, Protocol::carriage);
        let mut channel = Channel { client, device, carriage, refusals: VecDeque::new() };
        let taken = channel.client.conversation.take();
        channel.client.put(&mut self.line, at, taken)?;
        self.channels.insert(number, channel);
        self.connections = self.connections.wrapping_add(1);
        Ok(())
    }

    /// An opaque service that was refused: a connection that nobody takes.
    fn refused(&mut self, at: Duration, number: u32, verdict: String) -> io::Result<()> {
        let mut leg = self.client_leg(at, number, ("", "", 0), Some(verdict))?;
        let reset = leg.conversation.reset(End::Taker);
        self.connections = self.connections.wrapping_add(1);
        leg.put(&mut self.line, at, reset)
    }

    fn client_leg(
        &mut self,
        at: Duration,
        channel: u32,
        service: (&str, &str, u16),
        verdict: Option<String>,
    ) -> io::Result<Leg> {
        let opener = self.opener(self.technician, TECHNICIAN_HARDWARE);
        let taker = Address { hardware: GATEWAY_HARDWARE, socket: SocketAddr::new(self.device, service.2) };
        let about = ("client", "between the technician's tool and the gateway");
        let interface = self.line.interface(channel, about, service)?;
        let (conversation, asked) = Conversation::ask(opener, taker, [0, 0]);
        let leg = Leg { channel, interface, conversation, gateway: End::Taker };
        leg.put_one(&mut self.line, at, &asked, verdict.into_iter().collect(), None)?;
        Ok(leg)
    }

    fn device_leg(&mut self, at: Duration, channel: u32, service: (&str, &str, u16)) -> io::Result<Leg> {
        let opener = self.opener(self.gateway(), GATEWAY_HARDWARE);
        let taker = Address { hardware: DEVICE_HARDWARE, socket: SocketAddr::new(self.device, service.2) };
        let about = ("device", "between the gateway and the device");
        let interface = self.line.interface(channel, about, service)?;
        let (conversation, asked) = Conversation::ask(opener, taker, [0, 0]);
        let leg = Leg { channel, interface, conversation, gateway: End::Opener };
        leg.put_one(&mut self.line, at, &asked, Vec::new(), None)?;
        Ok(leg)
    }

    /// Who opens the present connection.
    fn opener(&self, ip: IpAddr, hardware: [u8; 6]) -> Address {
        let ports = 65_536_u32.saturating_sub(LOWEST_PORT);
        let first = FIRST_PORT.saturating_sub(LOWEST_PORT);
        let step = first.wrapping_add(self.connections).checked_rem(ports).unwrap_or(0);
        let port = u16::try_from(LOWEST_PORT.saturating_add(step)).unwrap_or(u16::MAX);
        Address { hardware, socket: SocketAddr::new(ip, port) }
    }

    /// The gateway's address towards the device; the recording has none.
    fn gateway(&self) -> IpAddr {
        match self.device {
            IpAddr::V4(_) if self.technician != IpAddr::V4(GATEWAY.0) => IpAddr::V4(GATEWAY.0),
            IpAddr::V4(_) => UNKNOWN_TECHNICIAN,
            IpAddr::V6(_) => IpAddr::V6(GATEWAY.1),
        }
    }

    fn connected(&mut self, at: Duration, number: u32) -> io::Result<()> {
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        let taken = channel.device.conversation.take();
        channel.device.put(&mut self.line, at, taken)
    }

    fn bytes(
        &mut self,
        at: Duration,
        number: u32,
        (tap, offset): (Tap, u64),
        bytes: &[u8],
    ) -> io::Result<()> {
        if !self.channels.contains_key(&number) {
            self.open(at, number, ("", "", 0))?;
        }
        let Self { line, channels, .. } = self;
        let Some(channel) = channels.get_mut(&number) else { return Ok(()) };
        let waits = tap == Tap::FromClient && channel.carriage == Carriage::Decoded;
        let (leg, from) = match tap {
            Tap::FromClient => (&mut channel.client, End::Opener),
            Tap::ToClient => (&mut channel.client, End::Taker),
            Tap::ToDevice => (&mut channel.device, End::Opener),
            Tap::FromDevice => (&mut channel.device, End::Taker),
        };
        // No byte is left out because nobody told of the connection.
        let taken = leg.conversation.take();
        leg.put(line, at, taken)?;
        let mut end = offset;
        for segment in leg.conversation.send(from, bytes) {
            end = end.saturating_add(u64::try_from(segment.payload.len()).unwrap_or(u64::MAX));
            let (mut comments, mut until) = (Vec::new(), None);
            if segment.sign == Sign::Data {
                until = waits.then_some(end);
                while tap == Tap::ToClient
                    && channel.refusals.front().is_some_and(|(refusal, _)| *refusal <= end)
                {
                    comments.extend(channel.refusals.pop_front().map(|(_, text)| text));
                }
            }
            leg.put_one(line, at, &segment, comments, until)?;
        }
        Ok(())
    }

    fn operation(&mut self, at: Duration, event: Event) -> io::Result<()> {
        let Event::Operation {
            request, channel, offset, length, text, function, decision, rule, reason, ..
        } = event
        else {
            return Ok(());
        };
        let words = safe(if text.is_empty() { &function } else { &text });
        let by = if rule.is_empty() { String::new() } else { format!(" by {}", safe(&rule)) };
        let verdict = match decision {
            Decision::Allow => format!("request {request}: {words} -> ALLOWED{by}"),
            Decision::Deny => format!("request {request}: {words} -> DENIED{by}: {}", safe(&reason)),
            Decision::Needs => {
                format!("request {request}: {words} -> DENIED{by}, it needs more: {}", safe(&reason))
            }
        };
        match (length, decision) {
            (0, Decision::Allow) => {
                self.openings.insert(channel, verdict);
                Ok(())
            }
            (0, Decision::Deny | Decision::Needs) => self.refused(at, channel, verdict),
            (_, _) => self.line.verdict(channel, offset.saturating_add(length.into()), verdict),
        }
    }

    fn close(&mut self, at: Duration, number: u32, by: &str, how: &str, reason: &str) -> io::Result<()> {
        let Some(mut channel) = self.channels.remove(&number) else { return Ok(()) };
        let text = format!("channel closed by {}: {}", safe(by), safe(reason));
        let client = if by == "client" { End::Opener } else { End::Taker };
        let device = if by == "device" { End::Taker } else { End::Opener };
        for (leg, first) in [(&mut channel.client, client), (&mut channel.device, device)] {
            let segments = match how {
                "finished" => leg.conversation.finish(first),
                _ => leg.conversation.reset(first),
            };
            self.line.remark(Some(number), text.clone());
            leg.put(&mut self.line, at, segments)?;
        }
        self.line.release(number)
    }
}

impl Leg {
    fn put(&self, line: &mut Line<NewFile>, at: Duration, segments: Vec<Segment<'_>>) -> io::Result<()> {
        segments.iter().try_for_each(|segment| self.put_one(line, at, segment, Vec::new(), None))
    }

    /// Puts one segment into the line; `until` is the place in `from_client`
    /// whose verdict it waits for.
    fn put_one(
        &self,
        line: &mut Line<NewFile>,
        at: Duration,
        segment: &Segment<'_>,
        comments: Vec<String>,
        until: Option<u64>,
    ) -> io::Result<()> {
        let direction = if segment.from == self.gateway { Direction::Outbound } else { Direction::Inbound };
        let frame = self.conversation.frame(segment)?;
        let (channel, interface) = (self.channel, self.interface);
        line.push(Packet { channel, interface, at, direction, frame, comments }, until)
    }
}

/// `192.0.2.10` or `192.0.2.10:5000`.
fn read_address(text: &str) -> Option<IpAddr> {
    let socket = || text.parse::<SocketAddr>().map(|socket| socket.ip());
    text.parse().or_else(|_| socket()).ok()
}
