//! What can happen at a gateway beside sessions, keys and clocks.

/// What an event is about. Its number in the log never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// Strangers were refused, counted per minute.
    StrangersRefused,
    /// A known certificate was refused before or at the second factor.
    SignInRefused,
    /// A second factor was accepted.
    SignedIn,
    /// A sign-in ended.
    SignedOut,
    /// Somebody's sign-in was locked after failures.
    Locked,
    /// A session was asked for and refused.
    SessionRefused,
    /// An administrator ended a session.
    SessionKilled,
    /// A recording failed.
    RecorderFailed,
    /// A policy was refused.
    PolicyRefused,
    /// A key was mapped to a person.
    PersonImported,
    /// A person was disabled.
    PersonDisabled,
    /// A person was enabled.
    PersonEnabled,
    /// A person's failures were reset.
    PersonUnlocked,
    /// Changed TLS files were refused.
    TlsRefused,
    /// The revocation list ends soon or has ended.
    CrlExpiry,
    /// A live sign-in's certificate no longer verifies.
    CertificateRevoked,
    /// An administrator accepted the clock.
    ClockAccepted,
    /// A request on the admin socket was refused.
    AdminRefused,
    /// An administrator's change could not be made.
    AdminFailed,
    /// Something was approved, refused or withdrawn by a person.
    Approval,
    /// A recording was retrieved through the gateway.
    Retrieved,
    /// A witness could not be given a checkpoint.
    WitnessFailed,
    /// A person's second factor was removed.
    FactorRemoved,
    /// A person without a second factor was given one.
    FactorGiven,
    /// Lines of the audit file were lost: its disk failed or was too slow.
    LinesLost,
    /// A second factor was shown again within a sign-in.
    FactorShown,
    /// A person was invited to enrol.
    PersonInvited,
    /// An invitation was withdrawn.
    InvitationWithdrawn,
    /// A person enrolled: a key and a certificate for it.
    PersonEnrolled,
    /// Somebody with a good token was refused.
    EnrolmentRefused,
    /// A certificate was renewed.
    CertificateRenewed,
    /// An administrator revoked a certificate.
    CertificateWithdrawn,
    /// A new issuing authority was made.
    AuthorityMade,
    /// Somebody who is signed in got no new certificate.
    RenewalRefused,
    /// A backup of the gateway was made.
    BackedUp,
    /// The gateway was put back from a backup.
    Restored,
}

impl Happening {
    /// Every happening.
    pub const ALL: [Self; 36] = [
        Self::StrangersRefused,
        Self::SignInRefused,
        Self::SignedIn,
        Self::SignedOut,
        Self::Locked,
        Self::SessionRefused,
        Self::SessionKilled,
        Self::RecorderFailed,
        Self::PolicyRefused,
        Self::PersonImported,
        Self::PersonDisabled,
        Self::PersonEnabled,
        Self::PersonUnlocked,
        Self::TlsRefused,
        Self::CrlExpiry,
        Self::CertificateRevoked,
        Self::ClockAccepted,
        Self::AdminRefused,
        Self::AdminFailed,
        Self::Approval,
        Self::Retrieved,
        Self::WitnessFailed,
        Self::FactorRemoved,
        Self::FactorGiven,
        Self::LinesLost,
        Self::FactorShown,
        Self::PersonInvited,
        Self::InvitationWithdrawn,
        Self::PersonEnrolled,
        Self::EnrolmentRefused,
        Self::CertificateRenewed,
        Self::CertificateWithdrawn,
        Self::AuthorityMade,
        Self::RenewalRefused,
        Self::BackedUp,
        Self::Restored,
    ];

    /// Its number in the log.
    pub fn code(self) -> u16 {
        match self {
            Self::StrangersRefused => 1,
            Self::SignInRefused => 2,
            Self::SignedIn => 3,
            Self::SignedOut => 4,
            Self::Locked => 5,
            Self::SessionRefused => 6,
            Self::SessionKilled => 7,
            Self::RecorderFailed => 8,
            Self::PolicyRefused => 9,
            Self::PersonImported => 10,
            Self::PersonDisabled => 11,
            Self::PersonEnabled => 12,
            Self::PersonUnlocked => 13,
            Self::TlsRefused => 14,
            Self::CrlExpiry => 15,
            Self::CertificateRevoked => 16,
            Self::ClockAccepted => 17,
            Self::AdminRefused => 18,
            Self::AdminFailed => 19,
            Self::Approval => 20,
            Self::Retrieved => 21,
            Self::WitnessFailed => 22,
            Self::FactorRemoved => 23,
            Self::FactorGiven => 24,
            Self::LinesLost => 25,
            Self::FactorShown => 26,
            Self::PersonInvited => 27,
            Self::InvitationWithdrawn => 28,
            Self::PersonEnrolled => 29,
            Self::EnrolmentRefused => 30,
            Self::CertificateRenewed => 31,
            Self::CertificateWithdrawn => 32,
            Self::AuthorityMade => 33,
            Self::RenewalRefused => 34,
            Self::BackedUp => 35,
            Self::Restored => 36,
        }
    }

    pub(super) fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|happening| happening.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_single_and_never_change() {
        let codes: Vec<u16> = Happening::ALL.into_iter().map(Happening::code).collect();
        assert_eq!(codes, (1..=36).collect::<Vec<u16>>());
        assert!(Happening::ALL.into_iter().all(|one| Happening::from_code(one.code()) == Some(one)));
        assert_eq!(Happening::from_code(0), None);
    }
}
