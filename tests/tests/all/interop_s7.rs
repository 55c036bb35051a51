//! python-snap7's client through the product to python-snap7's server, and
//! s7commplus' likewise: allowed, denied and mixed traffic, the tool's session
//! usable after each denial, and a recording that shows every request.

use crate::agreement;
use recording::Decision;
use serde_json::{Value, json};
use tests::{
    evidence::{Channel, Evidence},
    interop,
    plant::{Auditor, Gateway},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

const RULES: &str = "\
p, role:press-service, zone:press, s7:read, , allow
p, role:press-service, zone:press, s7:write:db2, , allow
p, role:press-service, zone:press, s7:write:tag[level], value:0..100, allow
p, role:press-service, zone:press, s7:program-read, , allow
p, *, zone:press, s7:write:m[0-9], , deny
g, person:tech-1@vendor-a, role:press-service
";

/// The inventory with one service of that protocol.
fn furnish(workshop: &Workshop, address: std::net::SocketAddr, service: &str, rules: &str) {
    let targets = format!(
        "[[target]]\nid = \"{PRESS_LINE}\"\nzone = \"press\"\naddress = \"{}\"\n\
         [target.services]\n{service} = \"{}/tcp\"\n\
         [target.tags]\nlevel = \"s7:db1[8]:f32\"\n",
        address.ip(),
        address.port()
    );
    workshop.write("policies/targets.toml", &targets).unwrap();
    workshop.write("policies/policy.csv", rules).unwrap();
}

/// The S7 units of the data in a tap: TPKT and COTP off, connection out.
fn units(tap: &[u8]) -> Vec<String> {
    let mut rest = tap;
    let mut units = Vec::new();
    while let [3, 0, high, low, ..] = rest {
        let (tpkt, later) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        if tpkt[5] == 0xF0 {
            units.push(hex::encode(&tpkt[7..]));
        }
        rest = later;
    }
    units
}

fn is_refused(result: &Value) -> bool {
    let error = result["error"].as_str().unwrap_or_default();
    ["not allowed", "refused", "not permitted", "Access", "access", "protection level", "Wrong frames"]
        .iter()
        .any(|word| error.contains(word))
}

#[test]
fn snap7_works_through_the_gateway_with_the_policy_enforced() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("snap7_server.py").unwrap();
    let workshop = Workshop::new(device.address());
    furnish(&workshop, device.address(), "s7", RULES);
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let allowed = json!([
        ["db_read", {"db_number": 1, "start": 0, "size": 4}],
        ["db_write", {"db_number": 2, "start": 4, "data": "0102"}],
        ["db_write_real", {"db_number": 1, "offset": 8, "value": 12.5}],
        ["db_read_real", {"db_number": 1, "offset": 8}],
        ["read_multi_vars", [
            {"area": "DB", "db_number": 2, "start": 4, "size": 2},
            {"area": "MK", "db_number": 0, "start": 0, "size": 2},
        ]],
        ["upload", {"block_num": 2}],
        ["list_blocks", {}],
        ["get_plc_datetime", {}],
        ["read_szl", {"ssl_id": 17}],
        // The device's own refusal.
        ["db_read", {"db_number": 9, "start": 0, "size": 4}],
    ]);
    let denied = json!([
        ["db_write", {"db_number": 1, "start": 0, "data": "0102"}],
        ["db_write_real", {"db_number": 1, "offset": 8, "value": 100.5}],
        // Half of the value: what it will be is not known.
        ["db_write", {"db_number": 1, "start": 8, "data": "4148"}],
        ["mb_write", {"start": 0, "size": 1, "data": "05"}],
        ["plc_stop", {}],
        ["plc_cold_start", {}],
        ["set_plc_datetime", {"dt": "2026-01-02T03:04:05"}],
        ["set_session_password", {"password": "hunter2"}],
        ["download", {"data": "00", "block_num": 2}],
        ["compress", {"timeout": 1}],
        ["copy_ram_to_rom", {"timeout": 1}],
        ["delete", {"block_type": "DB", "block_num": 2}],
    ]);
    let list = |steps: &Value| steps.as_array().unwrap().clone();
    // After each denial a read on the same connection, which has to work.
    let probe = || json!(["db_read", {"db_number": 2, "start": 4, "size": 2}]);
    let steps: Vec<Value> = list(&allowed)
        .into_iter()
        .chain(list(&denied).into_iter().flat_map(|step| [step, probe()]))
        .collect();
    let results = tools.tool("snap7_client.py", connection.address(), &json!(steps)).unwrap();
    connection.end().unwrap().expect_code(0).unwrap();
    let (first, rest) = results.split_at(list(&allowed).len());
    assert_eq!(first[0], json!({"bytes": "00010203"}));
    assert_eq!(first[1..3], [json!({"done": true}), json!({"done": true})]);
    assert_eq!(first[3], json!({"value": "12.5"}));
    assert_eq!(first[4], json!({"parts": ["0102", "0000"]}));
    assert!(first[5]["bytes"].as_str().is_some_and(|bytes| bytes.contains("0102")), "{}", first[5]);
    assert!(first[6..9].iter().all(|result| result["value"].is_string()), "{:?}", &first[6..9]);
    assert!(first[9]["error"].as_str().is_some_and(|error| error.contains("0x0a")), "{}", first[9]);
    for (pair, step) in rest.chunks(2).zip(list(&denied)) {
        assert!(is_refused(&pair[0]), "{step}: {}", pair[0]);
        assert_eq!(pair[1], json!({"bytes": "0102"}), "after {step}");
    }

    // What the foreign device took is what is recorded for it, unit by unit,
    // and nothing of what was denied.
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let [Channel { to_device, .. }] = evidence.channels()[..] else { panic!("one channel") };
    let reached = device.words("unit").unwrap();
    assert_eq!(reached, units(to_device));
    let control = |unit: &String| ["28", "29", "1a"].contains(&&unit[20..22]) && unit.starts_with("3201");
    assert!(!reached.iter().any(control), "{reached:?}");
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
    let count = |wanted| evidence.judged().iter().filter(|judged| judged.decision == wanted).count();
    assert_eq!(count(Decision::Deny), list(&denied).len(), "{:?}", evidence.judged());
    // Connecting and disconnecting are no units.
    assert_eq!(count(Decision::Allow), reached.len() + 2, "{:?}", evidence.judged());
    // Bytes with a password get out only when they are asked for.
    let (auditor, out) = (Auditor::of(&workshop), workshop.path("session.pcapng"));
    let refused = auditor.export(&recording, "pcapng", &out).unwrap().expect_code(4).unwrap();
    assert!(refused.all().contains("holds a password (set session password)"), "{}", refused.all());
    assert!(!out.exists());
    assert!(agreement::s7(&workshop, (&recording, device.address())) >= 20);
    let replay =
        Auditor::of(&workshop).replay(&recording).unwrap().expect_code(0).unwrap().out.to_lowercase();
    for words in [
        ["housekeeping = PG rack 0 slot 1 (connect)", "ok"],
        ["housekeeping (setup communication)", "ok"],
        ["db1[0-3]", "0x00010203"],
        ["db2[4-5] = 0x0102", "ok"],
        ["db1[8-11] = 0x41480000", "ok"],
        ["db9[0-3]", "REFUSED by the device"],
        ["program-read (upload)", "-> ok"],
        ["db1[0-1] = 0x0102", "no rule"],
        ["db1[8-11] = 0x42c90000", "0..100"],
        ["db1[8-9]", "can't be known"],
        ["m[0] = 0x05", "policy.csv:5"],
        ["control (PLC stop)", "DENIED"],
        ["control = \"C \" (start)", "DENIED"],
        ["time-set", "DENIED"],
        ["security = *** (set session password)", "DENIED"],
        ["program-write = \"_0A00002P\" (request download)", "DENIED"],
        ["program-write (compress memory (_GARB))", "DENIED"],
    ] {
        let found = replay.lines().any(|line| words.iter().all(|word| line.contains(&word.to_lowercase())));
        assert!(found, "no line with {words:?} in\n{replay}");
    }
    let learnt = super::policy_changes::reproduced_and_learnt_from(&workshop);
    for rule in ["s7:read:db1[0-3], ,", "s7:write:tag[level], value:12.5..12.5,", "s7:program-read, ,"] {
        assert!(learnt.contains(rule), "{rule} in {learnt}");
    }
}

