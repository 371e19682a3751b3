//! `archive` as a service: sources into the archive, metrics, and what systemd hears.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::disk::MountedDisk;
use serde_json::json;

use crate::support::{Sandbox, send_signal, wait_until};

/// A day of a small cloud: 101 notifications.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

const CONFIG: &str = r#"
[archive]
dir = "a"

[[source]]
name = "north"
region = "RegionNorth"
file = "n.jsonl"
checkpoint = "position"
"#;

/// Starts the service, and returns it with the address of its metrics.
fn start(sandbox: &Sandbox) -> (Child, String) {
    let mut command =
        sandbox.command(["archive", "-c", "archive.toml", "--metrics-listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", sandbox.path("systemd")).env("WATCHDOG_USEC", "300000");
    let child = command.stderr(sandbox.create("err")).spawn().unwrap();
    let address = || {
        let text = sandbox.read("err");
        let (_, rest) = text.split_once("metrics on http://")?;
        rest.split_once("/metrics").map(|(address, _)| address.to_owned())
    };
    wait_until("the service listens", || address().is_some());
    (child, address().unwrap())
}

/// Returns the response to a request of HTTP: its status line and its body.
fn get(address: &str, path: &str) -> String {
    get_as(address, path, address)
}

/// Returns the response to a request that names a host.
fn get_as(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Plays systemd: collects everything that the service sends.
fn systemd(sandbox: &Sandbox) -> Arc<Mutex<String>> {
    let socket = UnixDatagram::bind(sandbox.path("systemd")).unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let words = Arc::clone(&heard);
    // The thread ends with the test.
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            *words.lock().unwrap() += &String::from_utf8_lossy(&buffer[..length]);
        }
    });
    heard
}

