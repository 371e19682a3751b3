//! Refused logins, missing permissions and unreachable hosts: their messages, without the password.

use std::io::Write as _;

use crate::support::{config, lapin_threads, open_sockets, rabbit, wait_until};
use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Priority, Transport, Verdict};
use notify_rabbit::Rabbit;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::log_recorder::LogRecorder;
use notify_testbed::ports::free_port;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

/// The password of every user in this module. No error, log line or `Debug` may show it.
const PLANTED: &str = "pl4nted-s3cret";

/// Creates a user with the permissions `[configure, write, read]` in `vhost`, or without any. Returns
/// the URL and the options to log in.
fn user(vhost: &Vhost<'_>, patterns: Option<[&str; 3]>) -> (String, Value) {
    let name = format!("svc-{}", vhost.name());
    vhost.broker().add_user(&name, PLANTED);
    if let Some(patterns) = patterns {
        vhost.permit(&name, patterns);
    }
    let url = format!("amqp://127.0.0.1:{}/{}", vhost.broker().port(), vhost.name());
    (url, json!({ "user": name, "password": PLANTED }))
}

/// Sends three messages and returns the error of the attempt, after checking that nothing shows the
/// password.
async fn failure(url: &str, options: Value) -> Error {
    let log = LogRecorder::default();
    let mut transport = rabbit(url, options);
    let messages = samples::messages(0..3);
    let sending = async { send_once(&mut transport, &messages).await.into_error() };
    let error = sending.with_subscriber(log.clone()).await;
    let shown = format!("{error:?} {error:#} {transport:?} {:?}", log.lines());
    assert!(!shown.contains(PLANTED), "{shown}");
    error
}

/// Wrong password, unknown virtual host, refused connection, unknown name, missing permission: each
/// has its own message and kind.
#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_own_message() {
    let vhost = RabbitMq::shared().vhost();
    let port = vhost.broker().port();
    let (url, options) = user(&vhost, Some([".*", ".*", ".*"]));
    let name = options["user"].as_str().unwrap();

    let error = failure(&url, json!({ "user": name, "password": "wrong" })).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert_eq!(
        error.to_string(),
        format!(
            "authentication failed: 127.0.0.1:{port} refused user `{name}`: check `rabbit.user` and \
             the password"
        )
    );
    let elsewhere = format!("amqp://127.0.0.1:{port}/nowhere");
    let error = failure(&elsewhere, options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("has no virtual host `nowhere`"), "{error}");

    let closed = free_port();
    let error = failure(&format!("amqp://127.0.0.1:{closed}"), options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = format!("{error:#}");
    assert!(
        text.contains(&format!("cannot connect to 127.0.0.1:{closed}: Connection refused")),
        "{text}"
    );
    let error = failure("amqp://no-such-host.invalid", options.clone()).await;
    assert!(error.to_string().contains("cannot resolve no-such-host.invalid:5672"), "{error}");

    let denied = RabbitMq::shared().vhost();
    let (url, options) = user(&denied, None);
    let error = failure(&url, options).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    let text = error.to_string();
    assert!(text.starts_with("permission denied: user `svc-vhost-"), "{text}");
    assert!(text.contains("may not use the virtual host `vhost-"), "{text}");
}

