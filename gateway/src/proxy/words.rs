//! From one room's words to the next one's: what a line heard as the core's
//! input, the core's cause of an end as the protocol's.

use super::line::Heard;
use session::{By, EndCause, Input};
use wire::EndReason;

pub(super) fn input(channel: u32, heard: Heard) -> Input {
    match heard {
        Heard::Connected => Input::DeviceConnected { channel },
        Heard::Unreachable(error) => Input::DeviceUnreachable { channel, text: error.to_string() },
        Heard::FromClient(bytes) => Input::FromClient { channel, bytes },
        Heard::ClientFinished => Input::ClientFinished { channel },
        Heard::ClientBroken => {
            let text = "the tool's stream was cut".to_owned();
            Input::ChannelBroken { channel, by: By::Client, text }
        }
        Heard::FromDevice(bytes) => Input::FromDevice { channel, bytes },
        Heard::DeviceFinished => Input::DeviceFinished { channel },
        Heard::DeviceBroken(error) => {
            Input::ChannelBroken { channel, by: By::Device, text: error.to_string() }
        }
    }
}

pub(super) fn reason(cause: EndCause) -> EndReason {
    match cause {
        EndCause::ClientClosed => EndReason::ClientClosed,
        EndCause::Killed => EndReason::Killed,
        EndCause::CertificateRevoked => EndReason::CertificateRevoked,
        EndCause::CertificateExpired => EndReason::CertificateExpired,
        EndCause::PersonDisabled => EndReason::PersonDisabled,
        EndCause::FactorRemoved => EndReason::FactorRemoved,
        EndCause::FactorMissing => EndReason::FactorMissing,
        EndCause::RecorderFailed | EndCause::SpaceRanOut => EndReason::RecorderFailed,
        EndCause::GrantExpired => EndReason::GrantExpired,
        EndCause::WindowClosed => EndReason::WindowClosed,
        EndCause::PolicyNarrowed => EndReason::PolicyNarrowed,
        EndCause::PolicyFailed => EndReason::PolicyFailed,
        EndCause::Shutdown => EndReason::Shutdown,
        EndCause::Idle => EndReason::Idle,
        EndCause::SignInLost => EndReason::SignInLost,
        EndCause::PathForbidden => EndReason::PathForbidden,
        EndCause::Misbehaved => EndReason::Misbehaved,
        EndCause::Internal => EndReason::Internal,
    }
}
