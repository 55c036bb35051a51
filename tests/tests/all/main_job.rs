//! The main job: reach the press line, be held to the policy, leave a
//! recording that verifies, replays and tells the same as the device's log.

use recording::Decision;
use tests::{
    evidence::Evidence,
    modbus::{Answer, Coil, Tool, frame, pdu},
    plant::{Auditor, Gateway},
    plc::{Manners, Plc},
    press_line::address,
    workshop::{PRESS_LINE, RULES, TECHNICIAN, Target, Workshop},
};

#[test]
fn work_is_held_to_the_policy_and_the_recording_tells_the_same_as_the_device() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let connection = technician.connect(&[PRESS_LINE]).unwrap();

    let mut tool = Tool::connect(connection.address()).unwrap();
    assert_eq!(tool.read_holding(address::FORCE_SET_POINT, 2).unwrap(), Ok(vec![650, 120]));
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    assert!(matches!(tool.write_coil(address::CABINET_LAMP, Coil::On).unwrap(), Answer::Data(_)));
    // No rule, a value beyond the range, a range that is allowed in part only,
    // and a function that a deny names.
    assert_eq!(tool.write_holding(address::SAFETY_FORCE_LIMIT, 2000).unwrap(), Answer::Exception(2));
    assert_eq!(tool.write_holding(100, 901).unwrap(), Answer::Exception(3));
    let across = [16, 0, 199, 0, 2, 4, 0, 1, 0, 1];
    assert_eq!(tool.ask(&across).unwrap(), Answer::Exception(2));
    assert_eq!(tool.ask(&[90, 0, 0x40]).unwrap(), Answer::Exception(1));
    // The session is as good as before.
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![731]));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();

    assert_eq!(plc.holding(100), Some(731));
    assert_eq!(plc.coil(address::CABINET_LAMP), Some(true));
    assert_eq!(plc.holding(address::SAFETY_FORCE_LIMIT), Some(900));
    let log = plc.log();
    let seen: Vec<u8> = log.requests().iter().map(|request| request[7]).collect();
    assert_eq!(seen, [3, 6, 5, 3], "only what was allowed reached the device");

    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let decisions: Vec<Decision> = evidence.judged().iter().map(|judged| judged.decision).collect();
    let (allow, deny) = (Decision::Allow, Decision::Deny);
    assert_eq!(decisions, [allow, allow, allow, deny, deny, deny, deny, allow], "{:?}", evidence.judged());
    let channels = evidence.channels();
    assert_eq!(channels.len(), 1);
    assert_eq!(channels[0].to_device, log.connections[0].received);
    assert_eq!(channels[0].from_device, log.connections[0].sent);
    // The gateway itself has nothing left that could read it.
    for name in ["state.db", "log/audit.jsonl"] {
        let bytes = std::fs::read(workshop.path(name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("holding[100]"), "{name} names what was done");
    }
}

#[test]
fn every_altered_byte_of_a_recording_is_found_with_the_public_key_alone() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let whole = std::fs::read(&recording).unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    // Spread over the file, with its first and last byte; each byte of it is
    // tried by the tests of the format.
    let places = (0..24).map(|step| step * (whole.len() - 1) / 23);
    for place in places {
        let mut altered = whole.clone();
        altered[place] ^= 0x10;
        let copy = workshop.path("altered.ghr");
        std::fs::write(&copy, altered).unwrap();
        let finished = auditor.verify(&copy).unwrap();
        assert_eq!(finished.code, Some(1), "byte {place} of {}: {finished}", whole.len());
    }
    // Cut at any place, it never passes as whole.
    for step in 0..12 {
        let copy = workshop.path("cut.ghr");
        std::fs::write(&copy, &whole[..step * whole.len() / 12]).unwrap();
        let finished = auditor.verify(&copy).unwrap();
        assert!(matches!(finished.code, Some(1..=3)), "cut at {step}/12: {finished}");
    }
}

#[test]
fn a_denial_keeps_its_place_among_pipelined_requests() {
    let plc = Plc::start(Manners::Slow(std::time::Duration::from_millis(50)));
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    let heap =
        [frame(1, 1, &pdu(3, &[100, 1])), frame(2, 1, &pdu(6, &[200, 1])), frame(3, 1, &pdu(3, &[101, 1]))]
            .concat();
    tool.send_raw(&heap).unwrap();
    let answers: Vec<(u16, Answer)> = (0..3).map(|_| tool.receive().unwrap()).collect();
    assert_eq!(
        answers,
        [(1, Answer::Data(vec![2, 2, 0x8A])), (2, Answer::Exception(2)), (3, Answer::Data(vec![2, 0, 120])),]
    );
    assert!(!plc.log().saw_function(6));
    connection.end().unwrap().expect_code(0).unwrap();
}

#[test]
fn one_sign_in_serves_two_targets_with_a_recording_each() {
    let (press, mixer) = (Plc::start(Manners::Proper), Plc::start(Manners::Proper));
    let workshop = Workshop::new(press.address());
    let other = Target { id: "press-line/plc8".to_owned(), ..Target::press_line(mixer.address()) };
    workshop.targets(&[Target::press_line(press.address()), other]).unwrap();
    workshop.write("policies/policy.csv", &format!("{RULES}g2, press-line/plc8, zone:press\n")).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let connection = technician.connect(&[PRESS_LINE, "press-line/plc8"]).unwrap();
    for (listener, plc) in connection.listeners().iter().zip([&press, &mixer]) {
        let mut tool = Tool::connect(*listener).unwrap();
        assert!(matches!(tool.write_holding(102, 77).unwrap(), Answer::Data(_)));
        assert_eq!(plc.holding(102), Some(77));
    }
    connection.end().unwrap().expect_code(0).unwrap();
    let recordings = workshop.recordings().unwrap();
    assert_eq!(recordings.len(), 2);
    for recording in &recordings {
        Auditor::of(&workshop).verify(recording).unwrap().expect_code(0).unwrap();
    }
}

#[test]
fn an_opaque_service_is_carried_whole_and_only_where_a_rule_accepts_that() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let opaque = Target {
        id: "press-line/panel".to_owned(),
        service: ("panel".to_owned(), "tcp".to_owned()),
        ..Target::press_line(plc.address())
    };
    workshop.targets(&[Target::press_line(plc.address()), opaque]).unwrap();
    workshop
        .write(
            "policies/policy.csv",
            "p, person:tech-1@vendor-a, press-line/panel, tcp:use, opaque-accepted, allow\n",
        )
        .unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let technician = gateway.import(TECHNICIAN).unwrap();
    let connection = technician.connect(&["press-line/panel"]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![650]));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    assert_eq!(evidence.channels()[0].to_device, plc.log().connections[0].received);
}
