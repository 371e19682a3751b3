//! The targets without a file: `log.target = "stdout"` and `"tracing"`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Message, Outcome, Transport as _};
use notify_log::{Config, Log, TARGET};
use notify_testbed::role_process::{role, role_process};
use tracing::Level;

use crate::support::{EventRecorder, attempt, deliver, messages, text};

/// Containers read the notifications from standard output, one line each.
#[test]
fn writes_lines_to_standard_output() {
    if role().is_some() {
        return on_stdout(|mut log, messages| async move {
            deliver(&mut log, &messages[..1]).await;
            deliver(&mut log, &messages[1..]).await;
            log.close().await.unwrap();
        });
    }
    let name = "targets::writes_lines_to_standard_output";
    let output = role_process(&[], name, "write").output().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(output.contains(&text(&messages(1, 0..3))), "{output}");
}

/// When the reader of the pipe goes away, the process gets an error: no signal, no panic.
#[test]
fn a_closed_standard_output_is_an_error() {
    if role().is_some() {
        return on_stdout(|mut log, messages| async move {
            // The parent closes its end of the pipe at some moment.
            let error = loop {
                let attempt = attempt(&mut log, &messages).await;
                if attempt.result.is_err() {
                    break attempt.error();
                }
            };
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::Unknown));
            assert!(error.to_string().contains("log.target"), "{error}");
            // The test harness would panic when it prints that the test passed.
            std::process::exit(PASSED);
        });
    }
    let name = "targets::a_closed_standard_output_is_an_error";
    let mut process = role_process(&[], name, "write").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with('{') {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the process wrote no line");
    }
    drop(output);
    assert_eq!(process.wait().unwrap().code(), Some(PASSED), "no signal, no panic");
}

/// The exit code of a child process whose scenario passed.
const PASSED: i32 = 42;

/// Runs `test` with a transport to standard output and three messages.
fn on_stdout<F: Future<Output = ()>>(test: impl FnOnce(Log, Vec<Message>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test(Log::new(Config::Stdout), messages(1, 0..3)));
}

/// The program's subscriber gets one event per message: the level from the priority, the text from
/// the body.
#[tokio::test]
async fn emits_events_to_the_programs_subscriber() {
    let recorder = EventRecorder::new(TARGET);
    let _subscribed = tracing::subscriber::set_default(recorder.clone());
    let mut log = Log::new(Config::Tracing);
    let messages = messages(1, 0..2);
    deliver(&mut log, &messages).await;
    let body = |message: &Message| String::from_utf8(message.body().to_vec()).unwrap();
    let expected: Vec<_> = messages.iter().map(|message| (Level::WARN, body(message))).collect();
    assert_eq!(recorder.events(), expected);
    assert!(matches!(log.check().await.unwrap()[0].state, FindingState::Warning(_)));
    log.close().await.unwrap();
}
