//! The mistakes of `demo`, of the questions to files and archives, and of `serve`.

use super::{MistakeRow, WorkingLine, line};

pub(super) const ROWS: &[MistakeRow] = &[
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
        wrong_type: &["report storage --from day.jsonl --by size"],
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
