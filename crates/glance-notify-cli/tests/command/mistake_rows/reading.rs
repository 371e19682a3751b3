//! The mistakes of `listen`, `replay`, `dead` and `doctor`.

use super::{MistakeRow, line};

pub(super) const ROWS: &[MistakeRow] = &[
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
            "replay --from day.jsonl --to to.toml -n 0",
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
        wrong_type: &[
            "doctor --from day.jsonl --watch soon",
            "doctor --from day.jsonl -w 1",
            "doctor --from day.jsonl --nagios -C many",
        ],
        unknown: &["doctor --from day.jsonl --grant audit"],
        nothing: &[("doctor --from empty", 0)],
    },
];
