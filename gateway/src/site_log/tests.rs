//! The log's thread, the gaps of the order, and what a failure does.

use super::recovery::Recovery;
use super::*;
use crate::fixture::{Plant, noon, sign_in};
use crate::names::{Handle, TargetId};
use crate::rounds::Rounds;
use crate::sessions::{EndOrder, SignIn};
use crate::state::SessionRow;
use recording::log::{Account, Finding, Gap, Happening, KeyRole, LogVerdict, Recovered, Told, read_log};
use recording::{FileStorage, Mode, Moment, Opening, Writer};
use std::fs;

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn read(plant: &Plant) -> Ledger {
    let key = plant.config().unwrap().recording.signing_key;
    let mut ledger = Ledger::default();
    let file = fs::File::open(plant.path("state/site.log")).unwrap();
    let (report, _) = read_log(file, key.public(), |number, entry| ledger.take(number, entry)).unwrap();
    assert_eq!(report.verdict, LogVerdict::Sound);
    ledger
}

fn account(plant: &Plant, number: u8) -> Account {
    read(plant).sessions.get(&Pseudonym::of(&[number; 16])).cloned().unwrap_or_default()
}

fn recovered(plant: &Plant, number: u8) -> Recovered {
    account(plant, number).recovered.unwrap().1
}

/// A recording as the gateway makes one, its header synced.
fn recording(office: &Office, number: u8) -> Writer<FileStorage> {
    let settings = &office.config.recording;
    let path = settings.dir.join(crate::record::file_name(id(number)));
    let opening = Opening {
        session: id(number).to_bytes(),
        mode: Mode::Default,
        log: office.log.position(),
        started_wall: office.clock.wall(),
        started_mono: Duration::ZERO,
        recipients: &settings.recipients,
        signer: Arc::clone(&settings.signing_key),
        reserve: 0,
    };
    Writer::create(FileStorage::create(&path).unwrap(), opening).unwrap()
}

fn start(office: &Office, number: u8, writer: &Writer<FileStorage>) {
    let session = Pseudonym::of(&[number; 16]);
    let entry = LogEntry::SessionStarted { session, header: writer.header_hash() };
    office.log.commit_blocking(entry).unwrap();
}

fn seal(writer: Writer<FileStorage>) -> recording::Sealed {
    writer.finish(Moment { wall: noon(), at: Duration::from_secs(1) }, "over").unwrap()
}

fn end(office: &Office, number: u8, sealed: &recording::Sealed) {
    let entry = LogEntry::SessionEnded {
        session: Pseudonym::of(&[number; 16]),
        leaves: sealed.position.frames,
        root: sealed.root,
        bytes: sealed.position.bytes,
    };
    office.log.commit_blocking(entry).unwrap();
}

