//! pycomm3's drivers, and pylogix, through the product: connected messages that
//! a Forward Open begins, tags by the instances that a controller listed, PCCC;
//! allowed, denied and mixed traffic, the connection usable after each denial.

use crate::{agreement, interop_enip::frames};
use recording::Decision;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tests::{
    evidence::{Channel, Evidence},
    interop::{self, Device, Tools},
    plant::{Auditor, Gateway},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

const RULES: &str = "\
p, role:press-service, zone:press, enip:read, , allow
p, role:press-service, zone:press, enip:write:symbol[Speed[0-4]], value:0..100, allow
p, role:press-service, zone:press, enip:write:tag[level], value:0..50.5, allow
p, role:press-service, zone:press, enip:write:symbol[Flags], , allow
p, role:press-service, zone:press, enip:write:symbol[Program:Main.Count], , allow
p, role:press-service, zone:press, enip:write:table[7[0-3]], , allow
p, role:press-service, zone:press, enip:write:table[8[1]], , allow
p, role:press-service, zone:press, enip:write:class[22.1.1], , allow
p, *, zone:press, enip:write:symbol[Limit], , deny
g, person:tech-1@vendor-a, role:press-service
";

struct Plant {
    workshop: Workshop,
}

/// The tags of `logix_device.py` by their instances.
const TAGS: [(u32, &str); 4] = [(0x0201, "Speed"), (0x0A11, "Level"), (0x0A13, "Limit"), (0x0B00, "Flags")];

fn plant(device: SocketAddr) -> Plant {
    let workshop = Workshop::new(device);
    let targets = format!(
        "[[target]]\nid = \"{PRESS_LINE}\"\nzone = \"press\"\naddress = \"{}\"\n\
         [target.services]\nlogix = \"{}/tcp enip\"\n\
         [target.tags]\nlevel = \"enip:symbol[Level]:f32\"\n",
        device.ip(),
        device.port()
    );
    workshop.write("policies/targets.toml", &targets).unwrap();
    workshop.write("policies/policy.csv", RULES).unwrap();
    Plant { workshop }
}

/// Steps that are denied, each followed by one that has to work.
fn with_probe(denied: &Value, probe: &Value) -> Vec<Value> {
    denied.as_array().unwrap().iter().flat_map(|step| [step.clone(), probe.clone()]).collect()
}

fn list(steps: &Value) -> Vec<Value> {
    steps.as_array().unwrap().clone()
}

impl Plant {
    /// Runs the driver of pycomm3 through the steps, in a session of its own.
    fn work(&self, tools: &Tools, driver: &str, steps: &[Value]) -> Vec<Value> {
        self.work_by(tools, &["pycomm3_client.py", driver], steps)
    }

    fn work_by(&self, tools: &Tools, script: &[&str], steps: &[Value]) -> Vec<Value> {
        let gateway = Gateway::ready(&self.workshop).unwrap();
        let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
        let results = tools.tool_with(script, connection.address(), &json!(steps)).unwrap();
        connection.end().unwrap().expect_code(0).unwrap();
        results
    }

    /// What the device took is what is recorded for it; `denied` requests were
    /// denied and all others went; a replay tells `words`.
    fn check(&self, device: &Device, denied: usize, words: &[[&str; 2]]) -> Vec<String> {
        let [recording] = self.workshop.recordings().unwrap().try_into().unwrap();
        let evidence = Evidence::open(&self.workshop, &recording).unwrap();
        let [Channel { to_device, .. }] = evidence.channels()[..] else { panic!("one channel") };
        let seen = device.seen().unwrap().into_iter();
        let reached: Vec<(u16, String)> = seen
            .map(|seen| (seen["command"].as_u64().unwrap() as u16, seen["body"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(reached, frames(to_device));
        let auditor = Auditor::of(&self.workshop);
        auditor.verify(&recording).unwrap().expect_code(0).unwrap();
        let count = |wanted| evidence.judged().iter().filter(|judged| judged.decision == wanted).count();
        assert_eq!(
            (count(Decision::Deny), count(Decision::Allow)),
            (denied, reached.len()),
            "{:?}",
            evidence.judged()
        );
        let replay = auditor.replay(&recording).unwrap().expect_code(0).unwrap().out.to_lowercase();
        for words in words {
            let found =
                replay.lines().any(|line| words.iter().all(|word| line.contains(&word.to_lowercase())));
            assert!(found, "no line with {words:?} in\n{replay}");
        }
        let address = device.address();
        assert!(agreement::enip(&self.workshop, (&recording, address), &TAGS) > reached.len());
        reached.into_iter().map(|(_, body)| body).collect()
    }
}

#[test]
fn tags_of_a_controller_are_reached_by_their_instances() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("logix_device.py").unwrap();
    let plant = plant(device.address());
    let allowed = json!([
        ["tags"],
        ["read", "Speed{4}"],
        ["write", ["Speed[1]", 77]],
        ["read", "Speed{4}", "Level", "Limit"],
        ["write", ["Level", 12.5]],
        ["write", ["Flags.3", true]],
        ["read", "Flags"],
        ["write", ["Speed[2]", 5], ["Speed[3]", 6]],
        ["write", ["Program:Main.Count", 3]],
        ["read", "Program:Main.Count"],
        ["get_plc_time"],
    ]);
    let denied = json!([
        // By value, by element, by a deny, by the value of a tag.
        ["write", ["Speed[1]", 101]],
        ["write", ["Speed[5]", 1]],
        ["write", ["Limit", 5]],
        ["write", ["Level", 51.0]],
        // One part that is denied denies the packet.
        ["write", ["Speed[1]", 1], ["Limit", 1]],
        // A bit of what is denied as a whole.
        ["write", ["Limit.0", true]],
        ["set_plc_time", 1_000_000],
        ["message", {"service": 7, "class_code": 0x8E, "instance": 1, "name": "stop"}],
    ]);
    let steps = [list(&allowed), with_probe(&denied, &json!(["read", "Speed[1]"]))].concat();
    let results = plant.work(tools, "logix", &steps);
    let (first, rest) = results.split_at(14);
    let value = |value: Value| json!({ "value": value });
    assert_eq!(
        first[..13],
        [
            value(json!(["Flags", "Level", "Limit", "Program:Main.Count", "Speed"])),
            value(json!([0, 0, 0, 0])),
            value(json!(77)),
            value(json!([0, 77, 0, 0])),
            value(json!(0.0)),
            value(json!(0)),
            value(json!(12.5)),
            value(json!(true)),
            value(json!(8)),
            value(json!(5)),
            value(json!(6)),
            value(json!(3)),
            value(json!(3)),
        ]
    );
    assert!(first[13]["value"].is_object(), "{}", first[13]);
    // The packet gives a result for each of its two parts.
    let (works, refusals): (Vec<&Value>, Vec<&Value>) =
        rest.iter().partition(|result| result["error"].is_null());
    assert_eq!((works.len(), refusals.len()), (8, 9), "{rest:?}");
    assert!(works.iter().all(|result| **result == value(json!(77))), "{works:?}");
    let told = refusals.iter().all(|result| result["error"].as_str().unwrap().contains("Permission denied"));
    assert!(told, "{refusals:?}");

    let reached = plant.check(
        &device,
        8,
        &[
            ["housekeeping (large forward open)", "ok"],
            ["(get instance attribute list)", "-> "],
            ["read symbol[Speed[0-3]]", "0 0 0 0"],
            ["write symbol[Speed[1]] = 77", "ok"],
            ["write symbol[Speed[2]] = 5 + write symbol[Speed[3]] = 6", "ok; ok"],
            ["write symbol[Flags] = (old and", "ok"],
            ["write symbol[Program:Main.Count] = 3", "ok"],
            ["write symbol[Speed[1]] = 101", "0..100"],
            ["write symbol[Speed[5]] = 1", "no rule"],
            ["write symbol[Limit] = 5", "policy.csv:9"],
            ["write symbol[Level] = 51", "0..50.5"],
            ["symbol[Speed[1]] = 1 + write symbol[Limit] = 1", "policy.csv:9"],
            ["time-set", "DENIED"],
            ["control class[142.1]", "DENIED"],
        ],
    );
    let by_instance = |body: &&String| body.contains("4d04206b250001022801c30001004d00");
    assert_eq!(reached.iter().filter(by_instance).count(), 1, "{reached:?}");
}

#[test]
fn an_instance_that_the_controller_did_not_list_here_is_denied() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("logix_device.py").unwrap();
    let plant = plant(device.address());
    let read = json!({"service": 0x4C, "class_code": 0x6B, "instance": 0x0201, "data": "0100"});
    let listing = json!({"service": 0x55, "class_code": 0x6B, "instance": 0, "data": "01000100"});
    let program = json!({"service": 0x01, "class_code": 0x64, "instance": 1});
    let steps = [
        json!(["message", read]),
        json!(["message", program]),
        json!(["message", listing]),
        json!(["message", read]),
    ];
    let results = plant.work(tools, "cip", &steps);
    assert!(results[0]["error"].is_string() && results[1]["value"].is_string(), "{results:?}");
    assert_eq!(results[3], json!({"value": "c3000000"}), "{results:?}");
    plant.check(&device, 1, &[["unknown", "DENIED"], ["read symbol[Speed]", "-> 0"]]);
}

#[test]
fn data_tables_are_read_and_written_by_pccc() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("logix_device.py").unwrap();
    let plant = plant(device.address());
    let allowed = json!([
        ["read", "N7:0"],
        ["write", ["N7:0", 42]],
        ["read", "N7:0{3}"],
        ["write", ["N7:1{2}", [7, 8]]],
        ["write", ["F8:1", 2.5]],
        ["read", "F8:1"],
        ["write", ["N7:0/0", true]],
    ]);
    let denied = json!([
        ["write", ["N7:5", 1]],
        // Half of it may be written.
        ["write", ["N7:3{2}", [1, 2]]],
        ["write", ["F8:0", 1.5]],
        ["get_processor_type"],
    ]);
    let steps = [list(&allowed), with_probe(&denied, &json!(["read", "N7:0"]))].concat();
    let results = plant.work(tools, "slc", &steps);
    let value = |value: Value| json!({ "value": value });
    let (first, rest) = results.split_at(7);
    assert_eq!(
        first,
        [
            value(json!(0)),
            value(json!(42)),
            value(json!([42, 0, 0])),
            value(json!([7, 8])),
            value(json!(2.5)),
            value(json!(2.5)),
            value(json!(true)),
        ]
    );
    for (pair, step) in rest.chunks(2).zip(list(&denied)) {
        assert!(pair[0]["error"].is_string() || pair[0]["value"].is_null(), "{step}: {}", pair[0]);
        assert_eq!(pair[1], value(json!(43)), "after {step}");
    }
    plant.check(
        &device,
        4,
        &[
            ["read table[7[0]]", "-> "],
            ["write table[7[0]] = (old and", "ok"],
            ["write table[7[1-2]] = 0x07000800", "ok"],
            ["write table[8[1]] = 0x00002040", "ok"],
            ["write table[7[5]]", "no rule"],
            ["write table[7[3-4]]", "no rule"],
            ["unknown (pccc command)", "DENIED"],
        ],
    );
}

/// Another tool for the same controllers, which names tags by their symbols.
#[test]
fn pylogix_works_with_the_policy_enforced() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("logix_device.py").unwrap();
    let plant = plant(device.address());
    let allowed = json!([
        ["GetTagList"],
        ["Read", "Speed", 4],
        ["Write", "Speed[1]", 77],
        ["Read", ["Level", "Speed[1]"]],
        ["Write", [["Speed[2]", 5], ["Speed[3]", 6]]],
        ["Write", "Flags.3", true],
    ]);
    let denied = json!([
        ["Write", "Speed[1]", 101],
        ["Write", "Limit", 5],
        ["Write", [["Speed[1]", 1], ["Limit", 1]]],
        ["SetPLCTime"],
    ]);
    let steps = [list(&allowed), with_probe(&denied, &json!(["Read", "Speed[1]"]))].concat();
    let results = plant.work_by(tools, &["pylogix_client.py"], &steps);
    let value = |value: Value| json!({ "value": value });
    let (first, rest) = results.split_at(8);
    assert_eq!(
        first,
        [
            value(json!(["Speed", "Level", "Limit", "Flags", "Program:Main", "Program:Main.Count"])),
            value(json!([0, 0, 0, 0])),
            value(json!(77)),
            value(json!(0.0)),
            value(json!(77)),
            value(json!(5)),
            value(json!(6)),
            value(json!(true)),
        ]
    );
    let refused = json!({"error": "Privilege violation"});
    let works = value(json!(77));
    // The packet gives a result for each of its two parts.
    let (one, two) = (vec![&refused, &works], vec![&refused, &refused, &works]);
    assert_eq!(rest.iter().collect::<Vec<_>>(), [one.clone(), one.clone(), two, one].concat());
    plant.check(
        &device,
        4,
        &[
            ["housekeeping (large forward open)", "ok"],
            ["write symbol[Speed[1]] = 77", "ok"],
            ["write symbol[Flags] = (old and", "ok"],
            ["write symbol[Speed[1]] = 101", "0..100"],
            ["symbol[Speed[1]] = 1 + write symbol[Limit] = 1", "policy.csv:9"],
            ["time-set", "DENIED"],
        ],
    );
}

