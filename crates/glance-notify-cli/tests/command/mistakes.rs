//! The matrix of mistakes: every subcommand and every class of mistake gives the exit code of the table and
//! one sentence that says what to do.
//!
//! The sentences are in `snapshots/`. Review them with `cargo insta review` after a change. The rows are in
//! `mistake_rows`.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::mistake_rows::{CONFIG, MistakeRow, WorkingLine, rows};
use crate::support::{
    CommandOutput, LIFECYCLE, Sandbox, UnprivilegedUser, broken_pipe, help_pages, line, spooled,
};

/// The configuration: it delivers to the file `n.log`, behind a spool.
const LOG_CONFIG: &str = "strategy = \"log\"\nlog.file = \"n.log\"\nspool.dir = \"spool\"\n";

/// The subcommands that read no configuration. The rows of `archive` are those of its own subcommands, and those
/// of `dead`, `doctor` and `serve` name what a configuration would name.
const WITHOUT_CONFIG: [&str; 14] = [
    "archive",
    "completions",
    "config",
    "dead",
    "demo",
    "doctor",
    "man",
    "report",
    "schema",
    "search",
    "serve",
    "timeline",
    "validate",
    "who",
];

/// A directory with everything that the rows need. Each case runs in a copy of it.
pub(crate) struct MistakeSandbox(Sandbox);

impl MistakeSandbox {
    /// Makes the directory.
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.file(CONFIG, LOG_CONFIG);
        sandbox.file("in.jsonl", LIFECYCLE);
        sandbox.file("day.jsonl", include_str!("../../../../docs/samples/cloud-day.jsonl"));
        sandbox.file("text.json", "\"a\"");
        sandbox.file("sources.toml", "[[source]]\nname = \"day\"\nfile = \"day.jsonl\"\n");
        sandbox.file("to.toml", "strategy = \"log\"\nlog.file = \"copy.jsonl\"\n");
        sandbox.file(
            "dead.jsonl",
            r#"{"dead_at":"2026-11-24T12:00:00Z","source":"north","position":"n.log:7","reason":"no project","attempts":6,"received_at":"2026-11-24T11:00:00Z","message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","size":180,"body":"{\"message_id\":\"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11\",\"publisher_id\":\"h\",\"event_type\":\"image.delete\",\"priority\":\"WARN\",\"payload\":\"gone\",\"timestamp\":\"2026-11-22 12:00:00.000000\"}"}"#,
        );
        sandbox.file("names.json", "[]");
        sandbox.file("token", "0123456789abcdef\n");
        // Otherwise a warning stands beside each error.
        fs::set_permissions(sandbox.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        sandbox.file("images.json", "[]");
        sandbox.file("no-images.json", "[]");
        sandbox.file("empty", "");
        fs::create_dir(sandbox.path("locked")).unwrap();
        // One message waits in the spool, in front of a broker that is unreachable.
        sandbox.pipe(spooled(&["emit"]), line("a")).expect(0);
        sandbox.run(["archive", "import", "--archive", "audit", "day.jsonl"]).expect(0);
        sandbox.run(["archive", "import", "--archive", "nothing", "empty"]).expect(0);
        Self(sandbox)
    }

    /// Returns the directory itself.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.0
    }

    /// Returns a copy of the directory.
    pub(crate) fn copy(&self) -> Sandbox {
        let copy = Sandbox::new();
        let from = self.0.dir.path().join(".");
        let copied = Command::new("cp").arg("-a").arg(from).arg(copy.dir.path()).status();
        assert!(copied.unwrap().success());
        copy
    }
}

/// The commands of one class of mistakes, with their codes and messages.
#[derive(Default)]
pub(crate) struct Transcript(String);

impl Transcript {
    /// Adds one case, and asserts its code and that an error has exactly one message.
    #[track_caller]
    pub(crate) fn add(
        &mut self,
        sandbox: &Sandbox,
        mistake: &str,
        line: &str,
        code: i32,
        output: &CommandOutput,
    ) {
        let dir = sandbox.dir.path().display().to_string();
        let (out, err) = (output.out.replace(&dir, "DIR"), output.err.replace(&dir, "DIR"));
        assert_eq!(output.code, Some(code), "{mistake}: {line}\nout: {out}\nerr: {err}");
        assert!(!err.contains("panicked"), "{line}: {err}");
        // `check` reports its findings on standard output.
        let findings = out.lines().filter(|line| line.starts_with("bad "));
        // clap ends an error with the usage.
        let usage = ["Usage:", "For more information"];
        let err = err.lines().filter(|line| !usage.iter().any(|usage| line.starts_with(usage)));
        let messages: Vec<_> = findings.chain(err.filter(|line| !line.is_empty())).collect();
        let mistake = if mistake.is_empty() { String::new() } else { format!("   # {mistake}") };
        writeln!(self.0, "$ glance-notify {line}{mistake}\nexit code {code}").unwrap();
        for message in messages {
            writeln!(self.0, "{message}").unwrap();
        }
        self.0.push('\n');
    }

