//! Taking messages from a broker with Proton.

use serde_json::json;

use super::{Received, program};
use crate::broker::python::Python;

/// Takes `count` messages from the node at `address` of the broker on `port`, in order, as `guest`.
/// `hostname` is that of AMQP's Open: RabbitMQ 3 takes `vhost:NAME`.
///
/// Without `bodies` those are left out: for more messages than are to be held at once.
///
/// # Panics
///
/// When there are fewer, or the broker refuses.
pub fn read(
    port: u16,
    hostname: &str,
    address: &str,
    count: u64,
    bodies: bool,
    mut each: impl FnMut(Received),
) {
    if count == 0 {
        return;
    }
    let mut program = Python::start_system(
        program!("../python/proton_reader.py"),
        &json!({
            "port": port,
            "hostname": hostname,
            "address": address,
            "count": count,
            "bodies": bodies,
        }),
    );
    loop {
        let mut answer = program.answer();
        if let Some(message) = answer.get_mut("message") {
            each(serde_json::from_value(message.take()).expect("a message"));
        } else {
            assert_eq!(answer, json!({"done": 0}), "reading {address}");
            return;
        }
    }
}
