//! Tools and devices that do not speak as they should.

use std::time::Duration;
use tests::{
    evidence::Evidence,
    modbus::{Answer, Tool, frame, pdu},
    plant::{Connection, Gateway},
    plc::{Manners, Plc},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

fn connected<'a>(workshop: &'a Workshop) -> (Gateway<'a>, Connection) {
    let gateway = Gateway::ready(workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    (gateway, connection)
}

#[test]
fn what_is_no_modbus_never_reaches_the_device() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let (_gateway, connection) = connected(&workshop);
    for bytes in [
        // Another protocol, a length that is too long, one that is too short.
        b"GET / HTTP/1.1\r\nHost: plc7\r\n\r\n".as_slice(),
        &[0, 1, 0, 0, 0xFF, 0xFF, 1, 3],
        &[0, 1, 0, 0, 0, 1, 1, 3],
    ] {
        let mut tool = Tool::connect(connection.address()).unwrap();
        tool.send_raw(bytes).unwrap();
        tool.expect_closed().unwrap();
    }
    // The session lives on, and a request that is only broken inside gets an
    // answer in the protocol.
    let mut tool = Tool::connect(connection.address()).unwrap();
    let truncated = frame(9, 1, &[6, 0, 100]);
    tool.send_raw(&truncated).unwrap();
    let (transaction, answer) = tool.receive().unwrap();
    assert!(matches!((transaction, &answer), (9, Answer::Exception(_))), "{answer:?}");
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![650]));
    let log = plc.log();
    assert_eq!(log.requests(), [frame(1, 1, &pdu(3, &[100, 1]))]);
    assert_eq!(log.connections.iter().map(|one| one.received.len()).sum::<usize>(), 12);
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    // What could not be read was recorded all the same.
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let first = &evidence.channels()[0];
    assert!(first.from_client.starts_with(b"GET / HTTP/1.1"));
    assert!(first.to_device.is_empty());
}

#[test]
fn requests_in_single_bytes_are_the_same_requests() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let (_gateway, connection) = connected(&workshop);
    let mut tool = Tool::connect(connection.address()).unwrap();
    let request = frame(5, 1, &pdu(6, &[100, 700]));
    for byte in &request {
        tool.send_raw(&[*byte]).unwrap();
    }
    assert_eq!(tool.receive().unwrap(), (5, Answer::Data(vec![0, 100, 2, 0xBC])));
    assert_eq!(plc.log().requests(), [request]);
}

#[test]
fn a_device_that_talks_garbage_or_hangs_up_costs_its_channel_only() {
    for manners in [Manners::Garbage, Manners::ClosesMidFrame] {
        let plc = Plc::start(manners);
        let workshop = Workshop::new(plc.address());
        let (gateway, connection) = connected(&workshop);
        for _ in 0..2 {
            let mut tool = Tool::connect(connection.address()).unwrap();
            tool.send(&pdu(3, &[100, 1])).unwrap();
            tool.receive().unwrap_err();
        }
        connection.end().unwrap().expect_code(0).unwrap();
        gateway.terminate().unwrap().expect_code(0).unwrap();
    }
}

#[test]
fn a_silent_device_does_not_hold_up_other_channels() {
    let plc = Plc::start(Manners::Silent);
    let workshop = Workshop::new(plc.address());
    let (_gateway, connection) = connected(&workshop);
    let mut one = Tool::connect(connection.address()).unwrap();
    let mut two = Tool::connect(connection.address()).unwrap();
    one.send(&pdu(3, &[100, 1])).unwrap();
    two.send(&pdu(3, &[101, 1])).unwrap();
    assert!(plc.wait_until(Duration::from_secs(10), |log| log.requests().len() == 2));
    // A denial waits for the answer that is due, but no longer than that may
    // take (5 s).
    one.send(&pdu(6, &[200, 1])).unwrap();
    let (transaction, answer) = one.receive().unwrap();
    assert_eq!((transaction, answer), (2, Answer::Exception(2)));
    connection.end().unwrap().expect_code(0).unwrap();
}
