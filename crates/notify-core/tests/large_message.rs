//! The memory that a listener takes for a large message, measured by a counting allocator.

use std::time::Duration;

use allocation_counter::measure;
use notify_conformance::source_script::SourceScript;
use notify_core::listener::{DeadLetters, Listener, ListenerConfig};

/// While a message is read, its body is in memory twice: as it came, and redacted.
#[test]
fn reading_copies_a_body_once() {
    let head = r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"a.b","priority":"INFO","timestamp":"2026-11-22 12:00:00.123456","payload":{"text":""#;
    let body = format!("{head}{}\"}}}}", "x".repeat(SIZE)).into_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let script = SourceScript::default();
    script.publish_bytes([body.clone()]);
    let counted = measure(|| {
        runtime.block_on(async {
            let mut config = ListenerConfig::default();
            config.limits.bytes = SIZE * 2;
            let builder = Listener::builder(script.source(), DeadLetters::Discard).config(config);
            let mut listener = builder.start().unwrap();
            let delivery = listener.next_delivery().await.unwrap().unwrap();
            assert_eq!(delivery.message().unwrap().body(), body);
            delivery.ack().await.unwrap();
            listener.close(Duration::from_secs(10)).await;
        });
    });
    let bytes = usize::try_from(counted.bytes_max).unwrap();
    assert!((2 * SIZE..2 * SIZE + SIZE / 4).contains(&bytes), "{bytes} bytes");
}

/// The size of the payload's text.
const SIZE: usize = 4 << 20;
