//! The numbers of refusals, endings and connection closes, each with one plain sentence.
//!
//! What they are for: a client tells its user what happened, and a log can be searched, by a number that never
//! changes its meaning. They never carry details: those are in the text that goes with them, and what must not be
//! told to a stranger (whether a person exists, is locked, or only mistyped) shares one number.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an enum with stable numbers, a sentence for each, and the way back from the number.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal, $sentence:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "u16", try_from = "u16")]
        pub enum $name {
            $(#[doc = $sentence] $(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }

            /// The value with this number; `None` if this version knows none.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// One plain sentence, without a full stop.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.sentence())
            }
        }

        impl From<$name> for u16 {
            fn from(value: $name) -> Self {
                value.number()
            }
        }

        impl TryFrom<u16> for $name {
            type Error = UnknownNumber;

            fn try_from(number: u16) -> Result<Self, UnknownNumber> {
                Self::from_number(number).ok_or(UnknownNumber(number))
            }
        }
    };
}

/// A number that this version of the protocol does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("number {0} is not known to this version")]
pub struct UnknownNumber(pub(crate) u16);

numbered! {
    /// Why the gateway did not do what was asked.
    Refusal {
        Certificate = 1, "the gateway does not accept this certificate";
        /// Also when the person is unknown, disabled or locked: the wire does not tell these apart.
        Factor = 2, "the second factor was not accepted";
        /// An action that needs a completed sign-in came before it.
        SignInFirst = 3, "sign in first";
        TimedOut = 4, "the sign-in took too long";
        NotPermitted = 5, "no rule permits this";
        NoSuchTarget = 6, "there is no such target for you";
        NoSuchService = 7, "the target has no such service for you";
        NoSuchSession = 8, "there is no such session in this sign-in";
        Unreachable = 9, "the device did not answer";
        /// Too much at once for the whole gateway.
        Busy = 10, "the gateway is busy";
        /// Too much at once for this target, session or person.
        Limit = 11, "a limit of this target is reached";
        Policy = 12, "the gateway has no usable policy";
        Recorder = 13, "the gateway cannot record, so it lets nothing through";
        Version = 14, "client and gateway do not speak the same version";
        Ended = 15, "the session has ended";
        Shutdown = 16, "the gateway is shutting down";
        Clock = 17, "the gateway does not trust its clock";
        Malformed = 18, "the message broke the protocol";
        /// The person's own right is over; told plainly, because only its owner gets to see it.
        Expired = 19, "the permission has expired";
        /// The thing is part of the design and this gateway cannot do it yet.
        Unsupported = 20, "this gateway cannot do that yet";
        /// A fault of the gateway; it fails closed.
        Internal = 21, "the gateway failed and let nothing through";
        FactorAgain = 22, "the second factor is due again: give it first";
    }
}

numbered! {
    /// Why a session ended or is about to.
    EndReason {
        ClientClosed = 1, "closed by the technician";
        Killed = 2, "ended by the plant";
        CertificateRevoked = 3, "the certificate was revoked";
        CertificateExpired = 4, "the certificate has expired";
        PersonDisabled = 5, "the person was disabled";
        RecorderFailed = 6, "the recording failed";
        GrantExpired = 7, "the time of the permission is over";
        WindowClosed = 8, "the maintenance window is over";
        PolicyNarrowed = 9, "the policy no longer permits it";
        PolicyFailed = 10, "the policy could not be judged";
        Shutdown = 11, "the gateway is shutting down";
        Idle = 12, "nothing was sent for too long";
        SignInLost = 13, "the line to the technician was lost";
        PathForbidden = 14, "the technician's address changed to one that is not permitted";
        Misbehaved = 15, "the client broke the protocol";
        Internal = 16, "the gateway failed and let nothing further through";
        FactorRemoved = 17, "the second factor was removed";
        FactorMissing = 18, "the second factor was not given again in time";
    }
}

numbered! {
    /// The number with which one side closes the whole connection (a QUIC application close code).
    ///
    /// A client that loses its connection before it was welcomed reads here, or in the transport's own TLS alert,
    /// why it was not let in.
    CloseCode {
        Done = 0, "the work is done";
        Refused = 1, "the sign-in was refused";
        TimedOut = 2, "the sign-in took too long";
        Malformed = 3, "a message broke the protocol";
        Version = 4, "client and gateway do not speak the same version";
        Busy = 5, "the gateway is busy";
        Shutdown = 6, "the gateway is shutting down";
        /// The certificate was revoked, the person disabled, or the sign-in's time is over.
        Withdrawn = 7, "the right to be signed in was withdrawn";
        Internal = 8, "the gateway failed and let nothing through";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables as they were published. A line may be added; none may ever change.
    #[test]
    fn numbers_never_change_their_meaning() {
        let refusals: Vec<String> =
            Refusal::ALL.iter().map(|refusal| format!("{}={refusal:?}", refusal.number())).collect();
        assert_eq!(
            refusals.join(" "),
            "1=Certificate 2=Factor 3=SignInFirst 4=TimedOut 5=NotPermitted 6=NoSuchTarget 7=NoSuchService \
             8=NoSuchSession 9=Unreachable 10=Busy 11=Limit 12=Policy 13=Recorder 14=Version 15=Ended 16=Shutdown \
             17=Clock 18=Malformed 19=Expired 20=Unsupported 21=Internal 22=FactorAgain"
        );
        let endings: Vec<String> =
            EndReason::ALL.iter().map(|reason| format!("{}={reason:?}", reason.number())).collect();
        assert_eq!(
            endings.join(" "),
            "1=ClientClosed 2=Killed 3=CertificateRevoked 4=CertificateExpired 5=PersonDisabled 6=RecorderFailed \
             7=GrantExpired 8=WindowClosed 9=PolicyNarrowed 10=PolicyFailed 11=Shutdown 12=Idle 13=SignInLost \
             14=PathForbidden 15=Misbehaved 16=Internal 17=FactorRemoved \
             18=FactorMissing"
        );
        let closes: Vec<String> =
            CloseCode::ALL.iter().map(|code| format!("{}={code:?}", code.number())).collect();
        assert_eq!(
            closes.join(" "),
            "0=Done 1=Refused 2=TimedOut 3=Malformed 4=Version 5=Busy 6=Shutdown 7=Withdrawn 8=Internal"
        );
    }

    #[test]
    fn every_number_leads_back_and_has_a_sentence_of_its_own() {
        let mut sentences = std::collections::BTreeSet::new();
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_number(refusal.number()), Some(*refusal));
            assert!(sentences.insert(refusal.to_string()), "{refusal} is used twice");
        }
        for reason in EndReason::ALL {
            assert_eq!(EndReason::from_number(reason.number()), Some(*reason));
        }
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(Refusal::from_number(0), None);
        assert_eq!(EndReason::from_number(u16::MAX), None);
    }
}
