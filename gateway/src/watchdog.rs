//! Looks at the data path from outside.
//!
//! The data path is one thread, and it writes recordings itself. A disk that
//! hangs under such a write, or anything else that keeps the thread, must not
//! keep a kill from working and must not stay unnoticed. The watchdog has a
//! thread of its own, touches no disk, and looks ten times a second:
//!
//! - a hard order that a session has not obeyed within half a second is
//!   carried out by cutting the session's connections;
//! - a write to a recording that does not come back is condemned: the
//!   connections are cut, an alarm is raised, and the recording counts as
//!   failed even if the write ever returns;
//! - a data path that gives no sign of life is told of, and all connections
//!   to devices are cut.
//!
//! It counts its own looks instead of reading a clock, so that a machine that
//! was suspended is not taken for a disk that hangs.

use crate::audit::Alarm;
use crate::names::SessionId;
use crate::office::Office;
use crate::sessions::{EndOrder, Registry};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until a hard order must have been obeyed: 0.5 s.
const OBEYED_WITHIN: u32 = 5;

/// Looks until a write must have come back, and until a sign of life is
/// overdue: 5 s.
const PATIENCE: u32 = 50;

/// The data path's sign of life.
#[derive(Debug, Default)]
pub struct Heartbeat(AtomicU64);

impl Heartbeat {
    /// Beats until it is dropped, on the runtime that is watched.
    pub async fn beat(&self) -> Infallible {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What it has seen so far.
#[derive(Debug, Default)]
pub struct Watchdog {
    beat: Unchanged<u64>,
    sessions: BTreeMap<SessionId, Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    order: Unchanged<bool>,
    write: Unchanged<Option<u64>>,
}

/// How often the same was seen in a row.
#[derive(Debug, Default)]
struct Unchanged<T> {
    seen: T,
    looks: u32,
}

impl<T: PartialEq> Unchanged<T> {
    /// Whether this is just the look at which patience ends.
    fn overdue(&mut self, seen: T, patience: u32) -> bool {
        self.looks = if self.seen == seen { self.looks.saturating_add(1) } else { 0 };
        self.seen = seen;
        self.looks == patience
    }
}

/// Watches until told to stop.
pub async fn watch(office: &Office, stop: CancellationToken) {
    let mut watchdog = Watchdog::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => watchdog.look(&office.registry, &office.heartbeat, office.audit.alarm()),
        }
    }
}

