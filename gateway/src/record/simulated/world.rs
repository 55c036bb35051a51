//! A whole session in virtual time: the core, the tape and the real writer
//! between a simulated disk, a tool and a device that remembers what it got.

use super::super::sync::Syncing;
use super::super::{OpenError, OpenRecording, RecordFailure, SIGNED_WITHIN, Tape, entries};
use super::dice::Dice;
use super::disk::Disk;
use crate::clock::{Clock, ManualClock};
use crate::fixture::noon;
use authz::{Ask, Assurance, Files, Handle, Limits, Mode, Policy, TargetId, Terms};
use bytes::Bytes;
use dissect::Protocol;
use recording::{Identity, LogPosition, Opening, Position, Sealed, SigningKey, Statement, Syncer};
use session::{Action, Core, EndCause, Input, Setup};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The recording's tick, as in `proxy`.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// The longest that a sync of this disk takes.
pub(super) const SLOWEST_SYNC: Duration = Duration::from_millis(60);

/// The step of virtual time.
const STEP: Duration = Duration::from_millis(25);

/// The keys and the policy of all simulated sessions.
pub(super) struct House {
    pub(super) signer: Arc<SigningKey>,
    pub(super) auditor: Identity,
    terms: Arc<Terms>,
}

/// Made once: keys and policies take longer than a session.
pub(super) fn house() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| House {
        signer: Arc::new(SigningKey::generate("plant-a").unwrap()),
        auditor: Identity::generate(),
        terms: terms(),
    })
}

fn terms() -> Arc<Terms> {
    let files = [
        (
            "policy.csv",
            "p, person:tech-1@vendor-a, press-line/plc7, modbus:read, , allow\n\
          p, person:tech-1@vendor-a, press-line/plc7, modbus:write:holding[100-199], , allow\n",
        ),
        (
            "targets.toml",
            "[[target]]\nid = \"press-line/plc7\"\nzone = \"press\"\naddress = \"127.0.0.1\"\n\
          [target.services]\nplc = \"502/tcp modbus\"\n",
        ),
        ("conditions.toml", ""),
        ("model.conf", Policy::MODEL),
    ];
    let files = Files::from_contents(files.map(|(name, text)| (name, text.as_bytes()))).unwrap();
    let ask = Ask {
        person: &Handle::parse("tech-1@vendor-a").unwrap(),
        target: &TargetId::parse("press-line/plc7").unwrap(),
        at: noon(),
        source: IpAddr::from([192, 0, 2, 7]),
        assurance: Assurance::CertificateAndTotp,
    };
    Arc::clone(Policy::from_files(&files).unwrap().grant(&ask).unwrap().terms())
}

/// Syncs that take virtual time. What a sync covers is settled when it
/// begins, what it reports is known when it ends.
#[derive(Clone)]
pub(super) struct Syncs(Arc<Mutex<Run>>);

struct Run {
    syncer: Syncer,
    asked: bool,
    reached: Position,
    failed: Option<String>,
    /// The result of the sync that runs, with its begin and end.
    running: Option<(Result<Position, String>, Duration, Duration)>,
    now: Duration,
    dice: Dice,
    disk: Speed,
}

/// Whether syncs come back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    Usual,
    Hangs,
}

impl Syncs {
    fn new(syncer: Syncer, dice: Dice) -> Self {
        let (reached, now) = (Position::default(), Duration::ZERO);
        Self(Arc::new(Mutex::new(Run {
            syncer,
            asked: false,
            reached,
            failed: None,
            running: None,
            now,
            dice,
            disk: Speed::Usual,
        })))
    }

    /// Lets the time become `now`.
    fn go_on(&self, now: Duration) {
        let mut run = self.0.lock().unwrap();
        run.now = now;
        if run.running.as_ref().is_some_and(|(_, _, end)| *end <= now) {
            match run.running.take().unwrap().0 {
                Ok(position) => run.reached = position,
                Err(why) => run.failed = Some(why),
            }
        }
        if run.asked && run.running.is_none() && run.failed.is_none() {
            run.asked = false;
            let synced = run.syncer.sync().map_err(|error| error.to_string());
            let longest = u64::try_from(SLOWEST_SYNC.as_millis()).unwrap();
            let takes = match run.disk {
                Speed::Usual => Duration::from_millis(run.dice.below(longest)),
                Speed::Hangs => Duration::from_secs(3600),
            };
            run.running = Some((synced, now, now + takes));
        }
    }
}

impl Syncing for Syncs {
    fn ask(&self) {
        self.0.lock().unwrap().asked = true;
    }

    fn reached(&self) -> Result<Position, String> {
        let run = self.0.lock().unwrap();
        run.failed.clone().map_or(Ok(run.reached), Err)
    }

