//! Untrusted text cannot control the terminal.
//!
//! Arguments, file names, file contents and answers of brokers may hold escape sequences
//! and bidirectional overrides. The command escapes them wherever it shows them
//! (CWE-150).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;

use notify_testbed::broker::proton::{PeerFault, ProtonPeer};

use crate::support::{CommandOutput, LIFECYCLE, Sandbox, emit, line};

/// Text that sets the clipboard, changes colours and reverses the writing direction.
const HOSTILE: &str = "a\u{1b}]52;c;aGk\u{7}\u{1b}[31m\u{9b}31m\u{7f}\u{202e}\u{2028}\r\u{8}z";

/// The escaped forms of its start: by Rust, by JSON, and by JSON after Rust.
const SHOWN: [&str; 3] =
    ["a\\u{1b}]52;c;aGk\\u{7}", "a\\u001b]52;c;aGk\\u0007", "a\\\\u{1b}]52;c;aGk\\\\u{7}"];

/// Returns [`HOSTILE`] as a string literal that is valid in JSON and in TOML.
fn quoted() -> String {
    let escaped = HOSTILE.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", escaped.collect::<String>())
}

/// Asserts that the output holds no control character, and that it shows the hostile
/// text in escaped form.
#[track_caller]
fn assert_harmless(output: &CommandOutput) {
    for text in [&output.out, &output.err] {
        let harmful = text.lines().find(|line| {
            let line = line.replace('\t', " ");
            glance_notify::transport::printable(&line, usize::MAX).to_string() != line
        });
        assert_eq!(harmful, None, "{:?}", output.code);
    }
    let shown = format!("{}{}", output.out, output.err);
    assert!(SHOWN.iter().any(|text| shown.contains(text)), "{shown}");
}

/// Usage errors and configuration errors repeat arguments and variable names, escaped.
///
/// A script may pass a name on that came from a web form.
#[test]
fn escapes_command_line_arguments() {
    let sandbox = Sandbox::new();
    for args in [
        &[HOSTILE][..],
        &["emit", &format!("--{HOSTILE}")],
        &["emit", "-o", HOSTILE],
        &["emit", "--event", HOSTILE, "--payload", "1"],
        &["emit", "--timeout", HOSTILE],
        &["emit", "--priority", HOSTILE, "--event", "image.create", "--payload", "1"],
        &["validate", "-o", HOSTILE],
        &["schema", HOSTILE],
        &["completions", HOSTILE],
        &["check", HOSTILE],
        &["check", "--set", &format!("{HOSTILE}=1")],
        &["check", "--set", &format!("rabbit.{HOSTILE}=1"), "--set", "strategy=rabbit"],
        &["check", "--set", &format!("{HOSTILE}..x=1")],
        &[
            "check",
            "--set",
            "strategy=noop",
            "--set",
            &format!("disabled_notifications=[{}]", quoted()),
        ],
    ] {
        let output = sandbox.run(args).expect(2);
        assert_harmless(&output);
    }
    let set = format!("publisher_id={HOSTILE}");
    assert_harmless(&sandbox.run(["check", "--set", "strategy=noop", "--set", &set]).expect(0));
    let mut command = sandbox.command(["check"]);
    command.env(format!("GLANCE_NOTIFY__{HOSTILE}"), "1");
    assert_harmless(&CommandOutput::from(command.output().unwrap()));
}

