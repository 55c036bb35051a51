//! Measures how long a device goes on receiving after a right has ended.
//!
//! Promise 7: the last byte comes within a second. Each round has a plant of
//! its own, with the real programs; the technician's tool writes as fast as it
//! can, so that bytes are queued everywhere. Measured is from the return of the
//! administrator's command (for a certificate that expires: from its last
//! moment; for a revocation list: from the moment in which its file is there)
//! to the last byte that the device read. Not a test of the suite, because a
//! figure about time is only worth something on a quiet machine.
//!
//! Exit code 1 if a single one took longer than a second.

use anyhow::{Context, ensure};
use clap::Parser;
use std::{
    io::{Write, stdout},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};
use tests::{
    endings::{Ending, Writing, enrolled},
    pki,
    plant::Gateway,
    plc::{Manners, Plc},
    workshop::{TECHNICIAN, Workshop},
};

/// What is promised.
const PROMISED: Duration = Duration::from_secs(1);

/// How long a certificate that expires has for the sign-in before it.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(12);

/// Measure how long rights take to end.
#[derive(Debug, Parser)]
struct Arguments {
    /// Endings of each kind.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

/// A kind of ending, by the name in the table.
const KINDS: [(&str, Kind); 7] = [
    ("killed", Kind::Known(Ending::Killed)),
    ("certificate revoked", Kind::Known(Ending::Revoked)),
    ("revocation list replaced", Kind::Known(Ending::ListReplaced)),
    ("person disabled", Kind::Known(Ending::Disabled)),
    ("factor removed", Kind::Known(Ending::FactorRemoved)),
    ("certificate expired", Kind::Expires),
    ("policy narrowed", Kind::Known(Ending::PolicyNarrowed)),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Known(Ending),
    /// When, is known in the round alone.
    Expires,
}

/// Milliseconds to the device's last byte.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// From the moment when the administrator's program was started.
    from_start: f64,
    /// From the moment that counts; negative where the flow ended before it.
    from_return: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut out = stdout().lock();
    writeln!(out, "                                ms from the command's return    ms from its start")?;
    writeln!(out, "kind                        n   min      median   max           max")?;
    let mut longest = f64::NEG_INFINITY;
    for (name, kind) in KINDS {
        let mut all = Vec::with_capacity(arguments.rounds);
        for round in 0..arguments.rounds {
            all.push(measure(kind).with_context(|| format!("{name}, round {round}"))?);
        }
        let mut times: Vec<f64> = all.iter().map(|taken| taken.from_return).collect();
        times.sort_by(f64::total_cmp);
        let [Some(least), Some(most)] = [times.first(), times.last()] else { continue };
        let median = times.get(times.len() / 2).unwrap_or(most);
        let started = all.iter().map(|taken| taken.from_start).fold(f64::NEG_INFINITY, f64::max);
        writeln!(
            out,
            "{name:<25} {:>3}   {least:<8.1} {median:<8.1} {most:<13.1} {started:.1}",
            times.len()
        )?;
        out.flush()?;
        longest = longest.max(*most);
    }
    let kept = longest <= PROMISED.as_secs_f64() * 1000.0;
    writeln!(out, "{}", if kept { "all within 1 s" } else { "NOT all within 1 s" })?;
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn measure(kind: Kind) -> anyhow::Result<Taken> {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.enrolling()?;
    let gateway = Gateway::ready(&workshop)?;
    let ending = match kind {
        Kind::Known(ending) => ending,
        Kind::Expires => Ending::Expired(expiring(&workshop)?),
    };
    let technician = if ending == Ending::Revoked {
        enrolled(&gateway, &workshop)?
    } else {
        gateway.import(TECHNICIAN)?
    };
    let writing = Writing::begin(&plc, &technician)?;
    let started = Instant::now();
    let counts = ending.take(&gateway, &workshop)?;
    // An end that was known before has no command.
    let started = if matches!(ending, Ending::Expired(_)) { counts } else { started };
    let (last, finished) = writing.ends()?;
    ensure!(finished.all().contains(ending.reason()), "{finished}");
    let since = |moment: Instant| {
        let late = last.saturating_duration_since(moment).as_secs_f64();
        (late - moment.saturating_duration_since(last).as_secs_f64()) * 1000.0
    };
    Ok(Taken { from_start: since(started), from_return: since(counts) })
}

fn expiring(workshop: &Workshop) -> anyhow::Result<SystemTime> {
    pki::expire_in(workshop, TECHNICIAN, SIGN_IN_WITHIN)
}
