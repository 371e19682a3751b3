//! Runs every example of `glance-notify` and checks the notifications that arrive.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use notify_testbed::broker::proton::ProtonPeer;
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::ports::free_port;
use notify_testbed::wait::{HANG_TIMEOUT, wait_until};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The log has one line for each event, and no secret.
#[test]
fn emit_writes_three_redacted_lines() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("n.log");
    let output = run(env!("CARGO_BIN_EXE_example-emit"), [&file]);
    assert!(output.contains("3 emitted, 3 delivered"), "{output}");
    assert_eq!(event_types(&file), ["image.create", "image.activate", "image.upload"]);
    let log = fs::read_to_string(&file).unwrap();
    assert!(log.contains("swift://***@storage") && !log.contains("s3cret"), "{log}");
}

/// The message has the trace of the program's span as a header.
#[test]
fn tracing_attaches_the_trace_of_the_span() {
    let vhost = RabbitMq::shared().vhost();
    let output = run(env!("CARGO_BIN_EXE_example-tracing"), [vhost.url()]);
    let traceparent = output.trim_end().strip_prefix("delivered in the trace ").unwrap();
    let headers = vhost.drain("notifications.warn").remove(0).headers.unwrap();
    assert_eq!((traceparent.len(), &headers["traceparent"]), (55, &Value::from(traceparent)));
    assert_eq!(headers["glance-notify-request-id"], "req-1");
}

/// The example reads what the first one wrote, and after a restart only what is new.
#[test]
fn tail_prints_each_notification_once() {
    let dir = tempfile::tempdir().unwrap();
    let (file, position) = (dir.path().join("n.log"), dir.path().join("position"));
    run(env!("CARGO_BIN_EXE_example-emit"), [&file]);
    let args = [file.as_os_str(), position.as_os_str(), OsStr::new("--end")];
    let output = run(env!("CARGO_BIN_EXE_example-tail"), args);
    assert!(output.contains("image.activate"), "{output}");
    assert!(output.ends_with("3 received, 3 acknowledged\n"), "{output}");
    let output = run(env!("CARGO_BIN_EXE_example-tail"), args);
    assert_eq!(output, "0 received, 0 acknowledged\n");
}

/// `kill -9` loses nothing: the broker keeps what the program has not committed.
#[test]
fn consumer_stores_each_notification_once_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("n.db").display().to_string();
    let vhost = RabbitMq::shared().vhost();
    let args = [&vhost.url(), "audit", &database];
    let consumer = env!("CARGO_BIN_EXE_example-consumer");
    vhost.declare_exchange("glance", "topic", &serde_json::json!({ "durable": true }));
    let mut killed = RunningExample::start(consumer, args);
    wait_until("the tap is there", || {
        vhost.queue("glance-notify.audit").is_some_and(|queue| queue.consumers == 1)
    });
    run(env!("CARGO_BIN_EXE_example-rabbit"), [vhost.url()]);
    killed.wait_for_line("4 stored");
    killed.process.kill().unwrap();
    killed.process.wait().unwrap();
    run(env!("CARGO_BIN_EXE_example-rabbit"), [vhost.url()]);

    let mut resumed = RunningExample::start(consumer, args);
    resumed.wait_for_line("8 stored");
    resumed.end_with(Signal::INT);
    let store = Connection::open(&database).unwrap();
    let count = |sql: &str| -> i64 { store.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM notifications"), 8);
    assert_eq!(vhost.queue("glance-notify.audit").unwrap().messages, 0);
    // The queues of the services are untouched.
    assert_eq!(vhost.queue("notifications.info").unwrap().messages, 4);
}

/// Each priority has its own queue.
#[test]
fn rabbit_delivers_to_the_queue_of_each_priority() {
    let vhost = RabbitMq::shared().vhost();
    let output = run(env!("CARGO_BIN_EXE_example-rabbit"), [vhost.url()]);
    assert!(output.contains("4 emitted, 4 delivered"), "{output}");
    for (queue, expected) in [
        ("notifications.info", &["image.create", "image.delete"][..]),
        ("notifications.warn", &["image.upload"]),
        ("notifications.error", &["image.send"]),
    ] {
        let messages = vhost.drain(queue);
        let types: Vec<_> = messages.iter().map(|message| event_type(&message.body)).collect();
        assert_eq!(types, expected, "{queue}");
    }
}

/// The check finds the peer, and both messages arrive.
#[test]
fn qpid_checks_the_peer_and_delivers() {
    let peer = ProtonPeer::start();
    let output = run(env!("CARGO_BIN_EXE_example-qpid"), [peer.url()]);
    assert!(output.contains("broker: "), "{output}");
    assert!(output.contains("2 emitted, 2 delivered"), "{output}");
    for (queue, expected) in
        [("notifications.info", "task.run"), ("notifications.error", "task.failure")]
    {
        let messages = peer.messages(queue);
        let types: Vec<_> = messages.iter().map(|message| event_type(&message.body)).collect();
        assert_eq!(types, [expected], "{queue}");
    }
}