/// The same messages to a server that nobody here wrote.
#[test]
fn connected_messages_reach_cpppo() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("cpppo_server.py").unwrap();
    let plant = plant(device.address());
    let get = json!(["message", {"service": 0x0E, "class_code": 22, "instance": 1, "attribute": 1}]);
    let set = |attribute: u8| {
        json!(["message",
            {"service": 0x10, "class_code": 22, "instance": 1, "attribute": attribute, "data": "05000000"}])
    };
    let reset = json!(["message", {"service": 0x05, "class_code": 1, "instance": 1}]);
    let steps = [get.clone(), set(1), get.clone(), set(2), get.clone(), reset, get];
    let results = plant.work(tools, "cip", &steps);
    let value = |hex: &str| json!({ "value": hex });
    assert_eq!((&results[0], &results[2]), (&value("00000000"), &value("05000000")), "{results:?}");
    assert!(results[3]["error"].is_string() && results[5]["error"].is_string(), "{results:?}");
    assert_eq!((&results[4], &results[6]), (&value("05000000"), &value("05000000")), "{results:?}");
    plant.check(
        &device,
        2,
        &[
            ["read class[22.1.1] (get attribute single)", "0x00000000"],
            ["write class[22.1.1]", "ok"],
            ["write class[22.1.2]", "no rule"],
            ["control class[1.1] (reset)", "no rule"],
        ],
    );
}