/// Every line is in the archive once, through kills at any time; systemd hears that the service is ready and
/// alive; the metrics have the numbers; SIGTERM ends it in order.
#[test]
fn the_service_stores_each_line_once_through_kills() {
    let sandbox = Sandbox::new();
    sandbox.file("archive.toml", CONFIG);
    sandbox.file("n.jsonl", "");
    let heard = systemd(&sandbox);
    let has_heard = |word: &str| heard.lock().unwrap().contains(word);
    let lines: Vec<_> = DAY.lines().collect();
    let mut log = OpenOptions::new().append(true).open(sandbox.path("n.jsonl")).unwrap();
    for part in lines.chunks(26) {
        let (mut child, address) = start(&sandbox);
        for line in part {
            writeln!(log, "{line}").unwrap();
        }
        // Killed before, while or after it has stored something.
        let scraped = get(&address, "/metrics");
        assert!(scraped.contains("glance_notify_archive_source_attached{source=\"north\"}"));
        // The alert about a silent source needs the counter from the start.
        assert!(scraped.contains("glance_notify_archive_received_total{source=\"north\"}"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (mut child, address) = start(&sandbox);
    let metric = |name: &str| {
        let text = get(&address, "/metrics");
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.rsplit_once(' ').and_then(|(_, number)| number.parse::<f64>().ok()).unwrap_or(-1.0)
    };
    let exported = || {
        let output = sandbox.run(["archive", "export", "--archive", "a"]);
        output.out.lines().map(|line| line[..53].to_owned()).collect::<Vec<_>>()
    };
    wait_until("everything is stored", || exported().len() == lines.len());
    let ids: BTreeSet<_> = exported().into_iter().collect();
    assert_eq!(ids.len(), lines.len(), "each once");
    wait_until("the source is attached", || metric("glance_notify_archive_source_attached") > 0.5);
    wait_until("the stuck uploads are counted", || {
        metric("glance_notify_archive_stuck_uploads") >= 0.0
    });
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200 OK"));
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));
    wait_until("the watchdog is fed", || has_heard("WATCHDOG=1"));
    assert!(has_heard("READY=1") && has_heard("STATUS="));
    // Two writers would not know of each other.
    sandbox
        .run(["archive", "-c", "archive.toml"])
        .expect_message(3, "another process writes to the archive");
    send_signal("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
    assert!(sandbox.read("err").contains(" stored, "), "{}", sandbox.read("err"));
    wait_until("systemd has heard the end", || has_heard("STOPPING=1"));
    let verified = sandbox.run(["archive", "verify", "--archive", "a"]).expect(0);
    assert!(verified.out.contains("101 notifications") && verified.out.contains("0 problems"));
    let search = ["search", "--from", "a", "--since", "2020-01", "--until", "2100-01"];
    let output = sandbox.run(search);
    assert!(output.out.contains("the archive stopped"), "{}", output.out);
}

/// Clients that connect and send nothing keep no other client from the health check, and a web page whose name leads
/// to this machine reads nothing.
#[test]
fn the_metrics_answer_beside_idle_clients_and_under_known_names() {
    let sandbox = Sandbox::new();
    sandbox.file("archive.toml", CONFIG);
    sandbox.file("n.jsonl", "");
    let (mut child, address) = start(&sandbox);
    wait_until("the source is attached", || get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let health = get(&address, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    drop(idle);
    for (host, status) in [
        ("localhost:9469", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]:9469", 200),
        ("evil.example", 421),
        ("localhost.evil.example:9469", 421),
        ("127.0.0.1.evil.example", 421),
    ] {
        let response = get_as(&address, "/metrics", host);
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {response}");
        assert_eq!(response.contains("north"), status == 200, "{host}: {response}");
    }
    send_signal("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
}

/// A durable tap keeps what comes while the service is dead, and the archive then holds each notification once.
#[test]
fn the_service_archives_from_a_durable_tap() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_exchange("glance", "topic", &json!({"durable": true}));
    let url = vhost.url();
    let source = format!("[[source]]\nname = \"north\"\nurl = \"{url}\"\nqueue = \"audit\"\n");
    sandbox.file("archive.toml", format!("[archive]\ndir = \"a\"\n\n{source}"));
    let lines: Vec<_> = DAY.lines().collect();
    let publish = |part: &[&str]| {
        vhost.publish_all("glance", "notifications.info", &json!({"delivery_mode": 2}), part);
    };
    let is_empty = || vhost.queue("glance-notify.audit").is_some_and(|queue| queue.messages == 0);
    let (mut child, address) = start(&sandbox);
    wait_until("the tap is bound", || get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    publish(&lines[..60]);
    child.kill().unwrap();
    child.wait().unwrap();
    publish(&lines[60..]);
    let (mut child, address) = start(&sandbox);
    wait_until("the tap is bound again", || get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    wait_until("everything is acknowledged", is_empty);
    send_signal("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
    let verified = sandbox.run(["archive", "verify", "--archive", "a"]).expect(0);
    assert!(verified.out.contains("101 notifications"), "{}", verified.out);
    assert!(!sandbox.read("err").contains("guest:guest"), "{}", sandbox.read("err"));
}

/// SIGTERM ends the work of the service in time while the disk of its archive hangs, and the next service stores each
/// line once. The kernel keeps a process until its calls to the disk return, whatever the process does.
#[test]
fn sigterm_ends_the_service_while_the_disk_hangs() {
    let disk = match MountedDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let sandbox = Sandbox::new();
    let archive = disk.path().join("a");
    let archive = archive.to_str().unwrap();
    sandbox.file("archive.toml", CONFIG.replace("\"a\"", &format!("{archive:?}")));
    sandbox.file("n.jsonl", "");
    let (mut child, address) = start(&sandbox);
    wait_until("the source is attached", || get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    let frozen = disk.freeze();
    sandbox.file("n.jsonl", DAY);
    wait_until("the lines are read", || {
        let text = get(&address, "/metrics");
        text.contains("glance_notify_archive_held{source=\"north\"} 101")
    });
    let begin = Instant::now();
    send_signal("TERM", &child);
    wait_until("the work ends", || sandbox.read("err").contains(" received, 0 stored"));
    let elapsed = begin.elapsed();
    drop(frozen);
    // The file system thaws by itself after a minute.
    assert!(elapsed < Duration::from_secs(45), "{elapsed:?}");
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(3), "{}", sandbox.read("err"));

    let (mut child, _) = start(&sandbox);
    let verified = || sandbox.run(["archive", "verify", "--archive", archive]).out;
    wait_until("everything is stored", || verified().contains("101 notifications"));
    send_signal("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
}

/// A service without an archive, without a source, or with an address in use says which option to set.
#[test]
fn an_incomplete_configuration_names_the_option() {
    let sandbox = Sandbox::new();
    sandbox.run(["archive"]).expect_message(2, "`--archive DIR`, or set `archive.dir`");
    sandbox.run(["archive", "--archive", "a"]).expect_message(2, "`[[source]]`");
    sandbox.file("archive.toml", CONFIG);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["archive", "-c", "archive.toml", "--metrics-listen", &address];
    sandbox.run(args).expect_message(2, "`--metrics-listen`");
}