/// `kill -9` while the broker is unreachable loses nothing that `send` has returned for.
#[test]
fn spool_forwards_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool").display().to_string();
    let unreachable = format!("amqp://127.0.0.1:{}", free_port());
    let program = env!("CARGO_BIN_EXE_example-spool");
    let mut killed = RunningExample::start(program, [&spool, &unreachable, "5"]);
    killed.wait_for_line("stored: 5");
    killed.process.kill().unwrap();

    let vhost = RabbitMq::shared().vhost();
    let mut resumed = RunningExample::start(program, [&spool, &vhost.url(), "0"]);
    resumed.wait_for_line("forwarded: 5");
    resumed.end_with(Signal::INT);
    let messages = vhost.drain("notifications.info");
    let images: Vec<_> = messages
        .iter()
        .map(|message| message.json()["payload"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (1..=5).map(|n| format!("00000000-0000-0000-0000-{n:012}")).collect();
    assert_eq!(images, expected);
}

/// `kill -9` between the commit and the delivery loses nothing, and the id stays the same.
#[test]
fn outbox_delivers_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let [database, log] = ["images.db", "n.log"].map(|name| dir.path().join(name));
    let id = "71c675ab-d94f-49cd-a114-e12490b328d9";
    let store = Connection::open(&database).unwrap();
    store.execute_batch("CREATE TABLE images (id TEXT PRIMARY KEY)").unwrap();
    store.execute("INSERT INTO images VALUES (?1)", [id]).unwrap();
    let count = |table: &str| -> i64 {
        store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };

    // A directory is not a log file, so the worker retries until the program dies.
    let program = env!("CARGO_BIN_EXE_example-outbox");
    let mut killed = RunningExample::start(program, [&database, dir.path(), Path::new(id)]);
    killed.wait_for_line(&format!("deleted {id}"));
    killed.process.kill().unwrap();
    killed.process.wait().unwrap();
    assert_eq!((count("images"), count("outbox")), (0, 1));
    let stored: Vec<u8> =
        store.query_row("SELECT notification FROM outbox", [], |row| row.get(0)).unwrap();

    run(program, [&database, &log]);
    assert_eq!(count("outbox"), 0);
    assert_eq!(event_types(&log), ["image.delete"]);
    let message_id =
        |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap()["message_id"].clone();
    assert_eq!(message_id(&fs::read(&log).unwrap()), message_id(&stored));
}

/// The protocol of the header comment works.
#[test]
fn own_transport_sends_lines_to_a_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("events.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let mut connection = listener.accept().unwrap().0;
        let lines = BufReader::new(connection.try_clone().unwrap()).lines().map(Result::unwrap);
        lines.inspect(|_| connection.write_all(b"ok\n").unwrap()).collect::<Vec<_>>()
    });
    let output = run(env!("CARGO_BIN_EXE_example-own-transport"), [&socket]);
    assert_eq!(output.lines().collect::<Vec<_>>(), ["delivered"; 3]);
    let types: Vec<_> =
        server.join().unwrap().iter().map(|line| event_type(line.as_bytes())).collect();
    assert_eq!(types, ["image.delete"; 3]);
}

/// The service over HTTP: create, upload, download, delete, SIGTERM.
#[test]
fn service_emits_for_every_request_and_drains_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let [config, database, log] =
        ["notify.toml", "images.db", "n.log"].map(|name| dir.path().join(name));
    fs::write(&config, format!("strategy = 'log'\nlog.file = '{}'", log.display())).unwrap();
    let mut service = RunningExample::start(
        env!("CARGO_BIN_EXE_example-service"),
        [Path::new("127.0.0.1:0"), &config, &database],
    );
    let line = service.wait_for_line("listening on http://");
    let address = line.rsplit('/').next().unwrap();

    let id = http(address, "POST", "/images", b"debian-12");
    let path = format!("/images/{}", String::from_utf8(id).unwrap());
    http(address, "PUT", &path, &vec![7; 100_000]);
    assert_eq!(http(address, "GET", &path, b"").len(), 100_000);
    http(address, "DELETE", &path, b"");
    wait_until("the outbox is sent", || event_types(&log).len() == 6);
    service.end_with(Signal::TERM);
    let mut sent: BTreeSet<_> = event_types(&log).into_iter().collect();
    for expected in [
        "image.create",
        "image.prepare",
        "image.upload",
        "image.activate",
        "image.send",
        "image.delete",
    ] {
        assert!(sent.remove(expected), "{expected}");
    }
}

/// Runs a program to its end, which must be a success, and returns its output.
fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A running example. Dropping it kills the process.
struct RunningExample {
    process: Child,
    lines: Receiver<String>,
}

impl RunningExample {
    fn start<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(program);
        let mut process = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || output.lines().try_for_each(|line| sender.send(line.unwrap())));
        Self { process, lines }
    }

    /// Waits for a line of output that begins with `prefix`, and returns it.
    fn wait_for_line(&mut self, prefix: &str) -> String {
        loop {
            match self.lines.recv_timeout(HANG_TIMEOUT) {
                Ok(line) if line.starts_with(prefix) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line `{prefix}`: {error}"),
            }
        }
    }

    /// Sends a signal and waits until the program has ended successfully.
    fn end_with(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
        wait_until("the program ends", || self.process.try_wait().unwrap().is_some());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for RunningExample {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Sends an HTTP request, which must succeed, and returns the body of the response.
fn http(address: &str, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body).unwrap();
    let mut response = Vec::new();
    connection.read_to_end(&mut response).unwrap();
    let blank = response.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&response[..blank]);
    assert!(head.starts_with("HTTP/1.0 200"), "{method} {path}: {head}");
    response.split_off(blank + 4)
}

/// Returns the event type of every line of a log file. The file may be missing.
fn event_types(file: &Path) -> Vec<String> {
    let log = fs::read_to_string(file).unwrap_or_default();
    log.lines().map(|line| event_type(line.as_bytes())).collect()
}

/// Returns the event type of a notification in JSON.
fn event_type(json: &[u8]) -> String {
    let notification: Value = serde_json::from_slice(json).unwrap();
    notification["event_type"].as_str().unwrap().to_owned()
}
