//! The rows of the matrix of mistakes: how each subcommand works, and how you can get it wrong.
//!
//! `mistakes` runs them. It also fails for a subcommand that has no row here, and for an option that names a
//! file and that no row uses.

/// One way to run a subcommand: a command line that works, and the files and directories that it reads.
pub(crate) struct WorkingLine {
    pub(crate) line: &'static str,
    pub(crate) reads: &'static [&'static str],
}

/// The mistakes that one subcommand can meet.
pub(crate) struct MistakeRow {
    /// The names of the subcommand.
    pub(crate) subcommand: &'static str,
    /// Command lines that succeed in the prepared directory.
    pub(crate) works: &'static [WorkingLine],
    /// Command lines that write below the directory `locked`, which you may not enter.
    pub(crate) writes: &'static [&'static str],
    /// Command lines with a value of the wrong type.
    pub(crate) wrong_type: &'static [&'static str],
    /// Command lines with a name that does not exist: a key, an event type, a shell.
    pub(crate) unknown: &'static [&'static str],
    /// Command lines for input, a spool or an archive that is empty, with their exit codes.
    pub(crate) nothing: &'static [(&'static str, i32)],
}

/// The configuration. A subcommand that reads it has it among its files.
pub(crate) const CONFIG: &str = "notify.toml";

