//! `export`.

use crate::plant::{Called, Plant, event, opened, operation, started};
use crate::work::{Work, adu, work};
use auditor::is_harmless;
use recording::{Body, Decision, Entry, Event, Tap};
use serde_json::Value;
use std::path::PathBuf;

fn export(plant: &Plant, format: &str, more: &[&str]) -> Called {
    let out = format!("@out.{format}");
    let words = ["export", "@a.ghr", "--identity", "@auditor.age", "--format", format, "--out", &out];
    plant.call(&[&words[..], more].concat())
}

/// What stands in the folder, hidden files too.
fn names(plant: &Plant) -> Vec<String> {
    let entries = std::fs::read_dir(plant.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const FORMATS: [&str; 4] = ["pcapng", "jsonl", "csv", "raw"];
const BEFORE: [&str; 3] = ["a.ghr", "auditor.age", "signing.pub"];

#[test]
fn json_lines_have_every_request_with_verdict_and_answer() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    let called = export(&plant, "jsonl", &["--key", "@signing.pub"]);
    assert_eq!((called.code, called.err.as_str()), (0, ""));
    let said = "out.jsonl: 8 requests of ";
    assert!(called.out.contains(said) && called.out.contains("; verified with plant-a+"), "{}", called.out);
    let text = std::fs::read_to_string(plant.path("out.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 8);
    let of = |number: u64| rows.iter().find(|row| row["request"] == number).unwrap();
    let write = of(2);
    for (key, value) in [
        ("time", Value::from("2026-10-31T10:31:07.405000000Z")),
        ("person", "tech-1@vendor-a".into()),
        ("target", "press-line/plc7".into()),
        ("zone", "press".into()),
        ("channel", 1.into()),
        ("service", "plc".into()),
        ("protocol", "modbus".into()),
        ("port", 502.into()),
        ("function", "write single register".into()),
        ("operation", "write holding[100] = 731".into()),
        ("effect", "changes".into()),
        ("decision", "allow".into()),
        ("rule", "policy.csv:2".into()),
        ("reason", "".into()),
        ("answer", "ok".into()),
        ("refused", false.into()),
        ("answered", "2026-10-31T10:31:07.406000000Z".into()),
        ("request_bytes", "0001000000060106006402db".into()),
        ("answer_bytes", "0001000000060106006402db".into()),
        ("signed", true.into()),
        ("verified", "clean".into()),
    ] {
        assert_eq!(write[key], value, "{key}");
    }
    let access = serde_json::json!({"class": "write", "unit": 1, "place": "holding[100]", "tags": ["force"]});
    assert_eq!(write["accesses"], serde_json::json!([access]));
    let denied = of(3);
    assert_eq!((&denied["decision"], &denied["answer"]), (&"deny".into(), &Value::Null));
    assert_eq!((&denied["refused"], &denied["answer_bytes"]), (&Value::Null, &Value::Null));
    assert_eq!((&of(5)["refused"], &of(5)["answer"]), (&true.into(), &"illegal data address".into()));
    assert_eq!(of(7)["accesses"][0]["unit"], 3);
    assert_eq!((&of(8)["answer"], &of(8)["answered"]), (&Value::Null, &Value::Null));
    assert_eq!(of(1)["operation"], "use panel");
}

#[test]
fn csv_has_the_same_columns_and_values() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    assert_eq!(export(&plant, "jsonl", &[]).code, 0);
    assert_eq!(export(&plant, "csv", &[]).code, 0);
    let text = std::fs::read(plant.path("out.csv")).unwrap();
    assert_eq!(text.windows(2).filter(|pair| pair == b"\r\n").count(), 9, "every line ends as RFC 4180 says");
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let columns = reader.headers().unwrap().clone();
    let json = std::fs::read_to_string(plant.path("out.jsonl")).unwrap();
    for (record, line) in reader.records().zip(json.lines()) {
        let (record, object) = (record.unwrap(), serde_json::from_str::<Value>(line).unwrap());
        let object = object.as_object().unwrap();
        assert_eq!(object.len(), columns.len());
        for (column, cell) in columns.iter().zip(&record) {
            match &object[column] {
                Value::Null => assert_eq!(cell, "", "{column}"),
                Value::String(text) => assert_eq!(cell, text, "{column}"),
                Value::Array(_) => {
                    let place = object[column][0]["place"].as_str().unwrap_or_default();
                    assert!(cell.contains(place), "{column}: {cell}");
                }
                other => assert_eq!(cell, other.to_string(), "{column}"),
            }
        }
    }
}

#[test]
fn raw_has_the_bytes_of_each_tap() {
    let plant = Plant::new();
    let entries = work();
    plant.record("a.ghr", &entries);
    let called = export(&plant, "raw", &["--key", "@signing.pub"]);
    assert_eq!((called.code, called.err.as_str()), (0, ""));
    let index: Value =
        serde_json::from_slice(&std::fs::read(plant.path("out.raw/index.json")).unwrap()).unwrap();
    assert!(index["checkpoint"].as_str().unwrap().starts_with("gatehouse/session/"));
    assert_eq!(index["files"].as_array().unwrap().len(), 8);
    let read = |name: &str| std::fs::read(plant.path("out.raw").join(name)).unwrap();
    assert_eq!(read("channel-2.from_device.bin"), b"RFB 003.008\n\x1b[2J");
    assert_eq!(read("channel-2.to_client.bin"), b"RFB 003.008\n\x1b[2J");
    let (from_client, to_device) = (read("channel-1.from_client.bin"), read("channel-1.to_device.bin"));
    assert_eq!(from_client.len(), 12 + 12 + 19 + 12 + 12 + 17 + 12);
    let allowed = [&from_client[..12], &from_client[43..55], &from_client[67..]].concat();
    assert_eq!(to_device, allowed, "what was denied or malformed never went");
}

#[test]
fn a_channel_number_that_is_used_again_gets_files_of_its_own() {
    let plant = Plant::new();
    let bytes = |ms, bytes| crate::plant::bytes(ms, 1, Tap::FromClient, 0, bytes);
    let entries = [
        event(0, started("tech-1@vendor-a")),
        event(1, opened(1, "one", "tcp", 1)),
        bytes(2, b"first"),
        event(3, crate::plant::closed(1)),
        event(4, opened(1, "two", "tcp", 2)),
        bytes(5, b"second"),
        event(6, crate::plant::closed(1)),
    ];
    plant.record("a.ghr", &entries);
    assert_eq!(export(&plant, "raw", &[]).code, 0);
    let read = |name: &str| std::fs::read(plant.path("out.raw").join(name)).unwrap();
    assert_eq!(read("channel-1.from_client.bin"), b"first");
    assert_eq!(read("channel-1-2.from_client.bin"), b"second");
}

/// The comments and payloads of a pcapng file, interface by interface.
fn packets(plant: &Plant) -> Vec<(String, Vec<u8>, Vec<String>)> {
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
    use pcap_file::pcapng::{Block, PcapNgReader};
    let file = std::fs::File::open(plant.path("out.pcapng")).unwrap();
    let mut reader = PcapNgReader::new(file).unwrap();
    let (mut names, mut packets) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(interface) => {
                let name = interface.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                names.push(name.unwrap());
            }
            Block::EnhancedPacket(packet) => {
                let comments = packet.options.iter().filter_map(|option| match option {
                    EnhancedPacketOption::Comment(comment) => Some(comment.to_string()),
                    _ => None,
                });
                let name = names[usize::try_from(packet.interface_id).unwrap()].clone();
                let parsed = etherparse::SlicedPacket::from_ethernet(&packet.data).unwrap();
                let Some(etherparse::TransportSlice::Tcp(tcp)) = parsed.transport else { panic!("no TCP") };
                packets.push((name, tcp.payload().to_vec(), comments.collect()));
            }
            _ => {}
        }
    }
    packets
}

