//! The independent tools themselves, without the product between them.

use serde_json::json;
use tests::interop;

#[test]
fn pymodbus_talks_to_pymodbus() {
    let Some(tools) = interop::tools() else { return };
    let device = tools.device().unwrap();
    let steps = json!([
        ["read_holding_registers", {"address": 100, "count": 2}],
        ["write_register", {"address": 100, "value": 731}],
        ["read_holding_registers", {"address": 5000, "count": 1}],
    ]);
    let results = tools.technician(device.address(), &steps).unwrap();
    assert_eq!(results, [json!({"registers": [7, 7]}), json!({"registers": [731]}), json!({"exception": 2})]);
    assert_eq!(device.requests().unwrap(), ["0300640002", "06006402db", "0313880001"]);
}
