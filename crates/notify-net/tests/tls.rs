//! TLS against a rustls server: accepted certificates, and the message of each rejection.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may panic")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use notify_net::{
    BrokerStream, Dialer, Endpoint, Host, ShutdownGuard, TlsFiles, explain_tls_error,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const LONG: Duration = Duration::from_secs(30);

/// A certificate authority that keeps its PEM files in a temporary directory.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    dir: tempfile::TempDir,
}

/// A certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    /// Creates an authority with a new key.
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate, dir: tempfile::tempdir().unwrap() }
    }

    /// Issues a certificate for `name`, after `change` has altered its parameters.
    fn identity(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// Writes a file into the authority's directory.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Returns the options of a client that trusts this authority.
    fn files(&self) -> TlsFiles {
        let ca_file = Some(self.file("ca.pem", &self.certificate.pem()));
        TlsFiles { ca_file, ..TlsFiles::default() }
    }

    /// Returns the same options for a client that presents `identity`.
    fn files_with(&self, identity: &Identity) -> TlsFiles {
        TlsFiles {
            cert_file: Some(self.file("cert.pem", &identity.certificate.pem())),
            key_file: Some(self.file("key.pem", &identity.key.serialize_pem())),
            ..self.files()
        }
    }
}

/// Starts an echo server that presents `identity`, and requires client certificates issued by
/// `clients` if given.
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

/// Runs `serve` for every connection to a free port.
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

/// Returns the endpoint of `host` with these files.
fn endpoint(host: &Host, files: &TlsFiles) -> Endpoint {
    let mut endpoint = Endpoint::default();
    endpoint.hosts = vec![host.clone()];
    endpoint.tls = Some(files.clone());
    endpoint.connect_timeout = LONG;
    endpoint
}

/// Loads the files and connects.
async fn dial(host: &Host, files: &TlsFiles) -> Result<BrokerStream> {
    dial_endpoint(&endpoint(host, files)).await
}

/// Connects without a login.
async fn dial_endpoint(endpoint: &Endpoint) -> Result<BrokerStream> {
    let open = |stream, guard| async {
        // The guard lives as long as the test: dropping it ends the stream.
        std::mem::forget(guard);
        Ok(stream)
    };
    Dialer::new(endpoint).await?.open(open).await
}

/// Connects and waits for an echo, as a protocol's login does.
async fn echo(host: &Host, files: &TlsFiles) -> Result<BrokerStream> {
    let mut stream = dial(host, files).await?;
    let failed =
        |error| explain_tls_error(&error, host).unwrap_or_else(|| panic!("unexplained: {error}"));
    stream.write_all(b"hello").await.map_err(failed)?;
    stream.read_exact(&mut [0; 5]).await.map_err(failed)?;
    Ok(stream)
}

/// Asserts that the connection failed with this kind of error and this text.
fn assert_error(result: Result<BrokerStream>, kind: ErrorKind, text: &str) {
    let Err(error) = result else { panic!("connected in spite of: {text}") };
    assert_eq!(error.kind(), kind, "{error:#}");
    assert!(error.to_string().contains(text), "{error:#}");
}

/// `ca_file` replaces the system's authorities, and both addresses and names match a certificate.
#[tokio::test]
async fn trusts_a_private_authority_and_checks_the_name() {
    let authority = Authority::new();
    let host = serve(&authority.identity("127.0.0.1", |_| {}), None).await;
    let stream = echo(&host, &authority.files()).await.unwrap();
    assert!(stream.peer().tls.as_ref().unwrap().starts_with("TLS 1.3, TLS13_"));

    // A name instead of an address.
    let named = serve(&authority.identity("localhost", |_| {}), None).await;
    let named = Host { name: "localhost".into(), port: named.port };
    echo(&named, &authority.files()).await.unwrap();
}

/// Expired, not yet valid, for another name, of an unknown authority, self-signed: each has its own
/// message.
#[tokio::test]
async fn each_invalid_certificate_has_its_own_message() {
    let authority = Authority::new();
    let files = authority.files();
    for (identity, text) in [
        (authority.identity("elsewhere.example", |_| {}), "certificate name mismatch"),
        (
            authority.identity("127.0.0.1", |params| params.not_after = date_time_ymd(2001, 1, 1)),
            "certificate expired",
        ),
        (
            authority.identity("127.0.0.1", |params| params.not_before = date_time_ymd(2199, 1, 1)),
            "certificate not yet valid",
        ),
        (Authority::new().identity("127.0.0.1", |_| {}), "unknown authority"),
    ] {
        assert_error(dial(&serve(&identity, None).await, &files).await, ErrorKind::Access, text);
    }
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let identity = Identity { certificate: params.self_signed(&key).unwrap(), key };
    let host = serve(&identity, None).await;
    assert_error(dial(&host, &files).await, ErrorKind::Access, "unknown authority");
    // Without `ca_file` the client trusts the system's authorities.
    assert_error(dial(&host, &TlsFiles::default()).await, ErrorKind::Access, "`ca_file`");
}

