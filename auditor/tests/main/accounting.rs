//! `verify` with a site log and receipts: what is accounted for, what is
//! missing, and what was done to the log.

use crate::plant::{Called, Plant, event, moment, session};
use recording::log::{Finding, Gap, LogEntry, LogFile, LogWriter, Pseudonym, Receipt, Recovered, hash_of};
use recording::{Checkpoint, FileStorage, Sealed, Writer};
use std::fs;
use std::sync::Arc;

/// A plant whose site log is written to.
struct Logged {
    plant: Plant,
    log: LogWriter<LogFile>,
}

/// A session of it that runs.
struct Begun {
    name: String,
    writer: Writer<FileStorage>,
    session: Pseudonym,
    newest: Checkpoint,
}

impl Logged {
    fn new() -> Self {
        let plant = Plant::new();
        fs::create_dir(plant.path("log")).unwrap();
        let log = open(&plant);
        let mut logged = Self { plant, log };
        logged.enter(LogEntry::GatewayStarted { software: "gatehouse-gateway 1".to_owned() });
        logged
    }

    fn enter(&mut self, entry: LogEntry) {
        let at = moment(0).wall;
        self.log.append(&[(at, entry)], at).unwrap();
    }

    /// A recording whose start nobody entered.
    fn unlogged(&self, name: &str) -> Begun {
        let mut writer = self.plant.begin(name, self.log.newest().position.clone());
        let newest = writer.append_signed(&session(), moment(100)).unwrap();
        let session = Pseudonym::of(&writer.header().session);
        Begun { name: name.to_owned(), writer, session, newest }
    }

    fn begin(&mut self, name: &str) -> Begun {
        let begun = self.unlogged(name);
        let (session, header) = (begun.session, begun.writer.header_hash());
        self.enter(LogEntry::SessionStarted { session, header });
        begun
    }

    fn end(&mut self, session: Pseudonym, sealed: &Sealed) {
        self.enter(LogEntry::SessionEnded {
            session,
            leaves: sealed.position.frames,
            root: sealed.root,
            bytes: sealed.position.bytes,
        });
    }

    /// A session from beginning to end.
    fn whole(&mut self, name: &str) -> Sealed {
        let begun = self.begin(name);
        let sealed = begun.writer.finish(moment(200), "over").unwrap();
        self.end(begun.session, &sealed);
        sealed
    }

    /// The entry of a recording that broke off, as it is now.
    fn recover(&mut self, begun: &Begun) {
        let file = fs::read(self.plant.path(&begun.name)).unwrap();
        let report = recording::verify(std::io::Cursor::new(&file), self.plant.signer().public()).unwrap();
        let holed = report.could_be_a_power_failure();
        let signed = report.signed.unwrap();
        self.enter(LogEntry::SessionRecovered(Recovered {
            session: begun.session,
            header: report.header_hash.unwrap(),
            gap: Gap::NoEnd,
            finding: if holed { Finding::Holed } else { Finding::Unclean },
            signed_bytes: signed.bytes,
            signed_until: signed.time,
            bytes: report.length,
            hash: hash_of(&file),
        }));
    }

    fn receipt(&self, name: &str, session: Option<&str>) {
        let log = Some(self.log.newest().note.clone());
        let receipt = Receipt { session: session.map(str::to_owned), log };
        fs::write(self.plant.path(name), receipt.to_text()).unwrap();
    }

    fn verify(&self, words: &[&str]) -> Called {
        self.plant.call(&[&["verify", "--key", "@signing.pub", "--log", "@log"], words].concat())
    }
}

fn open(plant: &Plant) -> LogWriter<LogFile> {
    let file = LogFile::open(&plant.path("log/site.log")).unwrap();
    let existing = file.reader().unwrap();
    LogWriter::open(file, existing, Arc::clone(plant.signer()), moment(0).wall).unwrap().0
}

fn more() -> [recording::Entry; 1] {
    [event(120, recording::Event::Note { text: "more".to_owned() })]
}

