//! The second factor is asked for again while people, or only their tools, work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::{
    evidence::Evidence,
    modbus::{Answer, Failure, Tool, pdu},
    plant::{Auditor, Gateway},
    plc::{Manners, Plc},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// Longer than a seed file takes to the next step and the gateway to answer.
const ANSWERED: Duration = Duration::from_secs(120);

fn workshop(limits: &str) -> (Plc, Workshop) {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    workshop.edit("gateway.toml", "[admin]", &format!("[limits]\n{limits}\n\n[admin]")).unwrap();
    (plc, workshop)
}

/// Reads once and waits for the answer as long as it may be held back.
fn read_patiently(tool: &mut Tool) -> Answer {
    tool.send(&pdu(3, &[100, 1])).unwrap();
    let asked = Instant::now();
    loop {
        match tool.receive() {
            Ok((_, answer)) => return answer,
            Err(Failure::Io(error)) if asked.elapsed() < ANSWERED => {
                let waits = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
                assert!(waits.contains(&error.kind()), "the connection was touched: {error}");
            }
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[test]
fn polling_is_no_presence_and_nothing_passes_until_the_factor_is_shown_again() {
    let (plc, workshop) = workshop("factor_again_after_idle = \"4 s\"");
    let gateway = Gateway::ready(&workshop).unwrap();
    let mut connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let polled = Arc::clone(&stop);
    let poller = std::thread::spawn(move || {
        while !polled.load(Ordering::Relaxed) {
            assert!(matches!(read_patiently(&mut tool), Answer::Data(_)));
            // A tool's own pace; nothing is waited for by it.
            std::thread::sleep(Duration::from_millis(20));
        }
        tool
    });
    connection.process().wait_for_words("nothing was changed for 4s").unwrap();
    // The code of the sign-in is used up: most often the next step is waited for.
    let mut samples = Vec::new();
    let shown = loop {
        let count = plc.log().requests().len();
        let said = connection.process().said();
        if said.contains("the second factor was accepted") {
            break Instant::now();
        }
        samples.push((Instant::now(), count));
        assert!(samples[0].0.elapsed() < ANSWERED, "{said}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let second = Duration::from_secs(1);
    let held: Vec<usize> = samples
        .iter()
        .filter(|(at, _)| at.duration_since(samples[0].0) > second && shown.duration_since(*at) > second)
        .map(|(_, count)| *count)
        .collect();
    assert!(held.windows(2).all(|pair| pair[0] == pair[1]), "requests passed meanwhile: {held:?}");
    let before = plc.log().requests().len();
    assert!(plc.wait_until(Duration::from_secs(20), |log| log.requests().len() > before + 3));
    stop.store(true, Ordering::Relaxed);
    let tool = poller.join().unwrap();
    assert_eq!(plc.log().connections.len(), 1, "the device's connection stayed");
    gateway.wait_for_event(&["factor_asked", TECHNICIAN]).unwrap();
    gateway.wait_for_event(&["factor_shown", TECHNICIAN]).unwrap();
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let events = format!("{:?}", evidence.events());
    assert!(events.contains("requests are held back") && events.contains("was shown again"), "{events}");
}

#[test]
fn who_works_is_asked_as_well_and_without_an_answer_everything_ends() {
    let (plc, workshop) = workshop("factor_again_after = \"5 s\"\nfactor_again_within = \"2 s\"");
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let mut connection = technician.connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    let writer = std::thread::spawn(move || {
        for value in 0.. {
            if !matches!(tool.write_holding(100, value % 900), Ok(Answer::Data(_))) {
                break;
            }
        }
    });
    connection.process().wait_for_words("the second factor is due again after 5s").unwrap();
    // A code that was used is no answer, and the next comes too late (or a
    // second time, if this one was a new one).
    let finished = connection.finish().unwrap();
    assert!(finished.all().contains("the second factor was not given again in time"), "{finished}");
    assert_eq!(finished.code, Some(6), "{finished}");
    writer.join().unwrap();
    let ended = |log: &tests::plc::Log| log.connections.iter().all(|one| one.ended);
    assert!(plc.wait_until(Duration::from_secs(20), ended));
    gateway.wait_for_event(&["session_ended", "the second factor was not given again in time"]).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
}