/// Describes a working line.
const fn line(line: &'static str, reads: &'static [&'static str]) -> WorkingLine {
    WorkingLine { line, reads }
}

/// Every subcommand.
pub(crate) const ROWS: &[MistakeRow] = &[
    MistakeRow {
        subcommand: "emit",
        works: &[
            line("emit in.jsonl", &[CONFIG, "in.jsonl"]),
            line(
                "emit --event image.upload --priority ERROR --payload @text.json",
                &[CONFIG, "text.json"],
            ),
        ],
        writes: &[
            "emit in.jsonl --acks locked/acks",
            "emit in.jsonl --failed locked/failed",
            "emit in.jsonl --rejected locked/rejected",
            "emit in.jsonl --set log.file=locked/n.log",
            "emit in.jsonl --set spool.dir=locked/spool",
        ],
        wrong_type: &["emit in.jsonl --timeout soon", "emit in.jsonl --set log.sync=perhaps"],
        unknown: &[
            "emit in.jsonl --set log.fiel=n.log",
            "emit --event image.upload --priority LOUD --payload text",
        ],
        nothing: &[("emit empty", 0)],
    },
    MistakeRow {
        subcommand: "validate",
        works: &[line("validate in.jsonl", &["in.jsonl"])],
        writes: &[],
        wrong_type: &["validate in.jsonl -o table"],
        unknown: &[],
        nothing: &[("validate empty", 0)],
    },
    MistakeRow {
        subcommand: "schema",
        works: &[line("schema", &[]), line("schema --example image.upload", &[])],
        writes: &[],
        wrong_type: &[],
        unknown: &["schema image.uplaod"],
        nothing: &[],
    },
    MistakeRow {
        subcommand: "listen",
        works: &[
            line(
                "listen --from day.jsonl --exit-at-end --names names.json",
                &["day.jsonl", "names.json"],
            ),
            line("listen --from sources.toml --exit-at-end", &["sources.toml", "day.jsonl"]),
            line("listen --from day.jsonl --exit-at-end --to to.toml", &["to.toml", "day.jsonl"]),
        ],
        writes: &[
            "listen --from day.jsonl --exit-at-end --checkpoint locked/position",
            "listen --from day.jsonl --exit-at-end --dead-letters locked/dead.jsonl",
        ],
        wrong_type: &[
            "listen --from day.jsonl --exit-at-end -n many",
            "listen --from day.jsonl --exit-at-end --exec cat --jobs 0",
            "listen --from amqp://127.0.0.1 --exit-at-end",
            "listen --from amqp:/127.0.0.1",
        ],
        unknown: &[
            "listen --from day.jsonl --exit-at-end --priority LOUD",
            "listen --from day.jsonl --exit-at-end --tap audit",
        ],
        nothing: &[("listen --from empty --exit-at-end", 1)],
    },
    MistakeRow {
        subcommand: "replay",
        works: &[
            line(
                "replay --from day.jsonl --to to.toml --names names.json",
                &["day.jsonl", "to.toml", "names.json"],
            ),
            line("replay --from sources.toml --dry-run", &["sources.toml", "day.jsonl"]),
            line("replay --from audit --to to.toml", &["audit", "to.toml"]),
        ],
        writes: &[
            "replay --from day.jsonl --to to.toml --checkpoint locked/position",
            "replay --from day.jsonl --to to.toml --dead-letters locked/dead.jsonl",
        ],
        wrong_type: &[
            "replay --from day.jsonl --to to.toml --rate fast",
            "replay --from amqp://127.0.0.1 --to to.toml",
            "replay --from audit --from day.jsonl --to to.toml",
            "replay --from audit --to to.toml --checkpoint position",
        ],
        unknown: &["replay --from day.jsonl", "replay --from day.jsonl --to empty"],
        nothing: &[
            ("replay --from empty --to to.toml", 0),
            ("replay --from nothing --to to.toml", 0),
        ],
    },
    MistakeRow {
        subcommand: "dead ls",
        works: &[line("dead ls --dead-letters dead.jsonl", &["dead.jsonl"])],
        writes: &[],
        wrong_type: &["dead ls --dead-letters dead.jsonl --tz nowhere"],
        unknown: &["dead ls"],
        nothing: &[("dead ls --dead-letters empty", 0)],
    },
    MistakeRow {
        subcommand: "dead replay",
        works: &[line(
            "dead replay --all --to to.toml --dead-letters dead.jsonl",
            &["dead.jsonl", "to.toml"],
        )],
        writes: &["dead replay --all --to to.toml --dead-letters locked/dead.jsonl"],
        wrong_type: &[
            "dead replay 7 --to to.toml --dead-letters dead.jsonl",
            "dead replay --all --to to.toml --dead-letters dead.jsonl --timeout soon",
        ],
        unknown: &[
            "dead replay 0123456789ab --to to.toml --dead-letters dead.jsonl",
            "dead replay --to to.toml --dead-letters dead.jsonl",
        ],
        nothing: &[("dead replay --all --to to.toml --dead-letters empty", 0)],
    },
    MistakeRow {
        subcommand: "dead drop",
        works: &[line("dead drop --all --dead-letters dead.jsonl", &["dead.jsonl"])],
        writes: &["dead drop --all --dead-letters locked/dead.jsonl"],
        wrong_type: &["dead drop 7 --dead-letters dead.jsonl"],
        unknown: &[
            "dead drop 0123456789ab --dead-letters dead.jsonl",
            "dead drop --dead-letters dead.jsonl",
        ],
        nothing: &[("dead drop --all --dead-letters empty", 0)],
    },
    MistakeRow {
        subcommand: "doctor",
        works: &[
            line("doctor --from day.jsonl", &["day.jsonl"]),
            line("doctor --from sources.toml", &["sources.toml", "day.jsonl"]),
        ],
        writes: &[],
        wrong_type: &["doctor --from day.jsonl --watch soon", "doctor --from day.jsonl -w 1"],
        unknown: &["doctor --from day.jsonl --grant audit"],
        nothing: &[("doctor --from empty", 0)],
    },
    MistakeRow {
        subcommand: "check",
        works: &[line("check", &[CONFIG])],
        writes: &["check --set log.file=locked/n.log", "check --set spool.dir=locked/spool"],
        wrong_type: &["check --set log.sync=perhaps"],
        unknown: &["check --set log.fiel=n.log"],
        nothing: &[],
    },
    MistakeRow {
        subcommand: "config init",
        works: &[line("config init sample.toml", &[]), line("config init -", &[])],
        writes: &["config init locked/sample.toml"],
        wrong_type: &["config init text.json"],
        unknown: &["config init --strategy rabit sample.toml"],
        nothing: &[],
    },
    MistakeRow {
        subcommand: "config explain",
        works: &[line("config explain queue.max_age", &[]), line("config explain", &[])],
        writes: &[],
        wrong_type: &[],
        unknown: &["config explain queue.max_aeg", "config explain nonsense"],
        nothing: &[],
    },
    MistakeRow {
        subcommand: "spool ls",
        works: &[
            line("spool ls", &[CONFIG, "spool"]),
            line("spool ls --messages", &[CONFIG, "spool"]),
        ],
        writes: &[],
        wrong_type: &["spool ls --slot first", "spool ls --tz Mars"],
        unknown: &["spool ls --slot 9"],
        nothing: &[("spool ls", 0), ("spool ls --messages", 0)],
    },
    MistakeRow {
        subcommand: "spool show",
        works: &[line("spool show 0/0", &[CONFIG, "spool"])],
        writes: &[],
        wrong_type: &["spool show first"],
        unknown: &["spool show 0/99"],
        nothing: &[],
    },
    MistakeRow {
        subcommand: "spool stats",
        works: &[line("spool stats", &[CONFIG, "spool"])],
        writes: &[],
        wrong_type: &["spool stats --tz Mars"],
        unknown: &[],
        nothing: &[("spool stats", 0)],
    },
    MistakeRow {
        subcommand: "spool retry",
        works: &[line("spool retry --all", &[CONFIG, "spool"])],
        writes: &[],
        wrong_type: &["spool retry first"],
        unknown: &["spool retry 0/99"],
        nothing: &[("spool retry --all", 0)],
    },
    MistakeRow {
        subcommand: "spool drop",
        works: &[line("spool drop --all", &[CONFIG, "spool"])],
        writes: &[],
        wrong_type: &["spool drop first", "spool drop"],
        unknown: &["spool drop 0/99"],
        nothing: &[("spool drop --all", 0)],
    },
    MistakeRow {
        subcommand: "spool export",
        works: &[line("spool export", &[CONFIG, "spool"])],
        writes: &["spool export locked/x"],
        wrong_type: &["spool export --slot first"],
        unknown: &["spool export --slot 9"],
        nothing: &[("spool export", 0)],
    },
    MistakeRow {
        subcommand: "spool drain",
        works: &[line("spool drain", &[CONFIG, "spool"])],
        writes: &["spool drain --set log.file=locked/n.log"],
        wrong_type: &["spool drain --timeout soon"],
        unknown: &[],
        nothing: &[("spool drain", 0)],
    },
    MistakeRow {
        subcommand: "archive import",
        works: &[line("archive import --archive new day.jsonl", &["day.jsonl"])],
        writes: &[
            "archive import --archive locked/new day.jsonl",
            "archive import --archive locked day.jsonl",
        ],
        wrong_type: &["archive import --archive in.jsonl day.jsonl"],
        unknown: &[],
        nothing: &[("archive import --archive new empty", 0)],
    },
    MistakeRow {
        subcommand: "archive export",
        works: &[line("archive export --archive audit", &["audit"])],
        writes: &[],
        wrong_type: &["archive export --archive audit --since yesterday"],
        unknown: &["archive export --archive audit -o xml"],
        nothing: &[("archive export --archive nothing", 0)],
    },
    MistakeRow {
        subcommand: "archive backup",
        works: &[line("archive backup --archive audit copy", &["audit"])],
        writes: &["archive backup --archive audit locked/copy"],
        wrong_type: &["archive backup --archive audit in.jsonl"],
        unknown: &[],
        nothing: &[("archive backup --archive nothing copy", 0)],
    },
    MistakeRow {
        subcommand: "archive verify",
        works: &[line("archive verify --archive audit", &["audit"])],
        writes: &[],
        wrong_type: &["archive verify --archive audit -o table"],
        unknown: &[],
        nothing: &[("archive verify --archive nothing", 0)],
    },
    MistakeRow {
        subcommand: "archive retain",
        works: &[line("archive retain --archive audit --max-days 36500", &["audit"])],
        writes: &[],
        wrong_type: &[
            "archive retain --archive audit --max-days many",
            "archive retain --archive audit",
        ],
        unknown: &[],
        nothing: &[("archive retain --archive nothing --max-days 1", 0)],
    },
    MistakeRow {
        subcommand: "archive baseline",
        works: &[line("archive baseline --archive audit images.json", &["images.json"])],
        writes: &["archive baseline --archive locked images.json"],
        wrong_type: &["archive baseline --archive in.jsonl images.json"],
        unknown: &[],
        nothing: &[("archive baseline --archive audit no-images.json", 0)],
    },
    MistakeRow {
        subcommand: "archive erase",
        works: &[line(
            "archive erase --archive audit --project c0ffee00c0ffee00c0ffee00c0ffee00 --reason r",
            &["audit"],
        )],
        writes: &[],
        wrong_type: &[
            "archive erase --archive audit --reason r",
            "archive erase --archive audit --user ab --reason r",
        ],
        unknown: &[],
        nothing: &[(
            "archive erase --archive nothing --project c0ffee00c0ffee00c0ffee00c0ffee00 --reason r",
            0,
        )],
    },
    MistakeRow {
        subcommand: "demo",
        works: &[line("demo", &[])],
        writes: &[],
        wrong_type: &[],
        unknown: &[],
        nothing: &[],
    },
    MistakeRow {
        subcommand: "timeline",
        works: &[
            line(
                "timeline debian-12 --from day.jsonl --names names.json",
                &["day.jsonl", "names.json"],
            ),
            line("timeline debian-12 --from audit", &["audit"]),
        ],
        writes: &[],
        wrong_type: &[
            "timeline debian-12 --from day.jsonl --since yesterday",
            "timeline debian-12 --from day.jsonl --since 2026-11-25 --until 2026-11-24",
            "timeline debian-12 --from day.jsonl --names day.jsonl",
        ],
        unknown: &["timeline debian-12 --from day.jsonl --tz Mars"],
        nothing: &[("timeline debian-12 --from empty", 1), ("timeline a --from nothing", 1)],
    },
    MistakeRow {
        subcommand: "search",
        works: &[
            line("search --from day.jsonl --names names.json", &["day.jsonl", "names.json"]),
            line("search --from audit", &["audit"]),
        ],
        writes: &[],
        wrong_type: &["search --from day.jsonl -n many"],
        unknown: &["search --from day.jsonl --priority LOUD"],
        nothing: &[("search --from empty", 1), ("search --from nothing", 1)],
    },
    MistakeRow {
        subcommand: "who",
        works: &[
            line("who debian-12 --from day.jsonl --names names.json", &["day.jsonl", "names.json"]),
            line("who debian-12 --from audit", &["audit"]),
        ],
        writes: &[],
        wrong_type: &["who debian-12 --from day.jsonl --until tomorrow"],
        unknown: &["who debian-12 --from day.jsonl -o table"],
        nothing: &[("who debian-12 --from empty", 1), ("who debian-12 --from nothing", 1)],
    },
    report("report stuck", STUCK, &[("report stuck --from empty", 0)]),
    report("report transfers", TRANSFERS, &[("report transfers --from empty", 0)]),
    MistakeRow {
        subcommand: "report storage",
        works: &[
            line(
                "report storage --from day.jsonl --names names.json --baseline images.json",
                &["day.jsonl", "names.json", "images.json"],
            ),
            line("report storage --from audit", &["audit"]),
        ],
        writes: &[],
        wrong_type: &[
            "report storage --from day.jsonl --by size",
            "report storage --from day.jsonl --baseline in.jsonl",
        ],
        unknown: &[],
        nothing: &[("report storage --from empty", 0), ("report storage --from nothing", 0)],
    },
    report("report failures", FAILURES, &[("report failures --from empty", 0)]),
    report("report deletions", DELETIONS, &[("report deletions --from empty", 0)]),
    report("report activity", ACTIVITY, &[("report activity --from nothing", 0)]),
    #[cfg(feature = "serve")]
    MistakeRow {
        subcommand: "serve",
        works: &[
            line(
                "serve audit --check --listen 127.0.0.1:0 --names names.json",
                &["audit", "names.json"],
            ),
            line(
                "serve day.jsonl --check --listen 127.0.0.1:0 --token-file token",
                &["day.jsonl", "token"],
            ),
        ],
        writes: &[],
        wrong_type: &[
            "serve audit --check --listen 9470",
            "serve audit --check --listen 0.0.0.0:0",
            "serve audit --check --listen 127.0.0.1:0 --token-file empty",
            "serve audit --check --deadline soon",
        ],
        unknown: &["serve audit --check --tz Mars", "serve --check"],
        nothing: &[("serve nothing --check --listen 127.0.0.1:0", 0)],
    },
    MistakeRow {
        subcommand: "completions",
        works: &[line("completions bash", &[])],
        writes: &[],
        wrong_type: &[],
        unknown: &["completions tcsh"],
        nothing: &[],
    },
    MistakeRow {
        subcommand: "man",
        works: &[line("man", &[]), line("man .", &[])],
        writes: &["man locked"],
        wrong_type: &["man in.jsonl", "man missing"],
        unknown: &[],
        nothing: &[],
    },
];

/// Describes a report over a file with names, and over an archive.
const fn report(
    subcommand: &'static str,
    works: &'static [WorkingLine],
    nothing: &'static [(&'static str, i32)],
) -> MistakeRow {
    MistakeRow { subcommand, works, writes: &[], wrong_type: &[], unknown: &[], nothing }
}

const STUCK: &[WorkingLine] = &[
    line("report stuck --from day.jsonl --names names.json", &["day.jsonl", "names.json"]),
    line("report stuck --from audit", &["audit"]),
];
const TRANSFERS: &[WorkingLine] = &[
    line("report transfers --from day.jsonl --names names.json", &["day.jsonl", "names.json"]),
    line("report transfers --from audit", &["audit"]),
];
const FAILURES: &[WorkingLine] = &[
    line("report failures --from day.jsonl --names names.json", &["day.jsonl", "names.json"]),
    line("report failures --from audit", &["audit"]),
];
const DELETIONS: &[WorkingLine] = &[
    line("report deletions --from day.jsonl --names names.json", &["day.jsonl", "names.json"]),
    line("report deletions --from audit", &["audit"]),
];
const ACTIVITY: &[WorkingLine] = &[
    line("report activity --from day.jsonl --names names.json", &["day.jsonl", "names.json"]),
    line("report activity --from audit", &["audit"]),
];
