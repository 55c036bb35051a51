//! System calls of the real gateway that fail, fall short or hang.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};
use tests::{
    evidence::Evidence,
    faults::{Injection, needed},
    modbus::Tool,
    plant::{Auditor, Gateway},
    plc::{Manners, Plc},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

const SOON: Duration = Duration::from_secs(60);

/// A workshop whose gateway sends its alarms to the collector.
fn workshop(plc: &Plc) -> (Workshop, UdpSocket) {
    let workshop = Workshop::new(plc.address());
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(SOON)).unwrap();
    let syslog = format!("file = \"log/audit.jsonl\"\nsyslog = \"{}\"", collector.local_addr().unwrap());
    workshop.edit("gateway.toml", "file = \"log/audit.jsonl\"", &syslog).unwrap();
    (workshop, collector)
}

/// Waits for an alarm that contains `words`.
fn wait_for_alarm(collector: &UdpSocket, words: &str) -> String {
    let deadline = Instant::now() + SOON;
    let mut datagram = [0; 2048];
    while Instant::now() < deadline {
        let length = collector.recv(&mut datagram).expect("an alarm");
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        if text.contains(words) {
            return text;
        }
    }
    panic!("no alarm with {words:?}");
}

/// Reads and writes until the way is closed.
fn work(mut tool: Tool) {
    for value in 0.. {
        if tool.write_holding(100, value % 900).is_err() || tool.read_holding(100, 1).is_err() {
            return;
        }
    }
}

/// No byte reached the device that the recording does not have, and the
/// recording is not taken for an altered one.
fn nothing_unrecorded(workshop: &Workshop, plc: &Plc, fault: &str) {
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let verified = Auditor::of(workshop).verify(&recording).unwrap();
    assert_eq!(verified.code, Some(3), "{fault}: {verified}");
    let evidence = Evidence::open(workshop, &recording).unwrap();
    let (recorded, received) = (&evidence.channels()[0].to_device, &plc.log().connections[0].received);
    assert!(
        recorded.starts_with(received),
        "{fault}: {} recorded, {} received",
        recorded.len(),
        received.len()
    );
}

#[test]
fn a_call_that_fails_ends_the_session_and_not_the_gateway() {
    for (call, what) in [
        ("pwrite64", "error=EIO:when=7"),
        ("pwrite64", "error=ENOSPC:when=12"),
        ("pwrite64", "error=EIO:when=1"),
        ("fdatasync", "error=EIO:when=5"),
        ("fdatasync", "error=ENOSPC:when=1"),
    ] {
        let fault = format!("{call} {what}");
        let plc = Plc::start(Manners::Proper);
        let (workshop, collector) = workshop(&plc);
        let mut gateway = Gateway::ready(&workshop).unwrap();
        let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
        let mut tool = Tool::connect(connection.address()).unwrap();
        assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![650]));
        let pid = gateway.process().id();
        let [recording] = workshop.recordings().unwrap().try_into().unwrap();
        let injection = Injection::attach(pid, call, what, &recording, &workshop.path("strace.log"));
        let Some(injection) = needed("injected", injection) else { return };
        work(tool);
        assert!(plc.wait_until(SOON, |log| log.connections.iter().all(|one| one.ended)), "{fault}");
        let finished = connection.finish().unwrap();
        assert!(finished.all().contains("recording failed"), "{fault}: {finished}");
        wait_for_alarm(&collector, "is cut, its recording failed");
        gateway.wait_for_event(&["recorder_failed"]).unwrap();
        // A failed call is not tried again on that file: strace saw it once.
        assert_eq!(injection.detach().unwrap(), 1, "{fault}");
        assert!(gateway.process().alive(), "{fault}");
        nothing_unrecorded(&workshop, &plc, &fault);
        gateway.terminate().unwrap().expect_code(0).unwrap();
    }
}

#[test]
fn a_sync_that_hangs_ends_the_session_and_is_told_of() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, collector) = workshop(&plc);
    let mut gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let tool = Tool::connect(connection.address()).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let what = format!("delay_enter={}:when=3", HANGS.as_micros());
    let (pid, log) = (gateway.process().id(), workshop.path("strace.log"));
    let injection = Injection::attach(pid, "fdatasync", &what, &recording, &log);
    let Some(injection) = needed("injected", injection) else { return };
    let began = Instant::now();
    work(tool);
    wait_for_alarm(&collector, "is cut, its recording failed: a sync has not returned for 5 s");
    assert!(plc.wait_until(SOON, |log| log.connections.iter().all(|one| one.ended)));
    let finished = connection.finish().unwrap();
    assert!(finished.all().contains("recording failed"), "{finished}");
    assert!(began.elapsed() < HANGS, "the end waited for the disk");
    // Not tried again, not even to close the recording.
    nothing_unrecorded(&workshop, &plc, "a sync that hangs");
    // The alarm says that the fault was seen; strace tells of it when it ends.
    injection.detach().unwrap();
    gateway.terminate().unwrap().expect_code(0).unwrap();
}

/// How long a disk hangs; what is tested comes long before.
const HANGS: Duration = Duration::from_secs(30);

#[test]
fn a_write_that_hangs_stalls_no_kill_and_is_told_of() {
    let plc = Plc::start(Manners::Proper);
    let (workshop, collector) = workshop(&plc);
    let mut gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![650]));
    let listed = gateway.admin(&["sessions", "list", "--json"]).unwrap().expect_code(0).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    let session = listed["sessions"][0]["id"].as_str().unwrap();
    let what = format!("delay_enter={}:when=3", HANGS.as_micros());
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let (pid, log) = (gateway.process().id(), workshop.path("strace.log"));
    let injection = Injection::attach(pid, "pwrite64", &what, &recording, &log);
    let Some(injection) = needed("injected", injection) else { return };
    let began = Instant::now();
    // One after the other: the third write of an entry hangs the data path.
    let work = std::thread::spawn(move || work(tool));
    let still = || plc.log().connections[0].received.len();
    let mut seen = still();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        if std::mem::replace(&mut seen, still()) == seen && seen > 12 {
            break;
        }
        assert!(began.elapsed() < HANGS, "nothing hangs");
    }
    assert!(!plc.log().connections[0].ended, "a slow disk gets its time");
    gateway.admin(&["sessions", "kill", session]).unwrap().expect_code(0).unwrap();
    assert!(plc.wait_until(SOON, |log| log.connections.iter().all(|one| one.ended)));
    assert!(began.elapsed() < HANGS, "the kill waited for the disk");
    wait_for_alarm(&collector, "the disk has held a write of its recording for 5 s");
    assert!(began.elapsed() < HANGS, "the alarm waited for the disk");
    assert!(gateway.process().alive());
    work.join().unwrap();
    // The write comes back and counts as failed all the same.
    wait_for_alarm(&collector, "is cut, its recording failed: a write took longer than 5 s");
    assert!(injection.detach().unwrap() >= 1);
    nothing_unrecorded(&workshop, &plc, "a write that hangs");
    drop(connection);
    gateway.terminate().unwrap().expect_code(0).unwrap();
}