impl Watchdog {
    /// One look.
    pub fn look(&mut self, registry: &Registry, heartbeat: &Heartbeat, alarm: &Alarm) {
        let sessions = registry.watched();
        self.sessions.retain(|id, _| sessions.iter().any(|session| session.id == *id));
        for session in sessions {
            let watched = self.sessions.entry(session.id).or_default();
            let hard = session.order.as_ref().is_some_and(EndOrder::is_hard);
            if watched.order.overdue(hard, OBEYED_WITHIN) && hard {
                let count = session.cutter.cut();
                tracing::warn!(session = %session.id, "an order was not obeyed in time: {count} connections cut");
            }
            let Some(pulse) = &session.pulse else { continue };
            let write = pulse.under_way();
            if watched.write.overdue(write, PATIENCE) && write.is_some() {
                pulse.condemn();
                session.cutter.cut();
                let id = session.id;
                alarm.raise(&format!(
                    "session {id} is cut: the disk has held a write of its recording for 5 s"
                ));
            }
        }
        if self.beat.overdue(heartbeat.0.load(Ordering::Relaxed), PATIENCE) {
            let count = registry.end_all(EndOrder::StoodStill);
            alarm.raise(&format!("the data path has stood still for 5 s: {count} sessions are cut"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{session_info, sign_in};
    use crate::record::Pulse;
    use crate::sessions::{Bounds, SessionPlace, SignInPlace};
    use std::io::Read;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::sync::Arc;

    /// One session with a connection to a device.
    struct Scene {
        registry: Registry,
        _sign_in: SignInPlace,
        place: SessionPlace,
        _near: (TcpStream, crate::cutter::Held),
        device: TcpStream,
        heartbeat: Heartbeat,
        watchdog: Watchdog,
        collector: UdpSocket,
        alarm: Alarm,
    }

    fn scene() -> Scene {
        let registry = Registry::new(Bounds { sessions: 3, sessions_per_person: 3 });
        let sign_in = registry.sign_in(sign_in("tech-1@vendor-a"));
        let place = registry.register(sign_in.id, session_info(1, "tech-1@vendor-a")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let device = listener.accept().unwrap().0;
        device.set_nonblocking(true).unwrap();
        let held = place.cutter.hold(&near).unwrap();
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        collector.set_nonblocking(true).unwrap();
        let alarm = Alarm::to_syslog(collector.local_addr().unwrap()).unwrap();
        Scene {
            registry,
            _sign_in: sign_in,
            place,
            _near: (near, held),
            device,
            heartbeat: Heartbeat::default(),
            watchdog: Watchdog::default(),
            collector,
            alarm,
        }
    }

    /// What the data path does between two looks.
    enum Path {
        Alive,
        Still,
    }

    impl Scene {
        fn look(&mut self, times: u32, path: &Path) {
            for _ in 0..times {
                if matches!(path, Path::Alive) {
                    self.heartbeat.0.fetch_add(1, Ordering::Relaxed);
                }
                self.watchdog.look(&self.registry, &self.heartbeat, &self.alarm);
            }
        }

        fn device_was_reset(&mut self) -> bool {
            match self.device.read(&mut [0; 1]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => true,
                other => panic!("{other:?}"),
            }
        }

        fn alarms(&self) -> Vec<String> {
            let mut texts = Vec::new();
            let mut datagram = [0; 1024];
            while let Ok(length) = self.collector.recv(&mut datagram) {
                texts.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
            }
            texts
        }
    }

    #[test]
    fn a_kill_that_the_session_can_not_obey_is_carried_out_within_a_second() {
        let mut scene = scene();
        let order = EndOrder::Killed { by: "uid 0".to_owned() };
        scene.look(3, &Path::Still);
        scene.registry.end_session(scene.place.id, order).unwrap();
        scene.look(5, &Path::Still);
        assert!(!scene.device_was_reset(), "the session gets its time");
        scene.look(1, &Path::Still);
        assert!(scene.device_was_reset());
        assert!(LOOK_EVERY * (OBEYED_WITHIN + 1) < Duration::from_secs(1));
    }

    #[test]
    fn a_soft_order_is_the_session_s_own_business() {
        let mut scene = scene();
        scene.registry.end_all(EndOrder::Shutdown);
        scene.look(100, &Path::Alive);
        assert!(!scene.device_was_reset());
        assert_eq!(scene.alarms(), Vec::<String>::new());
    }

    #[test]
    fn a_write_that_hangs_is_condemned_once_and_an_alarm_goes_out_without_a_disk() {
        let mut scene = scene();
        let pulse = Arc::new(Pulse::default());
        scene.place.watch(&pulse);
        scene.look(100, &Path::Alive);
        assert!(!scene.device_was_reset());
        let (into, out) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel());
        let hanging = std::thread::spawn({
            let pulse = Arc::clone(&pulse);
            move || {
                pulse
                    .around(|| {
                        out.0.send(()).unwrap();
                        into.1.recv().unwrap()
                    })
                    .is_err()
            }
        });
        out.1.recv().unwrap();
        scene.look(PATIENCE, &Path::Alive);
        assert!(!scene.device_was_reset(), "a slow disk gets its time");
        scene.look(1, &Path::Alive);
        assert!(scene.device_was_reset());
        scene.look(100, &Path::Alive);
        let alarms = scene.alarms();
        assert_eq!(alarms.len(), 1, "{alarms:?}");
        assert!(alarms[0].contains("the disk has held a write"), "{alarms:?}");
        into.0.send(()).unwrap();
        assert!(hanging.join().unwrap(), "a condemned write counts as failed");
    }

    #[test]
    fn a_data_path_that_stands_still_is_told_of_and_everything_is_cut() {
        let mut scene = scene();
        scene.look(200, &Path::Alive);
        assert!(scene.alarms().is_empty());
        scene.look(PATIENCE + OBEYED_WITHIN + 2, &Path::Still);
        assert!(scene.device_was_reset());
        let alarms = scene.alarms();
        assert!(alarms.len() == 1 && alarms[0].contains("stood still"), "{alarms:?}");
        assert_eq!(*scene.place.order.borrow(), Some(EndOrder::StoodStill));
    }
}
