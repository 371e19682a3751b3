//! The lines of a file: those of other loggers, excluded ones, and the places at which reading begins and ends.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use notify_conformance::samples;
use notify_core::codec::LineFilter;
use notify_core::listener::{DeadLetters, Listener, SettlementOutcome, SourceState};
use notify_core::source::{Credit, DeliverySettlements, Reception, Source};
use notify_core::{Batch, Context, ErrorKind, Transport};
use notify_log::{
    Config, ContextLine, FileConfig, FileSource, FileSourceConfig, LineEnvelope, LineForm,
    LineSource, Log,
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::place::{LONG, Place, lines, next, nothing_more, take};

/// The source reads every form that the strategy writes, also in the middle of a log of another form. A
/// CloudEvent brings its context along.
#[tokio::test]
async fn reads_each_envelope_that_the_strategy_writes() {
    let prefix = "2026-11-22 12:54:26.539 7 INFO eventlet.wsgi [-] GET /v2/images\n";
    for start in ["", prefix] {
        let place = Place::new();
        fs::write(place.path(), start).unwrap();
        let context = Context::builder().request_id("req-1").user("bob").build().unwrap();
        let sent = samples::messages(0..3);
        let sent: Vec<_> = sent.into_iter().map(|it| it.with_context(context.clone())).collect();
        let envelopes = [LineEnvelope::Bare, LineEnvelope::Oslo2, LineEnvelope::CloudEvents];
        for (message, envelope) in sent.iter().zip(envelopes) {
            let config = Config::File(FileConfig::new(place.path()));
            let mut log = Log::new(config).with_envelope(envelope);
            let mut sink = |_: notify_core::transport::Settlements<'_>| {};
            let mut batch = Batch::new(std::slice::from_ref(message), &mut sink);
            log.send(&mut batch).await.unwrap();
            log.close().await.unwrap();
        }
        let mut listener = place.listener(|_| {});
        for (message, envelope) in sent.iter().zip(envelopes) {
            let delivery = next(&mut listener).await;
            assert_eq!(delivery.message().unwrap().body(), message.body());
            let has_context = envelope == LineEnvelope::CloudEvents;
            assert_eq!(*delivery.context() == context, has_context, "{envelope:?}");
            delivery.ack().await.unwrap();
        }
    }
}

/// Lines of other loggers are skipped, and a line that is cut stays unread until it is complete.
#[tokio::test]
async fn reads_a_log_of_a_service() {
    let place = Place::new();
    let body = samples::messages(0..1)[0].body().to_vec();
    let mut text = b"2026-11-22 12:54:26.1 7 INFO eventlet.wsgi [-] GET /v2/images\n".to_vec();
    text.extend(b"2026-11-22 12:54:26.5 7 INFO oslo.messaging.notification.image.create [-] ");
    text.extend(&body);
    text.extend(b"\n2026-11-22 12:54:26.6 7 ERROR glance {not ours}\n");
    text.extend(&lines(1..2)[..50]);
    fs::write(place.path(), text).unwrap();
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 1).await, place.numbers(0..1));
    nothing_more(&mut listener).await;
    let mut file = OpenOptions::new().append(true).open(place.path()).unwrap();
    file.write_all(&lines(1..2)[50..]).unwrap();
    assert_eq!(take(&mut listener, 1).await, place.numbers(1..2));
    assert_eq!(listener.stats().total.unreadable, 0);
}

/// Compressed files, and files that are not followed, are read to their end.
#[tokio::test]
async fn ends_at_the_end_of_a_file_that_is_not_followed() {
    let place = Place::new();
    place.append(0..500);
    assert!(Command::new("gzip").arg(place.path()).status().unwrap().success());
    for _ in 0..2 {
        let mut listener = place.listener(|config| {
            config.path = place.named("n.log.gz");
            config.follow = false;
            config.checkpoint = None;
        });
        assert_eq!(take(&mut listener, 500).await, place.numbers(0..500));
        assert!(listener.next_delivery().await.unwrap().is_none());
    }
}

