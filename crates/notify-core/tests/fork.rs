//! Forks: a child process never repeats an id of its parent, and a notifier that it builds works.
//!
//! Ids come from a pool of random bytes, which a fork copies. This test is a program without a test
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
use notify_core::event::Payload;
use notify_core::{Event, Notifier};

fn main() {
    a_fork_repeats_no_id_and_a_notifier_built_after_it_works();
    println!("test a_fork_repeats_no_id_and_a_notifier_built_after_it_works ... ok");
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