#[test]
fn a_session_in_order_is_accounted_for_and_a_deleted_one_is_missed() {
    let mut logged = Logged::new();
    logged.whole("a.ghr");
    logged.whole("b.ghr");
    let called = logged.verify(&["@a.ghr", "@b.ghr"]);
    assert_eq!(called.code, 0, "{}", called.out);
    assert_eq!(called.out.matches("start and end are in the site log").count(), 2, "{}", called.out);
    assert_eq!(logged.verify(&["@a.ghr"]).code, 0, "the other one lies beside it");
    fs::remove_file(logged.plant.path("b.ghr")).unwrap();
    let called = logged.verify(&["@a.ghr"]);
    assert_eq!(called.code, 1, "{}", called.out);
    assert!(called.out.contains("MISSING"), "{}", called.out);
    assert_eq!(logged.verify(&["@a.ghr", "--excerpt"]).code, 0);
    // Another recording under its name is not it.
    fs::copy(logged.plant.path("a.ghr"), logged.plant.path("b.ghr")).unwrap();
    assert_eq!(logged.verify(&["@a.ghr"]).code, 1);
    let called = logged.verify(&["@a.ghr", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!((&found["log"]["missing_count"], &found["recordings"][0]["exit"]), (&1.into(), &0.into()));
}

#[test]
fn what_broke_off_is_uncertain_until_it_is_accounted_for_and_then_guarded_to_the_byte() {
    let mut logged = Logged::new();
    let mut begun = logged.begin("a.ghr");
    begun.writer.append(&more()).unwrap();
    assert_eq!(logged.verify(&["@a.ghr"]).code, 3);
    logged.recover(&begun);
    let called = logged.verify(&["@a.ghr"]);
    assert_eq!(called.code, 2, "{}", called.out);
    assert!(called.out.contains("it is complete until 2026-10-31T10:31:07.500+00:00"), "{}", called.out);
    let whole = fs::read(logged.plant.path("a.ghr")).unwrap();
    let written = usize::try_from(begun.writer.position().bytes).unwrap();
    // The frames that no checkpoint covers are guarded as well, and what was
    // reserved behind them.
    for place in [written - 1, written - 200, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        fs::write(logged.plant.path("a.ghr"), &changed).unwrap();
        assert_eq!(logged.verify(&["@a.ghr"]).code, 1, "byte {place}");
    }
    fs::write(logged.plant.path("a.ghr"), &whole[..written - 100]).unwrap();
    assert_eq!(logged.verify(&["@a.ghr"]).code, 1, "cut");
    assert_eq!(logged.plant.call(&["verify", "@a.ghr", "--key", "@signing.pub"]).code, 3, "by itself");
}

/// A recording that ran on: three checkpoints, and frames between them. Gives
/// where the first of these checkpoints ends and the last frame begins.
fn run_on(begun: &mut Begun) -> (usize, usize) {
    let first = begun.newest.position.bytes;
    begun.writer.append(&more()).unwrap();
    begun.writer.append_signed(&more(), moment(150)).unwrap();
    let last = begun.writer.append(&more()).unwrap().bytes;
    begun.newest = begun.writer.checkpoint(moment(180)).unwrap();
    (usize::try_from(first).unwrap(), usize::try_from(last).unwrap())
}

/// Writes zeros over the bytes between two checkpoints, as a power failure
/// leaves pages that it lost.
fn lose(plant: &Plant, name: &str, from: usize, to: usize) -> Vec<u8> {
    let mut content = fs::read(plant.path(name)).unwrap();
    content[from..to].fill(0);
    fs::write(plant.path(name), &content).unwrap();
    content
}

#[test]
fn what_a_power_failure_tore_is_unclean_as_the_recovery_found_it_and_nothing_else_is() {
    let mut logged = Logged::new();
    let mut begun = logged.begin("a.ghr");
    let (first, last) = run_on(&mut begun);
    let whole = fs::read(logged.plant.path("a.ghr")).unwrap();
    let holed = lose(&logged.plant, "a.ghr", first + 20, last);
    assert_eq!(logged.plant.call(&["verify", "@a.ghr", "--key", "@signing.pub"]).code, 1, "by itself");
    assert_eq!(logged.verify(&["@a.ghr"]).code, 1, "nobody has accounted for it");
    logged.recover(&begun);
    let called = logged.verify(&["@a.ghr"]);
    assert_eq!(called.code, 2, "{}", called.out);
    assert!(called.out.contains("unclean, as the recovery found it"), "{}", called.out);
    assert!(called.out.contains("it is complete until 2026-10-31T10:31:07.500+00:00"), "{}", called.out);
    assert_eq!(logged.plant.call(&["verify", "@a.ghr", "--key", "@signing.pub"]).code, 1, "by itself");

    // Whatever is done to it afterwards is found: what was lost put back, a
    // bit anywhere, a byte more, all of it cut off behind the checkpoint.
    let mut changed = vec![whole.clone(), [&holed[..], &[0]].concat(), holed[..first].to_vec()];
    for place in [first - 1, first + 19, first + 20, last - 1, last, holed.len() - 1] {
        let mut one = holed.clone();
        one[place] ^= 1;
        changed.push(one);
    }
    for (number, content) in changed.iter().enumerate() {
        fs::write(logged.plant.path("a.ghr"), content).unwrap();
        assert_eq!(logged.verify(&["@a.ghr"]).code, 1, "change {number}");
    }
    fs::write(logged.plant.path("a.ghr"), &holed).unwrap();
    assert_eq!(logged.verify(&["@a.ghr"]).code, 2);

    // Who did it himself, before the recovery, is found by a later checkpoint.
    logged.receipt("r.receipt", Some(&begun.newest.note));
    let called = logged.verify(&["@a.ghr", "--receipt", "@r.receipt"]);
    assert!(called.code == 1 && called.out.contains("it was cut"), "{}", called.out);
}

#[test]
fn a_hole_is_no_excuse_where_the_log_has_the_end_or_another_finding() {
    // Its end is in the log: all of it was on stable storage.
    let mut logged = Logged::new();
    let mut begun = logged.begin("a.ghr");
    let (first, last) = run_on(&mut begun);
    let Begun { name, writer, session, newest } = begun;
    let sealed = writer.finish(moment(200), "over").unwrap();
    logged.end(session, &sealed);
    lose(&logged.plant, &name, first + 20, last);
    let again = logged.plant.begin("other.ghr", logged.log.newest().position.clone());
    logged.recover(&Begun { name, writer: again, session, newest });
    assert_eq!(logged.verify(&["@a.ghr", "--excerpt"]).code, 1);

    // It was found altered otherwise: in front of any checkpoint.
    let mut logged = Logged::new();
    let begun = logged.begin("a.ghr");
    lose(&logged.plant, "a.ghr", 90, 100);
    let file = fs::read(logged.plant.path("a.ghr")).unwrap();
    let report = recording::verify(std::io::Cursor::new(&file), logged.plant.signer().public()).unwrap();
    assert!(!report.could_be_a_power_failure(), "{report:?}");
    for finding in [Finding::Altered, Finding::Holed] {
        logged.enter(LogEntry::SessionRecovered(Recovered {
            session: begun.session,
            header: report.header_hash.unwrap(),
            gap: Gap::NoEnd,
            finding,
            signed_bytes: 0,
            signed_until: moment(0).wall,
            bytes: report.length,
            hash: hash_of(&file),
        }));
        assert_eq!(logged.verify(&["@a.ghr"]).code, 1, "{finding:?}");
    }
    // Found to be unclean, and holed since.
    let mut logged = Logged::new();
    let mut begun = logged.begin("a.ghr");
    let (first, last) = run_on(&mut begun);
    logged.recover(&begun);
    assert_eq!(logged.verify(&["@a.ghr"]).code, 2);
    lose(&logged.plant, "a.ghr", first + 20, last);
    assert_eq!(logged.verify(&["@a.ghr"]).code, 1);
}

#[test]
fn a_recording_that_is_not_as_the_log_has_it_was_cut_or_replaced() {
    let mut logged = Logged::new();
    let begun = logged.begin("a.ghr");
    let name = logged.plant.path("a.ghr");
    let unfinished = fs::read(&name).unwrap();
    let sealed = begun.writer.finish(moment(200), "over").unwrap();
    logged.end(begun.session, &sealed);
    assert_eq!(logged.verify(&["@a.ghr"]).code, 0);
    fs::write(&name, unfinished).unwrap();
    let called = logged.verify(&["@a.ghr"]);
    assert_eq!(called.code, 1, "{}", called.out);
    assert!(called.out.contains("it was cut or replaced"), "{}", called.out);
}

#[test]
fn a_recording_that_the_log_does_not_know_is_uncertain_until_the_gateway_was_started_again() {
    let mut logged = Logged::new();
    logged.whole("a.ghr");
    let begun = logged.unlogged("b.ghr");
    begun.writer.finish(moment(200), "over").unwrap();
    let called = logged.verify(&["@a.ghr", "@b.ghr"]);
    assert_eq!(called.code, 3, "{}", called.out);
    logged.enter(LogEntry::GatewayStarted { software: "gatehouse-gateway 1".to_owned() });
    let called = logged.verify(&["@a.ghr", "@b.ghr"]);
    assert_eq!(called.code, 1, "{}", called.out);
    assert!(called.out.contains("does not know of it"), "{}", called.out);
}

#[test]
fn receipts_tell_a_log_that_was_cut_rewritten_or_replaced() {
    let mut logged = Logged::new();
    logged.whole("a.ghr");
    let early = fs::read(logged.plant.path("log/site.log")).unwrap();
    logged.receipt("early.receipt", None);
    logged.whole("b.ghr");
    logged.receipt("late.receipt", None);
    let late = fs::read(logged.plant.path("log/site.log")).unwrap();
    let alone = |logged: &Logged, receipt: &str| logged.verify(&["--receipt", receipt]);
    assert_eq!(logged.verify(&[]).code, 3, "its end is proven by nobody");
    assert_eq!(alone(&logged, "@early.receipt").code, 0);
    assert_eq!(alone(&logged, "@late.receipt").code, 0);
    let both = logged.verify(&["--receipt", "@early.receipt", "--receipt", "@late.receipt"]);
    assert!(both.code == 0 && both.out.contains("2 receipts lead to it"), "{}", both.out);

    fs::write(logged.plant.path("log/site.log"), &early).unwrap();
    assert_eq!(alone(&logged, "@early.receipt").code, 0);
    let called = alone(&logged, "@late.receipt");
    assert!(called.code == 1 && called.out.contains("ROLLED BACK"), "{}", called.out);
    // The second recording's own header knows more than the log.
    let called = logged.verify(&["@a.ghr", "@b.ghr"]);
    assert!(matches!(called.code, 1 | 3), "{}", called.out);

    // The same key goes on from there.
    drop(logged.log);
    logged.log = open(&logged.plant);
    for name in ["c.ghr", "d.ghr"] {
        logged.whole(name);
    }
    let called = alone(&logged, "@late.receipt");
    assert!(called.code == 1 && called.out.contains("FORKED"), "{}", called.out);

    drop(logged.log);
    fs::remove_file(logged.plant.path("log/site.log")).unwrap();
    logged.log = open(&logged.plant);
    let called = alone(&logged, "@late.receipt");
    assert!(called.code == 1 && called.out.contains("ANOTHER LOG"), "{}", called.out);
    assert_eq!(logged.verify(&["@a.ghr"]).code, 1, "the recording names the log that is gone");
    fs::write(logged.plant.path("log/site.log"), &late[..late.len() - 5]).unwrap();
    let called = alone(&logged, "@early.receipt");
    assert_eq!(called.code, 3, "torn: {}", called.out);
}

#[test]
fn a_receipt_tells_a_recording_that_was_cut_or_rewritten() {
    let mut logged = Logged::new();
    let mut begun = logged.begin("a.ghr");
    let early = fs::read(logged.plant.path("a.ghr")).unwrap();
    let first = begun.newest.note.clone();
    let second = begun.writer.append_signed(&more(), moment(150)).unwrap().note;
    let words = ["@a.ghr", "--receipt", "@r.receipt"];
    logged.receipt("r.receipt", Some(&second));
    assert_eq!(logged.verify(&words).code, 3, "it still runs");
    fs::write(logged.plant.path("a.ghr"), &early).unwrap();
    let called = logged.verify(&words);
    assert!(called.code == 1 && called.out.contains("it was cut"), "{}", called.out);
    logged.receipt("r.receipt", Some(&first));
    assert_eq!(logged.verify(&words).code, 3);
}

#[test]
fn what_is_no_receipt_of_this_key_is_a_mistake_and_no_verdict() {
    let mut logged = Logged::new();
    logged.whole("a.ghr");
    fs::write(logged.plant.path("r.receipt"), "hello\u{1b}[2J\n").unwrap();
    let called = logged.verify(&["@a.ghr", "--receipt", "@r.receipt"]);
    assert_eq!(called.code, 4);
    assert!(called.err.contains("not a receipt"), "{}", called.err);
    let other = Logged::new();
    other.receipt("o.receipt", None);
    let foreign = other.plant.path("o.receipt").display().to_string();
    let called = logged.verify(&["@a.ghr", "--receipt", &foreign]);
    assert_eq!(called.code, 4, "{}", called.err);
    assert_eq!(logged.plant.call(&["verify", "--key", "@signing.pub", "--log", "@nowhere"]).code, 4);
}

#[test]
fn an_altered_log_is_said_with_its_place_and_accounts_for_nothing() {
    let mut logged = Logged::new();
    logged.whole("a.ghr");
    logged.enter(LogEntry::GatewayStopped);
    let path = logged.plant.path("log/site.log");
    let whole = fs::read(&path).unwrap();
    // In an entry, and behind the entries of the session.
    for place in [30, whole.len() - 10] {
        let mut content = whole.clone();
        content[place] ^= 1;
        fs::write(&path, content).unwrap();
        let called = logged.verify(&["@a.ghr"]);
        assert_eq!(called.code, 1);
        assert!(called.out.contains("site.log: ALTERED at offset "), "{}", called.out);
        assert!(!called.out.contains("are in the site log"), "{}", called.out);
    }
}
