use super::*;
use crate::clock::ManualClock;
use crate::fixture::noon;
use std::net::UdpSocket;

/// A disk that holds writes back or fails them on demand.
#[derive(Clone, Default)]
struct Disk(Arc<(Mutex<Platter>, Condvar)>);

#[derive(Default)]
struct Platter {
    lines: Vec<u8>,
    synced: usize,
    held: bool,
    failing: bool,
}

impl Disk {
    fn set(&self, change: impl FnOnce(&mut Platter)) {
        change(&mut lock(&self.0.0));
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(lock(&self.0.0).lines.clone()).unwrap()
    }

    fn synced(&self) -> usize {
        lock(&self.0.0).synced
    }

    /// The kinds of the whole lines.
    fn kinds(&self) -> Vec<String> {
        let kind = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(line["what"].as_str().map_or_else(|| line["event"].to_string(), str::to_owned))
        };
        self.text().lines().filter_map(kind).collect()
    }
}

impl Sink for Disk {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let held = |platter: &mut Platter| platter.held;
        let mut platter = self.0.1.wait_while(lock(&self.0.0), held).unwrap();
        if platter.failing {
            platter.lines.extend_from_slice(&line[..line.len() / 2]);
            return Err(io::Error::from_raw_os_error(28));
        }
        platter.lines.extend_from_slice(line);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut platter = lock(&self.0.0);
        platter.synced = platter.lines.len();
        Ok(())
    }
}

fn collector() -> (UdpSocket, Alarm) {
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let alarm = Alarm::to_syslog(collector.local_addr().unwrap()).unwrap();
    (collector, alarm)
}

fn heard(collector: &UdpSocket) -> String {
    let mut datagram = [0; 2048];
    let length = collector.recv(&mut datagram).unwrap();
    String::from_utf8_lossy(&datagram[..length]).into_owned()
}

fn lines(disk: &Disk, alarm: Alarm) -> Lines {
    let clock = Arc::new(ManualClock::at(noon()));
    Lines::start_on(disk.clone(), "audit.jsonl".to_owned(), clock, alarm, None).unwrap()
}

fn numbered(number: usize) -> Line {
    prepared(&Event::new(Kind::ChannelRefused, noon()).what(&number.to_string())).unwrap()
}

#[test]
fn a_disk_that_hangs_holds_nobody_up_who_only_tells_and_lets_nothing_happen_that_must_be_told_first() {
    let (collector, alarm) = collector();
    let disk = Disk::default();
    let lines = lines(&disk, alarm);
    disk.set(|disk| disk.held = true);
    // All of them return while the disk holds the first.
    (0..100).for_each(|number| lines.tell(numbered(number)));
    let slow = lines.write(numbered(100));
    assert_eq!(slow, Err("it has not taken a line within 5 s".to_owned()));
    // From now on nobody waits to hear that.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !lock(&lines.queue.desk).hangs() {
        assert!(Instant::now() < deadline, "its thread never began");
        std::thread::yield_now();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = lock(&lines.queue.desk).waiting.len();
    assert!(runtime.block_on(lines.commit(numbered(101))).is_err());
    assert_eq!(lock(&lines.queue.desk).waiting.len(), before, "it was not even put in");
    lines.look();
    lines.look();
    assert!(heard(&collector).contains("audit.jsonl: it has not taken a line within 5 s; 100 lines wait"));
    disk.set(|disk| disk.held = false);
    lines.settle();
    // Nothing is lost and nothing out of order when it comes back.
    assert_eq!(lines.write(numbered(102)), Ok(()));
    assert_eq!(disk.kinds(), (0..=100).chain([102]).map(|number| number.to_string()).collect::<Vec<_>>());
    lines.close().unwrap();
    collector.set_nonblocking(true).unwrap();
    assert!(collector.recv(&mut [0; 100]).is_err(), "once is enough");
}

#[test]
fn what_does_not_fit_is_lost_told_and_counted() {
    let (collector, alarm) = collector();
    let disk = Disk::default();
    let lines = lines(&disk, alarm);
    disk.set(|disk| disk.held = true);
    // One is in the thread's hands, or still waits.
    (0..WAITING + 10).for_each(|number| lines.tell(numbered(number)));
    assert!(lines.write(numbered(9999)).is_err());
    assert!(heard(&collector).contains("too many lines wait"));
    let lost = lock(&lines.queue.desk).lost;
    assert!((10..=11).contains(&lost), "{lost}");
    disk.set(|disk| disk.held = false);
    lines.close().unwrap();
    let kinds = disk.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "\"lines_lost\"").count(), 1);
    assert!(disk.text().contains(&format!("\"count\":{lost}")));
    assert_eq!(kinds.len() + usize::try_from(lost).unwrap(), WAITING + 10 + 1 + 1);
}

#[test]
fn a_line_that_fails_is_an_error_an_alarm_and_counted_by_the_next() {
    let (collector, alarm) = collector();
    let disk = Disk::default();
    let lines = lines(&disk, alarm);
    assert_eq!(lines.write(numbered(1)), Ok(()));
    disk.set(|disk| disk.failing = true);
    assert!(lines.write(numbered(2)).is_err());
    assert!(heard(&collector).contains("audit.jsonl: No space left on device"));
    lines.tell(numbered(3));
    assert!(lines.write(numbered(4)).is_err());
    disk.set(|disk| disk.failing = false);
    assert_eq!(lines.write(numbered(5)), Ok(()), "it is tried again");
    lines.close().unwrap();
    assert_eq!(disk.kinds(), ["1", "\"lines_lost\"", "5"]);
    assert!(disk.text().contains("\"count\":3"), "{}", disk.text());
    collector.set_nonblocking(true).unwrap();
    assert!(collector.recv(&mut [0; 100]).is_err(), "once is enough");
}

#[test]
fn what_was_told_is_written_and_synced_when_it_is_closed_and_nothing_after() {
    let disk = Disk::default();
    let lines = lines(&disk, Alarm::to_log());
    disk.set(|disk| disk.held = true);
    (0..50).for_each(|number| lines.tell(numbered(number)));
    let (shown, closed) = (
        disk.clone(),
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| lines.close());
            disk.set(|disk| disk.held = false);
            closing.join().unwrap()
        }),
    );
    assert_eq!(closed, Ok(()));
    assert_eq!(shown.kinds(), (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(shown.synced(), shown.text().len());
    assert!(lines.write(numbered(50)).is_err());
    assert_eq!(shown.kinds().len(), 50);
}

#[test]
fn a_sync_that_is_asked_for_comes_behind_what_was_told() {
    let disk = Disk::default();
    let lines = lines(&disk, Alarm::to_log());
    lines.tell(numbered(0));
    lines.ask_for_sync();
    let deadline = Instant::now() + Duration::from_secs(60);
    while disk.synced() == 0 {
        assert!(Instant::now() < deadline, "never synced");
        std::thread::yield_now();
    }
    assert_eq!(disk.synced(), disk.text().len());
}