/// Errors, warnings and logs repeat file names, escaped.
///
/// In a shared directory, another user chooses the names of files.
#[test]
fn escapes_file_names() {
    let sandbox = Sandbox::new();
    let log = format!("log.file={HOSTILE}/n.log");
    for args in [
        &emit(&[HOSTILE])[..],
        &["validate", HOSTILE],
        &["check", "-c", HOSTILE],
        &["check", "-c", &format!("{HOSTILE}.toml")],
        &emit(&["--event", "image.create", "--payload", &format!("@{HOSTILE}")]),
        &emit(&["--acks", &format!("{HOSTILE}/acks")]),
        &emit(&["--failed", &format!("{HOSTILE}/failed")]),
        &["check", "--set", "strategy=log", "--set", &log],
        &[
            "check",
            "--set",
            "strategy=rabbit",
            "--set",
            "rabbit.user=u",
            "--set",
            &format!("rabbit.password_file={HOSTILE}"),
        ],
    ] {
        assert_harmless(&sandbox.run(args).expect(2));
    }
    for (name, content) in [("toml", "strategy = "), ("conf", "nonsense")] {
        let file = format!("{HOSTILE}.{name}");
        sandbox.file(&file, content);
        assert_harmless(&sandbox.run(["check", "-c", &file]).expect(2));
    }
    let file = format!("{HOSTILE}.toml");
    sandbox.file(&file, "strategy = \"log\"\nlog_file = \"n.log\"\nrabbit.password = \"x\"\n");
    assert_harmless(&sandbox.run(["check", "-vvv", "-c", &file]).expect(0));
    symlink(sandbox.path(HOSTILE), sandbox.path(HOSTILE)).unwrap();
    let input = sandbox.file("in.jsonl", line("a"));
    let set = format!("log.file={HOSTILE}");
    assert_harmless(&sandbox.run([
        "emit",
        "-vvv",
        "--set",
        "strategy=log",
        "--set",
        &set,
        "--timeout",
        "0.2",
        input,
    ]));
    sandbox.file("in", "{\n");
    std::fs::rename(sandbox.path("in"), sandbox.path(&format!("{HOSTILE}.jsonl"))).unwrap();
    for command in [&["validate"][..], &emit(&[])] {
        assert_harmless(&sandbox.run([command, &[&format!("{HOSTILE}.jsonl")]].concat()).expect(4));
    }
}

/// A wrong value of a configuration may be a password in the wrong place, so no error repeats it.
#[test]
fn repeats_no_value_of_a_configuration() {
    let sandbox = Sandbox::new();
    for key in ["strategy", "payloads", "redact", "queue.overflow"] {
        let setting = format!("{key}={HOSTILE}");
        sandbox.file("notify.toml", format!("{key} = {}", quoted()));
        for args in [["check", "--set", &setting], ["check", "-c", "notify.toml"]] {
            let CommandOutput { err, .. } = sandbox.run(args).expect_message(2, key);
            assert!(!err.contains("52;c"), "{err}");
        }
    }
}

/// Errors about configuration files and input repeat their text, escaped.
#[test]
fn escapes_file_contents() {
    let sandbox = Sandbox::new();
    let quoted = quoted();
    for toml in [
        format!("{quoted} = 1"),
        format!("strategy = \"rabbit\"\n[rabbit]\n{quoted} = 1\n[rabbit.x]\n{quoted} = [1]\n"),
    ] {
        sandbox.file("notify.toml", toml);
        assert_harmless(&sandbox.run(["check", "-c", "notify.toml", "-vvv"]));
    }
    let input = sandbox.file(
        "in.jsonl",
        format!(
            "{{\"event_type\":{quoted},{quoted}:1,\"priority\":{quoted},\"payload\":{{}}}}\n\
             {{\"event_type\":\"image.create\",\"priority\":\"INFO\",\"payload\":{{\"id\":{quoted},\
             \"status\":{quoted},\"properties\":{{{quoted}:1}}}}}}\n"
        ),
    );
    for args in [
        &["validate", input][..],
        &["validate", "-o", "json", input],
        &emit(&[input]),
        &emit(&["--skip-invalid", "-vvv", input]),
    ] {
        assert_harmless(&sandbox.run(args).expect(4));
    }
}

