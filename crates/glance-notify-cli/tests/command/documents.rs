//! The command lines in the documents and in the help texts: each has subcommands and options that exist.

use std::path::Path;

use crate::support::{Sandbox, help_pages};

/// The README that crates.io shows.
const README: &str = include_str!("../../README.md");

/// Every line of the documents that runs the command is valid usage.
///
/// `--help` at its end makes the parser accept or reject the whole line, and runs nothing.
#[test]
fn every_command_line_of_the_documents_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = 0;
    let crates = root.join("crates/glance-notify-cli");
    for directory in [root.clone(), root.join("docs"), root.join("docs/ops"), crates] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                for line in command_lines(&std::fs::read_to_string(&path).unwrap()) {
                    assert_valid(&line, &path.display().to_string());
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 10, "{checked} command lines found");
}

/// Every subcommand has two or three examples in its help, and all of them are valid usage.
///
/// If it fails for a new subcommand, add examples to `src/help.rs`.
#[test]
fn every_help_has_two_or_three_valid_examples() {
    let mut checked = 0;
    for (path, help) in help_pages() {
        let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_else(|| {
            panic!("`glance-notify {path} --help` has no examples: add them to src/help.rs")
        });
        let examples = examples.split("\n\n").next().unwrap();
        let lines: Vec<_> = examples.lines().filter(|line| line.starts_with("  g")).collect();
        assert!((2..=3).contains(&lines.len()), "{path}: {examples}");
        for line in lines {
            assert!(line.contains(&format!("glance-notify {path}")), "{path}: {line}");
            for command in line.split('|').filter_map(|part| arguments(part.trim())) {
                assert_valid(&command, line);
                checked += 1;
            }
        }
        assert!(help.contains("\nExit codes:\n  0  success"), "{path}: {help}");
    }
    assert!(checked > 40, "{checked} command lines found");
}

/// The help shows `-c` and `--set` only where they have an effect, and the values of options that all have.
#[test]
fn the_help_offers_a_configuration_to_its_readers_alone() {
    let without = [
        "archive ",
        "completions",
        "config",
        "demo",
        "man",
        "report",
        "schema",
        "search",
        "timeline",
        "validate",
        "who",
    ];
    for (path, help) in help_pages() {
        let reads = !without.iter().any(|name| path.starts_with(name));
        for option in ["--config <FILE>", "--set <KEY=VALUE>"] {
            assert_eq!(help.contains(option), reads, "{path}: {help}");
        }
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for values in ["priorities: auto, always or never", "standard error: text or json"] {
            assert!(words.contains(values), "{path}: {help}");
        }
    }
}

/// The README of the crate names every subcommand.
#[test]
fn the_readme_names_every_subcommand() {
    let help = Sandbox::new().run(["help"]).out;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let names = commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        (!name.starts_with(' ')).then(|| name.split(' ').next())?
    });
    let names: Vec<_> = names.collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(README.contains(&format!("`{name}`")) || name == "help", "{name}");
    }
}

/// The table in `docs/exit-codes.md` is the one in the help.
#[test]
fn the_documented_exit_codes_are_those_of_the_help() {
    let help = Sandbox::new().run(["--help"]).out;
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes = codes.split_whitespace().collect::<Vec<_>>().join(" ");
    let document = include_str!("../../../../docs/exit-codes.md");
    let rows = document.lines().filter_map(|line| {
        let (code, meaning) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        code.parse::<u8>().ok().map(|code| format!("{code} {meaning}"))
    });
    assert_eq!(rows.collect::<Vec<_>>().join(" "), codes);
}

/// Asserts that the parser accepts a command line.
#[track_caller]
fn assert_valid(line: &str, place: &str) {
    let output = Sandbox::new().run(line.split_whitespace().chain(["--help"]));
    assert_eq!(output.code, Some(0), "{place}: {line}\n{}", output.err);
}

/// Returns the arguments of each command line in the fenced blocks of a document, up to the first
/// redirection or quote.
fn command_lines(document: &str) -> Vec<String> {
    let blocks = document.split("```").skip(1).step_by(2);
    let lines = blocks.filter(|block| !block.starts_with("text\n")).flat_map(str::lines);
    lines.filter_map(arguments).collect()
}

/// Returns the arguments with which a line of a shell or of a unit runs the command.
fn arguments(line: &str) -> Option<String> {
    let after = |start| line.split_once(start).map(|(_, args)| args);
    let args = after("exec glance-notify ")
        .or_else(|| line.starts_with("cargo run ").then(|| after(" -- "))?)
        .or_else(|| line.trim_start_matches("$ ").strip_prefix("glance-notify "))?;
    Some(args.split(['<', '>', '\'', '|', '#']).next()?.trim().to_owned())
}
