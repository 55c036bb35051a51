//! Telling people without a disk, and making any text harmless.

use super::LONGEST_TEXT;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

/// Tells people without needing a disk.
#[derive(Debug, Clone, Default)]
pub struct Alarm {
    syslog: Option<(Arc<UdpSocket>, SocketAddr)>,
}

impl Alarm {
    /// An alarm that goes to the log only.
    pub fn to_log() -> Self {
        Self::default()
    }

    /// An alarm that goes to the log and to a syslog collector.
    pub fn to_syslog(collector: SocketAddr) -> std::io::Result<Self> {
        let any: SocketAddr =
            if collector.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        Ok(Self { syslog: Some((Arc::new(socket), collector)) })
    }

    /// Raises the alarm. It can't fail: a datagram that can't be sent is lost,
    /// the log line is not.
    pub fn raise(&self, text: &str) {
        let text = harmless(text);
        // The datagram first: the log may be a file on the disk that hangs.
        if let Some((socket, collector)) = &self.syslog {
            // Facility 10 (security), severity 1 (alert): RFC 5424, 6.2.1.
            let line = format!("<81>1 - - gatehouse-gateway - ALARM - {text}");
            if let Err(error) = socket.send_to(line.as_bytes(), collector) {
                tracing::warn!("the syslog collector {collector} can't be told: {error}");
            }
        }
        tracing::error!(target: "alarm", "{text}");
    }
}

/// Bounded, and without control characters or direction overrides that could
/// act on a terminal.
pub fn harmless(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        let start = safe.len();
        if is_acting(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
        if safe.len() > LONGEST_TEXT {
            safe.truncate(start);
            safe.push('…');
            break;
        }
    }
    safe
}

fn is_acting(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
