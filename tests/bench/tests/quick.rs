//! Every row that needs no broker can be measured. A build for tests is too slow for its ratios to mean anything.

use std::process::Command;

use glance_notify::codec::serde_json::{self, Value};

#[test]
fn the_quick_rows_can_be_measured() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_notify-bench"));
    let output =
        bench.args(["--quick", "--rounds", "1", "--divide", "10", "--json"]).output().unwrap();
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    let json = printed.find("{\n  \"rows\"").map_or("", |at| &printed[at..]);
    let table: Value = serde_json::from_str(json).unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert!(rows.len() > 15, "{table:#}");
    assert!(rows.iter().all(|row| row["ours"].is_number()), "{table:#}");
}