    /// Returns the text for a snapshot.
    pub(crate) fn text(self) -> String {
        self.0
    }
}

/// Runs a command line with the configuration.
pub(crate) fn run(sandbox: &Sandbox, line: &str) -> CommandOutput {
    sandbox.run(arguments(line))
}

/// Returns the arguments of a command line, with the configuration if the subcommand reads one.
pub(crate) fn arguments(line: &str) -> impl Iterator<Item = &str> {
    let command = line.split(' ').next().unwrap_or_default();
    let config: &[&str] = if WITHOUT_CONFIG.contains(&command) { &[] } else { &["-c", CONFIG] };
    line.split(' ').chain(config.iter().copied())
}

/// Returns every row with every one of its working lines.
fn working_lines() -> impl Iterator<Item = (&'static MistakeRow, &'static WorkingLine)> {
    rows().flat_map(|row| row.works.iter().map(move |works| (row, works)))
}

/// Spoils each file and directory that a command reads, and adds what the command says.
fn spoil_each_input(code: i32, mistake: &str, spoil: impl Fn(&str, &Path)) -> String {
    let prepared = MistakeSandbox::new();
    let mut transcript = Transcript::default();
    for (_, works) in working_lines() {
        for input in works.reads {
            let sandbox = prepared.copy();
            spoil(works.line, &sandbox.path(input));
            let output = run(&sandbox, works.line);
            transcript.add(&sandbox, &format!("{input} {mistake}"), works.line, code, &output);
        }
    }
    transcript.0
}

/// Every subcommand of the help has rows, and each option that names a file is in one of them.
#[test]
fn every_subcommand_is_in_the_matrix() {
    let mut subcommands = Vec::new();
    for (path, help) in help_pages() {
        if help.contains("\nCommands:\n") {
            continue;
        }
        let row = rows().find(|row| row.subcommand == path);
        let row = row.unwrap_or_else(|| panic!("add a row for `{path}` to `mistake_rows`"));
        let mut lines: Vec<_> = row.works.iter().map(|works| works.line).collect();
        lines.extend(row.writes);
        for option in help.lines().filter_map(|line| line.trim().strip_prefix("--")) {
            let Some((name, value)) = option.split_once(" <") else { continue };
            if value.contains("FILE") || value.contains("DIR") {
                let option = format!("--{name} ");
                let is_used = lines.iter().any(|line| line.contains(&option));
                assert!(is_used, "`{path} {option}` names a file: add a line with it");
            }
        }
        let names_file = ["FILE]", "FILE>", "DIR]", "DIR>", "[INPUT]"];
        let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap();
        if names_file.iter().any(|name| usage.contains(name)) {
            let reads = row.works.iter().any(|works| !works.reads.is_empty());
            assert!(reads || !row.writes.is_empty(), "`{path}` names a file");
        }
        subcommands.push(path);
    }
    for row in rows() {
        assert!(subcommands.iter().any(|path| path == row.subcommand), "{}", row.subcommand);
        for line in row.works.iter().map(|works| works.line).chain(row.writes.iter().copied()) {
            assert!(line.starts_with(row.subcommand), "{line}");
        }
    }
}

/// Every command of the matrix works before it is spoiled: 0.
#[test]
fn every_line_of_the_matrix_works() {
    let prepared = MistakeSandbox::new();
    for (_, works) in working_lines() {
        run(&prepared.copy(), works.line).expect(0);
    }
}

/// A missing file or directory needs a change: 2.
#[test]
fn a_missing_file_exits_with_2() {
    let text = spoil_each_input(2, "is missing", |_, path| remove(path));
    insta::assert_snapshot!(text);
}

/// A directory in place of a file, a file in place of a directory, and a directory without an archive need a
/// change: 2.
#[test]
fn an_unreadable_file_exits_with_2() {
    let text = spoil_each_input(2, "is of another type", |line, path| {
        // A question and `serve` read files and archives alike.
        let reads_files = line.contains("--from") || line.starts_with("serve ");
        let needs_file = path.is_dir() && !reads_files;
        remove(path);
        if needs_file { fs::write(path, "").unwrap() } else { fs::create_dir(path).unwrap() }
    });
    insta::assert_snapshot!(text);
}

