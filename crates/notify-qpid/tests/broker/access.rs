//! Failed logins and unreachable brokers: each error names its cause, and none shows the password.

use std::time::Duration;

use notify_conformance::attempts::send_once;
use notify_conformance::{Harness as _, samples};
use notify_core::{Error, ErrorKind};
use notify_qpid::Qpid;
use notify_testbed::broker::proton::ProtonPeer;
use notify_testbed::log_recorder::LogRecorder;
use notify_testbed::ports::free_port;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::instrument::WithSubscriber as _;

use crate::contract_rabbitmq::RabbitNode;
use crate::support::{config, within};

/// The password of these tests, which no log line and no error may show.
const PLANTED: &str = "pl4nted-s3cret";

/// Returns the error of one attempt, which must fail. Checks that nothing shows the password.
async fn failure(url: &str, options: Value) -> Error {
    let log = LogRecorder::default();
    let mut transport = Qpid::new(config(url, options)).unwrap();
    let messages = samples::messages(0..3);
    let sending = send_once(&mut transport, &messages).with_subscriber(log.clone());
    let error = within(sending).await.error();
    let shown = format!("{error:?} {error:#} {transport:?} {:?}", log.lines());
    assert!(!shown.contains(PLANTED), "{shown}");
    error
}

/// Wrong credentials, a wrong virtual host, a closed port and an unknown host name are four different
/// errors.
#[tokio::test(flavor = "multi_thread")]
async fn each_login_failure_names_its_cause() {
    let node = RabbitNode::start().await;
    let port = node.vhost.broker().port();
    let host = format!("amqp://127.0.0.1:{port}");
    let user = json!({ "user": "guest", "password": PLANTED });

    let error = failure(&host, user.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert_eq!(
        error.to_string(),
        format!(
            "authentication failed: 127.0.0.1:{port} refused user `guest`: check `qpid.user` and the \
             password"
        )
    );
    let elsewhere = format!("amqp://guest:guest@127.0.0.1:{port}/vhost:nowhere");
    let error = failure(&elsewhere, json!({})).await;
    assert!(error.to_string().contains("the virtual host `vhost:nowhere`"), "{error}");

    let closed = free_port();
    let error = failure(&format!("amqp://127.0.0.1:{closed}"), user.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = format!("{error:#}");
    let expected = format!("cannot connect to 127.0.0.1:{closed}: Connection refused");
    assert!(text.contains(&expected), "{text}");
    let error = failure("amqp://no-such-host.invalid", user).await;
    assert!(error.to_string().contains("cannot resolve no-such-host.invalid:5672"), "{error}");
}

/// A user with the right to log in and without the right to write gets a permanent error about
/// permissions, not about the login.
#[tokio::test(flavor = "multi_thread")]
async fn reports_missing_permissions() {
    let node = RabbitNode::start().await;
    let port = node.vhost.broker().port();
    let name = node.vhost.name().to_owned();
    let vhost = name.clone();
    node.vhost
        .in_background(move |node| {
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
    assert!(error.to_string().contains("permission denied to user `svc-"), "{error}");
}

/// The error lists the mechanisms that the peer offers. With a list in `qpid.sasl_mechanism`, the
/// transport uses the first that the peer offers.
#[tokio::test(flavor = "multi_thread")]
async fn falls_back_to_the_next_offered_mechanism() {
    let peer = ProtonPeer::start();
    let user = json!({ "user": "u", "password": PLANTED });
    let error = failure(&peer.url(), user).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    let expected = "does not offer the SASL mechanism PLAIN, it offers ANONYMOUS";
    assert!(error.to_string().contains(expected), "{error}");
    let mut transport = Qpid::new(config(
        &peer.url(),
        json!({
            "user": "u", "password": PLANTED, "sasl_mechanism": ["PLAIN", "ANONYMOUS"],
        }),
    ))
    .unwrap();
    assert_eq!(
        within(send_once(&mut transport, &samples::messages(0..3))).await.accepted().len(),
        3
    );
}

/// A broker of AMQP 0-10, a TLS port, a web server and garbage each give a permanent error that
/// names the protocol or the remedy.
#[tokio::test(flavor = "multi_thread")]
async fn names_a_broker_of_another_protocol() {
    for (answer, kind, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ErrorKind::Config, "does not speak AMQP 1.0"),
        (b"AMQP\x01\x01\x00\x0a", ErrorKind::Config, "speaks AMQP 0-10 only"),
        (
            b"\x15\x03\x03\x00\x02\x02\x32",
            ErrorKind::Config,
            "answers with TLS: use amqps:// in `qpid.url`",
        ),
        (b"AMQP\x00\x01\x00\x00", ErrorKind::Config, "does not offer SASL"),
        (b"AMQP\x03\x01\x00\x00\xff\xff\xff\xff", ErrorKind::Config, "does not speak AMQP 1.0"),
        (
            b"AMQP\x03\x01\x00\x00\x00\x00\x00\x09\x02\x01\x00\x00?",
            ErrorKind::Config,
            "does not speak AMQP 1.0",
        ),
        (b"", ErrorKind::Unavailable, "it may require TLS (amqps:// in `qpid.url`)"),
    ] {
        let url = serve(answer).await;
        let error = failure(&url, json!({ "user": "u", "password": PLANTED })).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// A broker that stops in the middle of a login closes the connection, so the error is transient. Only a peer
/// that answers can refuse a password.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_broker_during_a_login_is_transient() {
    // The protocol header of SASL, and Mechanisms with PLAIN.
    let url = serve(
        b"AMQP\x03\x01\x00\x00\
          \x00\x00\x00\x15\x02\x01\x00\x00\x00\x53\x40\xc0\x08\x01\xa3\x05PLAIN",
    )
    .await;
    let error = failure(&url, json!({ "user": "u", "password": PLANTED })).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("closed the connection during the login"), "{error}");
}

/// `qpid.connect_timeout` ends the wait for a peer that accepts the connection and stays silent.
#[tokio::test(flavor = "multi_thread")]
async fn gives_up_on_a_peer_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    let error = failure(&url, json!({ "connect_timeout": 0.3 })).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("timed out: does a broker listen on this port?"), "{error}");
}

/// A dead host in `qpid.url` costs no delivery, whatever the random order.
#[tokio::test(flavor = "multi_thread")]
async fn tries_the_next_host() {
    let peer = ProtonPeer::start();
    let closed = free_port();
    let url = format!("amqp://127.0.0.1:{closed},127.0.0.1:{}", peer.port());
    for _ in 0..5 {
        let mut transport = Qpid::new(config(&url, json!({}))).unwrap();
        assert_eq!(
            within(send_once(&mut transport, &samples::messages(0..3))).await.accepted().len(),
            3
        );
    }
}

/// You can correct `qpid.password_file` without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn reads_the_password_file_at_every_connect() {
    let node = RabbitNode::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, PLANTED).unwrap();
    let port = node.vhost.broker().port();
    let url = format!("amqp://127.0.0.1:{port}/vhost:{}", node.vhost.name());
    let options = json!({ "user": "guest", "password_file": file });
    let mut transport = Qpid::new(config(&url, options)).unwrap();
    let messages = samples::messages(0..3);
    let error = within(send_once(&mut transport, &messages)).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Access);
    std::fs::write(&file, "guest\n").unwrap();
    assert_eq!(within(send_once(&mut transport, &messages)).await.accepted().len(), 3);
}

/// Starts a server that sends `answer` to every client, reads once more and closes. Returns its URL.
async fn serve(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut header = [0; 8];
            let _ = tcp.read_exact(&mut header).await;
            let _ = tcp.write_all(answer).await;
            // Unread bytes would reset the connection instead of ending it.
            let mut rest = [0; 1024];
            let _ = tokio::time::timeout(Duration::from_secs(1), tcp.read(&mut rest)).await;
        }
    });
    url
}
