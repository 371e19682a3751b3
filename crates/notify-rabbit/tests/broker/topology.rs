//! What is declared, what is adopted, what is refused, and what is said when it is not there.

use crate::support::{attempt, deliver, rabbit, until};
use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Transport, Verdict};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::log_recorder::LogRecorder;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

fn vhost() -> Vhost<'static> {
    RabbitMq::shared().vhost()
}

fn count(vhost: &Vhost<'_>) -> usize {
    QUEUES.iter().map(|queue| vhost.drain(queue).len()).sum()
}

/// Closes what is connected to a virtual host, as an operator does.
fn close_connections(vhost: &Vhost<'_>) {
    // The sixth element of a tracked connection is its process.
    vhost.broker().eval(&format!(
        r#"[rabbit_networking:close_connection(element(6, C), "test")
            || C <- rabbit_connection_tracking:list(<<"{}">>)]"#,
        vhost.name()
    ));
}

/// What stands beside the body, by name.
fn properties(received: &notify_testbed::broker::rabbitmq::RabbitMqMessage) -> Value {
    let mut properties = received.properties.clone();
    let mut headers = received.headers.clone();
    if let Some(headers) = &mut headers {
        // The broker's own.
        headers.remove("x-delivery-count");
    }
    properties.insert("headers".into(), json!(headers));
    Value::Object(properties)
}

