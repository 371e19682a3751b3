//! Ids never repeat between processes: also not between a process and the child it forked off in the
//! middle of its pool. And a notifier that is built in such a child works.
//!
//! A program of its own, because only a program with one thread can be forked safely.

#![expect(clippy::exit, clippy::unwrap_used, clippy::print_stdout, reason = "a test that forks")]

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

fn a_fork_repeats_no_id_and_a_notifier_built_after_it_works() {
    // Built, and used, before the fork.
    let (notifier, _worker) = Notifier::builder(Script::default().transport()).build().unwrap();
    let event = Event::ImageUpload(Payload::Warn("slow".into()));
    let ids = || -> Vec<String> {
        (0..1000).map(|_| notifier.emit(&event).message_id().unwrap().to_string()).collect()
    };
    let mut seen: HashSet<String> = ids().into_iter().collect();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    match fork::fork().unwrap() {
        Fork::Child => {
            // What is built after the fork has a thread of its own, and works.
            let (after, worker) = Notifier::builder(Script::default().transport()).build().unwrap();
            let _worker = worker.spawn_thread().unwrap();
            after.emit(&event).wait(Duration::from_secs(60)).unwrap();
            writer.write_all(ids().join("\n").as_bytes()).unwrap();
            std::process::exit(0);
        }
        Fork::Parent(_) => {
            drop(writer);
            let mut of_child = String::new();
            reader.read_to_string(&mut of_child).unwrap();
            seen.extend(of_child.lines().map(str::to_owned));
            seen.extend(ids());
            assert_eq!(seen.len(), 3000);
        }
    }
}
