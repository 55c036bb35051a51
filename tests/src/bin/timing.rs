//! Compares how long the gateway takes to refuse a second factor, by the reason.
//!
//! Whoever has a certificate of the plant's CA could learn from the time whether
//! its key is known, locked or disabled, if refusals took different times. The
//! gateway runs within this process; the kinds take turns in random order, on a
//! connection each, so that drift and load hit all of them alike. Each pair of
//! kinds is compared by the Mann-Whitney test. Not a test of the suite, because
//! a figure about time is only worth something on a quiet machine.
//!
//! Exit code 1 if a pair differs.

use anyhow::Context;
use clap::Parser;
use gateway::{names::Handle, state::Standing};
use std::{
    io::{Write, stdout},
    process::ExitCode,
    time::{Duration, Instant},
};
use tests::{
    house::{House, Known, Member},
    visitor::Visitor,
    workshop::Workshop,
};
use wire::{Code, Refusal, ToClient, ToGateway};

/// Above this chance, all pairs together, a difference counts as none.
const SIGNIFICANCE: f64 = 0.001;

/// Compare the times of refusals.
#[derive(Debug, Parser)]
struct Arguments {
    /// Refusals of each kind.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Seconds to wait between greeting and code; 0 sends it at once.
    #[arg(long, default_value_t = 0.0)]
    pause: f64,
}

/// Why somebody is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Wrong,
    Locked,
    Disabled,
    NoFactor,
}

const KINDS: [Kind; 5] = [Kind::Unknown, Kind::Wrong, Kind::Locked, Kind::Disabled, Kind::NoFactor];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let workshop = Workshop::new(([127, 0, 0, 1], 502).into());
    let house = House::open(&workshop)?;
    let visitor = Visitor::new(&workshop.path("pki/ca.pem"))?;
    let mut members = Vec::new();
    for kind in KINDS {
        members.push(member(kind, &workshop, &house)?);
    }
    let mut times = KINDS.map(|_| Vec::with_capacity(arguments.rounds));
    let mut order = Order::new();
    for _ in 0..arguments.rounds {
        for kind in order.shuffled() {
            let taken = refusal(KINDS[kind], &members[kind], &house, &visitor, arguments.pause).await?;
            times[kind].push(taken);
        }
    }
    report(&mut times)
}

fn member(kind: Kind, workshop: &Workshop, house: &House) -> anyhow::Result<Member> {
    // Names of one length: the greeting repeats them.
    let name = format!("kind-{}", kind as u8);
    let known = if kind == Kind::Unknown { Known::No } else { Known::Yes };
    let member = house.enrol(workshop, &name, known)?;
    let (state, handle) = (&house.office().state, Handle::parse(&name)?);
    match kind {
        Kind::Unknown | Kind::Wrong | Kind::Locked => {}
        Kind::Disabled => drop(state.set_standing(&handle, Standing::Disabled)?),
        Kind::NoFactor => drop(state.remove_factors(&handle)?),
    }
    Ok(member)
}

/// Seconds from the code to its refusal.
async fn refusal(
    kind: Kind,
    member: &Member,
    house: &House,
    visitor: &Visitor,
    pause: f64,
) -> anyhow::Result<f64> {
    let handle = Handle::parse(&member.person.handle)?;
    if kind == Kind::Locked {
        let person = house.office().state.person(&handle)?.context("nobody of that handle")?.person.id;
        while !matches!(
            house.office().state.begin_attempt(person, house.now())?,
            gateway::state::Attempt::Locked(_)
        ) {}
    }
    let ended = |ended| anyhow::anyhow!("{kind:?}: {ended:?}");
    let mut visit = visitor.knock(house.address(), &member.papers).await.map_err(ended)?;
    visit.greet().await.map_err(ended)?;
    tokio::time::sleep(Duration::from_secs_f64(pause)).await;
    let before = Instant::now();
    visit.say(&ToGateway::Totp { code: Code::parse("000000")? }).await;
    let answer = visit.hear().await.map_err(ended)?;
    let taken = before.elapsed().as_secs_f64();
    anyhow::ensure!(matches!(answer, ToClient::Refused { code: Refusal::Factor, .. }), "{answer:?}");
    visit.leave();
    if kind == Kind::Wrong || kind == Kind::Disabled {
        house.office().state.unlock_person(&handle)?;
    }
    Ok(taken)
}

fn report(times: &mut [Vec<f64>; KINDS.len()]) -> anyhow::Result<ExitCode> {
    let mut out = stdout().lock();
    writeln!(out, "kind        n   5 %      median   95 %     (ms from code to refusal)")?;
    for (kind, times) in KINDS.iter().zip(times.iter_mut()) {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize] * 1000.0;
        let (low, median, high) = (at(0.05), at(0.5), at(0.95));
        writeln!(
            out,
            "{:<9} {:>4}   {low:<8.3} {median:<8.3} {high:<8.3}",
            format!("{kind:?}"),
            times.len()
        )?;
    }
    let pairs: Vec<_> = (0..KINDS.len()).flat_map(|one| (0..one).map(move |two| (two, one))).collect();
    let mut least = (1.0, pairs[0]);
    for pair in &pairs {
        let chance = mann_whitney(&times[pair.0], &times[pair.1]);
        if chance < least.0 {
            least = (chance, *pair);
        }
    }
    let (chance, (one, two)) = least;
    let corrected = (chance * pairs.len() as f64).min(1.0);
    let differ = corrected < SIGNIFICANCE;
    let verdict = if differ { "differ" } else { "can't be told apart" };
    writeln!(
        out,
        "{verdict}: of {} pairs {:?} and {:?} differ most, p = {chance:.2e}, {corrected:.2e} for all pairs",
        pairs.len(),
        KINDS[one],
        KINDS[two],
    )?;
    Ok(if differ { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The chance that two samples of one distribution lie so far apart
/// (two-sided, normal approximation; H. B. Mann and D. R. Whitney, 1947).
fn mann_whitney(one: &[f64], two: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = one.iter().map(|time| (*time, true)).collect();
    all.extend(two.iter().map(|time| (*time, false)));
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    let ranks: f64 = (1..).zip(&all).filter(|(_, (_, first))| *first).map(|(rank, _)| f64::from(rank)).sum();
    let (m, n) = (one.len() as f64, two.len() as f64);
    let u = ranks - m * (m + 1.0) / 2.0;
    let deviation = (m * n * (m + n + 1.0) / 12.0).sqrt();
    let z = (u - m * n / 2.0).abs() / deviation;
    tail(z)
}

/// Twice the upper tail of the normal distribution (Abramowitz and Stegun,
/// 7.1.26; error below 1.5e-7).
fn tail(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    series * (-x * x).exp()
}

/// Random orders; the generator is xorshift, which is enough for that.
struct Order(u64);

impl Order {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(now.map_or(1, |now| u64::from(now.subsec_nanos()) | 1))
    }

    fn shuffled(&mut self) -> [usize; KINDS.len()] {
        let mut order = std::array::from_fn(|index| index);
        for last in (1..order.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(last, (self.0 % (last as u64 + 1)) as usize);
        }
        order
    }
}