/// A file or directory without permission needs a change: 2.
///
/// Root may read everything, so a test as root runs the command as another user.
#[test]
fn a_missing_permission_exits_with_2() {
    let prepared = MistakeSandbox::new();
    let user = UnprivilegedUser::new();
    let mut transcript = Transcript::default();
    let reads = working_lines()
        .flat_map(|(_, works)| works.reads.iter().map(move |input| (works.line, *input)));
    let writes = rows().flat_map(|row| row.writes.iter().map(|line| (*line, "locked")));
    for (line, file) in reads.chain(writes) {
        let sandbox = prepared.copy();
        let path = sandbox.path(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        let output = user.run(&sandbox, arguments(line));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        transcript.add(&sandbox, &format!("{file} has mode 000"), line, 2, &output);
    }
    insta::assert_snapshot!(transcript.text());
}

/// A value of the wrong type, in the configuration or in an option, needs a change: 2.
#[test]
fn a_value_of_the_wrong_type_exits_with_2() {
    let wrong = LOG_CONFIG.replace("\"spool\"", "7");
    let text = misuse(&wrong, "--color=sometimes", |row| row.wrong_type);
    insta::assert_snapshot!(text);
}

/// An unknown key, option, event type or message needs a change: 2.
#[test]
fn an_unknown_key_exits_with_2() {
    let wrong = format!("{LOG_CONFIG}spool.sise = 1\n");
    let text = misuse(&wrong, "--colour", |row| row.unknown);
    insta::assert_snapshot!(text);
}

/// Runs each subcommand with a wrong configuration if it reads one, with an option that no subcommand
/// accepts, and with the lines of its row.
fn misuse(
    config: &str,
    option: &str,
    lines: impl Fn(&MistakeRow) -> &'static [&'static str],
) -> String {
    let prepared = MistakeSandbox::new();
    let mut transcript = Transcript::default();
    for row in rows() {
        let first = &row.works[0];
        if first.reads.contains(&CONFIG) {
            let sandbox = prepared.copy();
            sandbox.file(CONFIG, config);
            let output = run(&sandbox, first.line);
            transcript.add(&sandbox, "wrong configuration", first.line, 2, &output);
        }
        let with_option = format!("{} {option}", first.line);
        for line in [with_option.as_str()].iter().chain(lines(row)) {
            let sandbox = prepared.copy();
            let output = run(&sandbox, line);
            transcript.add(&sandbox, "", line, 2, &output);
        }
    }
    transcript.0
}

/// A configuration for a subcommand that reads none needs a change: 2. One that is found by itself does not.
#[test]
fn a_configuration_without_effect_exits_with_2() {
    let prepared = MistakeSandbox::new();
    let is_without = |row: &&MistakeRow| arguments(row.subcommand).all(|word| word != CONFIG);
    for row in rows().filter(is_without) {
        for options in [["-c", CONFIG], ["--set", "queue.max_age=9"]] {
            let sandbox = prepared.copy();
            let output = sandbox.run(arguments(row.works[0].line).chain(options));
            let advice = format!("reads no configuration: leave out `{}`", options[0]);
            output.expect_message(2, &advice);
        }
        let sandbox = prepared.copy();
        sandbox.file("glance-notify.toml", "unknown = 1");
        let mut command = sandbox.command(arguments(row.works[0].line));
        // The environment is a layer over the configuration of `--to`.
        if !row.works[0].line.contains("--to ") {
            command.env("GLANCE_NOTIFY__UNKNOWN", "1");
        }
        CommandOutput::from(command.output().unwrap()).expect(0);
    }
}

/// A closed pipe behind a command that prints is no failure: 0.
#[test]
fn a_closed_pipe_exits_with_0() {
    let prepared = MistakeSandbox::new();
    for (_, works) in working_lines() {
        for output in ["", " -o json", " -o csv", " -o raw"] {
            let sandbox = prepared.copy();
            let line = format!("{}{output}", works.line);
            // Each subcommand has its own forms.
            if run(&prepared.copy(), &line).code != Some(0) {
                continue;
            }
            let mut command = sandbox.command(arguments(&line));
            let result = CommandOutput::from(command.stdout(broken_pipe()).output().unwrap());
            let err = result.expect(0).err;
            assert!(!err.contains("Broken pipe"), "{line}: {err}");
        }
    }
}

/// Nothing to do is no failure: 0. A question without an answer: 1.
#[test]
fn nothing_to_do_has_a_code_of_its_own() {
    let prepared = MistakeSandbox::new();
    run(prepared.sandbox(), "spool drop --all").expect(0);
    let mut transcript = Transcript::default();
    for (line, code) in rows().flat_map(|row| row.nothing) {
        let sandbox = prepared.copy();
        let output = run(&sandbox, line);
        transcript.add(&sandbox, "", line, *code, &output);
    }
    insta::assert_snapshot!(transcript.text());
}

/// Removes a file or a directory.
fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}
