//! How sessions end: hard or softly, and when.

use std::fmt;
use std::time::Duration;

/// Warnings before a soft end, the first one first.
const WARNINGS: [Duration; 3] =
    [Duration::from_secs(15 * 60), Duration::from_secs(5 * 60), Duration::from_secs(60)];

/// Whether bytes that are under way may still arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// What is queued is discarded, connections are reset.
    Hard,
    /// What was sent may arrive; connections are finished.
    Soft,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// The technician closed it.
    ClientClosed,
    /// The plant ended it.
    Killed,
    /// The certificate was revoked.
    CertificateRevoked,
    /// The certificate has expired.
    CertificateExpired,
    /// The person was disabled.
    PersonDisabled,
    /// The person's second factor was removed.
    FactorRemoved,
    /// The second factor was asked for again and not given in time.
    FactorMissing,
    /// The recording can't go on.
    RecorderFailed,
    /// There is hardly room left for recordings.
    SpaceRanOut,
    /// The grant's time is over.
    GrantExpired,
    /// The maintenance window is over.
    WindowClosed,
    /// The policy no longer permits the target.
    PolicyNarrowed,
    /// The policy could not be judged.
    PolicyFailed,
    /// The gateway is shutting down.
    Shutdown,
    /// Nothing was sent for too long.
    Idle,
    /// The line to the technician was lost.
    SignInLost,
    /// The technician's address changed to one that is not permitted.
    PathForbidden,
    /// The client broke the protocol.
    Misbehaved,
    /// The gateway failed.
    Internal,
}

impl EndCause {
    /// Every cause.
    pub const ALL: [Self; 19] = [
        Self::ClientClosed,
        Self::Killed,
        Self::CertificateRevoked,
        Self::CertificateExpired,
        Self::PersonDisabled,
        Self::FactorRemoved,
        Self::FactorMissing,
        Self::RecorderFailed,
        Self::SpaceRanOut,
        Self::GrantExpired,
        Self::WindowClosed,
        Self::PolicyNarrowed,
        Self::PolicyFailed,
        Self::Shutdown,
        Self::Idle,
        Self::SignInLost,
        Self::PathForbidden,
        Self::Misbehaved,
        Self::Internal,
    ];

    /// How a session ends for this cause. What withdraws trust is hard; what
    /// runs out or was wished for is soft.
    pub fn how(self) -> How {
        match self {
            Self::Killed
            | Self::CertificateRevoked
            | Self::PersonDisabled
            | Self::FactorRemoved
            | Self::RecorderFailed
            | Self::PolicyFailed
            | Self::PathForbidden
            | Self::Misbehaved
            | Self::Internal => How::Hard,
            Self::ClientClosed
            | Self::CertificateExpired
            | Self::SpaceRanOut
            | Self::GrantExpired
            | Self::WindowClosed
            | Self::PolicyNarrowed
            | Self::Shutdown
            | Self::Idle
            | Self::FactorMissing
            | Self::SignInLost => How::Soft,
        }
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ClientClosed => "closed by the technician",
            Self::Killed => "ended by the plant",
            Self::CertificateRevoked => "the certificate was revoked",
            Self::CertificateExpired => "the certificate has expired",
            Self::PersonDisabled => "the person was disabled",
            Self::FactorRemoved => "the second factor was removed",
            Self::FactorMissing => "the second factor was not given again in time",
            Self::RecorderFailed => "the recording failed",
            Self::SpaceRanOut => "there is hardly room left for recordings",
            Self::GrantExpired => "the time of the permission is over",
            Self::WindowClosed => "the maintenance window is over",
            Self::PolicyNarrowed => "the policy no longer permits it",
            Self::PolicyFailed => "the policy could not be judged",
            Self::Shutdown => "the gateway is shutting down",
            Self::Idle => "nothing was sent for too long",
            Self::SignInLost => "the line to the technician was lost",
            Self::PathForbidden => "the technician's address changed to one that is not permitted",
            Self::Misbehaved => "the client broke the protocol",
            Self::Internal => "the gateway failed and let nothing further through",
        })
    }
}

