//! The whole log at TRACE, of every crate: it shows neither a password nor a payload.
//!
//! The recorder is the log of the whole process, so it also sees the log lines of other tests.

use crate::support::rabbit;
use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::event::{NotificationPayload, Payload};
use notify_core::{Event, Notification, Transport};
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::log_recorder::LogRecorder;
use notify_testbed::ports::free_port;
use serde_json::json;

/// The password that no output may show.
const PASSWORD: &str = "pl4nted-s3cret";
/// The payload that no output may show.
const PAYLOAD: &str = "a-payload-that-no-log-shows";

/// Errors, findings, `Debug` and log lines of successful and failed connections show no secret, as text
/// or as bytes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_a_password_or_a_payload() {
    let log = LogRecorder::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let vhost = RabbitMq::shared().vhost();
    let (port, user) = (vhost.broker().port(), format!("secretive-{}", vhost.name()));
    vhost.broker().add_user(&user, PASSWORD);
    vhost.permit(&user, [".*", ".*", ".*"]);
    let message = samples::encode(&Notification {
        payload: NotificationPayload::from(Event::ImageUpload(Payload::Warn(PAYLOAD.into()))),
        ..samples::notification(0)
    });
    let mut shown = Vec::new();
    for (url, options) in [
        (format!("amqp://{user}:{PASSWORD}@127.0.0.1:{port}/{}", vhost.name()), json!({})),
        // The message is unroutable, so lapin sees it again.
        (
            format!("amqp://{user}:{PASSWORD}@127.0.0.1:{port}/{}", vhost.name()),
            json!({ "declare": "no", "topic": "unbound" }),
        ),
        (
            format!("amqp://{user}:{PASSWORD}@127.0.0.1:{port}/{}", vhost.name()),
            json!({ "declare": "no", "topic": "unbound", "envelope": "cloudevents-binary" }),
        ),
        (format!("amqp://unknown-user:{PASSWORD}@127.0.0.1:{port}/"), json!({})),
        (format!("amqp://{user}:{PASSWORD}@127.0.0.1:{port}/nowhere"), json!({})),
        (format!("amqp://{user}:{PASSWORD}@127.0.0.1:{}/", free_port()), json!({})),
    ] {
        let mut transport = rabbit(&url, options);
        for _ in 0..2 {
            shown.push(format!(
                "{:?}",
                send_once(&mut transport, std::slice::from_ref(&message)).await
            ));
        }
        shown.push(format!("{:?}", transport.check().await));
        shown.push(format!("{transport:?} {transport:#?}"));
        shown.push(format!("{:?}", transport.close().await));
    }
    assert!(shown.iter().any(|text| text.contains("NO_ROUTE")), "{shown:?}");
    let lines = log.lines();
    assert!(lines.iter().any(|line| line.contains("is connected to RabbitMQ")), "{lines:?}");
    for line in lines.iter().chain(&shown) {
        for secret in [PASSWORD, PAYLOAD] {
            // lapin shows bytes as `[112, 108, 52, …]`.
            let bytes: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
            assert!(!line.contains(secret), "{line}");
            assert!(!line.contains(&bytes.join(", ")), "{line}");
        }
    }
    println!("{} log lines", lines.len());
}