#[test]
fn packets_carry_the_taps_and_the_verdicts_stand_at_their_requests() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    let called = export(&plant, "pcapng", &[]);
    assert_eq!((called.code, called.err.as_str()), (0, ""));
    assert!(called.out.contains("NOT VERIFIED"), "{}", called.out);
    let packets = packets(&plant);
    let said = |comment: &str| -> Vec<(&str, &[u8])> {
        let with = |texts: &Vec<String>| texts.iter().any(|text| text.contains(comment));
        let found = packets.iter().filter(|(_, _, comments)| with(comments));
        found.map(|(name, payload, _)| (name.as_str(), payload.as_slice())).collect()
    };
    let denied = adu(2, 1, &[6, 0, 100, 4, 0xB0]);
    let both = adu(3, 1, &[23, 0, 100, 0, 1, 1, 0x2C, 0, 1, 2, 0, 9]);
    let pair = [&denied[..], &both].concat();
    assert_eq!(said("request 3: write holding[100] = 1200 -> DENIED"), [("channel-1-client", &pair[..])]);
    assert_eq!(said("request 4: "), [("channel-1-client", &pair[..])]);
    let refusal = adu(2, 1, &[0x86, 3]);
    assert_eq!(said("own refusal of request 3"), [("channel-1-client", &refusal[..])]);
    // The verdict stands where the request ends, not where it begins.
    let other = adu(6, 3, &[16, 0, 110, 0, 2, 4, 0x41, 0x20, 0, 0]);
    assert_eq!(said("request 7: "), [("channel-1-client", &other[9..])]);
    assert_eq!(said("request 1: use panel -> ALLOWED"), [("channel-2-client", &b""[..])]);
    assert_eq!(said("channel closed by").len(), 4);
    assert!(packets.iter().all(|(name, payload, _)| name != "channel-1-device" || *payload != pair));
}