/// A soft end to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    at: Duration,
    cause: EndCause,
    /// The remaining time that the technician knows of.
    told: Duration,
}

/// What a schedule asks for at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Nothing,
    Warn { cause: EndCause, left: Duration },
    End(EndCause),
}

impl Schedule {
    /// An end at `at`; the time that is left at `now` is known.
    pub(crate) fn new(now: Duration, at: Duration, cause: EndCause) -> Self {
        Self { at, cause, told: at.saturating_sub(now) }
    }

    /// The schedule after the grant's end became `expires`. Another cause
    /// that comes sooner stays, and what holds for the session whatever the
    /// grant is never gives way to a later end.
    pub(crate) fn with_grant(self, now: Duration, expires: Duration) -> Self {
        if self.cause == EndCause::GrantExpired || expires < self.at {
            Self::new(now, expires, EndCause::GrantExpired)
        } else {
            self
        }
    }

    pub(crate) fn at(&self) -> Duration {
        self.at
    }

    pub(crate) fn cause(&self) -> EndCause {
        self.cause
    }

    /// When something has to be done next.
    pub(crate) fn next(&self) -> Duration {
        let warning = WARNINGS.into_iter().find(|warning| *warning < self.told);
        warning.map_or(self.at, |warning| self.at.saturating_sub(warning))
    }

    /// What has to be done now. One warning stands for all that were missed.
    pub(crate) fn call(&mut self, now: Duration) -> Call {
        let left = self.at.saturating_sub(now);
        if left.is_zero() {
            return Call::End(self.cause);
        }
        match WARNINGS.into_iter().rfind(|warning| *warning < self.told && left <= *warning) {
            Some(warning) => {
                self.told = warning;
                Call::Warn { cause: self.cause, left }
            }
            None => Call::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn warnings_come_at_fifteen_five_and_one_minute() {
        let mut schedule = Schedule::new(Duration::ZERO, 60 * MINUTE, EndCause::GrantExpired);
        let mut calls = Vec::new();
        loop {
            let now = schedule.next();
            match schedule.call(now) {
                Call::Warn { left, .. } => calls.push((now.as_secs() / 60, left.as_secs() / 60)),
                Call::End(cause) => {
                    assert_eq!((now, cause), (60 * MINUTE, EndCause::GrantExpired));
                    break;
                }
                Call::Nothing => panic!("nothing to do at {now:?}"),
            }
        }
        assert_eq!(calls, [(45, 15), (55, 5), (59, 1)]);
    }

    #[test]
    fn a_short_session_is_not_warned_of_what_it_began_with() {
        let mut schedule = Schedule::new(MINUTE, 5 * MINUTE, EndCause::Shutdown);
        assert_eq!(schedule.call(MINUTE), Call::Nothing);
        assert_eq!(schedule.next(), 4 * MINUTE);
        assert_eq!(schedule.call(9 * MINUTE / 2), Call::Warn { cause: EndCause::Shutdown, left: MINUTE / 2 });
        assert_eq!(schedule.next(), 5 * MINUTE);
        assert_eq!(schedule.call(7 * MINUTE), Call::End(EndCause::Shutdown));
    }

    #[test]
    fn what_withdraws_trust_is_hard() {
        let hard: Vec<_> = EndCause::ALL
            .into_iter()
            .filter(|cause| cause.how() == How::Hard)
            .map(|cause| cause.to_string())
            .collect();
        assert_eq!(
            hard,
            [
                "ended by the plant",
                "the certificate was revoked",
                "the person was disabled",
                "the second factor was removed",
                "the recording failed",
                "the policy could not be judged",
                "the technician's address changed to one that is not permitted",
                "the client broke the protocol",
                "the gateway failed and let nothing further through",
            ]
        );
    }
}
