//! TLS to a broker: a private authority, host names, client certificates, and no fallback to plain
//! text.
//!
//! One test runs all cases in turn, because each broker with other certificates takes seconds to start.

use std::path::PathBuf;

use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Transport as _};
use notify_qpid::Qpid;
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::certificates::CertificateAuthority;
use serde_json::{Value, json};

use crate::support::{QUEUES, config, within};

/// Checks that 300 messages arrive.
async fn delivers(url: &str, options: Value) {
    let mut transport = Qpid::new(config(url, options)).unwrap();
    let attempt = within(send_once(&mut transport, &samples::messages(0..300))).await;
    attempt.result.as_ref().unwrap();
    assert_eq!(attempt.accepted().len(), 300);
    transport.close().await.unwrap();
}

/// Declares the queues, because RabbitMQ 4 creates none on demand.
fn declare_queues(broker: &RabbitMq) {
    for (queue, _) in QUEUES {
        broker.root().declare_queue(queue, &json!({ "durable": true }));
    }
}

/// Returns the error of one attempt, which must fail.
async fn failure(url: &str, options: Value) -> Error {
    let mut transport = Qpid::new(config(url, options)).unwrap();
    within(send_once(&mut transport, &samples::messages(0..3))).await.result.unwrap_err()
}

/// The client verifies authority, name and validity of the broker, the broker those of the client, and
/// each failure names its cause.
#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified_in_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (ours, foreign) =
        (CertificateAuthority::new(dir, "ours"), CertificateAuthority::new(dir, "foreign"));
    let (cert, key) = ours.issue("localhost", 2199);
    let broker = RabbitMq::builder()
        .plugin("rabbitmq_amqp1_0")
        .tls(&ours.file, &cert, &key)
        .plugin("rabbitmq_auth_mechanism_ssl")
        .config("auth_mechanisms.1 = PLAIN")
        .config("auth_mechanisms.2 = EXTERNAL")
        .config("ssl_cert_login_from = common_name")
        .start();
    declare_queues(&broker);
    let url = format!("amqps://guest:guest@localhost:{}", broker.tls_port());
    let ca = json!({ "ca_file": ours.file });

    delivers(&url, ca.clone()).await;
    let mut transport = Qpid::new(config(&url, ca.clone())).unwrap();
    let findings = format!("{:?}", transport.check().await.unwrap());
    assert!(findings.contains("TLS 1.") && findings.contains("verified"), "{findings}");

    // A broker of an unknown authority, and one with another name.
    let error = failure(&url, json!({ "ca_file": foreign.file })).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert!(error.to_string().contains("unknown authority"), "{error}");
    let by_address = url.replace("localhost", "127.0.0.1");
    let error = failure(&by_address, ca.clone()).await;
    assert!(error.to_string().contains("certificate name mismatch"), "{error}");

    // TLS to the plain port, and plain text to the TLS port.
    let plain = format!("amqps://guest:guest@localhost:{}", broker.port());
    let error = failure(&plain, ca.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("does not speak TLS on this port"), "{error}");
    let error = failure(&url.replace("amqps://", "amqp://"), json!({})).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("answers with TLS: use amqps:// in `qpid.url`"), "{error}");

    // A login with a certificate.
    let name = "svc-certificate";
    broker.eval(&format!(
        r#"rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"unused">>, <<"test">>),
           rabbit_auth_backend_internal:set_permissions(
               <<"{name}">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>)"#
    ));
    let external = format!("amqps://localhost:{}", broker.tls_port());
    let files = |(cert, key): &(PathBuf, PathBuf)| json!({ "ca_file": ours.file, "cert_file": cert, "key_file": key });
    let certificate = ours.issue(name, 2199);
    delivers(&external, files(&certificate)).await;
    let stranger = ours.issue("stranger", 2199);
    let error = failure(&external, files(&stranger)).await;
    assert_eq!(error.kind(), ErrorKind::Access, "{error:?}");
    assert!(error.to_string().contains("has no user for the certificate"), "{error}");
    for certificate in [foreign.issue(name, 2199), ours.issue(name, 2001)] {
        let error = failure(&external, files(&certificate)).await;
        assert!(error.to_string().contains("rejected the client certificate"), "{error:#}");
    }
    drop(broker);

    // A broker with an expired certificate, and one that requires a client certificate.
    let (cert, key) = ours.issue("localhost", 2001);
    let broker =
        RabbitMq::builder().plugin("rabbitmq_amqp1_0").tls(&ours.file, &cert, &key).start();
    let url = format!("amqps://guest:guest@localhost:{}", broker.tls_port());
    let error = failure(&url, ca.clone()).await;
    assert!(error.to_string().contains("certificate expired"), "{error}");
    drop(broker);
    let (cert, key) = ours.issue("localhost", 2199);
    let broker = RabbitMq::builder()
        .plugin("rabbitmq_amqp1_0")
        .tls(&ours.file, &cert, &key)
        .config("ssl_options.fail_if_no_peer_cert = true")
        .start();
    declare_queues(&broker);
    let url = format!("amqps://guest:guest@localhost:{}", broker.tls_port());
    let error = failure(&url, ca).await;
    assert!(error.to_string().contains("requires a client certificate"), "{error}");
    delivers(&url, files(&certificate)).await;
}