#[test]
fn a_refused_service_is_a_connection_that_nobody_takes() {
    let plant = Plant::new();
    let mut denied = operation(1, "use panel", Decision::Deny, "policy.csv:9", "not here");
    if let Event::Operation { length, .. } = &mut denied {
        *length = 0;
    }
    plant.record("a.ghr", &[event(0, started("tech-1@vendor-a")), event(1, denied)]);
    assert_eq!(export(&plant, "pcapng", &[]).code, 0);
    let packets = packets(&plant);
    assert_eq!(packets.len(), 2);
    assert_eq!(packets[0].2, ["request 1: use panel -> DENIED by policy.csv:9: not here"]);
}

#[test]
fn verdicts_that_come_too_late_are_told_with_the_next_packet() {
    let plant = Plant::new();
    let mut work = Work::begin();
    // Far more than the line holds, in front of a request that never ends.
    work.client_says(1, &adu(1, 1, &[3, 0, 100, 0, 1])[..5]);
    let piece = vec![7_u8; 64 * 1024];
    for _ in 0..600 {
        work.client_says(2, &piece);
    }
    work.client_says(1, &adu(1, 1, &[3, 0, 100, 0, 1])[5..]);
    plant.record("a.ghr", &work.finish());
    assert_eq!(export(&plant, "pcapng", &[]).code, 0);
    let packets = packets(&plant);
    let carried: usize = packets
        .iter()
        .filter(|(name, ..)| name == "channel-2-client")
        .map(|(_, payload, _)| payload.len())
        .sum();
    assert_eq!(carried, 600 * 64 * 1024);
    let told = |comments: &[String]| comments.iter().any(|text| text.starts_with("request 2: read"));
    assert_eq!(packets.iter().filter(|(_, _, comments)| told(comments)).count(), 1);
}

#[test]
fn exports_never_overwrite_and_leave_nothing_behind() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    for format in FORMATS {
        let out = plant.path(&format!("out.{format}"));
        std::fs::write(&out, "precious").unwrap();
        let called = export(&plant, format, &[]);
        assert_eq!((called.code, called.out.as_str()), (4, ""), "{format}");
        assert!(called.err.contains("exports never overwrite"), "{}", called.err);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "precious");
        std::fs::remove_file(&out).unwrap();
        // A folder, and a link that leads nowhere, are something too.
        std::fs::create_dir(&out).unwrap();
        assert_eq!(export(&plant, format, &[]).code, 4, "{format}");
        std::fs::remove_dir(&out).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(plant.path("nowhere"), &out).unwrap();
            assert_eq!(export(&plant, format, &[]).code, 4, "{format}");
            std::fs::remove_file(&out).unwrap();
        }
        assert_eq!(names(&plant), BEFORE, "{format}");
    }
}

