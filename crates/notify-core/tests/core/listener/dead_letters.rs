//! Dead letters: the file that holds what the program will never handle.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::source_script::{SourceFault, SourceScript};
use notify_core::ErrorKind;
use notify_core::listener::{DeadLetterFile, DeadLetters, SettlementOutcome};
use notify_testbed::log_recorder::LogRecorder;
use tokio::time::{sleep, timeout};

use super::{LONG, listener};

/// A dead letter is in a file that only its owner reads before its delivery is acknowledged.
#[tokio::test]
async fn a_dead_letter_is_written_before_the_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    let script = SourceScript::default();
    script.publish(samples::messages(0..1));
    script.publish_bytes([b"not JSON".to_vec(), vec![0xff, b'\n']]);
    let mut listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    let delivery = listener.next_delivery().await.unwrap().unwrap();
    let id = delivery.message().unwrap().id();
    delivery.refuse("no such project").await.unwrap();
    timeout(Duration::from_secs(60), async {
        while listener.stats().total.dead_lettered < 3 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(script.unacked(), 0);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut letters: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    letters.sort_by_key(|letter| letter["position"].to_string());
    assert_eq!(letters[0]["message_id"], id.to_string());
    assert_eq!(letters[0]["reason"], "no such project");
    assert_eq!(letters[1]["body"], "not JSON");
    assert_eq!(letters[2]["body_hex"], "ff0a");
    assert!(letters.iter().all(|letter| letter["source"] == "script"));
}

/// A batch is refused as a whole: each of its messages becomes a letter with the reason.
#[tokio::test]
async fn a_batch_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    let script = SourceScript::default();
    script.publish(samples::messages(0..3));
    let mut listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    let batch = listener.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(batch.len(), 3);
    let outcome = batch.refuse(String::from("no such project")).await.unwrap();
    assert_eq!(outcome, SettlementOutcome::Settled);
    assert_eq!(script.unacked(), 0);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(r#""reason":"no such project""#).count(), 3);
}

/// A program that waits for the end of the input learns of it also if a dead letter is written last.
#[tokio::test]
async fn the_end_comes_after_the_last_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    let script = SourceScript::default();
    script.publish_bytes([b"not JSON".to_vec()]);
    script.end();
    let dead_letters = DeadLetters::file(dir.path().join("dead.jsonl"));
    let mut listener = listener(&script, dead_letters, 10).start().unwrap();
    // A task of its own, which only the listener wakes.
    let read = tokio::spawn(async move {
        assert!(listener.next_delivery().await.unwrap().is_none());
        listener.stats().total.dead_lettered
    });
    let dead_lettered = timeout(Duration::from_secs(60), read).await.expect("the listener ends");
    assert_eq!(dead_lettered.unwrap(), 1);
}

/// A program may remove letters while a listener appends others: none is lost, and none comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_removed_while_others_are_appended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    let script = SourceScript::default();
    script.publish_bytes((0..300).map(|number| format!("poison {number}").into_bytes()));
    let listener = listener(&script, DeadLetters::file(&path), 20).start().unwrap();
    let file = DeadLetterFile::new(&path);
    let mut removed = Vec::new();
    while removed.len() < 300 {
        assert!(listener.stats().total.dead_lettered <= 300);
        if !path.exists() {
            sleep(Duration::from_millis(1)).await;
            continue;
        }
        let mut handled = Vec::new();
        let count = file.remove(|line| {
            handled.push(line.letter.as_ref().unwrap().body.clone());
            true
        });
        assert_eq!(count.unwrap(), handled.len() as u64);
        removed.append(&mut handled);
        sleep(Duration::from_millis(1)).await;
    }
    removed.sort();
    removed.dedup();
    assert_eq!(removed.len(), 300);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(listener.close(LONG).await.total.dead_lettered, 300);
}

