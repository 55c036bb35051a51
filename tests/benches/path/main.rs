//! Round trips through the whole path, beside what they could be at best.
//!
//!     cargo bench -p tests --bench path -- [--rounds N] [--seconds S]
//!
//! Three paths to the same device, measured in turn within each round so that
//! the machine's moods fall on all of them: direct TCP, a bare QUIC forwarder,
//! and Gatehouse with everything on (certificate, code, policy on every
//! request, sealed recording). Each part runs as its own process, as it would
//! in a plant. Figures are medians over the rounds, ratios are medians of the
//! rounds' own ratios.

mod forwarder;
mod load;

use anyhow::Context;
use load::{Figures, Question};
use std::{io::Write, net::SocketAddr, path::Path, time::Duration};
use tests::{
    plant::Gateway,
    workshop::{PRESS_LINE, TECHNICIAN, Target, Workshop},
};
use tokio::runtime::Runtime;

/// How much to measure.
struct Effort {
    rounds: usize,
    span: Duration,
}

/// What the load is within a round.
const LOADS: [(&str, Question, usize); 4] = [
    ("read, 1 channel", Question::Read, 1),
    ("read, 8 channels", Question::Read, 8),
    ("write, 1 channel", Question::Write, 1),
    ("write, 8 channels", Question::Write, 8),
];

/// The paths, in the order of measuring and of the table.
const PATHS: [&str; 3] = ["direct TCP", "bare QUIC forwarder", "Gatehouse"];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words.as_slice() {
        ["far", device, certificate] => {
            runtime.block_on(forwarder::far(device.parse()?, Path::new(certificate)))
        }
        ["near", far, certificate] => runtime.block_on(forwarder::near(far.parse()?, Path::new(certificate))),
        _ => bench(&runtime, &effort(&words)?),
    }
}

fn effort(words: &[&str]) -> anyhow::Result<Effort> {
    let mut effort = Effort { rounds: 7, span: Duration::from_secs(2) };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--rounds" => effort.rounds = words.next().context("--rounds N")?.parse()?,
            "--seconds" => {
                effort.span = Duration::from_secs_f64(words.next().context("--seconds S")?.parse()?);
            }
            // What cargo itself adds.
            "--bench" => {}
            other => anyhow::bail!("unknown option {other}"),
        }
    }
    anyhow::ensure!(effort.rounds > 0, "--rounds must be at least 1");
    Ok(effort)
}

fn bench(runtime: &Runtime, effort: &Effort) -> anyhow::Result<()> {
    let device = load::device()?;
    let workshop = Workshop::new(device);
    workshop.targets(&[Target {
        limits: "channels = 16\noutstanding = 64".to_owned(),
        ..Target::press_line(device)
    }])?;
    let forwarder = forwarder::start(device, &workshop.path(""))?;
    let gateway = Gateway::ready(&workshop)?;
    let technician = gateway.import(TECHNICIAN)?;
    let connection = technician.connect(&[PRESS_LINE])?;
    let paths = [device, forwarder.address, connection.address()];
    let mut rounds = Vec::new();
    // The first round warms every path up and is thrown away.
    for round in 0..=effort.rounds {
        let measured = runtime.block_on(round_of(&paths, effort.span))?;
        if round > 0 {
            rounds.push(measured);
        }
    }
    connection.end()?.expect_code(0)?;
    gateway.terminate()?.expect_code(0)?;
    print(&rounds, effort)
}

/// The figures of one round: for each load, those of each path.
type Round = Vec<[Figures; PATHS.len()]>;

async fn round_of(paths: &[SocketAddr; PATHS.len()], span: Duration) -> anyhow::Result<Round> {
    let mut round = Vec::new();
    for (_, question, channels) in LOADS {
        let mut figures = Vec::new();
        for path in paths {
            figures.push(load::measure(*path, question, channels, span).await?);
        }
        round.push(figures.try_into().ok().context("one figure for each path")?);
    }
    Ok(round)
}

fn print(rounds: &[Round], effort: &Effort) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Medians of {} rounds of {:.1} s for each cell.\n",
        rounds.len(),
        effort.span.as_secs_f64()
    )?;
    writeln!(out, "| load | path | round trips/s | p50 µs | p99 µs | x direct | x bare QUIC |")?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|")?;
    for (load, (name, _, _)) in LOADS.iter().enumerate() {
        for (path, path_name) in PATHS.iter().enumerate() {
            let of = |pick: &dyn Fn(&[Figures; PATHS.len()]) -> f64| {
                median(rounds.iter().filter_map(|round| round.get(load)).map(pick).collect())
            };
            writeln!(
                out,
                "| {name} | {path_name} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} |",
                of(&|row| row[path].rate),
                of(&|row| row[path].p50),
                of(&|row| row[path].p99),
                of(&|row| row[path].rate / row[0].rate),
                of(&|row| row[path].rate / row[1].rate),
            )?;
        }
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
