//! What can happen, and what is kept of it.

use super::harmless;
use crate::names::{Handle, SessionId, TargetId};
use jiff::Timestamp;
use recording::log::{Happening, LogEntry, Told};
use std::net::IpAddr;

/// What happened. The word in the file is the variant in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The gateway started or stopped.
    GatewayStarted,
    /// It stopped in good order.
    GatewayStopped,
    /// Connections of strangers were refused: a count per minute.
    StrangersRefused,
    /// A known certificate was refused before or at the second factor.
    SignInRefused,
    /// A second factor was accepted.
    SignedIn,
    /// A sign-in ended.
    SignedOut,
    /// A session was asked for and refused.
    SessionRefused,
    /// A session began.
    SessionStarted,
    /// A session ended.
    SessionEnded,
    /// A channel was refused.
    ChannelRefused,
    /// An operation was denied.
    OperationDenied,
    /// A recording failed.
    RecorderFailed,
    /// Space for recordings became scarce, or came back.
    SpaceChanged,
    /// A policy was applied.
    PolicyApplied,
    /// A policy was refused.
    PolicyRefused,
    /// The policy folder changed; nothing was applied.
    PolicyFolder,
    /// A key was mapped to a person.
    PersonImported,
    /// A passkey was registered for a person.
    PasskeyAdded,
    /// A passkey was to be registered and was not.
    PasskeyRefused,
    /// A person was disabled.
    PersonDisabled,
    /// A person was enabled.
    PersonEnabled,
    /// A person's failures were reset.
    PersonUnlocked,
    /// A person's second factor was removed.
    FactorRemoved,
    /// A person without a second factor was given one by an administrator.
    FactorGiven,
    /// The second factor was asked for again in a sign-in.
    FactorAsked,
    /// It was shown.
    FactorShown,
    /// A backup was made of all that makes this gateway.
    BackedUp,
    /// This gateway was put back from a backup.
    Restored,
    /// An administrator ended a session.
    SessionKilled,
    /// CA, CRL or certificate were read anew.
    TlsReloaded,
    /// Changed TLS files were refused; the old ones stay.
    TlsRefused,
    /// The CRL ends soon or has lapsed.
    CrlExpiry,
    /// A certificate that the gateway needs ends soon or has expired.
    CertificateExpiry,
    /// A live sign-in's certificate no longer verifies.
    CertificateRevoked,
    /// The clock stepped.
    ClockStepped,
    /// An administrator accepted the clock.
    ClockAccepted,
    /// A request on the admin socket was refused.
    AdminRefused,
    /// An administrator's change, told before, could not be made.
    AdminFailed,
    /// A recording that a crash left was looked at.
    SessionRecovered,
    /// The site log's witness could not be given a head.
    WitnessFailed,
    /// A person's second factor is locked after failures.
    PersonLocked,
    /// Lines of this file were lost: a count.
    LinesLost,
    /// A person was invited to enrol.
    PersonInvited,
    /// An administrator withdrew an invitation.
    InvitationWithdrawn,
    /// A person enrolled: one more key, and a certificate for it.
    PersonEnrolled,
    /// Somebody with a good token was refused.
    EnrolmentRefused,
    /// A person's certificate was renewed.
    CertificateRenewed,
    /// Somebody who is signed in got no new certificate.
    RenewalRefused,
    /// An administrator revoked a certificate.
    CertificateWithdrawn,
    /// The gateway has a new issuing authority.
    AuthorityMade,
    /// The gateway's own authority signed new revocation lists.
    ListsSigned,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// When, with zone.
    pub at: Timestamp,
    /// What happened.
    pub event: Kind,
    /// The person it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Handle>,
    /// The address it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The target it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetId>,
    /// The session it belongs to, as hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The administrator who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What exactly, without values of operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How often, for counted events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What the site log has of it beside its kind.
    #[serde(skip)]
    pub figure: Figure,
}

/// The one figure of an event that the site log names itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Figure {
    /// It needs none.
    #[default]
    None,
    /// The hash of a policy.
    Policy([u8; 32]),
    /// A step of the clock, in seconds.
    Step(i64),
}

impl Event {
    /// An event with nothing but its kind and time.
    pub fn new(event: Kind, at: Timestamp) -> Self {
        Self {
            at,
            event,
            person: None,
            source: None,
            target: None,
            session: None,
            by: None,
            what: None,
            why: None,
            rule: None,
            count: None,
            figure: Figure::None,
        }
    }

    /// The person it is about.
    #[must_use]
    pub fn person(mut self, person: &Handle) -> Self {
        self.person = Some(person.clone());
        self
    }

