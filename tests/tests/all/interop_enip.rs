//! cpppo's client through the product to cpppo's server: allowed, denied and
//! mixed traffic, the tool's session usable after each denial, and a recording
//! that shows every request.

use crate::agreement;
use recording::Decision;
use serde_json::json;
use tests::{
    evidence::{Channel, Evidence},
    interop,
    plant::{Auditor, Gateway},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

const RULES: &str = "\
p, role:press-service, zone:press, enip:read, , allow
p, role:press-service, zone:press, enip:write:symbol[Speed[0-4]], value:0..100, allow
p, role:press-service, zone:press, enip:write:tag[level], value:0..50.5, allow
p, *, zone:press, enip:write:symbol[Limit], , deny
g, person:tech-1@vendor-a, role:press-service
";

/// The bodies of the frames in a tap, with their commands.
pub(crate) fn frames(tap: &[u8]) -> Vec<(u16, String)> {
    let mut rest = tap;
    let mut frames = Vec::new();
    while let [command, command_high, length, length_high, ..] = rest {
        let length = usize::from(u16::from_le_bytes([*length, *length_high]));
        let (frame, later) = rest.split_at(24 + length);
        frames.push((u16::from_le_bytes([*command, *command_high]), hex::encode(&frame[24..])));
        rest = later;
    }
    frames
}

#[test]
fn cpppo_works_through_the_gateway_with_the_policy_enforced() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.other_end("cpppo_server.py").unwrap();
    let workshop = Workshop::new(device.address());
    let targets = format!(
        "[[target]]\nid = \"{PRESS_LINE}\"\nzone = \"press\"\naddress = \"{}\"\n\
         [target.services]\nlogix = \"{}/tcp enip\"\n\
         [target.tags]\nlevel = \"enip:symbol[Level]:f32\"\n",
        device.address().ip(),
        device.address().port()
    );
    workshop.write("policies/targets.toml", &targets).unwrap();
    workshop.write("policies/policy.csv", RULES).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let steps = json!([
        // Allowed.
        ["each", ["SPEED[1]", "SPEED[1]=(INT)77", "SPEED[0-3]", "LEVEL=(REAL)12.5", "LEVEL"]],
        ["multiple", ["SPEED[1]", "SPEED[2]=(INT)5"]],
        ["attributes", ["@22/1/1"]],
        // Denied: by value, by element, by a deny, by the value of a tag, by
        // the part of a write that is outside; each with a read behind it.
        ["each", ["SPEED[1]=(INT)101", "SPEED[1]", "SPEED[5]=(INT)1", "SPEED[1]", "LIMIT=(DINT)5", "LIMIT"]],
        ["each", ["LEVEL=(REAL)51", "LEVEL", "SPEED[4-5]=(INT)1,2", "SPEED[4]"]],
        // Mixed: one part that is denied denies the packet, with the status
        // of an embedded service that failed.
        ["multiple", ["SPEED[1]", "LIMIT=(DINT)1"]],
        // Aimed through the device.
        ["routed", ["SPEED[1]"]],
        ["each", ["LIMIT", "SPEED[2]"]],
    ]);
    let results = tools.tool("cpppo_client.py", connection.address(), &steps).unwrap();
    connection.end().unwrap().expect_code(0).unwrap();
    let (value, done, denied) =
        (|value: &[f64]| json!({ "value": value }), json!({"done": true}), json!({"status": 15}));
    let integers = |value: &[i64]| json!({ "value": value });
    assert_eq!(
        results,
        [
            integers(&[0]),
            done.clone(),
            integers(&[0, 77, 0, 0]),
            done.clone(),
            value(&[12.5]),
            integers(&[77]),
            done,
            integers(&[0, 0, 0, 0]),
            denied.clone(),
            integers(&[77]),
            denied.clone(),
            integers(&[77]),
            denied.clone(),
            integers(&[0]),
            denied.clone(),
            value(&[12.5]),
            denied.clone(),
            integers(&[0]),
            json!({"packet": 30}),
            denied,
            integers(&[0]),
            integers(&[5]),
        ]
    );

    // What the foreign device took is what is recorded for it, frame by frame.
    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let [Channel { to_device, .. }] = evidence.channels()[..] else { panic!("one channel") };
    let seen = device.seen().unwrap().into_iter();
    let reached: Vec<(u16, String)> = seen
        .map(|seen| (seen["command"].as_u64().unwrap() as u16, seen["body"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(reached, frames(to_device));
    Auditor::of(&workshop).verify(&recording).unwrap().expect_code(0).unwrap();
    let count = |wanted| evidence.judged().iter().filter(|judged| judged.decision == wanted).count();
    assert_eq!(
        (count(Decision::Deny), count(Decision::Allow)),
        (7, reached.len()),
        "{:?}",
        evidence.judged()
    );
    assert!(agreement::enip(&workshop, (&recording, device.address()), &[]) >= 20);
    let replay =
        Auditor::of(&workshop).replay(&recording).unwrap().expect_code(0).unwrap().out.to_lowercase();
    for words in [
        ["housekeeping (register session)", "ok"],
        ["symbol[SPEED[1]]", "77"],
        ["symbol[SPEED[1]] = 77", "ok"],
        ["symbol[LEVEL] = 12.5", "ok"],
        ["symbol[SPEED[1]] + write symbol[SPEED[2]] = 5", "77; ok"],
        ["class[22.1.1] (get attribute single)", "0x00000000"],
        ["symbol[SPEED[1]] = 101", "0..100"],
        ["symbol[SPEED[5]] = 1", "no rule"],
        ["symbol[LIMIT] = 5", "policy.csv:4"],
        ["symbol[LEVEL] = 51", "0..50.5"],
        ["symbol[SPEED[4-5]] = 1 2", "no rule"],
        ["symbol[LIMIT] = 1", "policy.csv:4"],
        ["route path[1.3]", "no rule"],
    ] {
        let found = replay.lines().any(|line| words.iter().all(|word| line.contains(&word.to_lowercase())));
        assert!(found, "no line with {words:?} in\n{replay}");
    }
    let learnt = super::policy_changes::reproduced_and_learnt_from(&workshop);
    for action in ["enip:read:symbol", "enip:write:symbol"] {
        assert!(learnt.contains(action), "{action} in {learnt}");
    }
}