/// The client presents its certificate, and learns from the broker's alert why it was rejected.
#[tokio::test]
async fn presents_a_client_certificate_on_request() {
    let authority = Authority::new();
    let host = serve(&authority.identity("127.0.0.1", |_| {}), Some(&authority)).await;
    let identity = authority.identity("client", |_| {});
    echo(&host, &authority.files_with(&identity)).await.unwrap();

    assert_error(
        echo(&host, &authority.files()).await,
        ErrorKind::Access,
        "requires a client certificate",
    );
    let foreign = Authority::new().identity("client", |_| {});
    let files = authority.files_with(&foreign);
    assert_error(echo(&host, &files).await, ErrorKind::Access, "rejected the client certificate");

    // A second connection that only reads finds the alert that the first one missed.
    let diagnose = async |files: &TlsFiles, kind| {
        let endpoint = endpoint(&host, files);
        let log_in = |_, _| async move { Err::<(), _>(Error::new(kind, "the connection ended")) };
        let dialer = Dialer::new(&endpoint).await.unwrap();
        dialer.open(log_in).await.unwrap_err().to_string()
    };
    let text = diagnose(&files, ErrorKind::Unavailable).await;
    assert!(text.contains("rejected the client certificate"), "{text}");
    assert_eq!(diagnose(&files, ErrorKind::Access).await, "the connection ended");
    let identity = authority.files_with(&identity);
    assert_eq!(diagnose(&identity, ErrorKind::Unavailable).await, "the connection ended");
}

/// A broker that has answered, and closes the connection later, is not dialled a second time for an alert.
#[tokio::test]
async fn dials_a_broker_that_answered_only_once() {
    let authority = Authority::new();
    let server = serve(&authority.identity("127.0.0.1", |_| {}), None).await;
    let dialled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&dialled);
    // Counts the connections, and passes them on to the server.
    let host = listen(move |mut tcp| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut onward =
                tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
            tokio::io::copy_bidirectional(&mut tcp, &mut onward).await.ok();
        }
    })
    .await;
    let endpoint = endpoint(&host, &authority.files());
    let ended = || Error::new(ErrorKind::Unavailable, "the connection ended");
    let log_in = |mut stream: BrokerStream, guard: ShutdownGuard| async move {
        stream.write_all(b"hello").await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        drop(guard);
        Err::<(), _>(ended())
    };
    let dialer = Dialer::new(&endpoint).await.unwrap();
    assert_eq!(dialer.open(log_in).await.unwrap_err().to_string(), "the connection ended");
    assert_eq!(dialled.load(Ordering::Relaxed), 1);

    // A broker that closes the connection without an answer may have sent an alert.
    let silent = |_, _| async { Err::<(), _>(ended()) };
    dialer.open(silent).await.unwrap_err();
    assert_eq!(dialled.load(Ordering::Relaxed), 3);
}

/// A port without TLS is a configuration error, and a server that closes or stays silent is not.
#[tokio::test]
async fn distinguishes_plain_text_from_tls() {
    let authority = Authority::new();
    let plain = listen(|mut tcp| async move {
        // A broker answers this on its port for plain text.
        tcp.write_all(b"AMQP\x00\x00\x09\x01").await.ok();
    })
    .await;
    assert_error(dial(&plain, &authority.files()).await, ErrorKind::Config, "does not speak TLS");

    let closing = listen(|tcp| async move { drop(tcp) }).await;
    assert_error(dial(&closing, &authority.files()).await, ErrorKind::Unavailable, "TLS handshake");

    let silent = listen(|tcp| async move {
        tokio::time::sleep(LONG).await;
        drop(tcp);
    })
    .await;
    let mut endpoint = endpoint(&silent, &authority.files());
    endpoint.connect_timeout = Duration::from_millis(50);
    assert_error(dial_endpoint(&endpoint).await, ErrorKind::Unavailable, "timed out");
}

/// Changed files take effect at the next connect; errors name the option and the file, and show no
/// content.
#[tokio::test]
async fn every_connect_reads_the_files_again() {
    let authority = Authority::new();
    let host = serve(&authority.identity("127.0.0.1", |_| {}), None).await;
    let other = Authority::new();
    let files = TlsFiles {
        ca_file: Some(authority.file("current.pem", &other.certificate.pem())),
        ..TlsFiles::default()
    };
    assert_error(dial(&host, &files).await, ErrorKind::Access, "unknown authority");
    authority.file("current.pem", &authority.certificate.pem());
    echo(&host, &files).await.unwrap();

    let identity = authority.identity("client", |_| {});
    for (name, content, text) in [
        ("ca.pem", "", "contains no certificate"),
        ("cert.pem", "", "cannot use `cert_file`"),
        ("key.pem", "", "contains no key"),
        ("key.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n", "not valid PEM"),
        (
            "key.pem",
            &KeyPair::generate().unwrap().serialize_pem(),
            "does not match the certificate",
        ),
    ] {
        let files = authority.files_with(&identity);
        authority.file(name, content);
        let error = files.load().await.unwrap_err();
        assert!(format!("{error:#}").contains(text), "{error:#}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let missing = TlsFiles { ca_file: Some("/nonexistent/ca.pem".into()), ..TlsFiles::default() };
    let error = missing.load().await.unwrap_err();
    assert!(error.to_string().contains("`ca_file` /nonexistent/ca.pem: No such file"), "{error}");
}
