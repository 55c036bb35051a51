//! What can happen to a session.

use crate::ending::EndCause;
use crate::presence::Due;
use authz::{Assurance, Limits, Mode, Terms};
use bytes::Bytes;
use dissect::Protocol;
use jiff::Timestamp;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes that one [`Input::FromClient`] or [`Input::FromDevice`] may
/// carry. More closes the channel.
pub const PIECE: usize = 64 * 1024;

/// What a session begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the person may do.
    pub terms: Arc<Terms>,
    /// What the target is spared.
    pub limits: Limits,
    /// How durably the session is recorded.
    pub mode: Mode,
    /// Where the technician's connection comes from.
    pub source: IpAddr,
    /// How the person signed in.
    pub assurance: Assurance,
    /// Wall time at the session's start, when `now` was zero.
    pub started: Timestamp,
    /// When the session has to end whatever the terms become, since its
    /// start. The terms' own end and the limit on its length apply besides.
    pub expires: Duration,
    /// Why it ends then.
    pub expires_by: EndCause,
}

/// Whose doing something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The technician's tool or the line to it.
    Client,
    /// The device or the line to it.
    Device,
    /// The gateway's own decision.
    Gateway,
}

impl fmt::Display for By {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Client => "client",
            Self::Device => "device",
            Self::Gateway => "gateway",
        })
    }
}

/// One thing that happened. Inputs for a channel that is not there (any more)
/// are ignored: closing and arriving may cross.
#[derive(Debug, Clone)]
pub enum Input {
    /// The client asks for a channel to a service of the target. The service
    /// has been looked up in the inventory.
    OpenChannel {
        /// The channel's number, new within the session.
        channel: u32,
        /// The service's name in the inventory.
        service: String,
        /// The device's port.
        port: u16,
        /// How the service is understood.
        protocol: Protocol,
    },
    /// The connection that [`crate::Action::Dial`] asked for stands.
    DeviceConnected {
        /// The channel.
        channel: u32,
    },
    /// It could not be made.
    DeviceUnreachable {
        /// The channel.
        channel: u32,
        /// Why, in plain words.
        text: String,
    },
    /// Bytes from the technician's tool, at most [`PIECE`].
    FromClient {
        /// The channel.
        channel: u32,
        /// The bytes.
        bytes: Bytes,
    },
    /// Bytes from the device, at most [`PIECE`].
    FromDevice {
        /// The channel.
        channel: u32,
        /// The bytes.
        bytes: Bytes,
    },
    /// The tool will send nothing more.
    ClientFinished {
        /// The channel.
        channel: u32,
    },
    /// The device will send nothing more.
    DeviceFinished {
        /// The channel.
        channel: u32,
    },
    /// One side of the channel broke.
    ChannelBroken {
        /// The channel.
        channel: u32,
        /// Whose side.
        by: By,
        /// How, in plain words.
        text: String,
    },
    /// All that was recorded before [`crate::Action::Sync`] with this ticket,
    /// or an earlier one, is on stable storage.
    Durable {
        /// The ticket.
        ticket: u64,
    },
    /// Nothing but the time: [`crate::Core::next_timer`] was reached.
    Timer,
    /// The grant was compiled anew.
    NewTerms(Arc<Terms>),
    /// The technician's address changed.
    PathChanged(IpAddr),
    /// The person has to show the second factor again: until
    /// [`Input::Resume`] no request passes, and nothing else changes.
    Pause(Due),
    /// The person has shown it.
    Resume,
    /// The session shall end softly after this long, with the usual warnings.
    /// Never puts off an end that is nearer.
    EndIn {
        /// Why.
        cause: EndCause,
        /// From now.
        within: Duration,
    },
    /// The session shall end now, hard or softly as the cause demands.
    /// [`EndCause::RecorderFailed`] is always heard, also after the end.
    End(EndCause),
}
