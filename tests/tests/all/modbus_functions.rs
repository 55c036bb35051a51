//! The less common Modbus functions through the product, by pymodbus' client
//! and server: masks, read and write in one, files, queues, diagnostics,
//! identification; what is allowed arrives, what is denied does not, and the
//! recording has the device's answers.

use crate::agreement;
use recording::Decision;
use serde_json::json;
use tests::{
    evidence::Evidence,
    interop,
    plant::{Auditor, Gateway},
    workshop::{PRESS_LINE, RULES, TECHNICIAN, Workshop},
};

/// What pymodbus' server has in every record.
const DUMMY: &str = "5345525645522044554d4d59205245434f52442e";
/// So many words, by their bytes, are asked of a record.
const TEN: &str = "0000000000000000000000000000000000000000";

const FURTHER_RULES: &str = "\
p, role:press-service, zone:press, modbus:write:holding[0-9], , allow
p, role:press-service, zone:press, modbus:file-write:file[4], , allow
p, role:press-service, zone:press, modbus:file-read:file[6], , allow
p, role:press-service, zone:press, modbus:diagnostic, , allow
p, *, zone:press, modbus:read:holding[600-699], , deny
";

#[test]
fn the_less_common_functions_are_judged_forwarded_and_answered() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.device().unwrap();
    let workshop = Workshop::new(device.address());
    workshop.write("policies/policy.csv", &format!("{RULES}{FURTHER_RULES}")).unwrap();
    let gateway = Gateway::ready(&workshop).unwrap();
    let connection = gateway.import(TECHNICIAN).unwrap().connect(&[PRESS_LINE]).unwrap();
    let steps = json!([
        // Allowed.
        ["mask_write_register", {"address": 5, "and_mask": 0xFF00, "or_mask": 0x12}],
        ["read_holding_registers", {"address": 5, "count": 1}],
        ["readwrite_registers", {"read_address": 5, "read_count": 2, "write_address": 6, "values": [9]}],
        ["write_file_record", {"records": [[4, 1, "00010002"]]}],
        ["read_fifo_queue", {"address": 40}],
        ["report_device_id", {}],
        ["read_device_information", {"read_code": 1}],
        ["read_exception_status", {}],
        ["diag_get_comm_event_counter", {}],
        ["diag_get_comm_event_log", {}],
        ["diag_query_data", {"msg": "a537"}],
        ["diag_read_bus_message_count", {}],
        // pymodbus' server has ten words for every record.
        ["read_file_record", {"records": [[6, 1, TEN], [6, 40, TEN]]}],
        ["diag_read_diagnostic_register", {}],
        ["diag_read_bus_comm_error_count", {}],
        ["diag_clear_counters", {}],
        // Denied: the masked register, each half of the exchange, the file,
        // a file that is read, one of two groups either way, a queue that reaches into
        // what may not be read, a restart.
        ["mask_write_register", {"address": 200, "and_mask": 0, "or_mask": 1}],
        ["readwrite_registers", {"read_address": 5, "read_count": 1, "write_address": 300, "values": [1]}],
        ["readwrite_registers", {"read_address": 600, "read_count": 1, "write_address": 6, "values": [8]}],
        ["write_file_record", {"records": [[5, 1, "0001"]]}],
        ["write_file_record", {"records": [[4, 1, "0001"], [5, 1, "0001"]]}],
        ["read_file_record", {"records": [[4, 1, "0000"]]}],
        ["read_file_record", {"records": [[6, 1, TEN], [4, 1, TEN]]}],
        ["read_fifo_queue", {"address": 590}],
        ["diag_restart_communication", {"toggle": true}],
        ["diag_force_listen_only", {"no_response_expected": false}],
        // The session is as good as before, and the register was not masked.
        ["read_holding_registers", {"address": 200, "count": 1}],
    ]);
    let results = tools.technician(connection.address(), &steps).unwrap();
    let done = json!({"done": true});
    let [function, address] = [1, 2].map(|code| json!({"exception": code}));
    assert_eq!(
        results,
        [
            done.clone(),
            json!({"registers": [0x12]}),
            json!({"registers": [0x12, 9]}),
            done.clone(),
            json!({"values": [0, 1, 2, 3]}),
            json!({"identifier": "Press Works-PL-7-1.4"}),
            json!({"information": {"0": "Press Works", "1": "PL-7", "2": "1.4"}}),
            done.clone(),
            done.clone(),
            done.clone(),
            done.clone(),
            done.clone(),
            json!({"records": [DUMMY, DUMMY]}),
            done.clone(),
            done.clone(),
            done,
            address.clone(),
            address.clone(),
            address.clone(),
            address.clone(),
            address.clone(),
            address.clone(),
            address.clone(),
            address,
            function.clone(),
            function,
            json!({"registers": [7]}),
        ]
    );
    connection.end().unwrap().expect_code(0).unwrap();

    let reached = [
        "160005ff000012",
        "0300050001",
        "170005000200060001020009",
        "150b0600040001000200010002",
        "180028",
        "11",
        "2b0e0100",
        "07",
        "0b",
        "0c",
        "080000a537",
        "08000b0000",
        // It has halved the lengths when it decoded them.
        "140e0600060001000506000600280005",
        "0800020000",
        "08000c0000",
        "08000a0000",
        "0300c80001",
    ];
    assert_eq!(device.requests().unwrap(), reached);

    let [recording] = workshop.recordings().unwrap().try_into().unwrap();
    let auditor = Auditor::of(&workshop);
    auditor.verify(&recording).unwrap().expect_code(0).unwrap();
    let evidence = Evidence::open(&workshop, &recording).unwrap();
    let allowed = evidence.judged().iter().filter(|judged| judged.decision == Decision::Allow).count();
    assert_eq!((evidence.judged().len(), allowed), (27, reached.len()), "{:?}", evidence.judged());
    assert!(agreement::modbus(&workshop, (&recording, device.address())) >= 20);
    let replay = auditor.replay(&recording).unwrap().expect_code(0).unwrap().out;
    for words in [
        ["holding[5] = (old and 0xff00) or (0x0012 and not 0xff00)", "-> ok"],
        ["READ holding[5-6] + write holding[6] = 9", "-> 18 9"],
        ["file[4.1-4.2] = 0x00010002", "-> ok"],
        ["holding[40-71]", "-> 0 1 2 3"],
        ["report server id", "-> \"Press Works-PL-7-1.4"],
        ["read device identification", "-> \"vendor Press Works; product PL-7; revision 1.4\""],
        ["read exception status", "-> 0 0 0 0 0 0 0 0"],
        ["return query data", "-> ok"],
        ["return bus message count", "-> 0"],
        ["file[6.1-6.10] + file-read file[6.40-6.49]", "-> 21317 21078"],
        ["return diagnostic register", "-> 0"],
        ["return bus communication error count", "-> 0"],
        ["clear counters", "-> ok"],
        ["get comm event counter", "-> "],
        ["restart communications", "DENIED"],
        ["holding[600]", "DENIED policy.csv:14"],
        ["file[5.1]", "DENIED"],
    ] {
        let found = replay.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line with {words:?} in\n{replay}");
    }
}