/// The last line of a file that is not followed needs no line end. The next run begins behind it, also if the
/// line got its end meanwhile.
#[tokio::test]
async fn the_last_line_of_a_file_that_is_not_followed_needs_no_line_end() {
    for compress in [false, true] {
        let place = Place::new();
        let text = lines(0..3);
        fs::write(place.path(), &text[..text.len() - 1]).unwrap();
        if compress {
            assert!(Command::new("gzip").arg(place.path()).status().unwrap().success());
        }
        let name = if compress { "n.log.gz" } else { "n.log" };
        let once = |config: &mut FileSourceConfig| {
            config.path = place.named(name);
            config.follow = false;
        };
        let mut listener = place.listener(once);
        assert_eq!(take(&mut listener, 3).await, place.numbers(0..3), "compress: {compress}");
        assert!(listener.next_delivery().await.unwrap().is_none());
        drop(listener.close(LONG).await);
        let mut expected = Vec::new();
        if !compress {
            let mut file = OpenOptions::new().append(true).open(place.path()).unwrap();
            file.write_all(&[&b"\n"[..], &lines(3..4)[..]].concat()).unwrap();
            expected = place.numbers(3..4);
        }
        let mut listener = place.listener(once);
        assert_eq!(take(&mut listener, expected.len()).await, expected);
        assert!(listener.next_delivery().await.unwrap().is_none(), "compress: {compress}");
    }
}

/// A last line that is cut is unreadable, or excluded as others are. The next run reads it from its start, when
/// it may be whole.
#[tokio::test]
async fn a_cut_last_line_is_read_again() {
    let place = Place::new();
    // Too short for an id, so that the filter excludes it.
    let cut = 20;
    fs::write(place.path(), [&lines(0..1)[..], &lines(1..2)[..cut]].concat()).unwrap();
    let once = |config: &mut FileSourceConfig| config.follow = false;
    let mut listener = place.listener(once);
    assert_eq!(take(&mut listener, 1).await, place.numbers(0..1));
    assert!(listener.next_delivery().await.unwrap().is_none());
    let total = listener.close(LONG).await.total;
    assert_eq!((total.received, total.acked, total.unreadable), (2, 1, 1));

    let mut listener = place.listener(|config| {
        config.follow = false;
        config.filter = LineFilter::new(place.numbers([1]).iter().map(Uuid::to_string));
    });
    assert!(listener.next_delivery().await.unwrap().is_none());
    let total = listener.close(LONG).await.total;
    assert_eq!((total.received, total.skipped), (0, 1));

    let mut file = OpenOptions::new().append(true).open(place.path()).unwrap();
    file.write_all(&lines(1..2)[cut..]).unwrap();
    let mut listener = place.listener(once);
    assert_eq!(take(&mut listener, 1).await, place.numbers(1..2));
    assert!(listener.next_delivery().await.unwrap().is_none());
}

/// The only line of a file needs no line end either. It is no identity of the file, so the next run reads it
/// again.
#[tokio::test]
async fn a_single_line_needs_no_line_end() {
    let place = Place::new();
    let text = lines(0..1);
    let (line, end) = text.split_at(text.len() - 1);
    for part in [line, b"", end] {
        let mut file = OpenOptions::new().append(true).create(true).open(place.path()).unwrap();
        file.write_all(part).unwrap();
        let mut listener = place.listener(|config| config.follow = false);
        assert_eq!(take(&mut listener, 1).await, place.numbers(0..1));
        assert!(listener.next_delivery().await.unwrap().is_none());
        drop(listener.close(LONG).await);
    }
    let mut listener = place.listener(|config| config.follow = false);
    assert!(listener.next_delivery().await.unwrap().is_none());
}