/// The documented permissions are enough for each value of `rabbit.declare`, and an error names each
/// missing one.
#[tokio::test(flavor = "multi_thread")]
async fn minimal_permissions_are_enough() {
    let names = r"^(glance|notifications\..*)$";
    let vhost = RabbitMq::shared().vhost();
    let (url, options) = user(&vhost, Some([names, names, "^glance$"]));
    send_once(&mut rabbit(&url, options.clone()), &samples::messages(0..3))
        .await
        .assert_all_accepted();

    // Without the permission to configure, the transport can use what another program declared.
    let writer = RabbitMq::shared().vhost();
    let (url, options) = user(&writer, Some(["^$", "^glance$", "^$"]));
    let error = failure(&url, options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    let text = error.to_string();
    assert!(text.starts_with("permission denied to user `svc-vhost-"), "{text}");
    assert!(text.contains("access to exchange 'glance'"), "{text}");
    assert!(text.contains("set `rabbit.declare = \"verify\"`"), "{text}");
    send_once(&mut rabbit(&writer.url(), json!({})), &samples::messages(0..3))
        .await
        .assert_all_accepted();
    let mut verifying = options.clone();
    verifying["declare"] = json!("verify");
    send_once(&mut rabbit(&url, verifying), &samples::messages(3..6)).await.assert_all_accepted();

    // Without the permission to write, nothing helps.
    let reader = RabbitMq::shared().vhost();
    let (url, mut options) = user(&reader, Some(["^$", "^$", "^$"]));
    send_once(&mut rabbit(&reader.url(), json!({})), &samples::messages(0..3))
        .await
        .assert_all_accepted();
    options["declare"] = json!("verify");
    let error = failure(&url, options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert!(error.to_string().contains("access to exchange 'glance'"), "{error}");
    let findings = rabbit(&url, options).check().await.unwrap();
    let bad: Vec<_> = findings.iter().map(|f| format!("{}: {:?}", f.subject, f.state)).collect();
    assert!(bad.iter().any(|f| f.starts_with("write permission: Bad(")), "{bad:?}");
}

/// A topic permission that refuses a routing key delays no other key, also if its messages are the oldest.
/// They are retried, and arrive once you permit the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_routing_key_that_is_not_permitted_delays_no_other() {
    for declare in ["yes", "verify", "no"] {
        let vhost = RabbitMq::shared().vhost();
        send_once(&mut rabbit(&vhost.url(), json!({})), &samples::messages(0..3))
            .await
            .assert_all_accepted();
        let (url, mut options) = user(&vhost, Some([".*", ".*", ".*"]));
        let name = options["user"].as_str().unwrap().to_owned();
        vhost.permit_topics(&name, "glance", [r"^notifications\.(info|warn)$", ".*"]);
        options["declare"] = json!(declare);
        let mut transport = rabbit(&url, options);
        // The first is an error.
        let messages = samples::messages(1..31);
        for _ in 0..3 {
            let report = send_once(&mut transport, &messages).await;
            assert!(report.result.is_ok(), "{:?}", report.result);
            for (message, verdict) in std::iter::zip(&messages, &report.verdicts) {
                let is_refused = message.priority() == Priority::Error;
                assert_eq!(matches!(verdict, Some(Verdict::Retry(_))), is_refused, "{verdict:?}");
            }
            let error = report.first_retry();
            assert_eq!(error.kind(), ErrorKind::Access);
            let text = error.to_string();
            let expected = "access to topic 'notifications.error' in exchange 'glance'";
            assert!(text.contains(expected), "{text}");
            assert!(text.contains("`rabbitmqctl set_topic_permissions`"), "{text}");
        }
        vhost.permit_topics(&name, "glance", [".*", ".*"]);
        send_once(&mut transport, &messages).await.assert_all_accepted();
    }
}

/// An operator can change the password without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn every_connect_reads_the_password_file() {
    let vhost = RabbitMq::shared().vhost();
    let (url, options) = user(&vhost, Some([".*", ".*", ".*"]));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"old").unwrap();
    let options = json!({ "user": options["user"], "password_file": file.path() });
    let mut transport = rabbit(&url, options);
    let error = send_once(&mut transport, &samples::messages(0..3)).await.into_error();
    assert_eq!(error.kind(), ErrorKind::Access);
    std::fs::write(file.path(), format!("{PLANTED}\n")).unwrap();
    send_once(&mut transport, &samples::messages(0..3)).await.assert_all_accepted();
}

/// A host that is down or silent costs time only: the next one gets the messages.
#[tokio::test(flavor = "multi_thread")]
async fn tries_the_next_host_after_a_failure() {
    let vhost = RabbitMq::shared().vhost();
    let good = format!("127.0.0.1:{}", vhost.broker().port());
    // The kernel accepts connections to this listener, and no program answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let dead = free_port();
    for hosts in [
        format!("127.0.0.1:{dead},{good}"),
        format!("{good},127.0.0.1:{dead}"),
        format!("{silent},127.0.0.1:{dead},{good}"),
    ] {
        let url = format!("amqp://guest:guest@{hosts}/{}", vhost.name());
        let mut transport = rabbit(&url, json!({ "connect_timeout": 6 }));
        send_once(&mut transport, &samples::messages(0..3)).await.assert_all_accepted();
    }
    let url = format!("amqp://guest:{PLANTED}@127.0.0.1:{dead},no-such-host.invalid/");
    let error = failure(&url, json!({})).await;
    assert!(error.is_transient());
    assert!(error.to_string().starts_with("cannot log in to any host: "), "{error}");
}

/// Each failed login closes its socket and ends lapin's thread.
#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_leak_no_thread_and_no_socket() {
    let vhost = RabbitMq::shared().vhost();
    let url = format!("amqp://unknown-user:{PLANTED}@127.0.0.1:{}/", vhost.broker().port());
    let mut transport = Rabbit::new(config(&url, json!({}))).unwrap();
    for _ in 0..20 {
        send_once(&mut transport, &samples::messages(0..3)).await.into_error();
    }
    // The bounds leave room for other tests, which run at the same time.
    wait_until("threads and sockets are gone", || lapin_threads() < 10 && open_sockets() < 40)
        .await;
}
