//! `serve`: an archive as web pages, from the shell.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use crate::support::{Sandbox, send_signal, wait_until};

/// A day of a small cloud: 101 notifications.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

/// Starts `serve` with `input` on standard input, and returns it with its address.
fn start(sandbox: &Sandbox, args: &[&str], input: Stdio) -> (Child, String) {
    let mut command = sandbox.command([&["serve", "--listen", "127.0.0.1:0"], args].concat());
    fs::create_dir_all(sandbox.path("tmp")).unwrap();
    command.env("TMPDIR", sandbox.path("tmp")).stdin(input).stderr(sandbox.create("err"));
    let child = command.spawn().unwrap();
    let address = || {
        let text = sandbox.read("err");
        let (_, rest) = text.split_once("on http://")?;
        rest.split_once('/').map(|(address, _)| address.to_owned())
    };
    wait_until("the pages are served", || address().is_some());
    (child, address().unwrap())
}

/// Returns the response to a request.
fn get(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// Ends `serve` in order.
fn stop(mut child: Child) {
    send_signal("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The demo shows without any set-up, and nothing of it stays behind.
#[test]
fn the_demo_needs_no_set_up() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    let input = fs::File::open(sandbox.path("day.jsonl")).unwrap();
    let (child, address) = start(&sandbox, &[], input.into());
    let host = "Host: localhost\r\n";
    for (path, text) in [
        ("/search", "image.delete"),
        ("/image?id=debian-12", "alice"),
        ("/stuck", "training-set-4"),
        ("/transfers", "3.2 GiB"),
        ("/storage", "GiB-hours"),
        ("/health", "2026-11.sqlite"),
        ("/search", "the archive holds 101 events"),
    ] {
        let response = get(&address, path, host);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {response}");
        assert!(response.contains(text), "{path}: {response}");
    }
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 1);
    stop(child);
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
}

/// A signal while the input is read ends the command in order, and nothing of the input stays behind.
#[test]
fn a_signal_during_the_reading_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let temporary = sandbox.path("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = sandbox.command(["serve", "--listen", "127.0.0.1:0"]);
    command.env("TMPDIR", &temporary).stdin(Stdio::piped()).stderr(sandbox.create("err"));
    let mut child = command.spawn().unwrap();
    // More than one batch of the import, and no end.
    let mut input = child.stdin.take().unwrap();
    input.write_all(DAY.repeat(15).as_bytes()).unwrap();
    wait_until("the archive exists", || fs::read_dir(&temporary).unwrap().count() == 1);
    stop(child);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

/// The configuration of the archive service names the archive, and the pages follow it while it grows.
#[test]
fn an_archive_is_shown_while_it_grows() {
    let sandbox = Sandbox::new();
    let lines: Vec<_> = DAY.lines().collect();
    sandbox.file("a.jsonl", lines[..50].join("\n") + "\n");
    sandbox.file("b.jsonl", lines[50..].join("\n") + "\n");
    sandbox.file("c.toml", "[archive]\ndir = \"audit\"\n");
    sandbox.run(["archive", "import", "--archive", "audit", "a.jsonl"]).expect(0);
    let (child, address) = start(&sandbox, &["-c", "c.toml"], Stdio::null());
    let holds = |count: &str| {
        get(&address, "/search", "Host: localhost\r\n").contains(&format!("holds {count} events"))
    };
    assert!(holds("50"));
    sandbox.run(["archive", "import", "--archive", "audit", "b.jsonl"]).expect(0);
    assert!(holds("101"));
    stop(child);
    sandbox.run(["archive", "verify", "--archive", "audit"]).expect(0);
}

/// Standard input that is a pipe or a file replaces the configuration, which is refused and not ignored.
#[test]
fn a_configuration_beside_standard_input_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("c.toml", "[archive]\ndir = \"audit\"\n");
    let args = ["serve", "--check", "--listen", "127.0.0.1:0", "-c", "c.toml"];
    let message = "this command reads no configuration: leave out `-c`";
    sandbox.pipe(args, DAY).expect_message(2, message);
}

/// A web page whose name leads to this machine sees nothing, and other methods than reading do nothing.
#[test]
fn only_this_machine_reads() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    let (child, address) = start(&sandbox, &["day.jsonl"], Stdio::null());
    let status = |path: &str, headers: &str| {
        let response = get(&address, path, headers);
        assert!(response.contains("content-security-policy: default-src 'none';"), "{response}");
        response.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(status("/search", "Host: evil.example\r\n"), "421");
    assert_eq!(status("/search", "Host: evil.example:9470\r\n"), "421");
    assert_eq!(status("http://evil.example/search", "Host: localhost\r\n"), "421");
    assert_eq!(status("/search", "Host: 127.0.0.1\r\n"), "200");
    assert_eq!(status("/nothing", "Host: localhost\r\n"), "404");
    for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
        let mut stream = TcpStream::connect(&address).unwrap();
        let head =
            format!("{method} /search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 405"), "{method}: {response}");
    }
    stop(child);
}