/// A restart in the middle of a compressed file skips no line: the form is that of its contents.
#[tokio::test]
async fn a_restart_in_a_compressed_file_keeps_its_form() {
    let place = Place::new();
    let sent = samples::messages(0..4);
    // JSON that the strategy does not write: the id is the last attribute.
    let lines = sent.iter().map(|message| {
        let body = std::str::from_utf8(message.body()).unwrap();
        let (id, rest) = body[1..body.len() - 1].split_once(',').unwrap();
        format!("{{{rest},{id}}}\n")
    });
    fs::write(place.path(), lines.collect::<Vec<_>>().concat()).unwrap();
    assert!(Command::new("gzip").arg(place.path()).status().unwrap().success());
    for part in [0..2, 2..4] {
        let mut listener = place.listener(|config| {
            config.path = place.named("n.log.gz");
            config.follow = false;
        });
        assert_eq!(take(&mut listener, 2).await, place.numbers(part));
        drop(listener.close(LONG).await);
    }
}

/// A filter changes the number of lines that are handed over, and neither the account nor the positions: the
/// lines that it excludes are counted, and the next run begins behind them.
#[tokio::test]
async fn excluded_lines_are_counted_and_not_read_again() {
    for compress in [false, true] {
        let place = Place::new();
        place.append(0..2_000);
        let name = if compress { "n.log.gz" } else { "n.log" };
        if compress {
            assert!(Command::new("gzip").arg(place.path()).status().unwrap().success());
        }
        let wanted = place.numbers([700, 1_500]);
        let once = |config: &mut FileSourceConfig| {
            config.path = place.named(name);
            config.follow = false;
        };
        let with_filter = |config: &mut FileSourceConfig| {
            once(config);
            config.filter = LineFilter::new(wanted.iter().map(Uuid::to_string));
        };
        let mut listener = place.listener(with_filter);
        assert_eq!(take(&mut listener, 1).await, wanted[..1]);
        // It goes back to the file.
        drop(next(&mut listener).await.release());
        drop(listener.close(LONG).await);

        let mut listener = place.listener(with_filter);
        assert_eq!(take(&mut listener, 1).await, wanted[1..]);
        assert!(listener.next_delivery().await.unwrap().is_none());
        let total = listener.close(LONG).await.total;
        assert_eq!((total.received, total.acked, total.skipped), (1, 1, 499));

        let mut listener = place.listener(once);
        assert!(listener.next_delivery().await.unwrap().is_none(), "compress: {compress}");
    }
}

/// Lines of a service's log that hold no notification are not counted with the excluded ones, in a file as in
/// a stream, whatever its buffer.
#[tokio::test]
async fn excluded_lines_are_the_lines_that_would_be_received() {
    let place = Place::new();
    let mut text = Vec::new();
    for number in 0..40 {
        text.extend(b"2026-11-22 12:54:26.1 7 INFO eventlet.wsgi [-] GET /v2/images\n\n");
        text.extend(b"2026-11-22 12:54:26.5 7 INFO oslo.messaging.notification.image.create [-] ");
        text.extend(lines(number..number + 1));
    }
    let filter = LineFilter::new(place.numbers([20]).iter().map(Uuid::to_string));
    fs::write(place.path(), &text).unwrap();
    let mut listeners = vec![place.listener(|config| {
        config.follow = false;
        config.filter = filter.clone();
    })];
    for capacity in [1, 100, 3_000, 100_000] {
        let input = std::io::Cursor::new(text.clone());
        let input = std::io::BufReader::with_capacity(capacity, input);
        let source = LineSource::filtered("stream", input, LineForm::Auto, filter.clone());
        listeners.push(Listener::builder(source, DeadLetters::Discard).start().unwrap());
    }
    for mut listener in listeners {
        assert_eq!(take(&mut listener, 1).await, place.numbers([20]));
        assert!(listener.next_delivery().await.unwrap().is_none());
        let total = listener.close(LONG).await.total;
        // The first line decides the form, and is no notification here.
        assert_eq!((total.received, total.skipped), (1, 39));
    }
}