#[test]
fn what_is_altered_is_not_exported_with_a_key_or_without() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    plant.flip("a.ghr", 1000);
    for format in FORMATS {
        for more in [&["--key", "@signing.pub"][..], &[]] {
            let called = export(&plant, format, more);
            assert_eq!((called.code, called.out.as_str()), (1, ""), "{format} {more:?}: {}", called.err);
            assert_eq!(names(&plant), BEFORE, "{format} {more:?}");
        }
    }
    let called = export(&plant, "csv", &["--key", "@signing.pub"]);
    assert!(
        called.err.contains("ALTERED at offset ") && called.err.contains("not exported"),
        "{}",
        called.err
    );
}

/// The content decrypts, so that only the key can tell.
#[test]
fn an_altered_checkpoint_keeps_a_recording_from_being_exported_as_proven() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    plant.flip("a.ghr", 600);
    for format in FORMATS {
        assert_eq!(export(&plant, format, &["--key", "@signing.pub"]).code, 1, "{format}");
        assert_eq!(names(&plant), BEFORE, "{format}");
        let called = export(&plant, format, &[]);
        assert!(called.code == 0 && called.out.contains("NOT VERIFIED"), "{format}: {}", called.out);
        std::fs::rename(plant.path(&format!("out.{format}")), plant.path("auditor.old")).unwrap();
        let old = plant.path("auditor.old");
        if old.is_dir() { std::fs::remove_dir_all(old) } else { std::fs::remove_file(old) }.unwrap();
    }
}

#[test]
fn what_was_not_closed_is_exported_as_far_as_it_goes_and_says_so() {
    let plant = Plant::new();
    plant.record_crash("a.ghr", &work());
    for format in FORMATS {
        let called = export(&plant, format, &["--key", "@signing.pub"]);
        assert_eq!(called.code, 3, "{format}: {}", called.err);
        assert!(called.out.contains("the recording was not closed"), "{}", called.out);
        assert!(called.out.contains("truncation can't be excluded"), "{}", called.out);
    }
    let text = std::fs::read_to_string(plant.path("out.jsonl")).unwrap();
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&row["signed"], &row["verified"]), (&false.into(), &"unclean".into()));
    std::fs::remove_file(plant.path("out.csv")).unwrap();
    let called = export(&plant, "csv", &["--json"]);
    let said: Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!((&said["closed"], &said["verified"]), (&false.into(), &"not verified".into()));
    assert_eq!((called.code, &said["written"], &said["what"]), (0, &8.into(), &"requests".into()));
}

#[test]
fn an_interrupted_export_leaves_nothing() {
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    for format in FORMATS {
        let interrupt = auditor::Interrupt::default();
        interrupt.raise();
        let out = format!("@out.{format}");
        let words = ["export", "@a.ghr", "--identity", "@auditor.age", "--format", format, "--out", &out];
        let called = plant.call_until(&words, interrupt);
        assert_eq!((called.code, called.out.as_str()), (4, ""));
        assert_eq!(names(&plant), BEFORE, "{format}");
    }
}

