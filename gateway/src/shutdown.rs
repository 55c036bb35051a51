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
use tokio::signal::unix::{Signal, SignalKind, signal};
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

/// The signals that stop a gateway. From the moment this exists none of them
/// ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on, within a runtime.
    ///
    /// # Errors
    /// When the signals can't be listened to.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

/// Turns signals into wishes until `over` is cancelled.
pub async fn on_signals(mut signals: Signals, stop: Stop, over: CancellationToken) {
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            _ = signals.terminate.recv() => {}
            _ = signals.interrupt.recv() => {}
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
