//! TLS to a broker: private authorities, names, client certificates, and no fallback to plain text.

use std::path::PathBuf;

use crate::support::rabbit;
use notify_conformance::attempts::send_once;
use notify_conformance::samples;
use notify_core::{Error, ErrorKind, Transport};
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::certificates::CertificateAuthority;
use serde_json::{Value, json};

/// Sends three messages and returns the error of the attempt.
async fn failure(url: &str, options: Value) -> Error {
    send_once(&mut rabbit(url, options), &samples::messages(0..3)).await.into_error()
}

/// The client verifies the broker's certificate, and the broker that of the client. Each failure has
/// its own message, and none falls back to plain text.
#[tokio::test(flavor = "multi_thread")]
async fn verifies_tls_in_both_directions() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (trusted, other) =
        (CertificateAuthority::new(dir, "trusted"), CertificateAuthority::new(dir, "other"));
    let (cert, key) = trusted.issue("localhost", 2199);
    let broker = RabbitMq::builder()
        .tls(&trusted.file, &cert, &key)
        .plugin("rabbitmq_auth_mechanism_ssl")
        .config("auth_mechanisms.1 = PLAIN")
        .config("auth_mechanisms.2 = EXTERNAL")
        .config("ssl_cert_login_from = common_name")
        .start();
    let vhost = broker.vhost();
    let url = vhost.tls_url();

    let mut transport = rabbit(&url, json!({ "ca_file": trusted.file }));
    send_once(&mut transport, &samples::messages(0..300)).await.assert_all_accepted();
    let findings: Vec<_> =
        transport.check().await.unwrap().iter().map(|f| format!("{f:?}")).collect();
    assert!(
        findings.iter().any(|f| f.contains("TLS 1.") && f.contains("verified")),
        "{findings:?}"
    );
    transport.close().await.unwrap();

    // An unknown authority, and another name.
    let error = failure(&url, json!({ "ca_file": other.file })).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert!(error.to_string().contains("unknown authority"), "{error}");
    let by_address = url.replace("localhost", "127.0.0.1");
    let error = failure(&by_address, json!({ "ca_file": trusted.file })).await;
    assert!(error.to_string().contains("certificate name mismatch"), "{error}");

    // TLS to the port for plain text, and plain text to the port for TLS.
    let plain = vhost.url().replace("amqp://", "amqps://").replace("127.0.0.1", "localhost");
    let error = failure(&plain, json!({ "ca_file": trusted.file })).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("does not speak TLS on this port"), "{error}");
    let error = failure(&url.replace("amqps://", "amqp://"), json!({})).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("answers with TLS: use amqps://"), "{error}");

    // A login with a certificate.
    let name = "svc-certificate";
    broker.add_user(name, "unused");
    vhost.permit(name, [".*", ".*", ".*"]);
    let external = format!("amqps://localhost:{}/{}", broker.tls_port(), vhost.name());
    let files = |(cert, key): &(PathBuf, PathBuf)| json!({ "ca_file": trusted.file, "cert_file": cert, "key_file": key });
    let certificate = trusted.issue(name, 2199);
    send_once(&mut rabbit(&external, files(&certificate)), &samples::messages(0..3))
        .await
        .assert_all_accepted();
    let unknown = trusted.issue("unknown-user", 2199);
    let error = failure(&external, files(&unknown)).await;
    assert_eq!(error.kind(), ErrorKind::Access);
    assert!(error.to_string().contains("has no user for the certificate"), "{error}");
    let untrusted = other.issue(name, 2199);
    let error = failure(&external, files(&untrusted)).await;
    assert!(error.to_string().contains("rejected the client certificate"), "{error:#}");
    let expired = trusted.issue(name, 2001);
    let error = failure(&external, files(&expired)).await;
    assert!(error.to_string().contains("rejected the client certificate"), "{error}");
    drop(broker);

    // A broker with an expired certificate, and one that requires a client certificate.
    let (cert, key) = trusted.issue("localhost", 2001);
    let broker = RabbitMq::builder().tls(&trusted.file, &cert, &key).start();
    let error = failure(&broker.root().tls_url(), json!({ "ca_file": trusted.file })).await;
    assert!(error.to_string().contains("certificate expired"), "{error}");
    drop(broker);
    let (cert, key) = trusted.issue("localhost", 2199);
    let broker = RabbitMq::builder()
        .tls(&trusted.file, &cert, &key)
        .config("ssl_options.fail_if_no_peer_cert = true")
        .start();
    let url = broker.root().tls_url();
    let error = failure(&url, json!({ "ca_file": trusted.file })).await;
    assert!(error.to_string().contains("requires a client certificate"), "{error}");
    send_once(&mut rabbit(&url, files(&certificate)), &samples::messages(0..3))
        .await
        .assert_all_accepted();
}
