//! Secrets: a planted password and a planted payload appear in no log line, error or `Debug` output.
//!
//! The log is that of the whole process at TRACE, so the test also sees the lines of fe2o3-amqp and of
//! tests that run at the same time.

use notify_conformance::attempts::send_once;
use notify_conformance::{Harness as _, samples};
use notify_core::event::{NotificationPayload, Payload};
use notify_core::{Event, Notification, Transport};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::{PeerFault, ProtonPeer};
use notify_testbed::log_recorder::LogRecorder;
use notify_testbed::ports::free_port;
use serde_json::json;

use crate::contract_rabbitmq::RabbitNode;
use crate::support::{config, within};

/// The planted password.
const PASSWORD: &str = "pl4nted-everywhere";
/// The planted payload.
const PAYLOAD: &str = "pl4nted-confidential-payload";

/// Delivery, rejection, wrong credentials, a wrong virtual host and an unreachable broker all keep the
/// secrets.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_a_password_or_a_payload() {
    let log = LogRecorder::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let node = RabbitNode::start().await;
    let (port, vhost) = (node.vhost.broker().port(), node.vhost.name().to_owned());
    let user = format!("secretive-{vhost}");
    let (name, of) = (user.clone(), vhost.clone());
    node.vhost
        .in_background(move |node| {
            node.broker().eval(&format!(
            r#"rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{PASSWORD}">>, <<"test">>),
               rabbit_auth_backend_internal:set_permissions(
                   <<"{name}">>, <<"{of}">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>)"#
        ))
        })
        .await;
    let peer = ProtonPeer::start();
    peer.inject(PeerFault::Reject, 0, Some(2));
    let message = samples::encode(&Notification {
        payload: NotificationPayload::from(Event::ImageUpload(Payload::Warn(PAYLOAD.into()))),
        ..samples::notification(0)
    });
    let mut shown = Vec::new();
    let mut accepted = 0;
    for (url, table) in [
        (format!("amqp://{user}:{PASSWORD}@127.0.0.1:{port}/vhost:{vhost}"), json!({})),
        (format!("amqp://stranger:{PASSWORD}@127.0.0.1:{port}/vhost:{vhost}"), json!({})),
        (format!("amqp://{user}:{PASSWORD}@127.0.0.1:{port}/vhost:nowhere"), json!({})),
        (format!("amqp://{user}:{PASSWORD}@127.0.0.1:{}", free_port()), json!({})),
        (peer.url(), json!({})),
    ] {
        let mut transport = Qpid::new(config(&url, table)).unwrap();
        for _ in 0..2 {
            let attempt = send_once(&mut transport, std::slice::from_ref(&message));
            let attempt = within(attempt).await;
            accepted += attempt.accepted().len();
            shown.push(format!("{attempt:?}"));
        }
        shown.push(format!("{:?}", within(transport.check()).await));
        shown.push(format!("{transport:?} {transport:#?}"));
        shown.push(format!("{:?}", within(transport.close()).await));
    }
    assert_eq!(accepted, 2, "{shown:?}");
    assert!(shown.iter().any(|text| text.contains("rejected on demand")), "{shown:?}");
    let lines = log.lines();
    assert!(lines.iter().any(|line| line.contains("`qpid` is connected to")), "{lines:?}");
    for line in lines.iter().chain(&shown) {
        for secret in [PASSWORD, PAYLOAD] {
            // Search for the text, and for its bytes as `Debug` shows them: `[112, 108, 52, …]`.
            let bytes: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
            assert!(!line.contains(secret), "{line}");
            assert!(!line.contains(&bytes.join(", ")), "{line}");
        }
    }
    println!("{} lines", lines.len());
}
