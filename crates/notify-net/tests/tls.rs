//! TLS against a server of rustls: what is accepted, and what each refusal says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may fail as it does")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use notify_net::{BrokerStream, Host, TlsFiles, connect, diagnose_disconnect, explain_tls_error};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

const LONG: Duration = Duration::from_secs(30);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    dir: tempfile::TempDir,
}

struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate, dir: tempfile::tempdir().unwrap() }
    }

    fn identity(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn files(&self) -> TlsFiles {
        let ca_file = Some(self.file("ca.pem", &self.certificate.pem()));
        TlsFiles { ca_file, ..TlsFiles::default() }
    }

    fn files_with(&self, identity: &Identity) -> TlsFiles {
        TlsFiles {
            cert_file: Some(self.file("cert.pem", &identity.certificate.pem())),
            key_file: Some(self.file("key.pem", &identity.key.serialize_pem())),
            ..self.files()
        }
    }
}

/// A server that shows `identity`, wants a certificate by `clients` if given, and echoes.
async fn serve(identity: &Identity, clients: Option<&Authority>) -> Host {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = PrivateKeyDer::Pkcs8(identity.key.serialize_der().into());
    let chain = vec![identity.certificate.der().clone()];
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    listen(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                let mut buffer = [0; 64];
                while let Ok(n @ 1..) = tls.read(&mut buffer).await {
                    tls.write_all(&buffer[..n]).await.ok();
                }
            }
        }
    })
    .await
}

async fn listen<F>(serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> Host
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    Host { name: address.ip().to_string(), port: address.port() }
}

async fn dial(host: &Host, files: &TlsFiles) -> Result<BrokerStream> {
    let tls = files.load().await?;
    dial_until(host, &tls, Instant::now() + LONG).await
}

async fn dial_until(
    host: &Host,
    tls: &notify_net::TlsConfig,
    deadline: Instant,
) -> Result<BrokerStream> {
    let (stream, hangup) = connect(host, Some(tls), LONG, deadline).await?;
    // Kept for the rest of the test: dropped, it would end the stream.
    std::mem::forget(hangup);
    Ok(stream)
}

/// Connects and waits for an echo, as a protocol would.
async fn echo(host: &Host, files: &TlsFiles) -> Result<BrokerStream> {
    let mut stream = dial(host, files).await?;
    let failed =
        |error| explain_tls_error(&error, host).unwrap_or_else(|| panic!("unexplained: {error}"));
    stream.write_all(b"hello").await.map_err(failed)?;
    stream.read_exact(&mut [0; 5]).await.map_err(failed)?;
    Ok(stream)
}

fn said(result: Result<BrokerStream>, kind: ErrorKind, text: &str) {
    let Err(error) = result else { panic!("connected, though: {text}") };
    assert_eq!(error.kind(), kind, "{error:#}");
    assert!(error.to_string().contains(text), "{error:#}");
}

#[tokio::test]
async fn a_private_authority_is_trusted_and_the_name_checked() {
    let authority = Authority::new();
    let host = serve(&authority.identity("127.0.0.1", |_| {}), None).await;
    let stream = echo(&host, &authority.files()).await.unwrap();
    assert!(stream.peer().tls.as_ref().unwrap().starts_with("TLS 1.3, TLS13_"));

    // By a name instead of its address.
    let named = serve(&authority.identity("localhost", |_| {}), None).await;
    let named = Host { name: "localhost".into(), port: named.port };
    echo(&named, &authority.files()).await.unwrap();
}

