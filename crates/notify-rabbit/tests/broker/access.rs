//! Who may not, where nobody is, and what is said about it: never the password.

use std::io::Write as _;

use crate::support::{attempt, config, lapin_threads, rabbit, sockets, until};
use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Transport};
use notify_rabbit::Rabbit;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::log_recorder::LogRecorder;
use notify_testbed::ports::free_port;
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber;

/// The password of everybody here, to be looked for where it must not be.
const PLANTED: &str = "pl4nted-s3cret";

/// A user of a virtual host, with patterns of what may be configured, written and read.
fn user(vhost: &Vhost<'_>, patterns: Option<[&str; 3]>) -> (String, Value) {
    let name = format!("svc-{}", vhost.name());
    let broker = vhost.broker();
    broker.eval(&format!(
        r#"rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{PLANTED}">>, <<"test">>)"#
    ));
    if let Some([configure, write, read]) = patterns {
        broker.eval(&format!(
            r#"rabbit_auth_backend_internal:set_permissions(<<"{name}">>, <<"{}">>, <<"{configure}">>,
                <<"{write}">>, <<"{read}">>, <<"test">>)"#,
            vhost.name()
        ));
    }
    let url = format!("amqp://127.0.0.1:{}/{}", broker.port(), vhost.name());
    (url, json!({ "user": name, "password": PLANTED }))
}

async fn failure(url: &str, options: Value) -> Error {
    let log = LogRecorder::default();
    let mut transport = rabbit(url, options);
    let messages = samples::messages(0..3);
    let sending = async { attempt(&mut transport, &messages).await.failure() };
    let error = sending.with_subscriber(log.clone()).await;
    let shown = format!("{error:?} {error:#} {transport:?} {:?}", log.lines());
    assert!(!shown.contains(PLANTED), "{shown}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_own_words() {
    let vhost = RabbitMq::shared().vhost();
    let port = vhost.broker().port();
    let (url, options) = user(&vhost, Some([".*", ".*", ".*"]));
    let name = options["user"].as_str().unwrap();

    let error = failure(&url, json!({ "user": name, "password": "wrong" })).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert_eq!(
        error.to_string(),
        format!("127.0.0.1:{port} refused user `{name}`: wrong `rabbit.user` or password")
    );
    let elsewhere = format!("amqp://127.0.0.1:{port}/nowhere");
    let error = failure(&elsewhere, options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("has no virtual host `nowhere`"), "{error}");

    let closed = free_port();
    let error = failure(&format!("amqp://127.0.0.1:{closed}"), options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let said = format!("{error:#}");
    assert!(
        said.contains(&format!("cannot connect to 127.0.0.1:{closed}: Connection refused")),
        "{said}"
    );
    let error = failure("amqp://no-such-host.invalid", options.clone()).await;
    assert!(error.to_string().contains("cannot resolve no-such-host.invalid:5672"), "{error}");

    let stranger = RabbitMq::shared().vhost();
    let (url, options) = user(&stranger, None);
    let error = failure(&url, options).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    let said = error.to_string();
    assert!(said.contains("may not use the virtual host `vhost-"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_permissions_are_enough_and_fewer_are_named() {
    let ours = "^(glance|notifications\\\\..*)$";
    let vhost = RabbitMq::shared().vhost();
    let (url, options) = user(&vhost, Some([ours, ours, "^glance$"]));
    attempt(&mut rabbit(&url, options.clone()), &samples::messages(0..3)).await.all_accepted();

    // Nobody may configure: what others declared is used.
    let writer = RabbitMq::shared().vhost();
    let (url, options) = user(&writer, Some(["^$", "^glance$", "^$"]));
    let error = failure(&url, options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    let said = error.to_string();
    assert!(said.contains("lacks a permission: access to exchange 'glance'"), "{said}");
    assert!(said.contains("set `rabbit.declare = \"verify\"`"), "{said}");
    attempt(&mut rabbit(&writer.url(), json!({})), &samples::messages(0..3)).await.all_accepted();
    let mut verifying = options.clone();
    verifying["declare"] = json!("verify");
    attempt(&mut rabbit(&url, verifying), &samples::messages(3..6)).await.all_accepted();

    // Nobody may write.
    let reader = RabbitMq::shared().vhost();
    let (url, mut options) = user(&reader, Some(["^$", "^$", "^$"]));
    attempt(&mut rabbit(&reader.url(), json!({})), &samples::messages(0..3)).await.all_accepted();
    options["declare"] = json!("verify");
    let error = failure(&url, options.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert!(error.to_string().contains("access to exchange 'glance'"), "{error}");
    let findings = rabbit(&url, options).check().await.unwrap();
    let bad: Vec<_> = findings.iter().map(|f| format!("{}: {:?}", f.subject, f.state)).collect();
    assert!(bad.iter().any(|f| f.starts_with("permission to write: Bad(")), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_is_read_again_at_every_connect() {
    let vhost = RabbitMq::shared().vhost();
    let (url, options) = user(&vhost, Some([".*", ".*", ".*"]));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"old").unwrap();
    let options = json!({ "user": options["user"], "password_file": file.path() });
    let mut transport = rabbit(&url, options);
    let error = attempt(&mut transport, &samples::messages(0..3)).await.failure();
    assert_eq!(error.kind(), ErrorKind::Access);
    std::fs::write(file.path(), format!("{PLANTED}\n")).unwrap();
    attempt(&mut transport, &samples::messages(0..3)).await.all_accepted();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_is_asked_when_one_does_not_let_us_in() {
    let vhost = RabbitMq::shared().vhost();
    let good = format!("127.0.0.1:{}", vhost.broker().port());
    // Bound and never accepted from: it takes connections and says nothing.
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
        attempt(&mut transport, &samples::messages(0..3)).await.all_accepted();
    }
    let url = format!("amqp://guest:{PLANTED}@127.0.0.1:{dead},no-such-host.invalid/");
    let error = failure(&url, json!({})).await;
    assert!(error.is_transient());
    assert!(error.to_string().starts_with("cannot log in to any host: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_neither_thread_nor_socket() {
    let vhost = RabbitMq::shared().vhost();
    let url = format!("amqp://nobody:{PLANTED}@127.0.0.1:{}/", vhost.broker().port());
    let mut transport = Rabbit::new(config(&url, json!({}))).unwrap();
    for _ in 0..20 {
        attempt(&mut transport, &samples::messages(0..3)).await.failure();
    }
    // Other tests run beside this one: theirs come and go.
    until("they are gone", || lapin_threads() < 10 && sockets() < 40).await;
}