/// A stream that breaks, by an error or by a panic, is an error for the program, once it has the lines before
/// it, and not the end.
#[tokio::test]
async fn a_stream_that_breaks_is_not_at_its_end() {
    for panics in [false, true] {
        let body = samples::messages(0..1)[0].body().to_vec();
        let broken = std::iter::once_with(move || {
            assert!(!panics, "the test wants this");
            Err(std::io::Error::other("cut"))
        });
        let input = std::iter::once(Ok(ContextLine::from(body))).chain(broken);
        let source = LineSource::from_lines("lines", input);
        let mut listener = Listener::builder(source, DeadLetters::Discard).start().unwrap();
        let delivery = next(&mut listener).await;
        // The source breaks meanwhile.
        sleep(Duration::from_millis(50)).await;
        assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Settled);
        let error = listener.next_delivery().await.unwrap_err();
        assert!(error.to_string().starts_with("cannot read the input"), "{error}");
        assert_eq!(listener.close(LONG).await.total.acked, 1);
    }
}

/// Without a checkpoint, a source may start at the end.
#[tokio::test]
async fn starts_at_the_end_if_asked_to() {
    let place = Place::new();
    place.append(0..3);
    let mut listener = place.listener(|config| {
        config.from_end = true;
        config.checkpoint = None;
    });
    while !matches!(listener.stats().sources[0].state, SourceState::Attached { .. }) {
        sleep(Duration::from_millis(1)).await;
    }
    place.append(3..5);
    assert_eq!(take(&mut listener, 2).await, place.numbers(3..5));
}

/// Two sources with one checkpoint would skip lines of each other: the second one waits for the end of the
/// first. A new session of the first one goes on.
#[tokio::test]
async fn one_source_at_a_time_reads_with_a_checkpoint() {
    let place = Place::new();
    place.append(0..3);
    let credit = Credit { window: 10, room: 10, max_bytes: 1024 * 1024 };
    let source = || {
        let mut config = FileSourceConfig::new(place.path());
        config.checkpoint = Some(place.named("position"));
        FileSource::new(config)
    };
    let (mut first, mut second) = (source(), source());
    assert!(matches!(first.receive(credit).await, Ok(Reception::Attached)));
    let error = second.receive(credit).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:#}");
    assert!(error.to_string().contains("reads with the checkpoint"), "{error}");

    // The session ends, because its checkpoint cannot be written.
    let Ok(Reception::Deliveries(deliveries)) = first.receive(credit).await else { panic!() };
    let through = Some(deliveries[0].tag);
    fs::create_dir(place.named("position.new")).unwrap();
    let settlements = DeliverySettlements { through, ..DeliverySettlements::default() };
    first.settle(&settlements).await.unwrap_err();
    fs::remove_dir(place.named("position.new")).unwrap();
    assert!(matches!(first.receive(credit).await, Ok(Reception::Attached)));

    first.close().await.unwrap();
    assert!(matches!(second.receive(credit).await, Ok(Reception::Attached)));
}

/// A checkpoint that cannot be written ends the session; nothing is lost, and reading goes on.
#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_loses_nothing() {
    let place = Place::new();
    place.append(0..3);
    fs::create_dir(place.named("state")).unwrap();
    let in_state = |config: &mut FileSourceConfig| {
        config.checkpoint = Some(place.named("state").join("position"));
    };
    let mut listener = place.listener(in_state);
    let delivery = next(&mut listener).await;
    fs::rename(place.named("state"), place.named("away")).unwrap();
    assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Stale);
    fs::rename(place.named("away"), place.named("state")).unwrap();
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    drop(listener.close(LONG).await);
    let mut listener = place.listener(in_state);
    nothing_more(&mut listener).await;
}