    fn pending_for(&self) -> Duration {
        let run = self.0.lock().unwrap();
        run.running.as_ref().map_or(Duration::ZERO, |(_, began, _)| run.now - *began)
    }

    fn stop(self) {}
}

/// A piece that the device got.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Bytes that the device had then.
    pub(super) end: usize,
    /// When.
    pub(super) at: Duration,
    pub(super) changes: bool,
}

/// The session and all around it.
pub(super) struct World {
    pub(super) disk: Disk,
    pub(super) mode: Mode,
    syncs: Syncs,
    clock: Arc<ManualClock>,
    core: Core,
    tape: Option<Tape<Disk, Syncs>>,
    dice: Dice,
    pub(super) device: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
    answered: usize,
    pub(super) client: Vec<u8>,
    pub(super) receipts: Vec<String>,
    pub(super) failure: Option<RecordFailure>,
    pub(super) now: Duration,
}

impl World {
    /// A session on that disk, with a channel open.
    pub(super) fn open(disk: &Disk, mode: Mode, seed: u64) -> Result<Self, OpenError> {
        let (house, clock) = (house(), Arc::new(ManualClock::at(noon())));
        let opening = Opening {
            session: recording::random_session().unwrap(),
            mode: entries::mode(mode),
            log: LogPosition::none(),
            started_wall: clock.wall(),
            started_mono: clock.monotonic(),
            recipients: &house.auditor.recipients(),
            signer: Arc::clone(&house.signer),
            reserve: 0,
        };
        let begins = started(entries::mode(mode));
        let dice = Dice::new(seed);
        let start = |syncer| Ok(Syncs::new(syncer, dice.clone()));
        let recording = OpenRecording::begin(disk.clone(), opening, clock.clone(), begins, start)?;
        let setup = Setup {
            terms: Arc::clone(&house.terms),
            limits: Limits::default(),
            mode,
            source: IpAddr::from([192, 0, 2, 7]),
            assurance: Assurance::CertificateAndTotp,
            started: noon(),
            expires: Duration::from_secs(3600),
            expires_by: EndCause::GrantExpired,
        };
        let syncs = recording.syncs.clone();
        let mut world = Self {
            disk: disk.clone(),
            mode,
            syncs,
            clock,
            core: Core::new(setup),
            tape: Some(Tape::new(recording)),
            dice,
            device: Vec::new(),
            pieces: Vec::new(),
            answered: 0,
            client: Vec::new(),
            receipts: Vec::new(),
            failure: None,
            now: Duration::ZERO,
        };
        let service = "plc".to_owned();
        world.give(Input::OpenChannel { channel: 1, service, port: 502, protocol: Protocol::Modbus });
        world.give(Input::DeviceConnected { channel: 1 });
        Ok(world)
    }

    /// From here on no sync comes back.
    pub(super) fn hang(&mut self) {
        self.syncs.0.lock().unwrap().disk = Speed::Hangs;
    }

    /// Work for `steps` turns, then the end and the seal.
    pub(super) fn live(&mut self, steps: u16) -> Option<Result<Sealed, RecordFailure>> {
        self.live_on(steps);
        if !self.over() {
            self.give(Input::End(EndCause::ClientClosed));
            self.wait(Duration::from_secs(1));
        }
        if self.disk.gone() {
            return None;
        }
        Some(self.tape.take().unwrap().into_recording().finish("done"))
    }

    /// Work for `steps` turns, without the end.
    pub(super) fn live_on(&mut self, steps: u16) {
        for number in 0..steps {
            if self.over() {
                break;
            }
            if self.core.ready(1, dissect::Direction::FromClient) {
                let request = self.request(number);
                self.give(Input::FromClient { channel: 1, bytes: request.into() });
            }
            let pause = if self.dice.below(6) == 0 { 900 } else { self.dice.below(200) };
            self.wait(Duration::from_millis(pause));
        }
    }

    fn over(&self) -> bool {
        self.disk.gone() || self.failure.is_some()
    }

    /// A read or an allowed write.
    fn request(&mut self, number: u16) -> Vec<u8> {
        let value = u16::try_from(self.dice.below(900)).unwrap();
        let (function, at) = if self.dice.below(3) == 0 { (6, 100 + number % 100) } else { (3, number) };
        let last = if function == 6 { value } else { 1 };
        let mut frame = number.to_be_bytes().to_vec();
        frame.extend([0, 0, 0, 6, 1, function]);
        frame.extend([at, last].iter().flat_map(|word| word.to_be_bytes()));
        frame
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until && !self.over() {
            self.now += STEP;
            self.clock.advance(STEP);
            self.syncs.go_on(self.now);
            if self.disk.gone() {
                return;
            }
            self.hear_of_syncs();
            if self.now.as_millis().is_multiple_of(TICK.as_millis()) {
                self.tick();
            }
            self.answer();
            if self.core.next_timer().is_some_and(|timer| timer <= self.now) {
                self.give(Input::Timer);
            }
        }
    }

