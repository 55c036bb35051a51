//! How the gateway ends: told once it drains, told twice it cuts.
//!
//! SIGTERM or SIGINT cancels `stop`: nobody new is let in, every session gets
//! the soft order to end and seals its recording. When all have, or when the
//! drain's deadline is over, or at the second signal, what is left is cut.

use crate::office::Office;
use crate::sessions::EndOrder;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two wishes of whoever stops the gateway.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Let nobody in and end what runs.
    pub drain: CancellationToken,
    /// Wait no longer.
    pub cut: CancellationToken,
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything ended by itself.
    Whole,
    /// Something was cut.
    Cut,
}

/// Turns signals into wishes until `over` is cancelled.
///
/// # Errors
/// When the signals can't be listened to.
pub async fn on_signals(stop: Stop, over: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            () = over.cancelled() => return Ok(()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.drain.is_cancelled() {
            tracing::warn!("told to stop again: what still runs is cut");
            stop.cut.cancel();
        } else {
            tracing::info!("told to stop: letting sessions end");
            stop.drain.cancel();
        }
    }
}

/// Serves until it is over by itself or drained.
pub async fn drain(serving: impl Future<Output = ()>, office: &Office, stop: &Stop) -> Drained {
    let patience: Duration = office.config.limits.drain_deadline;
    let enough = async {
        stop.drain.cancelled().await;
        let sessions = office.registry.end_all(EndOrder::Shutdown);
        tracing::info!("{sessions} sessions were told to end");
        tokio::select! {
            () = tokio::time::sleep(patience) => {}
            () = stop.cut.cancelled() => {}
        }
    };
    tokio::select! {
        biased;
        () = serving => Drained::Whole,
        () = enough => {
            let left = office.registry.sessions().len();
            office.audit.alarm().raise(&format!("stopping now: {left} sessions had to be cut"));
            Drained::Cut
        }
    }
}
