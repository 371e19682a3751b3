//! What `glance-notify check` shows as the default of a strategy's option is what holds without it.

use glance_notify::codec::serde_json::{Map, Value};
use glance_notify::config::DriverOptions;
use glance_notify::transport::DRIVERS;

#[test]
fn the_defaults_that_are_shown_are_those_that_hold() {
    assert_eq!(DRIVERS.len(), 4);
    for driver in DRIVERS {
        let mut needed = Map::new();
        if driver.name == "log" {
            needed.insert("file".into(), "/var/log/n.log".into());
        }
        let opened =
            |table| format!("{:?}", (driver.open)(DriverOptions::new(driver.name, table)).unwrap());
        let without = opened(needed.clone());
        let Value::Object(defaults) = driver.defaults.parse().unwrap() else {
            panic!("{}: not an object", driver.name)
        };
        for (key, value) in defaults {
            let mut table = needed.clone();
            table.insert(key.clone(), value);
            assert_eq!(opened(table.clone()), without, "{}.{key}", driver.name);
        }
    }
}
