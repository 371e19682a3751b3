//! Exchange and queues: declared, adopted, refused, deleted and missing; and queues without a consumer.
//!
//! Each test has a virtual host of its own on the shared node, where it plays the other services that
//! declare queues first.

use crate::support::{rabbit, wait_until};
use notify_conformance::attempts::{deliver, send_once};
use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Transport, Verdict};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::log_recorder::LogRecorder;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

/// Creates a virtual host on the shared node.
fn vhost() -> Vhost<'static> {
    RabbitMq::shared().vhost()
}

/// Empties the queues of all priorities and returns the number of messages.
fn drain_all(vhost: &Vhost<'_>) -> usize {
    QUEUES.iter().map(|queue| vhost.drain(queue).len()).sum()
}

/// Closes every connection to a virtual host, as an operator can.
fn close_connections(vhost: &Vhost<'_>) {
    // The sixth element of a tracked connection is its process.
    vhost.broker().eval(&format!(
        r#"[rabbit_networking:close_connection(element(6, C), "test")
            || C <- rabbit_connection_tracking:list(<<"{}">>)]"#,
        vhost.name()
    ));
}

/// Messages to a deleted queue or exchange are retried, and their route is declared again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_exchange_or_queue_loses_nothing() {
    let vhost = vhost();
    let mut transport = rabbit(&vhost.url(), json!({}));
    let messages = samples::messages(0..400);
    send_once(&mut transport, &messages[..100]).await.assert_all_accepted();
    assert_eq!(drain_all(&vhost), 100);

    vhost.delete_queue("notifications.info");
    let first = send_once(&mut transport, &messages[100..200]).await;
    assert!(first.result.is_ok(), "{:?}", first.result);
    let retried = first.verdicts.iter().filter(|v| matches!(v, Some(Verdict::Retry(_)))).count();
    let info = messages[100..200].iter().filter(|m| m.priority().lower() == "info").count();
    assert_eq!((retried, first.accepted().len()), (info, 100 - info));
    let again: Vec<_> = (0..100)
        .filter(|index| !first.accepted().contains(index))
        .map(|index| messages[100 + index].clone())
        .collect();
    send_once(&mut transport, &again).await.assert_all_accepted();
    assert_eq!(drain_all(&vhost), 100);

    // A missing exchange closes the channel, so the outcome of the whole window is unknown.
    vhost.delete_exchange("glance");
    let errors = deliver(&mut transport, &messages[200..300]).await.errors;
    assert!(
        errors[0].is_transient() && errors[0].to_string().contains("no exchange"),
        "{errors:?}"
    );
    assert_eq!(drain_all(&vhost), 100);
    send_once(&mut transport, &messages[300..]).await.assert_all_accepted();
}

/// A message that stays unroutable for `rabbit.refuse_unroutable_after` is refused, and the messages
/// around it are accepted.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_messages_that_stay_unroutable() {
    let vhost = vhost();
    let url = vhost.url();
    send_once(&mut rabbit(&url, json!({})), &[]).await.assert_all_accepted();
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    vhost.declare_queue("notifications.error", &json!({ "durable": true }));
    vhost.bind("notifications.error", "glance", "notifications.error");
    let options = json!({ "declare": "no", "refuse_unroutable_after": 0.001 });
    let mut transport = rabbit(&url, options);
    let mut sent = samples::messages(0..3000);
    let mut refused = 0;
    // lapin attaches returns to wrong confirms only if there are many at once.
    for round in 0..2 {
        let mut unroutable = Vec::new();
        for batch in sent.chunks(1024) {
            let report = send_once(&mut transport, batch).await;
            assert!(report.result.is_ok(), "{:?}", report.result);
            for (message, verdict) in std::iter::zip(batch, report.verdicts) {
                match (message.priority().lower(), verdict) {
                    ("error", Some(Verdict::Accept)) if round == 0 => {}
                    ("info" | "warn", Some(Verdict::Retry(error))) if round == 0 => {
                        assert!(error.to_string().contains("312 NO_ROUTE"), "{error}");
                        unroutable.push(message.clone());
                    }
                    ("info" | "warn", Some(Verdict::Refuse(error))) if round == 1 => {
                        assert_eq!(error.kind(), ErrorKind::Rejected);
                        refused += 1;
                    }
                    other => panic!("round {round}: {other:?}"),
                }
            }
        }
        sent = unroutable;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(refused, 2000);
    assert_eq!(vhost.drain("notifications.error").len(), 1000);
}

/// An existing exchange or queue is used unchanged, and a less safe one has one warning in the life of
/// a transport.
///
/// Each case is the properties of the exchange and of the queue, the options, and the expected warning.
#[tokio::test(flavor = "multi_thread")]
async fn adopts_existing_entities_and_warns_once() {
    let durable = json!({ "durable": true });
    let transient = json!({});
    for (exchange, queue, options, expected) in [
        (
            &transient,
            transient.clone(),
            json!({}),
            "exchange `glance` exists and is used unchanged: it is not durable",
        ),
        (
            &durable,
            transient.clone(),
            json!({}),
            "queue `notifications.info` exists and is used unchanged: it is not durable",
        ),
        (&durable, durable.clone(), json!({ "durable": false }), ""),
        (&durable, durable.clone(), json!({ "queue_type": "quorum" }), "is not replicated"),
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
            send_once(&mut transport, &samples::messages(0..9)).await.assert_all_accepted();
            // A new connection declares again, and does not repeat the warning.
            close_connections(&vhost);
            deliver(&mut transport, &samples::messages(9..18)).await;
        };
        sending.with_subscriber(log.clone()).await;
        let warnings = log.lines_with("WARN");
        if expected.is_empty() {
            assert_eq!(warnings, [""; 0], "{exchange} {queue} {options}");
        } else {
            assert!(
                warnings.iter().any(|line| line.contains(expected)),
                "{expected}: {warnings:?}"
            );
            let mut once = warnings.clone();
            once.dedup();
            assert_eq!(once, warnings);
        }
        let after = vhost.queue("notifications.info").unwrap();
        assert_eq!((after.durable, &after.arguments), (before.durable, &before.arguments));
        // Draining would delete the auto-delete queue.
        wait_until("the queues hold all messages", || {
            vhost.queues().iter().map(|queue| queue.messages).sum::<u64>() == 18
        })
        .await;
    }
}