/// Another address needs a token or a proxy, and with a token every page and file does.
#[test]
fn other_addresses_need_a_token_or_a_proxy() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    sandbox.file("token", "correct-horse-battery\n");
    let refused = ["serve", "day.jsonl", "--check", "--listen", "0.0.0.0:0"];
    sandbox.run(refused).expect_message(2, "--token-file");
    sandbox.run([&refused[..], &["--behind-proxy"]].concat()).expect(0);
    let args = ["day.jsonl", "--token-file", "token", "--host", "audit.example.org"];
    let (child, address) = start(&sandbox, &args, Stdio::null());
    let host = "Host: audit.example.org\r\n";
    for path in ["/search", "/icon.svg", "/nothing"] {
        let response = get(&address, path, host);
        assert!(response.starts_with("HTTP/1.1 401"), "{path}: {response}");
        assert!(response.contains("www-authenticate: Basic") && !response.contains("day.jsonl"));
    }
    let wrong = format!("{host}Authorization: Bearer correct-horse-batterx\r\n");
    assert!(get(&address, "/search", &wrong).starts_with("HTTP/1.1 401"));
    let right = format!("{host}Authorization: Bearer correct-horse-battery\r\n");
    assert!(get(&address, "/search", &right).starts_with("HTTP/1.1 200"));
    stop(child);
    assert!(!sandbox.read("err").contains("correct-horse"));
}

/// A token file is as secret as a configuration with a password, and bounded.
#[test]
fn a_token_file_is_secret_and_small() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    sandbox.file("token", "correct-horse-battery\n");
    let args = ["serve", "day.jsonl", "--check", "--listen", "127.0.0.1:0", "--token-file"];
    for (mode, warns) in [(0o644, true), (0o640, false)] {
        fs::set_permissions(sandbox.path("token"), fs::Permissions::from_mode(mode)).unwrap();
        let output = sandbox.run([&args[..], &["token"]].concat()).expect(0);
        assert_eq!(output.err.contains("run `chmod o-r` on it"), warns, "{}", output.err);
    }
    sandbox.file("large", vec![b'x'; 64 * 1024 + 1]);
    sandbox.run([&args[..], &["large"]].concat()).expect_message(2, "larger than 64 KiB");
}

/// The pages show the trace of each event, that the sender named its actor, and the notifications that are missing by
/// their numbers.
#[test]
fn pages_show_traces_and_missing_notifications() {
    let sandbox = Sandbox::new();
    crate::numbered_archive::fill(&sandbox);
    let (child, address) = start(&sandbox, &["a"], Stdio::null());
    let missing = "3 between 12 and 16 (2026-11-24T12:00:00Z to 2026-11-24T12:01:00Z)";
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (path, text) in [
        ("/image?id=debian-12", trace),
        ("/event?id=00000000-0000-4000-8000-000000000010", trace),
        ("/image?id=debian-12", "named by the sender"),
        ("/event?id=00000000-0000-4000-8000-000000000010", "User, named by the sender"),
        ("/image?id=debian-12", missing),
        ("/event?id=00000000-0000-4000-8000-000000000010", missing),
        ("/search", missing),
        ("/stuck", missing),
        ("/transfers", missing),
        ("/storage", missing),
        ("/health", missing),
        ("/health", "3 missing notifications"),
        ("/health", "between 12 and 16, "),
        ("/health?since=2026-11-24T12:02", "no numbered notification is missing"),
    ] {
        let response = get(&address, path, "Host: localhost\r\n");
        assert!(response.contains(text), "{path}: {text}\n{response}");
    }
    stop(child);
}