#[test]
fn a_download_that_is_allowed_runs_to_its_end() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("snap7_server.py").unwrap();
    let workshop = Workshop::new(device.address());
    let rules = RULES.replace("s7:program-read", "s7:program-write");
    furnish(&workshop, device.address(), "s7", &rules);
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let steps = json!([
        ["download", {"data": "0a0b0c0d", "block_num": 2}],
        ["db_read", {"db_number": 2, "start": 0, "size": 4}],
    ]);
    let results = tools.tool("snap7_client.py", connection.address(), &steps).unwrap();
    connection.end().unwrap().expect_code(0).unwrap();
    assert_eq!(results, [json!({"done": true}), json!({"bytes": "0a0b0c0d"})]);
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let replay =
        Auditor::of(&workshop).replay(&recording).unwrap().expect_code(0).unwrap().out.to_lowercase();
    for words in [
        ["program-write = \"_0A00002P\" (request download)", "ok"],
        ["the device", "sent by itself: download block"],
        ["the device", "sent by itself: download ended"],
    ] {
        let found = replay.lines().any(|line| words.iter().all(|word| line.contains(&word.to_lowercase())));
        assert!(found, "no line with {words:?} in\n{replay}");
    }
}

#[test]
fn s7_communication_plus_is_carried_as_a_whole_and_named_in_the_replay() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("s7commplus_server.py").unwrap();
    let workshop = Workshop::new(device.address());
    let rules = "p, *, *, s7plus:use, opaque-accepted, allow\n";
    furnish(&workshop, device.address(), "s7plus", rules);
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let steps = json!([
        ["db_read", {"db_number": 1, "start": 0, "size": 4}],
        ["db_write", {"db_number": 1, "start": 0, "data": "0a0b"}],
        ["db_read", {"db_number": 1, "start": 0, "size": 4}],
    ]);
    let results = tools.tool("s7commplus_client.py", connection.address(), &steps).unwrap();
    connection.end().unwrap().expect_code(0).unwrap();
    assert_eq!(results, [json!({"bytes": "00010203"}), json!({"done": true}), json!({"bytes": "0a0b0203"})]);
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let judged: Vec<&str> = evidence.judged().iter().map(|judged| judged.text.as_str()).collect();
    assert_eq!(judged, ["use s7plus"]);
    let [channel] = evidence.channels()[..] else { panic!("one channel") };
    assert_eq!(channel.from_client, channel.to_device);
    assert_eq!(channel.from_device, channel.to_client);
    let replay =
        Auditor::of(&workshop).replay(&recording).unwrap().expect_code(0).unwrap().out.to_lowercase();
    for words in [
        "connection request of an operator panel",
        "create object",
        "get multiple variables",
        "set multiple variables",
        "response to set multiple variables",
    ] {
        assert!(replay.contains(words), "no {words:?} in\n{replay}");
    }
}

#[test]
fn s7_communication_plus_on_a_service_of_s7_is_closed() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("s7commplus_server.py").unwrap();
    let workshop = Workshop::new(device.address());
    furnish(&workshop, device.address(), "s7", RULES);
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let steps = json!([["db_read", {"db_number": 1, "start": 0, "size": 4}]]);
    assert!(tools.tool("s7commplus_client.py", connection.address(), &steps).is_err());
    connection.end().unwrap().expect_code(0).unwrap();
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let replay = Auditor::of(&workshop).replay(&recording).unwrap().expect_code(0).unwrap().out;
    assert!(replay.contains("such a service is named s7plus"), "{replay}");
}
