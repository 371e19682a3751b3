//! The corpus of every target: the inputs that fuzzing starts with, and those that it has found.

use std::path::Path;

use notify_fuzz::TARGETS;

/// No input of the corpus breaks a promise, whole or truncated.
#[test]
fn the_corpus_breaks_no_promise() {
    for (name, target) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let files = std::fs::read_dir(&corpus).expect(name);
        let inputs = files.map(|file| std::fs::read(file.expect(name).path()).expect(name));
        let mut count = 0;
        for input in inputs {
            target(&input);
            // A truncated input is a new one.
            for eighth in 1..8 {
                target(&input[..input.len() * eighth / 8]);
            }
            count += 1;
        }
        assert!(count >= 10, "{name} has {count} inputs");
        println!("{name}: {count} inputs");
    }
}

/// `TARGETS` lists every program, so the test above runs every target.
#[test]
fn every_program_has_a_target() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let names = std::fs::read_dir(programs).expect("the programs").map(|file| {
        let path = file.expect("a program").path();
        path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned()
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    let targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, targets);
}
