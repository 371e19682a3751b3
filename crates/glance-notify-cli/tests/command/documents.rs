//! The command lines in the documents: each has subcommands and options that exist.

use std::path::Path;

use crate::support::Sandbox;

/// Every line of the documents that runs the command is valid usage.
///
/// `--help` at its end makes the parser accept or reject the whole line, and runs nothing.
#[test]
fn every_command_line_of_the_documents_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = 0;
    for directory in [root.clone(), root.join("docs")] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                for line in command_lines(&std::fs::read_to_string(&path).unwrap()) {
                    let args = line.split_whitespace().chain(["--help"]);
                    let output = Sandbox::new().run(args);
                    assert_eq!(output.code, Some(0), "{}: {line}\n{}", path.display(), output.err);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 10, "{checked} command lines found");
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
        .or_else(|| after("glance-notify-cli -- "))
        .or_else(|| line.trim_start_matches("$ ").strip_prefix("glance-notify "))?;
    Some(args.split(['<', '\'', '|', '#']).next()?.trim().to_owned())
}