/// What oslo.messaging declared and sent, as it was captured.
fn captured(name: &str) -> Value {
    let text = match name {
        "v1" => include_str!("fixtures/v1.json"),
        "v2" => include_str!("fixtures/v2.json"),
        "v2-durable" => include_str!("fixtures/v2-durable.json"),
        _ => include_str!("fixtures/v2-quorum.json"),
    };
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn declares_and_publishes_as_oslo_messaging_does() {
    for (name, options) in [
        ("v1", json!({ "durable": false })),
        ("v2", json!({ "durable": false, "envelope": "oslo-2.0" })),
        ("v2-durable", json!({ "envelope": "oslo-2.0" })),
        ("v2-quorum", json!({ "queue_type": "quorum", "envelope": "oslo-2.0" })),
    ] {
        let (vhost, captured) = (vhost(), captured(name));
        let messages = samples::messages(0..3);
        let mut transport = rabbit(&vhost.url(), options);
        attempt(&mut transport, &messages).await.all_accepted();

        for expected in captured["queues"].as_array().unwrap() {
            let queue = vhost.queue(expected["name"].as_str().unwrap()).unwrap();
            assert_eq!(queue.r#type, expected["type"], "{name}");
            assert_eq!(queue.durable, expected["durable"], "{name}");
            assert_eq!(queue.auto_delete, expected["auto_delete"], "{name}");
            assert_eq!(json!(queue.arguments), expected["arguments"], "{name}");
        }
        for expected in captured["messages"].as_array().unwrap() {
            let queue = expected["routing_key"].as_str().unwrap();
            for received in vhost.drain(queue) {
                assert_eq!(received.exchange, expected["exchange"]);
                assert_eq!(received.routing_key, queue);
                let ours = properties(&received);
                for (property, value) in expected["properties"].as_object().unwrap() {
                    match property.as_str() {
                        "priority" => {}
                        "headers" => assert_eq!(ours["headers"], json!({}), "{name}"),
                        _ => assert_eq!(&ours[property], value, "{name}: {property}"),
                    }
                }
                let message =
                    messages.iter().find(|m| m.id().to_string() == received.message_id()).unwrap();
                assert_eq!(ours["type"], message.event_type().as_str());
                assert_eq!(ours["app_id"], "glance-notify");
                assert_eq!(ours["timestamp"], message.timestamp().unix_timestamp());
                let (body, theirs) = (received.json(), expected["body"].as_str().unwrap());
                let theirs: Value = serde_json::from_str(theirs).unwrap();
                let keys = |body: &Value| {
                    let keys = body.as_object().unwrap().keys();
                    keys.filter(|key| *key != "_unique_id").cloned().collect::<Vec<_>>()
                };
                assert_eq!(keys(&body), keys(&theirs), "{name}");
                if name == "v1" {
                    assert_eq!(received.body, message.body());
                } else {
                    assert_eq!(body["oslo.version"], theirs["oslo.version"]);
                    assert_eq!(body["oslo.message"].as_str().unwrap().as_bytes(), message.body());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_or_a_queue_that_goes_away_loses_nothing() {
    let vhost = vhost();
    let mut transport = rabbit(&vhost.url(), json!({}));
    let messages = samples::messages(0..400);
    attempt(&mut transport, &messages[..100]).await.all_accepted();
    assert_eq!(count(&vhost), 100);

    vhost.delete_queue("notifications.info");
    let first = attempt(&mut transport, &messages[100..200]).await;
    assert!(first.end.is_ok(), "{:?}", first.end);
    let retried = first.verdicts.iter().filter(|v| matches!(v, Some(Verdict::Retry(_)))).count();
    let info = messages[100..200].iter().filter(|m| m.priority().lower() == "info").count();
    assert_eq!((retried, first.accepted().len()), (info, 100 - info));
    let again: Vec<_> = (0..100)
        .filter(|index| !first.accepted().contains(index))
        .map(|index| messages[100 + index].clone())
        .collect();
    attempt(&mut transport, &again).await.all_accepted();
    assert_eq!(count(&vhost), 100);

    // An exchange that is gone ends the channel: nothing is known of what was on its way.
    vhost.delete_exchange("glance");
    let errors = deliver(&mut transport, &messages[200..300]).await;
    assert!(
        errors[0].is_transient() && errors[0].to_string().contains("no exchange"),
        "{errors:?}"
    );
    assert_eq!(count(&vhost), 100);
    attempt(&mut transport, &messages[300..]).await.all_accepted();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unroutable_again_is_refused_and_its_neighbours_are_not() {
    let vhost = vhost();
    let url = vhost.url();
    attempt(&mut rabbit(&url, json!({})), &[]).await.all_accepted();
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    vhost.declare_queue("notifications.error", &json!({ "durable": true }));
    vhost.bind("notifications.error", "glance", "notifications.error");
    let mut transport = rabbit(&url, json!({ "declare": "no" }));
    let mut sent = samples::messages(0..3000);
    let mut refused = 0;
    // Many at once, as that is when lapin hands a return to the wrong confirm.
    for round in 0..2 {
        let mut left = Vec::new();
        for batch in sent.chunks(1024) {
            let attempt = attempt(&mut transport, batch).await;
            assert!(attempt.end.is_ok(), "{:?}", attempt.end);
            for (message, verdict) in std::iter::zip(batch, attempt.verdicts) {
                match (message.priority().lower(), verdict) {
                    ("error", Some(Verdict::Accept)) if round == 0 => {}
                    ("info" | "warn", Some(Verdict::Retry(error))) if round == 0 => {
                        assert!(error.to_string().contains("312 NO_ROUTE"), "{error}");
                        left.push(message.clone());
                    }
                    ("info" | "warn", Some(Verdict::Refuse(error))) if round == 1 => {
                        assert_eq!(error.kind(), ErrorKind::Rejected);
                        refused += 1;
                    }
                    other => panic!("round {round}: {other:?}"),
                }
            }
        }
        sent = left;
    }
    assert_eq!(refused, 2000);
    assert_eq!(vhost.drain("notifications.error").len(), 1000);
}

/// An exchange, a queue and the options that we come with; the warning that is expected.
#[tokio::test(flavor = "multi_thread")]
async fn what_exists_is_adopted_and_its_cost_said_once() {
    let durable = json!({ "durable": true });
    let transient = json!({});
    for (exchange, queue, options, said) in [
        (
            &transient,
            transient.clone(),
            json!({}),
            "exchange `glance` exists and is used as it is: it is not durable",
        ),
        (
            &durable,
            transient.clone(),
            json!({}),
            "queue `notifications.info` exists and is used as it is: it is not durable",
        ),
        (&durable, durable.clone(), json!({ "durable": false }), ""),
        (&durable, durable.clone(), json!({ "queue_type": "quorum" }), "`x-queue-type` is none"),
        (
            &durable,
            json!({ "durable": true, "arguments": { "x-queue-type": "quorum" } }),
            json!({}),
            "",
        ),
        (
            &durable,
            json!({ "durable": true, "arguments": { "x-max-length": 1000 } }),
            json!({}),
            "`x-max-length` is 1000",
        ),
        (
            &durable,
            json!({ "durable": true, "auto_delete": true }),
            json!({}),
            "when its last consumer leaves",
        ),
        (
            &json!({ "durable": true, "auto_delete": true }),
            durable.clone(),
            json!({}),
            "exchange `glance`",
        ),
    ] {
        let vhost = vhost();
        vhost.declare_exchange("glance", "topic", exchange);
        vhost.declare_queue("notifications.info", &queue);
        let before = vhost.queue("notifications.info").unwrap();
        let log = LogRecorder::default();
        let sending = async {
            let mut transport = rabbit(&vhost.url(), options.clone());
            attempt(&mut transport, &samples::messages(0..9)).await.all_accepted();
            // Declared again on a new connection, and not said again.
            close_connections(&vhost);
            deliver(&mut transport, &samples::messages(9..18)).await;
        };
        sending.with_subscriber(log.clone()).await;
        let warnings = log.lines_with("WARN");
        if said.is_empty() {
            assert_eq!(warnings, [""; 0], "{exchange} {queue} {options}");
        } else {
            assert!(warnings.iter().any(|line| line.contains(said)), "{said}: {warnings:?}");
            let mut once = warnings.clone();
            once.dedup();
            assert_eq!(once, warnings);
        }
        let after = vhost.queue("notifications.info").unwrap();
        assert_eq!((after.durable, &after.arguments), (before.durable, &before.arguments));
        // Not drained: one of them goes with its first reader.
        until("all are there", || {
            vhost.queues().iter().map(|queue| queue.messages).sum::<u64>() == 18
        })
        .await;
    }
}

async fn failure(vhost: &Vhost<'_>, options: Value) -> Error {
    let mut transport = rabbit(&vhost.url(), options);
    attempt(&mut transport, &samples::messages(0..3)).await.failure()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_a_permanent_error_that_names_it() {
    let host = vhost();
    host.declare_exchange("glance", "fanout", &json!({ "durable": true }));
    let error = failure(&host, json!({})).await;
    assert_eq!(
        error.to_string(),
        "exchange `glance` exists with `type` fanout where topic is configured: choose another \
         `rabbit.exchange`, or delete it at the broker"
    );
    assert_eq!(error.kind(), ErrorKind::Config);

    let host = vhost();
    host.declare_exchange("glance", "topic", &json!({ "durable": true }));
    host.declare_queue("notifications.warn", &json!({}));
    let error = failure(&host, json!({ "on_mismatch": "refuse" })).await;
    assert_eq!(
        error.to_string(),
        "queue `notifications.warn` exists with `durable` false where true is configured: change \
         `rabbit.durable`, or delete it at the broker"
    );

    let host = vhost();
    let error = failure(&host, json!({ "declare": "verify" })).await;
    assert_eq!(
        error.to_string(),
        "exchange `glance` does not exist: declare it, or set `rabbit.declare = \"yes\"`"
    );
    let error = failure(&host, json!({ "declare": "no" })).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("no exchange 'glance'"), "{error}");

    // What others have declared is good enough.
    attempt(&mut rabbit(&host.url(), json!({})), &samples::messages(0..3)).await.all_accepted();
    let mut verifying = rabbit(&host.url(), json!({ "declare": "verify" }));
    attempt(&mut verifying, &samples::messages(3..6)).await.all_accepted();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_shows_what_is_found_and_sends_nothing() {
    let vhost = vhost();
    let url = vhost.url();
    let show = async |transport: &mut dyn Transport| {
        let findings = transport.check().await.unwrap();
        findings.iter().map(|f| format!("{}: {:?}", f.subject, f.state)).collect::<Vec<_>>()
    };
    let mut transport = rabbit(&url, json!({ "backlog_warning": 5 }));
    let fresh = show(&mut transport).await;
    assert!(fresh[0].contains("RabbitMQ 3."), "{fresh:?}");
    assert!(
        fresh.iter().any(|f| f.contains("exchange `glance`: Good(\"not there yet")),
        "{fresh:?}"
    );
    assert!(fresh.iter().any(|f| f == "permission to write: Good(\"granted\")"), "{fresh:?}");
    assert_eq!(vhost.queues().len(), 0, "check declares nothing");

    attempt(&mut transport, &samples::messages(0..30)).await.all_accepted();
    let found = show(&mut transport).await;
    assert!(
        found.iter().any(|f| f.contains("10 messages, 0 consumers: nobody reads it")),
        "{found:?}"
    );
    assert!(found.iter().any(|f| f.contains("set_policy -p 'vhost-")), "{found:?}");
    let found = show(&mut rabbit(&url, json!({ "durable": false }))).await;
    assert!(found.iter().all(|f| !f.contains("Bad")), "{found:?}");
    let found = show(&mut rabbit(&url, json!({ "durable": false, "on_mismatch": "refuse" }))).await;
    assert!(found.iter().any(|f| f.contains("Bad") && f.contains("`durable` true")), "{found:?}");
    assert_eq!(count(&vhost), 30, "check sends nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_nobody_reads_is_warned_about_and_its_end_too() {
    let vhost = vhost();
    let log = LogRecorder::default();
    let watching = async {
        let mut transport = rabbit(&vhost.url(), json!({ "backlog_warning": 5 }));
        attempt(&mut transport, &samples::messages(0..30)).await.all_accepted();
        // It looks when it connects.
        transport.close().await.unwrap();
        attempt(&mut transport, &samples::messages(30..33)).await.all_accepted();
        until("it is told", || log.lines_with("nobody reads it").len() == 3).await;
        transport.close().await.unwrap();
        count(&vhost);
        attempt(&mut transport, &samples::messages(33..36)).await.all_accepted();
        until("it is told", || log.lines_with("is read again").len() == 3).await;
    };
    watching.with_subscriber(log.clone()).await;
    let warned = log.lines_with("queue `notifications.info`");
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(
        warned[0].contains("holds 10 messages") || warned[0].contains("holds 11"),
        "{warned:?}"
    );
    assert!(warned[0].contains("\"overflow\":\"reject-publish\""), "{warned:?}");
}