    /// The address it came from.
    #[must_use]
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// The target it is about.
    #[must_use]
    pub fn target(mut self, target: &TargetId) -> Self {
        self.target = Some(target.clone());
        self
    }

    /// The session it belongs to.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session.to_string());
        self
    }

    /// The administrator who did it.
    #[must_use]
    pub fn by(mut self, by: &str) -> Self {
        self.by = Some(harmless(by));
        self
    }

    /// What exactly. Never a value of an operation.
    #[must_use]
    pub fn what(mut self, what: &str) -> Self {
        self.what = Some(harmless(what));
        self
    }

    /// Why.
    #[must_use]
    pub fn why(mut self, why: &str) -> Self {
        self.why = Some(harmless(why));
        self
    }

    /// The rule that decided.
    #[must_use]
    pub fn rule(mut self, rule: &str) -> Self {
        self.rule = Some(harmless(rule));
        self
    }

    /// The figure that the site log names itself.
    #[must_use]
    pub fn figure(mut self, figure: Figure) -> Self {
        self.figure = figure;
        self
    }

    /// What the site log gets of this event, `told` being the hash of its
    /// line. Sessions, their operations and keys have entries of their own.
    pub(super) fn entry(&self, told: Told) -> Option<LogEntry> {
        let what = match self.event {
            Kind::GatewayStarted => {
                let software = concat!("gatehouse-gateway ", env!("CARGO_PKG_VERSION")).to_owned();
                return Some(LogEntry::GatewayStarted { software });
            }
            Kind::GatewayStopped => return Some(LogEntry::GatewayStopped),
            Kind::PolicyApplied => {
                let Figure::Policy(policy) = self.figure else { return None };
                return Some(LogEntry::PolicyApplied { policy, told });
            }
            Kind::ClockStepped => {
                let Figure::Step(seconds) = self.figure else { return None };
                return Some(LogEntry::ClockStepped { seconds, told });
            }
            Kind::SessionStarted
            | Kind::SessionEnded
            | Kind::SessionRecovered
            | Kind::ChannelRefused
            | Kind::FactorAsked
            | Kind::OperationDenied
            | Kind::PolicyFolder
            | Kind::SpaceChanged
            | Kind::TlsReloaded
            | Kind::CertificateExpiry
            | Kind::ListsSigned => return None,
            Kind::StrangersRefused => Happening::StrangersRefused,
            Kind::SignInRefused | Kind::PasskeyRefused => Happening::SignInRefused,
            Kind::SignedIn => Happening::SignedIn,
            Kind::SignedOut => Happening::SignedOut,
            Kind::SessionRefused => Happening::SessionRefused,
            Kind::RecorderFailed => Happening::RecorderFailed,
            Kind::PolicyRefused => Happening::PolicyRefused,
            Kind::PersonImported => Happening::PersonImported,
            Kind::PersonDisabled => Happening::PersonDisabled,
            Kind::PersonEnabled => Happening::PersonEnabled,
            Kind::PersonUnlocked => Happening::PersonUnlocked,
            Kind::FactorRemoved => Happening::FactorRemoved,
            Kind::FactorGiven | Kind::PasskeyAdded => Happening::FactorGiven,
            Kind::FactorShown => Happening::FactorShown,
            Kind::BackedUp => Happening::BackedUp,
            Kind::Restored => Happening::Restored,
            Kind::SessionKilled => Happening::SessionKilled,
            Kind::TlsRefused => Happening::TlsRefused,
            Kind::CrlExpiry => Happening::CrlExpiry,
            Kind::CertificateRevoked => Happening::CertificateRevoked,
            Kind::ClockAccepted => Happening::ClockAccepted,
            Kind::AdminRefused => Happening::AdminRefused,
            Kind::AdminFailed => Happening::AdminFailed,
            Kind::WitnessFailed => Happening::WitnessFailed,
            Kind::PersonLocked => Happening::Locked,
            Kind::LinesLost => Happening::LinesLost,
            Kind::PersonInvited => Happening::PersonInvited,
            Kind::InvitationWithdrawn => Happening::InvitationWithdrawn,
            Kind::PersonEnrolled => Happening::PersonEnrolled,
            Kind::EnrolmentRefused => Happening::EnrolmentRefused,
            Kind::CertificateRenewed => Happening::CertificateRenewed,
            Kind::RenewalRefused => Happening::RenewalRefused,
            Kind::CertificateWithdrawn => Happening::CertificateWithdrawn,
            Kind::AuthorityMade => Happening::AuthorityMade,
        };
        Some(LogEntry::Event { what, count: self.count.unwrap_or(1), told })
    }

    /// How often.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}
