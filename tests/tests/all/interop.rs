//! pymodbus' client through the product to pymodbus' server: allowed, denied
//! and mixed traffic, and a recording that shows every request.

use recording::Decision;
use serde_json::json;
use tests::{
    evidence::Evidence,
    interop,
    plant::{Auditor, Gateway},
    workshop::{PRESS_LINE, TECHNICIAN, Workshop},
};

#[test]
fn pymodbus_works_through_the_gateway_with_the_policy_enforced() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.device().unwrap();
    let workshop = Workshop::new(device.address());
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let steps = json!([
        // Allowed.
        ["read_holding_registers", {"address": 100, "count": 2}],
        ["read_input_registers", {"address": 0, "count": 3}],
        ["write_register", {"address": 100, "value": 731}],
        ["write_registers", {"address": 110, "values": [1, 2, 3]}],
        ["write_coil", {"address": 3, "value": true}],
        // Denied: by address, by value, by the part that is not allowed, by
        // the write within a read-write, by function.
        ["write_register", {"address": 200, "value": 1}],
        ["write_register", {"address": 100, "value": 901}],
        ["write_registers", {"address": 198, "values": [1, 2, 3]}],
        ["readwrite_registers", {"read_address": 100, "read_count": 1, "address": 300, "values": [1]}],
        ["diag_restart_communication", {"toggle": false}],
        // Mixed, and the device's own exception for an address it has not.
        ["together", [
            ["read_holding_registers", {"address": 100, "count": 1}],
            ["write_register", {"address": 200, "value": 1}],
            ["read_coils", {"address": 3, "count": 8}],
        ]],
        ["read_holding_registers", {"address": 5000, "count": 1}],
    ]);
    let results = tools.technician(connection.address(), &steps).unwrap();
    assert_eq!(
        results,
        [
            json!({"registers": [7, 7]}),
            json!({"registers": [0, 1, 2]}),
            json!({"registers": [731]}),
            json!({"done": true}),
            json!({"bits": [true]}),
            json!({"exception": 2}),
            json!({"exception": 3}),
            json!({"exception": 2}),
            json!({"exception": 2}),
            json!({"exception": 1}),
            json!({"registers": [731]}),
            json!({"exception": 2}),
            json!({"bits": [true, false, false, false, false, false, false, false]}),
            json!({"exception": 2}),
        ]
    );
    connection.end().unwrap().expect_code(0).unwrap();

    // What the foreign device decoded is what was allowed, and nothing else.
    let reached = [
        "0300640002",
        "0400000003",
        "06006402db",
        "10006e000306000100020003",
        "050003ff00",
        "0300640001",
        "0100030008",
        "0313880001",
    ];
    assert_eq!(device.requests().unwrap(), reached);

    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let allowed = evidence.judged().iter().filter(|judged| judged.decision == Decision::Allow).count();
    assert_eq!((evidence.judged().len(), allowed), (14, reached.len()), "{:?}", evidence.judged());
    // A person who replays it sees each request, with its answer or its rule.
    let replay = auditor.replay(&recording).unwrap().expect_code(0).unwrap().out;
    for words in [
        ["holding[100-101]", "7 7"],
        ["holding[100] = 731", "ok"],
        ["holding[110-112] = 1 2 3", "ok"],
        ["coil[3] = 1", "ok"],
        ["holding[200] = 1", "policy.csv:5"],
        ["holding[198-200] = 1 2 3", "policy.csv:5"],
        ["holding[300]", "no rule"],
        ["holding[100] = 901", "0..900"],
        ["holding[5000]", "illegal data address"],
    ] {
        let found = replay.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line with {words:?} in\n{replay}");
    }
}
