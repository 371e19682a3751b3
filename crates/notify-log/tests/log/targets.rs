//! `log.target = "stdout"` and `"tracing"`: what is not a file.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Message, Outcome, Transport as _};
use notify_log::{Config, Log, TARGET};
use notify_testbed::role_process::{role, role_process};
use tracing::Level;

use crate::support::{Seen, attempt, deliver, messages, text};

#[test]
fn standard_output_takes_lines() {
    if role().is_some() {
        return on_stdout(|mut log, messages| async move {
            deliver(&mut log, &messages[..1]).await;
            deliver(&mut log, &messages[1..]).await;
            log.close().await.unwrap();
        });
    }
    let output =
        role_process(&[], "targets::standard_output_takes_lines", "write").output().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(output.contains(&text(&messages(1, 0..3))), "{output}");
}

#[test]
fn a_closed_standard_output_is_an_error() {
    if role().is_some() {
        return on_stdout(|mut log, messages| async move {
            // The pipe's reader is on its way out.
            let error = loop {
                let attempt = attempt(&mut log, &messages).await;
                if attempt.result.is_err() {
                    break attempt.error();
                }
            };
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::Unknown));
            assert!(error.to_string().contains("log.target"), "{error}");
            // The harness itself would fail to print that the test passed.
            std::process::exit(PASSED);
        });
    }
    let name = "targets::a_closed_standard_output_is_an_error";
    let mut process = role_process(&[], name, "write").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with('{') {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "a line is written");
    }
    drop(output);
    assert_eq!(process.wait().unwrap().code(), Some(PASSED), "no signal, no panic");
}

const PASSED: i32 = 42;

fn on_stdout<F: Future<Output = ()>>(test: impl FnOnce(Log, Vec<Message>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test(Log::new(Config::Stdout), messages(1, 0..3)));
}

#[tokio::test]
async fn the_programs_logging_takes_events() {
    let seen = Seen::of(TARGET);
    let _subscribed = tracing::subscriber::set_default(seen.clone());
    let mut log = Log::new(Config::Tracing);
    let messages = messages(1, 0..2);
    deliver(&mut log, &messages).await;
    let body = |message: &Message| String::from_utf8(message.body().to_vec()).unwrap();
    let expected: Vec<_> = messages.iter().map(|message| (Level::WARN, body(message))).collect();
    assert_eq!(seen.events(), expected);
    assert!(matches!(log.check().await.unwrap()[0].state, FindingState::Warning(_)));
    log.close().await.unwrap();
}
