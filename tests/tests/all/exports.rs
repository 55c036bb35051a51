//! Exports of a real session, read by programs that nobody here wrote, and a
//! session that is followed while it goes on.

use serde_json::Value;
use std::path::PathBuf;
use tests::{
    evidence::Evidence,
    modbus::{Answer, Tool, frame, pdu},
    plant::{Auditor, Gateway},
    plc::{Manners, Plc},
    process::{PATIENCE, Process},
    wireshark::{self, Capture},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

/// Requests that are sent in one heap, far more than one segment holds.
const HEAP: u16 = 200;

/// A session with allowed, denied, refused, pipelined and many requests;
/// gives its recording.
fn session(workshop: &Workshop) -> PathBuf {
    let gateway = Gateway::ready(workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    assert_eq!(tool.write_holding(200, 1).unwrap(), Answer::Exception(2));
    assert_eq!(tool.read_holding(5000, 1).unwrap(), Err(2));
    assert_eq!(tool.read_holding(100, 1).unwrap(), Ok(vec![731]));
    let pipelined = [
        frame(11, 1, &pdu(3, &[100, 1])),
        frame(12, 1, &pdu(6, &[100, 901])),
        frame(13, 1, &pdu(3, &[101, 1])),
    ];
    tool.send_raw(&pipelined.concat()).unwrap();
    let answers: Vec<u16> = (0..3).map(|_| tool.receive().unwrap().0).collect();
    assert_eq!(answers, [11, 12, 13]);
    let heap: Vec<u8> = (1000..1000 + HEAP).flat_map(|id| frame(id, 1, &pdu(3, &[0, 125]))).collect();
    tool.send_raw(&heap).unwrap();
    for id in 1000..1000 + HEAP {
        assert_eq!(tool.receive().unwrap().0, id);
    }
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    recording
}

#[test]
fn wireshark_decodes_the_session_as_it_was_judged() {
    if !wireshark::is_there() {
        return;
    }
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let recording = session(&workshop);
    let out = workshop.path("session.pcapng");
    let said = Auditor::of(&workshop).export(&recording, "pcapng", &out).unwrap().expect_code(0).unwrap().out;
    assert!(said.contains("whole and closed"), "{said}");
    let capture = Capture::new(&out, plc.address().port());

    // Two conversations without a flaw: the tool's and the device's.
    for flaw in [
        "tcp.analysis.flags",
        "_ws.malformed",
        "tcp.checksum.status == \"Bad\" or ip.checksum.status == \"Bad\"",
        "_ws.expert.severity >= \"Warning\"",
        "frame.len > 1514",
    ] {
        let found = capture.fields(flaw, &["frame.number", "_ws.expert.message"]).unwrap();
        assert_eq!(found.first(), None, "{} packets with {flaw}", found.len());
    }
    let opened =
        capture.fields("tcp.flags.syn == 1 and tcp.flags.ack == 0", &["tcp.stream", "frame.interface_name"]);
    assert_eq!(opened.unwrap(), ["0|channel-1-client", "1|channel-1-device"]);
    assert_eq!(capture.fields("tcp.flags.fin == 1", &["tcp.stream"]).unwrap().len(), 4);

    // What Wireshark puts together is what was recorded, byte by byte.
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let [channel] = evidence.channels().try_into().unwrap();
    let (client, device) = (capture.follow(0).unwrap(), capture.follow(1).unwrap());
    assert!(client.opener == channel.from_client && client.taker == channel.to_client);
    assert!(device.opener == channel.to_device && device.taker == channel.from_device);
    assert_eq!(device.opener, plc.log().connections[0].received);

    // Functions and values, the verdict at the request it is about.
    let request = |filter: &str, fields: &[&str]| capture.fields(filter, fields).unwrap();
    let fields = ["modbus.func_code", "modbus.reference_num", "modbus.data", "frame.comment"];
    let client = "frame.interface_name == \"channel-1-client\" and tcp.dstport";
    let to = format!("{client} == {}", plc.address().port());
    let wrote = request(&format!("{to} and mbtcp.trans_id == 1"), &fields);
    assert_eq!(wrote, ["6|100|02db|request 1: write holding[100] = 731 -> ALLOWED by policy.csv:3"]);
    let denied = request(&format!("{to} and mbtcp.trans_id == 2"), &fields);
    assert_eq!(denied.len(), 1);
    assert!(
        denied[0].starts_with("6|200|0001|request 2: write holding[200] = 1 -> DENIED by policy.csv:5"),
        "{denied:?}"
    );
    let pipelined = request(&format!("{to} and mbtcp.trans_id == 12"), &["mbtcp.trans_id", "frame.comment"]);
    assert_eq!(pipelined.len(), 1);
    assert!(pipelined[0].contains("request 6: write holding[100] = 901 -> DENIED"), "{pipelined:?}");

    let read = "mbtcp.trans_id == 4 and frame.interface_name == \"channel-1-device\"";
    let told = capture.fields(read, &["modbus.func_code", "modbus.regval_uint16"]).unwrap();
    assert_eq!(told, ["3|", "3|731"]);

    // The tool was answered in the gateway's words; the device saw nothing.
    let answers = "modbus.exception_code == 2 and mbtcp.trans_id == 2";
    let fields = ["frame.interface_name", "frame.comment"];
    let refused = capture.fields(answers, &fields).unwrap();
    assert_eq!(refused, ["channel-1-client|the gateway's own refusal of request 2, not the device's answer"]);
    let device = "frame.interface_name == \"channel-1-device\" and mbtcp.trans_id";
    assert_eq!(capture.fields(&format!("{device} == 2"), &["frame.number"]).unwrap(), [] as [&str; 0]);
    assert_eq!(capture.fields(&format!("{device} == 12"), &["frame.number"]).unwrap(), [] as [&str; 0]);

    // The heap came in several segments, and every request has its verdict.
    let comments = capture.fields(&to, &["frame.comment"]).unwrap().join(",");
    let judged = evidence.judged().len();
    assert_eq!(comments.matches("request ").count(), judged);
    let large = capture.fields(&format!("{to} and tcp.len > 1000"), &["tcp.len"]).unwrap();
    assert!(large.iter().any(|length| length == "1460"), "{large:?}");

    // The proof stands in the section header.
    let proof = capture.fields("frame.number == 1", &["frame.number"]);
    assert_eq!(proof.unwrap(), ["1"]);
    let bytes = std::fs::read(&out).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for words in ["gatehouse/session/", "verified with ", "tech-1@vendor-a on press-line/plc7"] {
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn json_lines_of_a_real_session_tell_what_was_judged() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let recording = session(&workshop);
    let auditor = Auditor::of(&workshop);
    let out = workshop.path("session.jsonl");
    auditor.export(&recording, "jsonl", &out).unwrap().expect_code(0).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    assert_eq!(rows.len(), evidence.judged().len());
    let answered = rows.iter().filter(|row| row["answer"].is_string()).count();
    let denied = rows.iter().filter(|row| row["decision"] == "deny").count();
    assert_eq!((answered, denied), (rows.len() - 2, 2));
    let device: String = rows
        .iter()
        .filter(|row| row["decision"] == "allow")
        .map(|row| row["request_bytes"].as_str().unwrap())
        .collect();
    let seen: String = plc.log().connections[0].received.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(device, seen, "the bytes of the allowed requests are what the device saw");
    // An export is never written over another.
    let again = auditor.export(&recording, "csv", &out).unwrap().expect_code(4).unwrap();
    assert!(again.all().contains("exports never overwrite"), "{}", again.all());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), text);
}

#[test]
fn a_live_session_is_followed_with_a_filter_to_its_end() {
    let plc = Plc::start(Manners::Proper);
    let workshop = Workshop::new(plc.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let mut tool = Tool::connect(connection.address()).unwrap();
    assert!(matches!(tool.write_holding(100, 731).unwrap(), Answer::Data(_)));
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    let follow = || {
        let mut command = auditor.command(&["replay", "--follow", "--filter", "write and holding[100-199]"]);
        Process::start("gatehouse-audit replay", command.arg(&recording)).unwrap()
    };
    let (followed, interrupted) = (follow(), follow());
    for process in [&followed, &interrupted] {
        process.wait_for_words("WRITE holding[100] = 731 -> ok").unwrap();
    }
    // What happens from here on is told while the session lives.
    assert_eq!(tool.write_holding(200, 1).unwrap(), Answer::Exception(2));
    assert!(matches!(tool.write_holding(101, 732).unwrap(), Answer::Data(_)));
    for process in [&followed, &interrupted] {
        process.wait_for_words("WRITE holding[101] = 732 -> ok").unwrap();
    }
    let interrupted = interrupted.interrupt().unwrap().expect_code(0).unwrap();
    assert!(!interrupted.out.contains("holding[200]") && !interrupted.out.contains("not closed"));
    drop(tool);
    connection.end().unwrap().expect_code(0).unwrap();
    let followed = followed.finish(PATIENCE).unwrap().expect_code(0).unwrap();
    assert!(followed.out.contains("== ended after ") && followed.out.contains("3 operations, 1 denied"));
}
