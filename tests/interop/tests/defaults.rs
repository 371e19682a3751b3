//! The defaults that `glance-notify check` shows are the defaults of the code.

use glance_notify::codec::serde_json::{Map, Value};
use glance_notify::config::DriverOptions;
use glance_notify::transport::DRIVERS;

/// Setting an option to its displayed default changes nothing.
#[test]
fn every_displayed_default_is_the_default() {
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