#[test]
fn wrong_places_keys_and_identities_are_named() {
    let (plant, other) = (Plant::new(), Plant::new());
    plant.record("a.ghr", &work());
    let foreign = other.path("auditor.age").display().to_string();
    let key = other.path("signing.pub").display().to_string();
    for (words, told) in [
        (vec!["@a.ghr", "--identity", "@auditor.age", "--out", "@no/such/x"], "no/such/x: "),
        (vec!["@a.ghr", "--identity", "@nowhere", "--out", "@x"], "nowhere"),
        (vec!["@a.ghr", "--identity", &foreign, "--out", "@x"], "not encrypted to this identity"),
        (vec!["@nowhere.ghr", "--identity", "@auditor.age", "--out", "@x"], "nowhere.ghr: "),
        (vec!["@auditor.age", "--identity", "@auditor.age", "--out", "@x"], "not a Gatehouse recording"),
        (vec!["@a.ghr", "--identity", "@auditor.age", "--out", "@x", "--key", "@a.ghr"], "a.ghr: "),
    ] {
        let called = plant.call(&[&["export", "--format", "csv"], &words[..]].concat());
        assert_eq!((called.code, called.out.as_str()), (4, ""), "{words:?}");
        assert!(called.err.contains(told), "{words:?}: {}", called.err);
    }
    let words = ["export", "--format", "csv", "@a.ghr", "--identity", "@auditor.age", "--out", "@x"];
    let called = plant.call(&[&words[..], &["--key", &key]].concat());
    assert_eq!(called.code, 1, "another gateway's key proves nothing");
    assert_eq!(names(&plant), BEFORE);
}

#[cfg(unix)]
#[test]
fn exports_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let plant = Plant::new();
    plant.record("a.ghr", &work());
    for format in FORMATS {
        assert_eq!(export(&plant, format, &[]).code, 0);
    }
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["out.pcapng", "out.jsonl", "out.csv", "out.raw/index.json"] {
        assert_eq!(mode(plant.path(name)), 0o600, "{name}");
    }
    assert_eq!(mode(plant.path("out.raw")), 0o700);
}

/// What a recording says is escaped in every format, and begins no formula.
#[test]
fn no_text_of_a_recording_gets_out_as_it_is() {
    const HOSTILE: &str = "=cmd|' /C calc'!A0\x1b[2J\u{202e}\r\n\"";
    let plant = Plant::new();
    let mut begin = started(HOSTILE);
    if let Event::Started(started) = &mut begin {
        (started.target, started.zone) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    }
    let entries: Vec<Entry> = vec![
        event(0, begin),
        event(
            1,
            Event::ChannelOpened {
                channel: 1,
                service: HOSTILE.to_owned(),
                protocol: HOSTILE.to_owned(),
                port: 1,
            },
        ),
        event(2, operation(1, HOSTILE, Decision::Deny, HOSTILE, HOSTILE)),
        event(3, operation(2, HOSTILE, Decision::Allow, HOSTILE, HOSTILE)),
        event(4, crate::plant::answer(2, HOSTILE, true)),
        event(5, Event::Note { text: HOSTILE.to_owned() }),
        event(6, Event::Unframed { channel: 1, tap: "from_client".to_owned(), reason: HOSTILE.to_owned() }),
        Entry {
            at: std::time::Duration::from_millis(7),
            body: Body::Bytes { channel: 1, tap: Tap::FromClient, offset: 0, bytes: HOSTILE.into() },
        },
    ];
    plant.record("a.ghr", &entries);
    for format in FORMATS {
        let called = export(&plant, format, &[]);
        assert_eq!((called.code, called.err.as_str()), (0, ""), "{format}");
    }
    for name in ["out.jsonl", "out.csv", "out.raw/index.json"] {
        let text = std::fs::read_to_string(plant.path(name)).unwrap();
        let harmful = |character: char| !is_harmless(character) && !matches!(character, '\n' | '\r');
        assert_eq!(text.find(harmful), None, "{name}: {text:?}");
    }
    let text = std::fs::read(plant.path("out.csv")).unwrap();
    let mut hostile = 0;
    for record in csv::Reader::from_reader(text.as_slice()).records() {
        for cell in &record.unwrap() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
            hostile += usize::from(cell.starts_with("'=cmd"));
        }
    }
    assert!(hostile >= 10, "only {hostile} hostile cells");
    for (name, _, comments) in packets(&plant) {
        assert!(comments.iter().all(|comment| comment.chars().all(is_harmless)), "{name}: {comments:?}");
    }
}