#[tokio::test]
async fn each_bad_certificate_is_refused_in_its_own_words() {
    let authority = Authority::new();
    let files = authority.files();
    for (identity, text) in [
        (authority.identity("elsewhere.example", |_| {}), "is for another name"),
        (
            authority.identity("127.0.0.1", |params| params.not_after = date_time_ymd(2001, 1, 1)),
            "has expired",
        ),
        (
            authority.identity("127.0.0.1", |params| params.not_before = date_time_ymd(2199, 1, 1)),
            "is not valid yet",
        ),
        (
            Authority::new().identity("127.0.0.1", |_| {}),
            "signed by nobody we trust: set `ca_file`",
        ),
    ] {
        said(dial(&serve(&identity, None).await, &files).await, ErrorKind::Access, text);
    }
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let identity = Identity { certificate: params.self_signed(&key).unwrap(), key };
    let host = serve(&identity, None).await;
    said(dial(&host, &files).await, ErrorKind::Access, "signed by nobody we trust");
    // Without `ca_file` it is the system's authorities that count.
    said(dial(&host, &TlsFiles::default()).await, ErrorKind::Access, "`ca_file`");
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_asked_for() {
    let authority = Authority::new();
    let host = serve(&authority.identity("127.0.0.1", |_| {}), Some(&authority)).await;
    let ours = authority.identity("client", |_| {});
    echo(&host, &authority.files_with(&ours)).await.unwrap();

    said(echo(&host, &authority.files()).await, ErrorKind::Access, "wants a client certificate");
    let foreign = Authority::new().identity("client", |_| {});
    let files = authority.files_with(&foreign);
    said(echo(&host, &files).await, ErrorKind::Access, "does not accept the client certificate");

    // Whoever only listens hears it whatever else was sent.
    let hidden = async |files: &TlsFiles, kind, patience| {
        let tls = files.load().await.unwrap();
        let error = Error::new(kind, "the connection ended");
        diagnose_disconnect(error, &host, Some(&tls), LONG, Instant::now() + patience)
            .await
            .to_string()
    };
    let said = hidden(&files, ErrorKind::Unavailable, LONG).await;
    assert!(said.contains("does not accept the client certificate"), "{said}");
    assert_eq!(hidden(&files, ErrorKind::Access, LONG).await, "the connection ended");
    let soon = Duration::from_millis(100);
    let ours = authority.files_with(&ours);
    assert_eq!(hidden(&ours, ErrorKind::Unavailable, soon).await, "the connection ended");
}

#[tokio::test]
async fn plain_text_is_told_from_tls() {
    let authority = Authority::new();
    let plain = listen(|mut tcp| async move {
        // What a broker answers on its plain port.
        tcp.write_all(b"AMQP\x00\x00\x09\x01").await.ok();
    })
    .await;
    said(dial(&plain, &authority.files()).await, ErrorKind::Config, "does not speak TLS");

    let closing = listen(|tcp| async move { drop(tcp) }).await;
    said(dial(&closing, &authority.files()).await, ErrorKind::Unavailable, "TLS handshake");

    let silent = listen(|tcp| async move {
        tokio::time::sleep(LONG).await;
        drop(tcp);
    })
    .await;
    let tls = authority.files().load().await.unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    said(dial_until(&silent, &tls, soon).await, ErrorKind::Timeout, "TLS handshake");
}

#[tokio::test]
async fn files_are_read_again_and_their_faults_named() {
    let authority = Authority::new();
    let host = serve(&authority.identity("127.0.0.1", |_| {}), None).await;
    let wrong = Authority::new();
    let files = TlsFiles {
        ca_file: Some(authority.file("current.pem", &wrong.certificate.pem())),
        ..TlsFiles::default()
    };
    said(dial(&host, &files).await, ErrorKind::Access, "signed by nobody we trust");
    authority.file("current.pem", &authority.certificate.pem());
    echo(&host, &files).await.unwrap();

    let ours = authority.identity("client", |_| {});
    for (name, content, text) in [
        ("ca.pem", "", "no certificate in it"),
        ("cert.pem", "", "cannot use `cert_file`"),
        ("key.pem", "", "no key in it"),
        ("key.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n", "not well-formed"),
        ("key.pem", &KeyPair::generate().unwrap().serialize_pem(), "do not belong together"),
    ] {
        let files = authority.files_with(&ours);
        authority.file(name, content);
        let error = files.load().await.unwrap_err();
        assert!(format!("{error:#}").contains(text), "{error:#}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let missing = TlsFiles { ca_file: Some("/nowhere/ca.pem".into()), ..TlsFiles::default() };
    let error = missing.load().await.unwrap_err();
    assert!(error.to_string().contains("`ca_file` /nowhere/ca.pem: No such file"), "{error}");
}
