//! Limits of the operating system and closed pipes end in words and in an exit code of the table: no hang, no
//! panic, no signal death.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{CommandOutput, LIFECYCLE, Sandbox, emit, line, spawn_piped};

/// Runs the command below a shell that sets a limit first.
fn run_limited(sandbox: &Sandbox, limit: &str, args: &[&str]) -> CommandOutput {
    let program = env!("CARGO_BIN_EXE_glance-notify");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), program]).args(args);
    command.current_dir(&sandbox.dir).env_clear().env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).output().unwrap().into()
}

/// Reads the first line of a process within 60 s, and returns it with the pipe, which is still open.
#[track_caller]
fn first_line(child: &mut Child) -> (String, impl BufRead) {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        send.send((line, stdout))
    });
    receive.recv_timeout(Duration::from_secs(60)).expect("a line within 60 s")
}

/// Writes lines to a process that should end at its next output, and returns its exit code. Kills it after 30 s.
///
/// One line is not enough: until a child that another test is just starting runs its own program, it holds
/// the other end of every pipe, so the first writes may succeed.
#[track_caller]
fn write_until_it_ends(child: &mut Child, stdin: &mut ChildStdin, line: &[u8]) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the command still runs 30 s after its standard output was closed");
        }
        // Fails once the process has ended.
        let _ = stdin.write_all(line);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// D3: `emit` with standard output as its destination ends once the reader of the pipe has ended, although its
/// input stays open and `--timeout` is far away.
#[test]
fn d3_a_closed_pipe_ends_emit_at_once() {
    for args in [
        &["emit", "--set", "strategy=log", "--set", "log.target=stdout"][..],
        &emit(&["--acks", "-"]),
    ] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(sandbox.create("err"));
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(line("a").as_bytes()).unwrap();
        let (first, stdout) = first_line(&mut child);
        assert!(first.len() > 10, "{first}");
        // As `head -1` does: one line, then the end.
        drop(stdout);
        let code = write_until_it_ends(&mut child, &mut stdin, line("b").as_bytes());
        let err = sandbox.read("err");
        assert_eq!(code, Some(3), "{err}");
        assert!(err.contains("standard output is closed"), "{err}");
    }
}

/// D3: a command that prints while its input stays open ends with the reader of its output.
#[test]
fn d3_a_closed_pipe_ends_validate() {
    let sandbox = Sandbox::new();
    let mut child = spawn_piped(&mut sandbox.command(["validate"]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"nonsense\n").unwrap();
    // The problem arrives although the next line of input does not.
    let (first, stdout) = first_line(&mut child);
    assert!(first.starts_with("standard input:1: not JSON"), "{first}");
    drop(stdout);
    assert_eq!(write_until_it_ends(&mut child, &mut stdin, b"nonsense\n"), Some(4));
}

/// D4: a file size limit is like a full disk: the write fails, the message names the limit, and SIGXFSZ kills
/// nothing.
#[test]
fn d4_a_file_size_limit_is_an_error() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line("a").repeat(2_000));
    let arguments = emit(&["--timeout", "1", "-o", "json", input]);
    let output = run_limited(&sandbox, "ulimit -f 8", &arguments).expect(3);
    assert!(output.err.contains("File too large"), "{}", output.err);
    let summary: serde_json::Value = serde_json::from_str(&output.out).unwrap();
    let destination = &summary["destinations"][0];
    let delivered = destination["delivered"].as_u64().unwrap();
    // The limit cuts the last line, which is not delivered.
    assert_eq!(sandbox.lines_of("n.log") as u64, delivered);
    assert!(delivered > 0);
    // The files of the command itself have the same limit.
    let arguments =
        ["emit", "--set", "strategy=log", "--set", "log.target=tracing", "--acks", "acks", input];
    run_limited(&sandbox, "ulimit -f 8", &arguments)
        .expect_message(3, "cannot write the output of `--acks`: File too large: raise the limit");
}

/// D5: too few open files are an error that names the limit.
#[test]
fn d5_exhausted_descriptors_are_an_error() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    for files in 4..24 {
        let limit = format!("ulimit -n {files}");
        let output = run_limited(&sandbox, &limit, &emit(&["--timeout", "1", input]));
        assert!(
            matches!(output.code, Some(0 | 2 | 3)),
            "{limit}: {:?} {}",
            output.code,
            output.err
        );
        assert!(!output.err.contains("panicked"), "{limit}: {}", output.err);
        let enough = output.code == Some(0);
        assert!(enough || output.err.contains("Too many open files"), "{limit}: {}", output.err);
    }
    let output = run_limited(&sandbox, "ulimit -n 8", &emit(&[input]));
    output.expect_message(2, "Too many open files: raise the limit of open files (ulimit -n");
}

/// D5, and its sibling: memory that is exhausted ends in words and in a code of the table.
#[test]
fn d5_exhausted_memory_ends_in_words() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line(&"x".repeat(500_000)).repeat(200));
    // A link to itself holds up the delivery, so that the queue takes all of the memory.
    std::os::unix::fs::symlink("n.log", sandbox.path("n.log")).unwrap();
    let args = emit(&["--timeout", "5", "--set", "queue.max_bytes=4000000000", input]);
    // Below this limit, the system cannot load the program. How much that takes depends on the build.
    let starts = |kilobytes: &usize| {
        run_limited(&sandbox, &format!("ulimit -v {kilobytes}"), &["--version"]).code == Some(0)
    };
    let least = (20_000..1_000_000).step_by(2_000).find(starts).expect("some limit is enough");
    let mut failed = 0;
    for more in [2_000, 15_000, 20_000, 40_000, 80_000] {
        let kilobytes = least + more;
        let output = run_limited(&sandbox, &format!("ulimit -v {kilobytes}"), &args);
        assert!(
            matches!(output.code, Some(2 | 3)),
            "{kilobytes}: {:?} {}",
            output.code,
            output.err
        );
        assert!(!output.err.is_empty(), "{kilobytes}");
        failed += usize::from(output.err.contains("memory"));
    }
    assert!(failed > 0, "no limit was reached");
}
