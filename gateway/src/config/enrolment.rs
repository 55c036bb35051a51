//! `[ca]` and `[enrolment]`: what is true of them.

use super::checks::Checks;
use super::units::span;
use super::written;
use crate::ca::{CaSettings, IssuingCa};
use crate::tls::Files;
use jiff::SignedDuration;
use rustix::fs::Access;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What a certificate of a person may last: an hour to the 398 days beyond
/// which no public authority goes either.
const CERTIFICATE_LIFETIME: RangeInclusive<SignedDuration> =
    SignedDuration::from_hours(1)..=SignedDuration::from_hours(24 * 398);

/// What a revocation list may last.
const CRL_LIFETIME: RangeInclusive<SignedDuration> =
    SignedDuration::from_hours(1)..=SignedDuration::from_hours(24 * 30);

/// Where people enrol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentSettings {
    /// The UDP address, bound only while invitations are open.
    pub listen: SocketAddr,
    /// How technicians reach it.
    pub address: Reachable,
    /// How technicians reach the gateway itself.
    pub gateway: Reachable,
    /// The name of the gateway's certificate.
    pub server_name: String,
}

/// How technicians reach a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachable {
    /// At this `HOST:PORT`.
    Named(String),
    /// At the address that it is bound to.
    AsBound,
}

impl Reachable {
    /// `HOST:PORT` for a listener that is bound to `bound`.
    pub fn text(&self, bound: SocketAddr) -> String {
        match self {
            Self::Named(text) => text.clone(),
            Self::AsBound => bound.to_string(),
        }
    }
}

impl Checks<'_> {
    pub(super) fn ca(&mut self, ca: Option<written::Ca>) -> Option<CaSettings> {
        let ca = ca?;
        let dir = self.path(&ca.dir);
        let before = self.problems.len();
        self.folder_there(&dir, "[ca] dir", Access::READ_OK | Access::WRITE_OK);
        if self.problems.len() == before {
            match IssuingCa::check(&dir) {
                Ok(end) => self.ends.extend(end),
                Err(problem) => self.problems.push(problem),
            }
        }
        let mut lifetime = |key: &str, text: Option<String>, default, range| {
            let read = text.map_or(Ok(default), |text| span(&text, range));
            self.limit(&format!("[ca] {key}"), read)
        };
        let certificate_lifetime =
            lifetime("certificate_lifetime", ca.certificate_lifetime, DAY * 30, CERTIFICATE_LIFETIME);
        let crl_lifetime = lifetime("crl_lifetime", ca.crl_lifetime, DAY * 7, CRL_LIFETIME);
        Some(CaSettings { dir, certificate_lifetime, crl_lifetime })
    }

    pub(super) fn enrolment(
        &mut self,
        enrolment: Option<written::Enrolment>,
        ca: Option<&CaSettings>,
        main: Option<SocketAddr>,
        tls: &Files,
    ) -> Option<EnrolmentSettings> {
        let enrolment = enrolment?;
        if ca.is_none() {
            let hint = "add [ca] with dir = FOLDER, or map certificates with `user import`";
            self.wrong("[enrolment]", "there is no [ca] that could issue certificates", hint);
        }
        let listen = self.address("[enrolment] listen", &enrolment.listen);
        let address = self.reachable("[enrolment] address", enrolment.address, listen);
        let gateway = self.reachable("[enrolment] gateway", enrolment.gateway, main);
        let server_name = enrolment.server_name.or_else(|| match &gateway {
            Some(Reachable::Named(text)) => Some(host_of(text).to_owned()),
            Some(Reachable::AsBound) => main.map(|main| main.ip().to_string()),
            None => None,
        });
        let server_name = server_name?;
        self.recognised(&server_name, tls);
        Some(EnrolmentSettings { listen: listen?, address: address?, gateway: gateway?, server_name })
    }

    /// A name that is written down must be one; without one the listener's own
    /// address must be.
    fn reachable(
        &mut self,
        key: &str,
        written: Option<String>,
        listen: Option<SocketAddr>,
    ) -> Option<Reachable> {
        let hint = "write HOST:PORT as technicians reach it";
        match written {
            Some(text) if is_address(&text) => Some(Reachable::Named(text)),
            Some(text) => {
                self.wrong(key, format!("{text:?} is no address"), hint);
                None
            }
            None if listen?.ip().is_unspecified() => {
                self.wrong(key, "is needed where the listener is bound to every address", hint);
                None
            }
            None => Some(Reachable::AsBound),
        }
    }

    /// People who enrol get whoever issued the gateway's certificate, and this
    /// name, to know the gateway by: both must fit that certificate.
    fn recognised(&mut self, server_name: &str, tls: &Files) {
        let Ok(name) = ServerName::try_from(server_name.to_owned()) else {
            let reason = format!("{server_name:?} is neither a DNS name nor an IP address");
            return self.wrong("[enrolment] server_name", reason, "write the name in the certificate");
        };
        // What is wrong with the files themselves was told already.
        if self.problems.is_empty()
            && let Err(reason) = crate::tls::recognised(tls, &name, self.now)
        {
            let hint = "write the name in [tls] cert, and put the certificate of the CA that issued it at the end \
                        of that file, or into [tls] ca";
            self.wrong("[enrolment] server_name", reason, hint);
        }
    }
}

fn is_address(text: &str) -> bool {
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    text.len() <= wire::LONGEST_ADDRESS
        && port.is_some_and(|port| port != 0)
        && ServerName::try_from(host_of(text)).is_ok()
}

/// The host without port and brackets.
fn host_of(text: &str) -> &str {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