/// A letter that is being appended is no damaged line: a reader waits for its end.
#[test]
fn a_reader_waits_for_the_letter_that_is_being_appended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
    file.lock().unwrap();
    file.write_all(b"a\nb").unwrap();
    let reader = std::thread::spawn(move || {
        let lines = DeadLetterFile::new(path);
        let lines = lines.lines().unwrap();
        lines.map(|line| line.unwrap().bytes).collect::<Vec<_>>()
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(!reader.is_finished());
    file.write_all(b"c\n").unwrap();
    drop(file);
    assert_eq!(reader.join().unwrap(), [b"a".to_vec(), b"bc".to_vec()]);
}

/// An administrator who removes letters leaves the file to the service that writes them.
#[test]
fn the_file_keeps_its_owner_when_letters_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    std::fs::write(&path, "a\nb\n").unwrap();
    if chown(&path, Some(65_534), Some(65_534)).is_err() {
        // Only an administrator can give a file away.
        return;
    }
    let removed = DeadLetterFile::new(&path).remove(|line| line.bytes == b"a").unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((removed, metadata.uid(), metadata.gid()), (1, 65_534, 65_534));
    assert_eq!(std::fs::read(&path).unwrap(), b"b\n");
}

/// A directory that its user cannot list cannot be synced: the letter is written nevertheless, and once.
#[tokio::test]
async fn a_letter_is_written_once_in_a_directory_that_cannot_be_synced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    let set_mode = |mode| std::fs::set_permissions(dir.path(), Permissions::from_mode(mode));
    set_mode(0o300).unwrap();
    let script = SourceScript::default();
    script.publish_bytes([b"not JSON".to_vec()]);
    let listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    timeout(Duration::from_secs(60), async {
        while listener.stats().total.dead_lettered < 1 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    set_mode(0o700).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
}

/// A letter is read as it was written, whatever its bytes.
#[tokio::test]
async fn letters_are_read_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    let script = SourceScript::default();
    let bodies = [b"\xff\x00\n".to_vec(), "t\u{e4}\"\n\\".into(), Vec::new()];
    script.publish_bytes(bodies.clone());
    script.end();
    let listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    while listener.stats().total.dead_lettered < 3 {
        sleep(Duration::from_millis(1)).await;
    }
    let file = DeadLetterFile::new(&path);
    let letters: Vec<_> = file.lines().unwrap().map(|line| line.unwrap().letter.unwrap()).collect();
    for (letter, body) in letters.iter().zip(&bodies) {
        assert_eq!((&letter.body, letter.size, letter.message_id), (body, body.len() as u64, None));
        assert_eq!(letter.source, "script");
        assert!(!format!("{letter:?}").contains("body"));
    }
    let error = DeadLetterFile::new(dir.path().join("none")).lines().err().unwrap();
    assert!(error.to_string().contains("cannot be opened"), "{error}");
}

/// Reading pauses while the dead-letter file is full, and goes on once there is room.
#[tokio::test]
async fn reading_pauses_while_the_dead_letter_file_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    std::fs::write(&path, vec![b'x'; 64 * 1024 * 1024]).unwrap();
    let script = SourceScript::default();
    script.publish_bytes([b"not JSON".to_vec()]);
    let mut listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    let seen = timeout(Duration::from_millis(300), listener.next_delivery()).await;
    assert!(seen.is_err());
    script.publish(samples::messages(0..1));
    let seen = timeout(Duration::from_millis(300), listener.next_delivery()).await;
    assert!(seen.is_err(), "read although a dead letter cannot be written");
    assert_eq!(listener.stats().total.dead_lettered, 0);
    std::fs::remove_file(&path).unwrap();
    let seen = timeout(Duration::from_secs(60), listener.next_delivery()).await;
    drop(seen.unwrap().unwrap().unwrap().ack());
    assert_eq!(listener.close(LONG).await.total.dead_lettered, 1);
}

