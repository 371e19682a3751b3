//! Who may not, where nobody is, and what is said about it: never the password.

use std::time::Duration;

use notify_conformance::{Harness as _, samples};
use notify_core::{Error, ErrorKind};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::ProtonPeer;
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::log_recorder::LogRecorder;
use notify_testbed::ports::free_port;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::instrument::WithSubscriber as _;

use crate::contract_rabbitmq::Node;
use crate::support::{attempt, config, within};

/// The password of everybody here, to be looked for where it must not be.
const PLANTED: &str = "pl4nted-s3cret";

async fn failure(url: &str, options: Value) -> Error {
    let log = LogRecorder::default();
    let mut transport = Qpid::new(config(url, options)).unwrap();
    let messages = samples::messages(0..3);
    let sending = attempt(&mut transport, &messages).with_subscriber(log.clone());
    let error = within(sending).await.end.unwrap_err();
    let shown = format!("{error:?} {error:#} {transport:?} {:?}", log.lines());
    assert!(!shown.contains(PLANTED), "{shown}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_own_words() {
    let node = Node::start().await;
    let port = node.vhost.broker().port();
    let host = format!("amqp://127.0.0.1:{port}");
    let user = json!({ "user": "guest", "password": PLANTED });

    let error = failure(&host, user.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert_eq!(
        error.to_string(),
        format!("127.0.0.1:{port} refused user `guest`: wrong `qpid.user` or password")
    );
    let elsewhere = format!("amqp://guest:guest@127.0.0.1:{port}/vhost:nowhere");
    let error = failure(&elsewhere, json!({})).await;
    assert_eq!(error.kind(), ErrorKind::Access, "{error:?}");
    let said = "may not use the virtual host `vhost:nowhere`, or it does not exist";
    assert!(error.to_string().contains(said), "{error}");

    let closed = free_port();
    let error = failure(&format!("amqp://127.0.0.1:{closed}"), user.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let said = format!("{error:#}");
    let expected = format!("cannot connect to 127.0.0.1:{closed}: Connection refused");
    assert!(said.contains(&expected), "{said}");
    let error = failure("amqp://no-such-host.invalid", user).await;
    assert!(error.to_string().contains("cannot resolve no-such-host.invalid:5672"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_permissions_is_told_so() {
    let node = Node::start().await;
    let port = node.vhost.broker().port();
    let name = node.vhost.name().to_owned();
    let vhost = name.clone();
    node.with(move |node| {
        node.broker().eval(&format!(
            r#"rabbit_auth_backend_internal:add_user(<<"svc-{name}">>, <<"{PLANTED}">>, <<"test">>),
               rabbit_auth_backend_internal:set_permissions(
                   <<"svc-{name}">>, <<"{name}">>, <<"">>, <<"">>, <<"">>, <<"test">>)"#
        ))
    })
    .await;
    let url = format!("amqp://127.0.0.1:{port}/vhost:{vhost}");
    let user = json!({ "user": format!("svc-{vhost}"), "password": PLANTED });
    let error = failure(&url, user).await;
    assert_eq!(error.kind(), ErrorKind::Access, "{error:?}");
    assert!(error.to_string().contains("lacks a permission"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_our_mechanism_says_what_it_offers() {
    let peer = ProtonPeer::start();
    let user = json!({ "user": "u", "password": PLANTED });
    let error = failure(&peer.url(), user).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert!(error.to_string().contains("lets nobody in by PLAIN: it offers ANONYMOUS"), "{error}");
    let mut transport = Qpid::new(config(
        &peer.url(),
        json!({
            "user": "u", "password": PLANTED, "sasl_mechanism": ["PLAIN", "ANONYMOUS"],
        }),
    ))
    .unwrap();
    assert_eq!(within(attempt(&mut transport, &samples::messages(0..3))).await.accepted(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_another_protocol_is_named() {
    let broker = tokio::task::spawn_blocking(RabbitMq::start).await.unwrap();
    let url = format!("amqp://guest:{PLANTED}@127.0.0.1:{}", broker.port());
    let error = failure(&url, json!({})).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("enable its plugin rabbitmq_amqp1_0"), "{error}");

    for (answer, kind, said) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ErrorKind::Config, "does not speak AMQP 1.0"),
        (b"AMQP\x01\x01\x00\x0a", ErrorKind::Config, "speaks AMQP 0-10 only"),
        (
            b"\x15\x03\x03\x00\x02\x02\x32",
            ErrorKind::Config,
            "answers with TLS: use amqps:// in `qpid.url`",
        ),
        (b"AMQP\x00\x01\x00\x00", ErrorKind::Config, "lets nobody log in by SASL"),
        (b"AMQP\x03\x01\x00\x00\xff\xff\xff\xff", ErrorKind::Config, "does not speak AMQP 1.0"),
        (
            b"AMQP\x03\x01\x00\x00\x00\x00\x00\x09\x02\x01\x00\x00?",
            ErrorKind::Config,
            "does not speak AMQP 1.0",
        ),
        (b"", ErrorKind::Unavailable, "does it speak AMQP without TLS on this port?"),
    ] {
        let url = serve(answer).await;
        let error = failure(&url, json!({ "user": "u", "password": PLANTED })).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    let error = failure(&url, json!({ "connect_timeout": 0.3 })).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("timed out: does a broker listen on this port?"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_is_tried() {
    let peer = ProtonPeer::start();
    let nobody = free_port();
    let url = format!("amqp://127.0.0.1:{nobody},127.0.0.1:{}", peer.port());
    for _ in 0..5 {
        let mut transport = Qpid::new(config(&url, json!({}))).unwrap();
        assert_eq!(within(attempt(&mut transport, &samples::messages(0..3))).await.accepted(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_is_read_at_every_connect() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, PLANTED).unwrap();
    let port = node.vhost.broker().port();
    let url = format!("amqp://127.0.0.1:{port}/vhost:{}", node.vhost.name());
    let options = json!({ "user": "guest", "password_file": file });
    let mut transport = Qpid::new(config(&url, options)).unwrap();
    let messages = samples::messages(0..3);
    let error = within(attempt(&mut transport, &messages)).await.end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Access);
    std::fs::write(&file, "guest\n").unwrap();
    assert_eq!(within(attempt(&mut transport, &messages)).await.accepted(), 3);
}

/// A server that says one thing to everybody, and hangs up.
async fn serve(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut header = [0; 8];
            let _ = tcp.read_exact(&mut header).await;
            let _ = tcp.write_all(answer).await;
            let _ = tokio::time::timeout(Duration::from_secs(1), tcp.read(&mut header)).await;
        }
    });
    url
}