#[test]
fn each_gap_of_the_order_is_recovered_once_and_no_recording_is_touched() {
    let plant = Plant::new();
    let office = plant.office();
    // Header synced, start not logged.
    let _unlogged = recording(&office, 1);
    // Start logged, no end.
    let broken_off = recording(&office, 2);
    start(&office, 2, &broken_off);
    // Sealed, end not logged.
    let unended = recording(&office, 3);
    start(&office, 3, &unended);
    seal(unended);
    // End logged, receipt not given: the index has no end.
    let ungiven = recording(&office, 4);
    start(&office, 4, &ungiven);
    end(&office, 4, &seal(ungiven));
    let row = SessionRow {
        id: id(4),
        person: Handle::parse("tech-1@vendor-a").unwrap(),
        target: TargetId::parse("press-line/plc7").unwrap(),
        source: [192, 0, 2, 1].into(),
        started: noon(),
        policy: [0; 32],
        recording: crate::record::file_name(id(4)),
    };
    office.state.session_started(&row).unwrap();
    // All in order.
    let whole = recording(&office, 5);
    start(&office, 5, &whole);
    end(&office, 5, &seal(whole));
    // Start logged, file gone.
    let gone = recording(&office, 6);
    start(&office, 6, &gone);
    fs::remove_file(plant.path("recordings").join(crate::record::file_name(id(6)))).unwrap();
    // Another log's recording is another's business.
    fs::write(plant.path("recordings/note.txt"), "not a recording").unwrap();
    office.log.close().unwrap();
    drop(office);
    let content = || {
        let listed = fs::read_dir(plant.path("recordings")).unwrap();
        let mut files: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = content();

    let office = plant.office();
    office.log.close().unwrap();
    assert_eq!(content(), before);
    for (number, gap, finding) in [
        (1, Gap::NoStart, Finding::Unclean),
        (2, Gap::NoEnd, Finding::Unclean),
        (3, Gap::EndNotLogged, Finding::Clean),
        (4, Gap::ReceiptNotGiven, Finding::Clean),
        (6, Gap::NoEnd, Finding::Missing),
    ] {
        let found = recovered(&plant, number);
        assert_eq!((found.gap, found.finding), (gap, finding), "session {number}");
        if finding != Finding::Missing {
            let file = plant.path("recordings").join(crate::record::file_name(id(number)));
            let content = fs::read(file).unwrap();
            assert_eq!((found.bytes, found.hash), (content.len() as u64, recording::log::hash_of(&content)));
            assert!(found.signed_bytes > 0 && found.signed_bytes <= found.bytes);
        }
    }
    assert!(account(&plant, 5).recovered.is_none());
    drop(office);
    let size = fs::metadata(plant.path("state/site.log")).unwrap().len();
    let office = plant.office();
    office.log.close().unwrap();
    assert_eq!(fs::metadata(plant.path("state/site.log")).unwrap().len(), size, "once is enough");
}

/// It may be changed by a write that comes back: no hash of it is of worth.
#[test]
fn a_recording_that_the_disk_may_still_change_is_entered_at_the_next_start() {
    let plant = Plant::new();
    let office = plant.office();
    let (hangs, failed) = (recording(&office, 1), recording(&office, 2));
    start(&office, 1, &hangs);
    start(&office, 2, &failed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (number, sealed) in [(1, Seal::Unknown), (2, Seal::Failed)] {
        let tally =
            Tally { operations: 0, denied: 0, outcome: String::new(), sealed, receipt: None, log_head: None };
        let told = runtime.block_on(super::account(&office, id(number), tally));
        assert_eq!(told.log_head.is_some(), sealed == Seal::Failed);
    }
    assert!(account(&plant, 1).is_open());
    assert_eq!(recovered(&plant, 2).finding, Finding::Unclean);
    // The disk comes back.
    seal(hangs);
    office.log.close().unwrap();
    drop(office);
    plant.office().log.close().unwrap();
    let found = recovered(&plant, 1);
    assert_eq!((found.gap, found.finding), (Gap::EndNotLogged, Finding::Clean));
}

#[test]
fn nothing_left_is_nothing_to_do() {
    let plant = Plant::new();
    let found =
        Recovery::find(&Ledger::default(), &plant.path("recordings"), "gatehouse/log/none", &[]).unwrap();
    let office = plant.office();
    let mut found = found;
    assert_eq!(found.step(&office), Ok(false));
}

#[test]
fn what_is_committed_is_under_the_head_that_is_handed_out() {
    let plant = Plant::new();
    let office = plant.office();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = office.log.position().size;
    let session = Pseudonym::of(&[9; 16]);
    runtime.block_on(office.log.commit(LogEntry::SessionStarted { session, header: [1; 32] })).unwrap();
    let position = office.log.position();
    assert!(position.size > before);
    let head = recording::log::LogHead::unverified(&office.log.head()).unwrap();
    assert_eq!((head.size, head.root), (position.size, position.root));
    // It is in the file, read by somebody else, right now.
    assert!(account(&plant, 9).started.is_some());
    let mut handed = HandedOut::default();
    assert!(handed.due(Duration::ZERO, &office.log).is_some(), "the first one at once");
    assert!(handed.due(Duration::from_secs(60), &office.log).is_none(), "it has that one");
    office.log.commit_blocking(LogEntry::Heartbeat { sessions: 0 }).unwrap();
    assert!(handed.due(Duration::from_secs(1), &office.log).is_none(), "not so soon");
    assert!(handed.due(Duration::from_secs(11), &office.log).is_some());
}

#[test]
fn many_at_once_share_heads_and_none_is_lost() {
    let plant = Plant::new();
    let office = plant.office();
    let log = &office.log;
    std::thread::scope(|scope| {
        for number in 0..4_u8 {
            scope.spawn(move || {
                for step in 0..50_u8 {
                    let mut session = [number; 16];
                    session[0] = step;
                    let session = Pseudonym::of(&session);
                    log.commit_blocking(LogEntry::SessionStarted { session, header: [1; 32] }).unwrap();
                }
            });
        }
    });
    office.log.close().unwrap();
    assert_eq!(read(&plant).sessions.len(), 200);
}

#[test]
fn after_a_failure_nothing_is_entered_and_everything_is_told_to_end_softly() {
    let plant = Plant::new();
    let office = plant.office();
    let person = Handle::parse("tech-1@vendor-a").unwrap();
    let sign_in = office.registry.sign_in(sign_in("tech-1@vendor-a"));
    // The start's own entries are in, so that what comes after the failure is told from them.
    office.log.commit_blocking(LogEntry::Heartbeat { sessions: 0 }).unwrap();
    let size = office.log.position().size;
    office.log.queue.fail(&LogFailed::Slow);
    assert!(office.log.commit_blocking(LogEntry::GatewayStopped).is_err());
    assert!(office.log.enter(LogEntry::GatewayStopped).is_err());
    // What must be accounted for is refused by whoever asks the audit.
    let event = office.audit.event(crate::audit::Kind::SignedIn).person(&person);
    assert!(office.audit.write(&event).is_err());
    // A session's own events have no entry and still have their line.
    assert!(office.audit.write(&office.audit.event(crate::audit::Kind::SessionEnded)).is_ok());
    assert_eq!(office.log.position().size, size);
    Rounds::default().go(&office);
    assert_eq!(*sign_in.order.borrow(), Some(EndOrder::LogFailed));
}

#[test]
fn an_event_is_an_entry_with_the_hash_of_its_line() {
    let plant = Plant::new();
    let office = plant.office();
    let event = office.audit.event(crate::audit::Kind::SessionRefused).why("no rule allows it");
    office.audit.write(&event).unwrap();
    office.log.close().unwrap();
    let text = fs::read_to_string(plant.path("state/audit.jsonl")).unwrap();
    let line = text.lines().last().unwrap();
    let told = Told(recording::log::hash_of(line.as_bytes()));
    let expected = LogEntry::Event { what: Happening::SessionRefused, count: 1, told };
    let mut entries = Vec::new();
    let key = plant.config().unwrap().recording.signing_key;
    let file = fs::File::open(plant.path("state/site.log")).unwrap();
    read_log(file, key.public(), |_, entry| entries.push(LogEntry::decode(entry).unwrap().1)).unwrap();
    assert_eq!(entries.last(), Some(&expected));
    let changed = line.replace("no rule", "a rule");
    assert_ne!(recording::log::hash_of(changed.as_bytes()), told.0);
}

#[test]
fn keys_and_policy_are_entered_when_they_change_and_not_again() {
    let plant = Plant::new();
    let office = plant.office();
    office.log.close().unwrap();
    drop(office);
    let first = read(&plant);
    assert_eq!(first.keys.len(), 5, "{:?}", first.keys);
    assert!(first.policy.is_some());
    let size = fs::metadata(plant.path("state/site.log")).unwrap().len();
    let office = plant.office();
    plant.write_crl(&[10], noon(), 60);
    let mut rounds = Rounds::default();
    rounds.go(&office);
    rounds.go(&office);
    office.log.close().unwrap();
    let second = read(&plant);
    let list = KeyRole::RevocationList;
    assert_ne!(second.keys[&list], first.keys[&list]);
    let grown = fs::metadata(plant.path("state/site.log")).unwrap().len() - size;
    assert!(grown < 600, "one entry and its head: {grown} bytes");
}

#[test]
fn the_gateway_tells_that_it_lives_every_ten_minutes() {
    let plant = Plant::new();
    let office = plant.office();
    office.log.commit_blocking(LogEntry::Heartbeat { sessions: 0 }).unwrap();
    let before = office.log.position().size;
    let mut rounds = Rounds::default();
    for _ in 0..1200 {
        rounds.go(&office);
    }
    office.log.close().unwrap();
    assert_eq!(office.log.position().size, before + 1);
}

/// Every entry of the log.
fn entries(plant: &Plant) -> Vec<LogEntry> {
    let key = plant.config().unwrap().recording.signing_key;
    let mut entries = Vec::new();
    let file = fs::File::open(plant.path("state/site.log")).unwrap();
    read_log(file, key.public(), |_, entry| entries.push(LogEntry::decode(entry).unwrap().1)).unwrap();
    entries
}

#[test]
fn a_ca_that_is_not_trusted_any_more_is_in_the_log_as_an_empty_file() {
    let plant = Plant::new();
    drop(plant.office());
    let plant = plant.without_pki();
    for _ in 0..2 {
        plant.office().log.close().unwrap();
    }
    let changes = |wanted: KeyRole| {
        let hash = |entry: &LogEntry| {
            let LogEntry::KeyChanged { role, hash } = entry else { return None };
            (*role == wanted).then_some(*hash)
        };
        entries(&plant).iter().filter_map(hash).collect::<Vec<_>>()
    };
    let empty = recording::log::hash_of(&[]);
    for role in [KeyRole::Authority, KeyRole::RevocationList] {
        let changes = changes(role);
        assert!(changes.len() == 2 && changes[0] != empty && changes[1] == empty, "{role:?}: {changes:?}");
    }
    // One that never was is not in it.
    let plant = Plant::new().without_pki();
    plant.office().log.close().unwrap();
    let is_ca = |entry: &LogEntry| matches!(entry, LogEntry::KeyChanged { role: KeyRole::Authority, .. });
    assert!(!entries(&plant).iter().any(is_ca));
}

#[test]
fn what_the_rounds_come_upon_is_in_the_log() {
    let plant = Plant::new();
    let office = plant.office();
    let certificate = plant.issue(10, crate::fixture::Purpose::Client, 30).certificate;
    let chain = vec![
        <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(
            certificate.as_bytes(),
        )
        .unwrap(),
    ];
    let entry = SignIn { chain, ..sign_in("tech-1@vendor-a") };
    let _sign_in = office.registry.sign_in(entry);
    let mut rounds = Rounds::default();
    rounds.go(&office);
    plant.write_crl(&[10], noon(), 60);
    rounds.go(&office);
    plant.write("crl.pem", "no list");
    rounds.go(&office);
    office.audit.stranger("handshake failed");
    office.audit.stranger("handshake failed");
    plant.clock.step_to(noon() + jiff::SignedDuration::from_hours(2));
    (0..1200).for_each(|_| rounds.go(&office));
    plant.write_policy("p, too, short\n");
    office.policy.apply("admin-1").unwrap_err();
    office.audit.settle();
    office.log.close().unwrap();
    // To be read by the configuration again.
    plant.write_crl(&[10], noon(), 60);
    let entries = entries(&plant);
    let events = |wanted: Happening| {
        let count = |entry: &LogEntry| {
            let LogEntry::Event { what, count, .. } = entry else { return None };
            (*what == wanted).then_some(*count)
        };
        entries.iter().filter_map(count).collect::<Vec<_>>()
    };
    assert_eq!(events(Happening::CertificateRevoked), [1]);
    assert_eq!(events(Happening::TlsRefused), [1]);
    assert_eq!(events(Happening::StrangersRefused), [2]);
    assert_eq!(events(Happening::PolicyRefused), [1]);
    let steps = entries.iter().filter(|entry| matches!(entry, LogEntry::ClockStepped { seconds: 7200, .. }));
    assert_eq!(steps.count(), 1, "{entries:?}");
    let beats = entries.iter().filter(|entry| matches!(entry, LogEntry::Heartbeat { sessions: 0 }));
    assert_eq!(beats.count(), 1, "{entries:?}");
    let list = KeyRole::RevocationList;
    let lists =
        entries.iter().filter(|entry| matches!(entry, LogEntry::KeyChanged { role, .. } if *role == list));
    assert_eq!(lists.count(), 2, "{entries:?}");
}

#[test]
fn a_list_that_lapses_is_in_the_log_and_so_are_lines_that_were_lost() {
    let plant = Plant::new();
    let office = plant.office();
    plant.advance_days(40);
    Rounds::default().go(&office);
    office.audit.tell(&office.audit.event(crate::audit::Kind::LinesLost).count(7));
    office.audit.settle();
    office.log.close().unwrap();
    let entries = entries(&plant);
    for (wanted, times) in [(Happening::CrlExpiry, 1), (Happening::LinesLost, 7)] {
        let there = |entry: &LogEntry| matches!(entry, LogEntry::Event { what, count, .. } if (*what, *count) == (wanted, times));
        assert_eq!(entries.iter().filter(|entry| there(entry)).count(), 1, "{wanted:?}");
    }
}

fn witnessed() -> Plant {
    let plant = Plant::new();
    plant.configure("[admin]", "[log]\ndir = \"state\"\nwitness = \"witness\"\n[admin]");
    plant
}

fn heads(plant: &Plant) -> Vec<PathBuf> {
    let listed = fs::read_dir(plant.path("witness")).unwrap();
    let mut files: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_witness_gets_the_last_head_and_keeps_an_older_log_from_going_on() {
    let plant = witnessed();
    fs::create_dir(plant.path("witness")).unwrap();
    let office = plant.office();
    office.log.close().unwrap();
    let last = office.log.head();
    drop(office);
    assert_eq!(fs::read_to_string(heads(&plant).last().unwrap()).unwrap(), last);
    let early = fs::read(plant.path("state/site.log")).unwrap();
    let office = plant.office();
    office.log.commit_blocking(LogEntry::GatewayStopped).unwrap();
    office.log.close().unwrap();
    drop(office);
    let late = fs::read(plant.path("state/site.log")).unwrap();

    // What the witness's own people can make up counts for nothing.
    plant.write("witness/99999999999999999999.checkpoint", "hello");
    let (log, rest) = last.split_once('\n').unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    plant.write("witness/99999999999999999998.checkpoint", &format!("{log}\n99999\n{rest}"));
    fs::write(plant.path("state/site.log"), &early).unwrap();
    let refused = Office::open_with(plant.config().unwrap(), plant.clock.clone()).unwrap_err().to_string();
    assert!(refused.contains("the witness knows a later history"), "{refused}");
    assert_eq!(fs::read(plant.path("state/site.log")).unwrap(), early, "nothing was written");
    fs::write(plant.path("state/site.log"), &late).unwrap();
    plant.office().log.close().unwrap();
}

#[test]
fn a_witness_that_is_not_there_is_told_once_and_stops_nothing() {
    let plant = witnessed();
    let office = plant.office();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let told = loop {
        if let Some(told) = office.log.witness_trouble() {
            break told;
        }
        assert!(std::time::Instant::now() < deadline, "nobody was told");
        std::thread::yield_now();
    };
    assert!(told.contains("witness"), "{told}");
    assert_eq!(office.log.witness_trouble(), None, "once is enough");
    office.log.commit_blocking(LogEntry::GatewayStopped).unwrap();
    office.log.close().unwrap();
}

#[test]
fn a_witness_in_the_gateways_own_folders_is_none() {
    let plant = Plant::new();
    plant.configure("[admin]", "[log]\ndir = \"state\"\nwitness = \"recordings\"\n[admin]");
    let problems = plant.config().unwrap_err();
    assert!(problems.iter().any(|problem| problem.key.as_deref() == Some("[log] witness")), "{problems:?}");
    plant.configure("witness = \"recordings\"", "");
    plant.configure("dir = \"state\"\n\n[admin]", "dir = \"nowhere\"\n[admin]");
    let problems = plant.config().unwrap_err();
    assert!(problems.iter().any(|problem| problem.key.as_deref() == Some("[log] dir")), "{problems:?}");
}