/// Sends three messages and returns the error of the attempt.
async fn failure(vhost: &Vhost<'_>, options: Value) -> Error {
    let mut transport = rabbit(&vhost.url(), options);
    send_once(&mut transport, &samples::messages(0..3)).await.into_error()
}

/// Unusable and missing entities, and those that `rabbit.on_mismatch` refuses, are permanent errors.
#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_or_missing_entity_is_a_permanent_error() {
    let host = vhost();
    host.declare_exchange("glance", "fanout", &json!({ "durable": true }));
    let error = failure(&host, json!({})).await;
    assert_eq!(
        error.to_string(),
        "exchange `glance` exists with `type` fanout, but topic is configured: choose another \
         `rabbit.exchange`, or delete it at the broker"
    );
    assert_eq!(error.kind(), ErrorKind::Config);

    let host = vhost();
    host.declare_exchange("glance", "topic", &json!({ "durable": true }));
    host.declare_queue("notifications.warn", &json!({}));
    let mut refusing = rabbit(&host.url(), json!({ "on_mismatch": "refuse" }));
    let report = send_once(&mut refusing, &samples::messages(0..3)).await;
    // One bad queue delays no other.
    assert!(report.result.is_ok(), "{:?}", report.result);
    assert_eq!(report.accepted().len(), 2, "{:?}", report.verdicts);
    let error = report.first_retry();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "queue `notifications.warn` exists with `durable` false, but true is configured: change \
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

    // A transport that only verifies uses the entities of another program.
    send_once(&mut rabbit(&host.url(), json!({})), &samples::messages(0..3))
        .await
        .assert_all_accepted();
    let mut verifying = rabbit(&host.url(), json!({ "declare": "verify" }));
    send_once(&mut verifying, &samples::messages(3..6)).await.assert_all_accepted();
}

/// `check` reports broker, entities, differences and backlogs. It declares nothing and sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn check_reports_findings_and_sends_nothing() {
    let vhost = vhost();
    let url = vhost.url();
    let show = async |transport: &mut dyn Transport| {
        let findings = transport.check().await.unwrap();
        findings.iter().map(|f| format!("{}: {:?}", f.subject, f.state)).collect::<Vec<_>>()
    };
    let mut transport = rabbit(&url, json!({ "backlog_warning": 5 }));
    let fresh = show(&mut transport).await;
    assert!(fresh[0].contains("RabbitMQ "), "{fresh:?}");
    assert!(
        fresh.iter().any(|f| f.contains("exchange `glance`: Good(\"does not exist yet")),
        "{fresh:?}"
    );
    assert!(fresh.iter().any(|f| f == "write permission: Good(\"granted\")"), "{fresh:?}");
    assert_eq!(vhost.queues().len(), 0, "check must declare nothing");

    send_once(&mut transport, &samples::messages(0..30)).await.assert_all_accepted();
    let found = show(&mut transport).await;
    assert!(
        found.iter().any(|f| f.contains("10 messages, 0 consumers: start a consumer")),
        "{found:?}"
    );
    assert!(found.iter().any(|f| f.contains("set_policy -p 'vhost-")), "{found:?}");
    let found = show(&mut rabbit(&url, json!({ "durable": false }))).await;
    assert!(found.iter().all(|f| !f.contains("Bad")), "{found:?}");
    let found = show(&mut rabbit(&url, json!({ "durable": false, "on_mismatch": "refuse" }))).await;
    assert!(found.iter().any(|f| f.contains("Bad") && f.contains("`durable` true")), "{found:?}");
    assert_eq!(drain_all(&vhost), 30, "check must send nothing");
}

/// Each backlog has one warning when it begins, and one line when it ends.
#[tokio::test(flavor = "multi_thread")]
async fn warns_about_a_queue_without_a_consumer() {
    let vhost = vhost();
    let log = LogRecorder::default();
    let watching = async {
        let mut transport = rabbit(&vhost.url(), json!({ "backlog_warning": 5 }));
        send_once(&mut transport, &samples::messages(0..30)).await.assert_all_accepted();
        // The check runs at every connect.
        transport.close().await.unwrap();
        send_once(&mut transport, &samples::messages(30..33)).await.assert_all_accepted();
        wait_until("all queues have a warning", || log.lines_with("has no consumer").len() == 3)
            .await;
        transport.close().await.unwrap();
        drain_all(&vhost);
        send_once(&mut transport, &samples::messages(33..36)).await.assert_all_accepted();
        wait_until("all backlogs have ended", || log.lines_with("has ended").len() == 3).await;
    };
    watching.with_subscriber(log.clone()).await;
    let warned = log.lines_with("queue `notifications.info`");
    assert_eq!(warned.len(), 2, "{warned:?}");
    // The first check runs while the first messages are on their way, so it may see some of them.
    assert!(warned[0].contains("messages and has no consumer"), "{warned:?}");
    assert!(warned[0].contains("\"overflow\":\"reject-publish\""), "{warned:?}");
}
