//! Context and sequence as headers: what a consumer of any kind sees, and what our source reads.

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::codec::Sequence;
use notify_core::{Context, Message};
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;
use uuid::Uuid;

use crate::source_support::{declare_services, source};
use crate::support::rabbit;

/// Returns a message with every header, as long as each may be.
fn full() -> Message {
    let context = Context::builder()
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .tracestate(format!("congo={}", "t".repeat(250)))
        .request_id("req-1")
        .user("ü".repeat(127))
        .project("p".repeat(255));
    let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 1 << 40);
    let message = samples::messages(0..1).remove(0);
    message.with_context(context.build().unwrap()).with_sequence(sequence)
}

/// A consumer sees the headers that `docs/brokers.md` lists, with their types, beside an unchanged body.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_sees_context_and_sequence_as_headers() {
    let vhost = RabbitMq::shared().vhost();
    let message = full();
    let mut transport = rabbit(&vhost.url(), json!({}));
    send_once(&mut transport, std::slice::from_ref(&message)).await.assert_all_accepted();
    let received = vhost.drain("notifications.info").remove(0);
    let context = message.context();
    let expected = json!({
        "traceparent": context.traceparent(),
        "tracestate": context.tracestate(),
        "glance-notify-request-id": "req-1",
        "glance-notify-user": context.user(),
        "glance-notify-project": context.project(),
        "glance-notify-epoch": "00000000-0000-0000-0000-000000000007",
        "glance-notify-lane": "notifications.info",
        "glance-notify-number": 1_u64 << 40,
    });
    assert_eq!(json!(received.headers), expected);
    assert_eq!(received.body, message.body());
}

/// Our source reads what our transport wrote, and passes over the same headers of another program that are
/// not valid.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_reads_context_and_sequence() {
    let vhost = RabbitMq::shared().vhost();
    declare_services(&vhost, &["info"]);
    let mut tap = source(&vhost, json!({}));
    assert_eq!(tap.attach().await, [""; 0]);
    let mut transport = rabbit(&vhost.url(), json!({ "durable": false }));
    let sent = [full(), samples::messages(0..1).remove(0)];
    send_once(&mut transport, &sent).await.assert_all_accepted();
    let hostile = json!({ "headers": {
        "traceparent": "00-zz", "glance-notify-user": "a\u{1b}[2J", "glance-notify-project": "web",
        "glance-notify-epoch": 7, "glance-notify-number": "x", "glance-notify-lane": { "a": 1 },
    }});
    vhost.publish("glance", "notifications.info", &hostile, b"{}");
    let received = tap.receive(3).await;
    let read: Vec<_> =
        received.iter().map(|it| (it.context.clone(), it.sequence.clone())).collect();
    assert_eq!(read[0], (sent[0].context().clone(), sent[0].sequence().cloned()));
    assert_eq!(read[1], (Context::new(), None));
    let web = Context::builder().project("web").build().unwrap();
    assert_eq!(read[2], (web, None));
    tap.close().await;
}
