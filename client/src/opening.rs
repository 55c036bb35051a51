//! Asks for a session with each target and finds the services that were asked for.

use wire::{ServiceInfo, SessionId, ToClient, ToGateway};

use crate::Problem;
use crate::asked::{self, Asked};
use crate::escape::escape;
use crate::link::Control;
use crate::sessions::Ledger;
use crate::sign_in::{out_of_turn, refusal};

/// Why the technician comes, for the recording and the rules.
#[derive(Clone, Debug, Default)]
pub struct Purpose {
    /// In their own words.
    pub reason: Option<String>,
    /// The plant's work-order number.
    pub ticket: Option<String>,
}

/// A service that is to be reachable locally.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its session.
    pub session: SessionId,
    /// The target's id.
    pub target: String,
    /// The service.
    pub service: ServiceInfo,
}

/// Opens one session per distinct target and gives the ways to all services asked for, in the order asked.
///
/// # Errors
/// [`Problem::Refused`] if a session is not opened or a service is not among its target's, or as the line ends. What
/// was opened until then is in the ledger, for the caller to close.
pub async fn open(
    control: &mut Control,
    asked: &[Asked],
    purpose: &Purpose,
    ledger: &mut Ledger,
) -> Result<Vec<Way>, Problem> {
    let mut opened = Vec::new();
    for (request, target) in (1_u32..).zip(asked::targets(asked)) {
        let Purpose { reason, ticket } = purpose.clone();
        control.send(&ToGateway::Open { request, target: target.to_owned(), reason, ticket }).await?;
        opened.push(opened_session(control, request, target, ledger).await?);
    }
    let mut ways: Vec<Way> = Vec::new();
    for one in asked {
        for way in chosen(one, &opened)? {
            let known = |other: &Way| other.session == way.session && other.service.name == way.service.name;
            if !ways.iter().any(known) {
                ways.push(way);
            }
        }
    }
    Ok(ways)
}

struct Opened {
    session: SessionId,
    target: String,
    services: Vec<ServiceInfo>,
}

/// Waits for the answer to one `Open`. Notices about sessions that stand already are kept.
async fn opened_session(
    control: &mut Control,
    asked_request: u32,
    asked_target: &str,
    ledger: &mut Ledger,
) -> Result<Opened, Problem> {
    loop {
        match control.answer().await? {
            ToClient::Opened {
                request,
                session,
                target,
                services,
                expires_ms,
                recording_mode: _,
                limits,
            } if request == asked_request && target == asked_target => {
                ledger.opened(session, &target, expires_ms, limits);
                return Ok(Opened { session, target, services });
            }
            ToClient::NotOpened { request, code, text } if request == asked_request => {
                return Err(Problem::Refused(format!("{}: {}", escape(asked_target), refusal(code, &text))));
            }
            ToClient::Notice { session, notice } => {
                ledger.notice(session, notice, jiff::Timestamp::now());
            }
            ToClient::Checkpoint { session, note } => ledger.checkpoint(session, note),
            ToClient::LogCheckpoint { note } => ledger.log_checkpoint(note),
            other @ (ToClient::Opened { .. }
            | ToClient::NotOpened { .. }
            | ToClient::Welcome { .. }
            | ToClient::SignedIn { .. }
            | ToClient::Refused { .. }
            | ToClient::Targets(_)
            | ToClient::FactorAgain { .. }
            | ToClient::Renewal(_)
            | ToClient::PasskeyPage { .. }
            | ToClient::PasskeyOptions { .. }
            | ToClient::PasskeyAdded { .. }
            | ToClient::PasskeyNotAdded { .. }
            | ToClient::Pong) => return Err(out_of_turn(&other)),
        }
    }
}

/// The ways that one argument asks for.
fn chosen(one: &Asked, opened: &[Opened]) -> Result<Vec<Way>, Problem> {
    let found: Vec<Way> = opened
        .iter()
        .filter(|opened| opened.target == one.target)
        .flat_map(|opened| {
            opened
                .services
                .iter()
                .filter(|service| one.service.as_ref().is_none_or(|name| *name == service.name))
                .map(|service| Way {
                    session: opened.session,
                    target: opened.target.clone(),
                    service: service.clone(),
                })
        })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let names: Vec<String> = opened
        .iter()
        .filter(|opened| opened.target == one.target)
        .flat_map(|opened| opened.services.iter().map(|service| escape(&service.name)))
        .collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(Problem::Refused(format!("{one}: no such service is open to you; there are: {there}")))
}

#[cfg(test)]
mod tests {
    use wire::Transport;

    use super::*;

    fn press() -> Vec<Opened> {
        let service = |name: &str, port| ServiceInfo {
            name: name.into(),
            port,
            protocol: "tcp".into(),
            transport: Transport::Tcp,
        };
        let services = vec![service("plc", 502), service("vnc", 5900)];
        vec![Opened { session: SessionId::from_bytes([1; 16]), target: "press".into(), services }]
    }

    fn names(text: &str) -> Result<String, String> {
        let ways = chosen(&text.parse().unwrap(), &press()).map_err(|problem| problem.to_string())?;
        Ok(ways.iter().map(|way| way.service.name.clone()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_target_means_all_its_services_and_a_service_itself() {
        assert_eq!(names("press").unwrap(), "plc vnc");
        assert_eq!(names("press:vnc").unwrap(), "vnc");
        assert_eq!(
            names("press:web").unwrap_err(),
            "press:web: no such service is open to you; there are: plc, vnc"
        );
    }
}
