//! `doctor --management` beside a peer that is no management API, or a hostile one: one bad finding with what to
//! do, and the rest of the findings.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;

use crate::support::Sandbox;

/// A server that answers every request with the same bytes, and then closes the connection.
struct FakeApi {
    port: u16,
    /// The requests that came.
    requests: Arc<AtomicUsize>,
}

impl FakeApi {
    /// Starts a server whose answer `write` writes.
    fn start(write: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        // The thread ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // A request ends with an empty line.
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    request.push(byte[0]);
                }
                count.fetch_add(1, Ordering::SeqCst);
                // The client may leave at any time.
                drop(write(&mut stream));
            }
        });
        Self { port, requests }
    }

    /// Starts a server that answers with a head and a body.
    fn answering(head: &'static str, body: String) -> Self {
        Self::start(move |stream| {
            let length = body.len();
            let text = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes())
        })
    }
}

/// Answers that never come from a management API, with the error that each causes.
#[test]
fn a_hostile_api_is_one_finding() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_queue("notifications.info", &json!({}));
    vhost.publish("", "notifications.info", &json!({}), b"{}");
    let elsewhere = FakeApi::answering("200 OK", "{}".to_owned());
    let redirect: &'static str = Box::leak(
        format!("302 Found\r\nlocation: http://127.0.0.1:{}/api/overview", elsewhere.port)
            .into_boxed_str(),
    );
    let deep = format!("{{\"cluster_name\":{}", "[".repeat(1_000_000));
    let json_head = "200 OK\r\ncontent-type: application/json";
    let cases = [
        (
            FakeApi::answering("200 OK\r\ncontent-type: text/html", "<h1>pl4nted</h1>".to_owned()),
            2,
            "answers with `text/html`: no management API is there",
        ),
        (FakeApi::answering("404 Not Found", String::new()), 2, "no management API is at this URL"),
        (
            FakeApi::answering(redirect, String::new()),
            2,
            "a redirection (302), which is not followed",
        ),
        (FakeApi::answering("503 Busy", String::new()), 3, "answers with status 503"),
        (
            FakeApi::answering("401 No", r#"{"reason":"pl4nted\u001b[2J"}"#.to_owned()),
            2,
            "authentication failed for user `guest`",
        ),
        (FakeApi::answering(json_head, deep), 2, "unusable JSON at column"),
        (
            FakeApi::answering(json_head, r#"{"rabbitmq_version":["pl4nted"]}"#.to_owned()),
            2,
            "unusable JSON at column",
        ),
        (
            FakeApi::answering(json_head, " ".repeat(9 << 20)),
            2,
            "the answer to /api/overview has more than 8 MiB",
        ),
        (
            FakeApi::start(move |stream| {
                write!(stream, "HTTP/1.1 {json_head}\r\ntransfer-encoding: chunked\r\n\r\n")?;
                loop {
                    stream.write_all(b"1000\r\n")?;
                    stream.write_all(&[b' '; 0x1000])?;
                    stream.write_all(b"\r\n")?;
                }
            }),
            2,
            "the answer to /api/overview has more than 8 MiB",
        ),
        (
            FakeApi::start(|stream| {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    stream.write_all(b"x-more: and more and more\r\n")?;
                }
            }),
            2,
            "does not speak HTTP",
        ),
        (FakeApi::start(|stream| stream.write_all(b"AMQP\0\0\x09\x01")), 2, "does not speak HTTP"),
        (FakeApi::start(|_| Ok(())), 3, "the connection to the management API ended"),
        (
            FakeApi::start(|_| {
                std::thread::sleep(Duration::from_secs(60));
                Ok(())
            }),
            3,
            "no answer to /api/overview in time",
        ),
    ];
    for (api, code, expected) in cases {
        // Only the silent peer reaches its timeout.
        let timeout = if expected.ends_with("in time") { 5 } else { 30 };
        let source = format!(
            "[[source]]\nurl = '{}'\nconnect_timeout = {timeout}\n\
             management_url = 'http://127.0.0.1:{}'\n",
            vhost.url(),
            api.port
        );
        sandbox.file("sources.toml", source);
        let output = sandbox.run(["doctor", "--from", "sources.toml", "-vvv"]).expect(code);
        let bad: Vec<_> = output.out.lines().filter(|line| line.starts_with("bad ")).collect();
        let [bad] = bad[..] else { panic!("{expected}: {}", output.out) };
        assert!(bad.starts_with("bad      management: "), "{bad}");
        assert!(bad.contains(expected), "{expected}: {bad}");
        let unread = "warning  queue `notifications.info`: 1 messages and no consumer";
        assert!(output.out.contains(unread), "{}", output.out);
        for secret in ["pl4nted", "guest:guest", "Z3Vlc3Q6Z3Vlc3Q"] {
            assert!(!output.out.contains(secret) && !output.err.contains(secret), "{secret}");
        }
        assert_eq!(api.requests.load(Ordering::SeqCst), 1, "{expected}");
    }
    assert_eq!(elsewhere.requests.load(Ordering::SeqCst), 0, "the login went to another host");
}
