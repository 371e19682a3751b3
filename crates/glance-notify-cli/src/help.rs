//! The help texts: two or three examples and the exit codes for every subcommand.
//!
//! A test parses each example, and fails for a subcommand without any.

use clap::Command;

use crate::exit_status::ExitStatus;

/// Adds examples and the table of exit codes to the help of a command and of its subcommands.
///
/// `-h` shows the examples, and `--help` shows both.
pub(crate) fn with_examples(command: Command) -> Command {
    add_to(command, "")
}

/// Adds the help to the command whose names below `glance-notify` are `path`.
fn add_to(command: Command, path: &str) -> Command {
    let examples = EXAMPLES.iter().find(|(name, _)| *name == path);
    let examples = examples.map(|(_, lines)| format!("Examples:\n  {}", lines.join("\n  ")));
    // A subcommand may bring its own.
    let examples = examples.or_else(|| command.get_after_help().map(ToString::to_string));
    let codes = ExitStatus::help();
    let command = match examples {
        Some(examples) => {
            command.after_long_help(format!("{examples}\n\n{codes}")).after_help(examples)
        }
        None => command.after_long_help(codes),
    };
    command.mut_subcommands(|subcommand| {
        let path = format!("{path} {}", subcommand.get_name());
        add_to(subcommand, path.trim_start())
    })
}

