//! Comparing the messages of a test with those that the destination received.

use std::collections::HashMap;

use notify_core::Message;

use crate::attempts::DeliveryReport;
use crate::harness::{Capability, Harness, ReceivedMessage};

/// Asserts that the destination received exactly these bodies, in any order.
pub(super) fn assert_same_bodies(received: &[ReceivedMessage], messages: &[Message]) {
    let mut actual = received_bodies(received);
    let mut expected = message_bodies(messages);
    actual.sort_unstable();
    expected.sort_unstable();
    let as_text =
        |body: Option<&&[u8]>| body.map(|body| String::from_utf8_lossy(body).into_owned());
    let difference = (0..actual.len().max(expected.len()))
        .find(|&index| actual.get(index) != expected.get(index))
        .map(|index| (as_text(actual.get(index)), as_text(expected.get(index))));
    assert!(
        difference.is_none(),
        "the transport sent {} messages and the destination received {}; the first that differ, \
         received and sent: {difference:?}",
        expected.len(),
        actual.len()
    );
}

/// Asserts that the destination received these bodies in this order.
pub(super) fn assert_same_order(received: &[ReceivedMessage], messages: &[Message]) {
    let same = received_bodies(received) == message_bodies(messages);
    assert!(same, "the destination received {} messages in another order", received.len());
}

/// Asserts that the destination has every message, and duplicates only where the report allows them.
pub(super) async fn assert_all_arrived<H: Harness>(
    harness: &mut H,
    messages: &[Message],
    report: &DeliveryReport,
) {
    if !Capability::ReadBack.is_supported_by::<H>() {
        return;
    }
    let received = harness.received().await;
    let mut copies: HashMap<&[u8], usize> = HashMap::new();
    for received in &received {
        *copies.entry(&received.body).or_default() += 1;
    }
    for (message, &may_be_repeated) in messages.iter().zip(&report.may_be_repeated) {
        let copies = copies.remove(message.body()).unwrap_or(0);
        let id = message.id();
        assert!(copies > 0, "the transport accepted {id}, but the destination does not have it");
        assert!(
            copies == 1 || may_be_repeated,
            "no attempt left {id} unsettled, but the destination has it {copies} times"
        );
    }
    assert!(
        copies.is_empty(),
        "the destination has {} bodies that the test did not send",
        copies.len()
    );
}

/// Returns the bodies that the destination received.
fn received_bodies(received: &[ReceivedMessage]) -> Vec<&[u8]> {
    received.iter().map(|received| received.body.as_slice()).collect()
}

/// Returns the bodies that the test sent.
fn message_bodies(messages: &[Message]) -> Vec<&[u8]> {
    messages.iter().map(Message::body).collect()
}