    fn hear_of_syncs(&mut self) {
        let Some(tape) = &mut self.tape else { return };
        match tape.durable() {
            Ok(Some(ticket)) => self.give(Input::Durable { ticket }),
            Ok(None) => {}
            Err(failure) => self.fail(failure),
        }
    }

    fn tick(&mut self) {
        let Some(tape) = self.tape.as_mut().filter(|tape| tape.runs()) else { return };
        if let Err(failure) = tape.tick() {
            return self.fail(failure);
        }
        if let Some(receipt) = self.tape.as_mut().and_then(Tape::receipt) {
            let statement = Statement::verify(receipt.as_bytes(), house().signer.public()).unwrap();
            let stable = self.disk.stable();
            assert!(stable > statement.bytes, "handed out: {} of {stable} stable bytes", statement.bytes);
            self.receipts.push(receipt);
        }
    }

    /// The device answers what it has not answered yet.
    fn answer(&mut self) {
        let asked = self.device[self.answered..].to_vec();
        self.answered = self.device.len();
        for frame in asked.chunks(12) {
            let mut answer = frame.to_vec();
            if frame[7] == 3 {
                answer.truncate(8);
                answer[5] = 5;
                answer.extend([2, 2, 219]);
            }
            self.give(Input::FromDevice { channel: 1, bytes: answer.into() });
        }
    }

    /// As the session's task does it.
    fn give(&mut self, input: Input) {
        if self.over() {
            return;
        }
        let mut actions = Vec::new();
        self.core.handle(self.now, input, &mut actions);
        for action in actions {
            self.with_tape(|tape, due| tape.take(action, due));
            if self.disk.gone() {
                return;
            }
        }
        self.with_tape(Tape::write);
    }

    fn with_tape(
        &mut self,
        work: impl FnOnce(&mut Tape<Disk, Syncs>, &mut Vec<Action>) -> Result<(), RecordFailure>,
    ) {
        let mut due = Vec::new();
        let worked = work(self.tape.as_mut().unwrap(), &mut due);
        due.into_iter().for_each(|action| self.act(action));
        if let Err(failure) = worked {
            self.fail(failure);
        }
    }

    fn fail(&mut self, failure: RecordFailure) {
        if self.disk.gone() || self.failure.is_some() {
            return;
        }
        let (device, client) = (self.device.len(), self.client.len());
        self.tape.as_mut().unwrap().fail(&failure);
        self.failure = Some(failure);
        let mut actions = Vec::new();
        self.core.handle(self.now, Input::End(EndCause::RecorderFailed), &mut actions);
        actions.into_iter().for_each(|action| self.act(action));
        assert_eq!((device, client), (self.device.len(), self.client.len()), "bytes after a failure");
    }

    fn act(&mut self, action: Action) {
        let runs = self.tape.as_ref().is_some_and(Tape::runs);
        match action {
            Action::ToDevice { bytes, .. } if runs => {
                let changes = bytes.chunks(12).any(|frame| frame[7] != 3);
                self.device.extend_from_slice(&bytes);
                self.pieces.push(Piece { end: self.device.len(), at: self.now, changes });
            }
            Action::ToClient { bytes, .. } if runs => self.client.extend_from_slice(&bytes),
            Action::Record(_)
            | Action::Sync { .. }
            | Action::ToDevice { .. }
            | Action::ToClient { .. }
            | Action::Dial { .. }
            | Action::ConfirmChannel { .. }
            | Action::RefuseChannel { .. }
            | Action::FinishDevice { .. }
            | Action::FinishClient { .. }
            | Action::CloseChannel { .. }
            | Action::Active
            | Action::Notice(_)
            | Action::End { .. } => {}
        }
    }
}

fn started(mode: recording::Mode) -> recording::Started {
    recording::Started {
        person: "tech-1@vendor-a".to_owned(),
        target: "press-line/plc7".to_owned(),
        zone: "press".to_owned(),
        address: "127.0.0.1".to_owned(),
        source: "192.0.2.7".to_owned(),
        assurance: "certificate and TOTP".to_owned(),
        mode,
        policy_hash: Bytes::from_static(&[4; 32]),
        reason: None,
        ticket: None,
        software: "simulated".to_owned(),
        terms: Bytes::from_static(b"terms"),
    }
}

/// What is not signed yet is not older than this.
pub(super) fn unsigned_at_most() -> Duration {
    SIGNED_WITHIN + TICK
}