/// The log file, the log targets `stdout` and `tracing`, and `--failed` hold escapes
/// instead of control characters: you may read them at a terminal too.
///
/// `/dev/full` makes every write fail, so that the notification reaches `--failed`.
#[test]
fn escapes_delivered_notifications() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line(HOSTILE));
    sandbox.run(emit(&["--set", "redact=off", input])).expect(0);
    let written = CommandOutput { code: None, out: sandbox.read("n.log"), err: String::new() };
    assert_harmless(&written);
    for target in ["log.target=stdout", "log.target=tracing"] {
        assert_harmless(
            &sandbox.run(["emit", "--set", "strategy=log", "--set", target, input]).expect(0),
        );
    }
    let missing =
        ["emit", "--set", "strategy=log", "--set", "log.file=/dev/full", "--timeout", "0.2"];
    sandbox.run([&missing[..], &["--failed", "failed", input]].concat());
    assert_harmless(&CommandOutput { code: None, out: sandbox.read("failed"), err: String::new() });
}

/// The description of a rejection, a detach, an end or a close is escaped.
#[test]
fn escapes_answers_of_an_amqp_10_peer() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    let peer = ProtonPeer::start();
    let url = format!("qpid.url={}", peer.url());
    for fault in [PeerFault::Reject, PeerFault::Detach, PeerFault::End, PeerFault::Close] {
        peer.inject(fault, 0, None);
        let args =
            ["emit", "-vvv", "--set", "strategy=qpid", "--set", &url, "--timeout", "3", input];
        let output = sandbox.run(args).expect_message(3, "on demand\\u{1b}]52;c;aGk=\\u{7}");
        assert!(!output.err.contains(|c: char| c.is_control() && c != '\n'), "{:?}", output.err);
        peer.clear_faults();
    }
}

/// The peer's product name and its reason for closing the connection are escaped.
///
/// Both texts reach the log and the error before the client has authenticated the peer.
#[test]
fn escapes_answers_of_an_amqp_091_peer() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    for code in [320_u16, 506, 541] {
        let url = format!("rabbit.url=amqp://guest:guest@127.0.0.1:{}/", peer_that_closes(code));
        for (command, more) in [("emit", &["--timeout", "3", input][..]), ("check", &[])] {
            let args = [command, "-vvv", "--set", "strategy=rabbit", "--set", &url];
            assert_harmless(&sandbox.run([&args[..], more].concat()));
        }
    }
}

/// Starts a peer that closes every connection while the client opens it.
///
/// Returns its port.
fn peer_that_closes(code: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            // A client that disconnects early connects again.
            drop(socket.and_then(|socket| close(socket, code)));
        }
    });
    port
}

/// Speaks AMQP 0-9-1 up to `connection.open`, and closes the connection with `code`.
fn close(mut socket: TcpStream, code: u16) -> std::io::Result<()> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    let long = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let product = [text("product"), vec![b'S'], long(HOSTILE.as_bytes())].concat();
    let start = [&[0, 9], &long(&product)[..], &long(b"PLAIN"), &long(b"en_US")].concat();
    let tune = [&2047_u16.to_be_bytes()[..], &131_072_u32.to_be_bytes(), &[0; 2]].concat();
    let close = [&code.to_be_bytes()[..], &text(HOSTILE), &[0; 4]].concat();
    socket.read_exact(&mut [0; 8])?;
    for (method, arguments, answer) in [(10, start, 11), (30, tune, 40), (50, close, 51)] {
        let payload = [&[0, 10, 0, method][..], &arguments].concat();
        socket.write_all(&[&[1, 0, 0][..], &long(&payload), &[0xce]].concat())?;
        while read_method(&mut socket)? != answer {}
    }
    Ok(())
}

/// Reads one frame and returns the id of its method.
fn read_method(socket: &mut TcpStream) -> std::io::Result<u8> {
    let mut head = [0; 7];
    socket.read_exact(&mut head)?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    let mut payload = vec![0; size + 1];
    socket.read_exact(&mut payload)?;
    Ok(payload[3])
}
