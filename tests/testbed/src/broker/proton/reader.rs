//! Reading messages from a broker with Proton.

use serde_json::json;

use super::message::ProtonMessage;
use super::programs;
use crate::broker::python_process::PythonProcess;

/// Takes `count` messages from the node `address` of the broker on `port`, as the user `guest`, and
/// calls `each` with every one in order.
///
/// `hostname` is the host name of AMQP's Open frame. RabbitMQ 3 selects a virtual host by
/// `vhost:NAME`. Without `bodies`, the messages arrive with empty bodies, which saves memory when
/// there are many.
///
/// # Panics
///
/// Panics if the node holds fewer messages or if the broker refuses the link.
pub fn read_messages(
    port: u16,
    hostname: &str,
    address: &str,
    count: u64,
    bodies: bool,
    mut each: impl FnMut(ProtonMessage),
) {
    if count == 0 {
        return;
    }
    let mut program = PythonProcess::start_system(
        programs::READER,
        &json!({
            "port": port,
            "hostname": hostname,
            "address": address,
            "count": count,
            "bodies": bodies,
        }),
    );
    loop {
        let mut answer = program.receive();
        if let Some(message) = answer.get_mut("message") {
            each(serde_json::from_value(message.take()).expect("the reader describes a message"));
        } else {
            assert_eq!(answer, json!({"done": 0}), "reading from {address}");
            return;
        }
    }
}
