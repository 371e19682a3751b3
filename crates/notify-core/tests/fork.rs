//! Forks: a child process never repeats an id of its parent, and a notifier that it builds works.
//!
//! Ids come from a pool of random bytes, which a fork copies. Epochs of sequences must differ, too. This test is a program without a test
//! harness, because only a program with one thread can fork safely.

#![expect(
    clippy::exit,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this test program forks"
)]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::time::Duration;

use fork::Fork;
use notify_conformance::script::Script;
use notify_core::codec::Sequence;
use notify_core::event::Payload;
use notify_core::listener::SequenceGaps;
use notify_core::{Event, Notifier};
use uuid::Uuid;

fn main() {
    a_fork_repeats_no_id_and_a_notifier_built_after_it_works();
    println!("test a_fork_repeats_no_id_and_a_notifier_built_after_it_works ... ok");
    a_fork_starts_a_new_epoch();
    println!("test a_fork_starts_a_new_epoch ... ok");
}

/// Emits 1 000 ids before the fork, in the child and in the parent, and expects 3 000 different ones.
fn a_fork_repeats_no_id_and_a_notifier_built_after_it_works() {
    // The parent has used its pool before the fork.
    let (notifier, _worker) = Notifier::builder(Script::default().transport()).build().unwrap();
    let event = Event::ImageUpload(Payload::Warn("slow".into()));
    let ids = || -> Vec<String> {
        (0..1000).map(|_| notifier.emit(&event).message_id().unwrap().to_string()).collect()
    };
    let mut seen: HashSet<String> = ids().into_iter().collect();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    match fork::fork().unwrap() {
        Fork::Child => {
            // The child has no worker thread until it builds its own notifier.
            let (after, worker) = Notifier::builder(Script::default().transport()).build().unwrap();
            let _worker = worker.spawn_thread().unwrap();
            after.emit(&event).wait(Duration::from_secs(60)).unwrap();
            writer.write_all(ids().join("\n").as_bytes()).unwrap();
            std::process::exit(0);
        }
        Fork::Parent(_) => {
            drop(writer);
            let mut ids_of_child = String::new();
            reader.read_to_string(&mut ids_of_child).unwrap();
            seen.extend(ids_of_child.lines().map(str::to_owned));
            seen.extend(ids());
            assert_eq!(seen.len(), 3000);
        }
    }
}

/// A notifier that is forked before its worker runs, as servers with several processes do it, numbers anew
/// in the child. A reader of both finds no gap and no number that stands for two messages.
fn a_fork_starts_a_new_epoch() {
    let script = Script::with_lanes();
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    let event = Event::ImageUpload(Payload::Warn("slow".into()));
    let emit = |count: usize| (0..count).for_each(|_| drop(notifier.emit(&event)));
    emit(2);
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let is_child = matches!(fork::fork().unwrap(), Fork::Child);
    emit(if is_child { 3 } else { 4 });
    let worker = worker.spawn_thread().unwrap();
    notifier.close();
    worker.join().unwrap();
    let delivered: Vec<_> = script
        .stored()
        .iter()
        .map(|message| (message.id(), message.sequence().unwrap().clone()))
        .collect();
    if is_child {
        for (id, sequence) in &delivered {
            writeln!(writer, "{id} {} {}", sequence.epoch(), sequence.number()).unwrap();
        }
        std::process::exit(0);
    }
    drop(writer);
    let mut of_child = String::new();
    reader.read_to_string(&mut of_child).unwrap();
    let of_child = of_child.lines().map(|line| {
        let (id, sequence) = line.split_once(' ').unwrap();
        let (epoch, number) = sequence.split_once(' ').unwrap();
        let sequence =
            Sequence::new(Uuid::parse_str(epoch).unwrap(), "warn", number.parse().unwrap());
        (Uuid::parse_str(id).unwrap(), sequence)
    });
    let all: HashSet<_> = of_child.chain(delivered).collect();
    // Both have the two messages that were pending at the fork.
    assert_eq!(all.len(), 2 + 3 + 4);
    assert_eq!(all.iter().map(|(_, sequence)| sequence).collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all.iter().map(|(_, it)| it.epoch()).collect::<HashSet<_>>().len(), 2);
    let mut gaps = SequenceGaps::new(100);
    for (_, sequence) in &all {
        gaps.add(sequence);
    }
    assert_eq!(gaps.missing(), 0);
}
