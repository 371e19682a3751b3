//! Files that are renamed, copied, truncated or written anew, while the source runs and between two runs.

use std::fs;
use std::process::Command;
use std::time::Duration;

use notify_core::listener::SourceState;
use tokio::time::timeout;

use crate::place::{LONG, Place, lines, nothing_more, take, write};

/// The source reads a renamed file to its end, with the lines that come late, and then the new one.
#[tokio::test]
async fn follows_a_rename_and_reads_late_lines() {
    let place = Place::new();
    let mut old = place.append(0..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    write(&mut old, 3..4);
    fs::rename(place.path(), place.named("n.log.1")).unwrap();
    place.append(5..7);
    assert_eq!(take(&mut listener, 3).await, place.numbers([3, 5, 6]));
    write(&mut old, 4..5);
    assert_eq!(take(&mut listener, 1).await, place.numbers(4..5));
}

/// A file that is rotated at the start is no missing file: the program that writes creates it with its next
/// line. A file without rotated ones is missing.
#[tokio::test]
async fn a_rotation_at_the_start_is_no_missing_file() {
    let place = Place::new();
    let mut listener = place.listener(|_| {});
    let error = listener.next_batch(1, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("does not exist (check the path)"), "{error}");

    place.append(0..3);
    fs::rename(place.path(), place.named("n.log.1")).unwrap();
    let mut listener = place.listener(|_| {});
    let next = listener.next_batch(1, Duration::ZERO);
    assert!(timeout(Duration::from_millis(50), next).await.is_err(), "there is no line yet");
    place.append(3..5);
    assert_eq!(take(&mut listener, 2).await, place.numbers(3..5));
}

/// `copytruncate`: the lines that were not read are in the copy, and later ones in the file.
#[tokio::test]
async fn continues_in_the_copy_of_copytruncate() {
    let place = Place::new();
    let mut file = place.append(0..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    drop(listener.close(LONG).await);
    write(&mut file, 3..6);
    fs::copy(place.path(), place.named("n.log.1")).unwrap();
    file.set_len(0).unwrap();
    // More than there was, so that the size alone says nothing.
    place.append(10..20);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 13).await, place.numbers((3..6).chain(10..20)));

    // The same while the source runs.
    fs::copy(place.path(), place.named("n.log.2")).unwrap();
    file.set_len(0).unwrap();
    place.append(30..60);
    assert_eq!(take(&mut listener, 30).await, place.numbers(30..60));
}

/// The source reads a file that is written anew, with the same inode and more bytes, from its start, and
/// reports that lines may be missing.
#[tokio::test]
async fn reads_a_file_that_was_written_anew() {
    let place = Place::new();
    let file = place.append(0..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    file.set_len(0).unwrap();
    place.append(10..30);
    assert_eq!(take(&mut listener, 20).await, place.numbers(10..30));
    let changes = listener.take_coverage_changes();
    let lost = |state: &SourceState| matches!(state, SourceState::Detached { reason, .. } if reason.contains("without a copy"));
    assert!(changes.iter().any(|change| lost(&change.state)), "{changes:?}");
}

/// After a restart, the source finds its file among the rotated ones, compressed or not, and reads those
/// that came after it. It does not read older ones. Names with dates make no difference.
#[tokio::test]
async fn resumes_among_rotated_files() {
    let numbered = ["n.log.3", "n.log.2", "n.log.1"];
    let dated = ["n.log.20261127", "n.log.20261128", "n.log.20261129"];
    // The names of the rotated files at the end, the oldest first.
    let rotations = [&numbered[..], &numbered[1..], &dated[..], &dated[..2]];
    for (names, compress) in rotations.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let place = Place::new();
        // A file that was never ours, older than the live one.
        fs::write(place.named(names[0]), lines(90..95)).unwrap();
        place.append(0..4);
        let mut listener = place.listener(|_| {});
        assert_eq!(take(&mut listener, 2).await, place.numbers(0..2));
        drop(listener.close(LONG).await);
        // One or two rotations.
        let mut end = 4;
        for name in &names[1..] {
            fs::rename(place.path(), place.named(name)).unwrap();
            place.append(end..end + 2);
            end += 2;
        }
        if compress {
            for name in names {
                assert!(Command::new("gzip").arg(place.named(name)).status().unwrap().success());
            }
        }
        let mut listener = place.listener(|_| {});
        let count = usize::try_from(end - 2).unwrap();
        let case = format!("{names:?}, compress: {compress}");
        assert_eq!(take(&mut listener, count).await, place.numbers(2..end), "{case}");
        nothing_more(&mut listener).await;
    }
}

/// A source that stops before the file has its first line reads that line from a rotated file.
#[tokio::test]
async fn a_restart_before_the_first_line_loses_nothing() {
    let place = Place::new();
    place.append(0..0);
    let mut listener = place.listener(|_| {});
    nothing_more(&mut listener).await;
    drop(listener.close(LONG).await);
    place.append(0..2);
    fs::rename(place.path(), place.named("n.log.1")).unwrap();
    place.append(2..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
}

/// A file whose inode was given to another one is not mistaken for it: the contents decide.
#[tokio::test]
async fn an_inode_that_is_used_again_is_a_new_file() {
    let place = Place::new();
    let file = place.append(0..4);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 4).await, place.numbers(0..4));
    drop(listener.close(LONG).await);
    fs::copy(place.path(), place.named("n.log.1")).unwrap();
    file.set_len(0).unwrap();
    place.append(4..10);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 6).await, place.numbers(4..10));
    nothing_more(&mut listener).await;
}