/// A FIFO is no dead-letter file, and neither is a device, whose mode matters to others: it stays as it is.
#[tokio::test]
async fn a_file_that_is_not_regular_is_refused_and_keeps_its_mode() {
    let log = LogRecorder::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let script = SourceScript::default();
    script.publish_bytes([b"not JSON".to_vec()]);
    let listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    timeout(Duration::from_secs(60), async {
        while log.lines_with("reading pauses").is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    let lines = log.lines_with("is not a regular file: name another path");
    assert_eq!(lines.len(), 1, "{:?}", log.lines());
    drop(listener);
    let file = DeadLetterFile::new(&path);
    for error in [file.lines().err().unwrap(), file.remove(|_| true).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error:#}");
        assert!(format!("{error:#}").contains("is not a regular file"), "{error:#}");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
}

/// A session that ends while the dead-letter file is full takes its letter along, so that reading goes on.
#[tokio::test]
async fn reading_goes_on_after_a_session_that_ended_while_the_dead_letter_file_was_full() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    std::fs::write(&path, vec![b'x'; 64 * 1024 * 1024]).unwrap();
    let script = SourceScript::default();
    script.publish(samples::messages(0..1));
    script.publish_bytes([b"not JSON".to_vec()]);
    let mut listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    let delivery = listener.next_delivery().await.unwrap().unwrap();
    // The letter has failed by then.
    sleep(Duration::from_millis(300)).await;
    script.add_fault(SourceFault::FailSettle);
    assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Stale);
    std::fs::remove_file(&path).unwrap();
    let seen = timeout(Duration::from_secs(60), listener.next_delivery()).await;
    drop(seen.expect("reading goes on").unwrap().unwrap().ack());
    assert_eq!(listener.close(LONG).await.total.dead_lettered, 1);
}

/// A listener that is dropped while its disk hangs ends, and the message of its dead letter comes again.
#[tokio::test(start_paused = true)]
async fn a_dropped_listener_does_not_wait_for_a_disk_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    // The writer waits 5 s of the real time for this lock. The clock of the test runs ahead of it.
    let locked = std::fs::File::create(&path).unwrap();
    locked.lock().unwrap();
    let script = SourceScript::default();
    script.publish(samples::messages(0..1));
    let mut listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    let delivery = listener.next_delivery().await.unwrap().unwrap();
    let start = tokio::time::Instant::now();
    let receipt = delivery.refuse("no such project");
    drop(listener);
    assert_eq!(receipt.await.unwrap(), SettlementOutcome::Stale);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(script.unacked(), 1);
}

/// A disk that hangs pauses the reading, and the log says so once. Reading goes on when the disk answers.
#[tokio::test(start_paused = true)]
async fn reading_pauses_while_the_disk_of_the_dead_letters_hangs() {
    let log = LogRecorder::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    // The writer waits 5 s of the real time for this lock. The clock of the test runs ahead of it.
    let locked = std::fs::File::create(&path).unwrap();
    locked.lock().unwrap();
    let script = SourceScript::default();
    script.publish_bytes([b"not JSON".to_vec()]);
    let mut listener = listener(&script, DeadLetters::file(&path), 10).start().unwrap();
    sleep(Duration::from_secs(31)).await;
    script.publish(samples::messages(0..1));
    let seen = timeout(LONG, listener.next_delivery()).await;
    assert!(seen.is_err(), "read although a dead letter cannot be written");
    assert_eq!(log.lines_with("does not answer within 30 s").len(), 1, "{:?}", log.lines());
    assert_eq!(listener.stats().total.dead_lettered, 0);
    drop(locked);
    tokio::time::resume();
    let seen = timeout(Duration::from_secs(60), listener.next_delivery()).await;
    drop(seen.expect("reading goes on").unwrap().unwrap().ack());
    assert_eq!(log.lines_with("writing dead letters again").len(), 1, "{:?}", log.lines());
    assert_eq!(listener.close(LONG).await.total.dead_lettered, 1);
}
