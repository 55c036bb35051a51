//! `gatehouse targets`: what this person may open.

use serde::Serialize;
use wire::{ServiceInfo, TargetInfo, ToClient, ToGateway, Transport};

use crate::Problem;
use crate::escape::escape;
use crate::link::Control;
use crate::screen::Screen;
use crate::sign_in::instead;

/// How a listing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// Asks for the targets.
///
/// # Errors
/// As the line ends, or if the gateway does not keep to the protocol.
pub async fn ask(control: &mut Control) -> Result<Vec<TargetInfo>, Problem> {
    control.send(&ToGateway::Targets).await?;
    let answer = control.answer().await?;
    let ToClient::Targets(targets) = answer else { return Err(instead(&answer)) };
    Ok(targets)
}

/// Writes them.
///
/// # Errors
/// [`Problem::Io`] if the output does not take it.
pub fn show(targets: &[TargetInfo], listing: Listing, screen: &mut Screen) -> Result<(), Problem> {
    match listing {
        Listing::Json => screen.answer(&json(targets)?),
        Listing::Text if targets.is_empty() => {
            screen.remark("no target is open to you: ask the plant's administrator");
            Ok(())
        }
        Listing::Text => lines(targets).iter().try_for_each(|line| screen.answer(line)),
    }
}

/// One line per service: target, zone, service, port and protocol in columns.
fn lines(targets: &[TargetInfo]) -> Vec<String> {
    let rows: Vec<[String; 4]> = targets
        .iter()
        .flat_map(|target| target.services.iter().map(move |service| row(target, service)))
        .collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (first, second, third) = (width(0), width(1), width(2));
    rows.iter()
        .map(|[id, zone, name, way]| format!("{id:<first$}  {zone:<second$}  {name:<third$}  {way}"))
        .collect()
}

fn row(target: &TargetInfo, service: &ServiceInfo) -> [String; 4] {
    [
        escape(&target.id),
        escape(&target.zone),
        escape(&service.name),
        format!("{}/{} {}", service.port, transport(service.transport), escape(&service.protocol)),
    ]
}

const fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
    }
}

#[derive(Serialize)]
struct TargetRow<'info> {
    id: &'info str,
    zone: &'info str,
    services: Vec<ServiceRow<'info>>,
}

#[derive(Serialize)]
struct ServiceRow<'info> {
    name: &'info str,
    port: u16,
    protocol: &'info str,
    transport: &'static str,
}

fn json(targets: &[TargetInfo]) -> Result<String, Problem> {
    let rows: Vec<TargetRow<'_>> = targets
        .iter()
        .map(|target| TargetRow {
            id: &target.id,
            zone: &target.zone,
            services: target
                .services
                .iter()
                .map(|service| ServiceRow {
                    name: &service.name,
                    port: service.port,
                    protocol: &service.protocol,
                    transport: transport(service.transport),
                })
                .collect(),
        })
        .collect();
    harmless_json(&rows)
}

/// JSON in one line that no terminal acts on: JSON itself escapes C0 controls only, so the rest is escaped here.
///
/// # Errors
/// [`Problem::Io`] if the value can't be written as JSON.
pub fn harmless_json<T: Serialize>(value: &T) -> Result<String, Problem> {
    let text = serde_json::to_string(value)
        .map_err(|error| Problem::Io { what: "the listing".to_owned(), source: error.into() })?;
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() && !character.is_ascii_control() {
            harmless.push(character);
        } else {
            let mut units = [0_u16; 2];
            for unit in character.encode_utf16(&mut units) {
                harmless.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Ok(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<TargetInfo> {
        let service = |name: &str, port, protocol: &str| ServiceInfo {
            name: name.into(),
            port,
            protocol: protocol.into(),
            transport: Transport::Tcp,
        };
        vec![
            TargetInfo {
                id: "press-line/plc7".into(),
                zone: "press".into(),
                services: vec![service("plc", 502, "modbus"), service("vnc", 5900, "tcp")],
            },
            TargetInfo {
                id: "b".into(),
                zone: "z\x1b[2J\u{9b}".into(),
                services: vec![service("web", 443, "tcp")],
            },
        ]
    }

    #[test]
    fn the_listing_is_columns_without_sequences() {
        assert_eq!(
            lines(&sample()),
            [
                "press-line/plc7  press         plc  502/tcp modbus",
                "press-line/plc7  press         vnc  5900/tcp tcp",
                "b                z\\x1b[2J\\x9b  web  443/tcp tcp",
            ]
        );
    }

    #[test]
    fn the_json_listing_keeps_every_character_and_prints_none_that_acts() {
        let text = json(&sample()).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read[1]["zone"], "z\x1b[2J\u{9b}");
        assert_eq!(read[0]["services"][0]["port"], 502);
        assert_eq!(read[0]["services"][0]["transport"], "tcp");
    }
}
