//! `log.target = "stdout"` and `"tracing"`: what is not a file.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use notify_core::{ErrorKind, FindingState, Message, Outcome, Transport as _};
use notify_log::{Config, Log, TARGET};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::support::{attempt, deliver, messages, process, role, text};

#[test]
fn standard_output_takes_lines() {
    if role().is_some() {
        return on_stdout(|mut log, messages| async move {
            deliver(&mut log, &messages[..1]).await;
            deliver(&mut log, &messages[1..]).await;
            log.close().await.unwrap();
        });
    }
    let output = process(&[], "targets::standard_output_takes_lines", "write").output().unwrap();
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
    let mut process = process(&[], name, "write").stdout(Stdio::piped()).spawn().unwrap();
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
    let seen = Seen::default();
    let _subscribed = tracing::subscriber::set_default(seen.clone());
    let mut log = Log::new(Config::Tracing);
    let messages = messages(1, 0..2);
    deliver(&mut log, &messages).await;
    let body = |message: &Message| String::from_utf8(message.body().to_vec()).unwrap();
    let expected: Vec<_> = messages.iter().map(|message| (Level::WARN, body(message))).collect();
    assert_eq!(*seen.0.lock().unwrap(), expected);
    assert!(matches!(log.check().await.unwrap()[0].state, FindingState::Warning(_)));
    log.close().await.unwrap();
}

/// The events of our target, as a program's subscriber sees them.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(Level, String)>>>);

impl Subscriber for Seen {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                assert_eq!(field.name(), "message");
                self.0 = format!("{value:?}");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