/// The examples of each subcommand.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "glance-notify check -c /etc/glance/notify.toml",
            "glance-notify emit -c /etc/glance/notify.toml notifications.jsonl",
            "glance-notify schema --example | glance-notify validate --strict",
        ],
    ),
    (
        "emit",
        &[
            "glance-notify emit -c /etc/glance/notify.toml notifications.jsonl",
            "glance-notify emit -c notify.toml --failed failed.jsonl --rejected rejected.txt < in.jsonl",
            "glance-notify emit -c notify.toml --event image.upload --priority ERROR --payload @text.json",
        ],
    ),
    (
        "validate",
        &[
            "glance-notify validate notifications.jsonl",
            "glance-notify validate --strict -o json notifications.jsonl",
            "glance-notify schema --example | glance-notify validate --strict",
        ],
    ),
    (
        "schema",
        &[
            "glance-notify schema image.delete > image.delete.schema.json",
            "glance-notify schema --example image.upload",
        ],
    ),
    (
        "check",
        &[
            "glance-notify check -c /etc/glance/notify.toml",
            "glance-notify check -c /etc/glance/glance-api.conf",
            "glance-notify check --set strategy=log --set log.file=notifications.log -o json",
        ],
    ),
    (
        "listen",
        &[
            "glance-notify listen --from /etc/glance/glance-api.conf --event image.delete",
            "glance-notify listen --from n.log --exit-at-end --image debian-12 -o json",
            "glance-notify listen --from /etc/glance-notify/sources.toml --exec ./handle.sh --jobs 4",
        ],
    ),
    (
        "replay",
        &[
            "glance-notify replay --from notifications.log --to other.toml --rate 100",
            "glance-notify replay --from n.log --since 2026-11-24 --event image.delete --dry-run",
            "glance-notify replay --from n.log --to other.toml --checkpoint replay.position",
        ],
    ),
    (
        "dead",
        &[
            "glance-notify dead ls --dead-letters /var/lib/audit/dead.jsonl",
            "glance-notify dead replay --all --to other.toml -c /etc/glance-notify/sources.toml",
        ],
    ),
    (
        "dead ls",
        &[
            "glance-notify dead ls --dead-letters /var/lib/audit/dead.jsonl --tz Europe/Berlin",
            "glance-notify dead ls -o json -c /etc/glance-notify/sources.toml",
        ],
    ),
    (
        "dead replay",
        &[
            "glance-notify dead replay --all --to other.toml --dead-letters dead.jsonl",
            "glance-notify dead replay 51c1a4b2e0f3 --to other.toml --dead-letters dead.jsonl",
        ],
    ),
    (
        "dead drop",
        &[
            "glance-notify dead drop 51c1a4b2e0f3 --dead-letters dead.jsonl",
            "glance-notify dead drop --all -c /etc/glance-notify/sources.toml",
        ],
    ),
    (
        "doctor",
        &[
            "glance-notify doctor --from /etc/glance/glance-api.conf --watch 30",
            "glance-notify doctor --from /etc/glance-notify/sources.toml --management --nagios -w 100 -C 1000",
            "glance-notify doctor --from /etc/glance/glance-api.conf --grant audit",
        ],
    ),
    (
        "spool",
        &[
            "glance-notify spool stats -c /etc/glance/notify.toml",
            "glance-notify spool ls --messages --dead --set spool.dir=/var/spool/glance-notify",
        ],
    ),
    (
        "spool ls",
        &[
            "glance-notify spool ls -c /etc/glance/notify.toml",
            "glance-notify spool ls --messages --dead -c /etc/glance/notify.toml",
            "glance-notify spool ls --messages -o json --set spool.dir=/var/spool/glance-notify",
        ],
    ),
    (
        "spool show",
        &[
            "glance-notify spool show 0/17 -c /etc/glance/notify.toml",
            "glance-notify spool show -o json c80a1a6c-bd1f-41c5-90ee-81afedb1d58d -c notify.toml",
        ],
    ),
    (
        "spool stats",
        &[
            "glance-notify spool stats -c /etc/glance/notify.toml --tz Europe/Berlin",
            "glance-notify spool stats -o json -c /etc/glance/notify.toml",
        ],
    ),
    (
        "spool retry",
        &[
            "glance-notify spool retry --all -c /etc/glance/notify.toml",
            "glance-notify spool retry 0/17 0/18 -c /etc/glance/notify.toml",
        ],
    ),
    (
        "spool drop",
        &[
            "glance-notify spool drop --dead -c /etc/glance/notify.toml",
            "glance-notify spool drop 0/17 -c /etc/glance/notify.toml",
        ],
    ),
    (
        "spool export",
        &[
            "glance-notify spool export spool.jsonl -c /etc/glance/notify.toml",
            "glance-notify spool export --dead -c /etc/glance/notify.toml | glance-notify validate",
        ],
    ),
    (
        "spool drain",
        &[
            "glance-notify spool drain -c /etc/glance/notify.toml",
            "glance-notify spool drain --timeout 600 -o json -c /etc/glance/notify.toml",
        ],
    ),
    (
        "archive",
        &[
            "glance-notify archive import --archive /var/lib/glance-notify/archive notifications.log",
            "glance-notify archive verify --archive /var/lib/glance-notify/archive",
        ],
    ),
    (
        "archive import",
        &[
            "glance-notify archive import --archive /var/lib/glance-notify/archive notifications.log",
            "glance-notify archive import --archive /var/lib/glance-notify/archive --region east api.log",
        ],
    ),
    (
        "archive export",
        &[
            "glance-notify archive export --archive /var/lib/glance-notify/archive --since 2026-11",
            "glance-notify archive export --archive /var/lib/glance-notify/archive -o csv > events.csv",
        ],
    ),
    (
        "archive backup",
        &[
            "glance-notify archive backup --archive /var/lib/glance-notify/archive /backup/glance-notify",
            "glance-notify archive backup -q --archive /var/lib/glance-notify/archive /backup/2026-11-22",
        ],
    ),
    (
        "archive verify",
        &[
            "glance-notify archive verify --archive /var/lib/glance-notify/archive",
            "glance-notify archive verify --archive /backup/glance-notify",
        ],
    ),
    (
        "archive retain",
        &[
            "glance-notify archive retain --archive /var/lib/glance-notify/archive --max-days 400",
            "glance-notify archive retain --archive /var/lib/glance-notify/archive --max-bytes 100000000000",
        ],
    ),
    (
        "archive baseline",
        &[
            "glance-notify archive baseline --archive /var/lib/glance-notify/archive images.json",
            "glance-notify archive baseline --archive /var/lib/glance-notify/archive - < images.json",
        ],
    ),
    (
        "archive erase",
        &[
            "glance-notify archive erase --archive audit --project 7be0 --reason ticket-4711",
            "glance-notify archive erase --archive audit --user 4a1f --reason ticket-4711",
        ],
    ),
    (
        "demo",
        &[
            "glance-notify demo | glance-notify timeline debian-12",
            "glance-notify demo | glance-notify report stuck",
        ],
    ),
    (
        "timeline",
        &[
            "glance-notify demo | glance-notify timeline debian-12",
            "glance-notify timeline debian-12 --from notifications.log --tz Europe/Berlin",
        ],
    ),
    (
        "search",
        &[
            "glance-notify search --event image.upload --since 2026-11 --from notifications.log",
            "glance-notify search --priority ERROR -n 20 --from notifications.log -o csv",
        ],
    ),
    (
        "who",
        &[
            "glance-notify demo | glance-notify who debian-12",
            "glance-notify who debian-12 --from notifications.log -o json",
        ],
    ),
    (
        "report",
        &[
            "glance-notify report transfers --since 2026-11 --until 2026-12 --from notifications.log",
            "glance-notify demo | glance-notify report stuck",
        ],
    ),
    (
        "report stuck",
        &[
            "glance-notify report stuck --from notifications.log",
            "glance-notify demo | glance-notify report stuck",
        ],
    ),
    (
        "report storage",
        &[
            "glance-notify report storage --since 2026-11 --until 2026-12 --from notifications.log",
            "glance-notify demo | glance-notify report storage -o csv",
        ],
    ),
    (
        "report transfers",
        &[
            "glance-notify report transfers --since 2026-11 --until 2026-12 --from notifications.log",
            "glance-notify demo | glance-notify report transfers -o json",
        ],
    ),
    (
        "report failures",
        &[
            "glance-notify report failures --since 2026-11 --until 2026-12 --from notifications.log",
            "glance-notify demo | glance-notify report failures -o csv",
        ],
    ),
    (
        "report deletions",
        &[
            "glance-notify report deletions --since 2026-11 --until 2026-12 --from notifications.log",
            "glance-notify demo | glance-notify report deletions -o json",
        ],
    ),
    (
        "report activity",
        &[
            "glance-notify report activity --since 2026-11 --until 2026-12 --from notifications.log",
            "glance-notify demo | glance-notify report activity -o csv",
        ],
    ),
    (
        "serve",
        &[
            "glance-notify demo | glance-notify serve",
            "glance-notify serve /var/lib/glance-notify/archive --tz Europe/Berlin",
            "glance-notify serve archive --listen 192.0.2.7:9470 --token-file token --host audit.example.org",
        ],
    ),
    (
        "completions",
        &[
            "glance-notify completions bash > /etc/bash_completion.d/glance-notify",
            "glance-notify completions zsh > ~/.zfunc/_glance-notify",
        ],
    ),
    ("man", &["glance-notify man | man -l -", "glance-notify man /usr/local/share/man/man1"]),
];
