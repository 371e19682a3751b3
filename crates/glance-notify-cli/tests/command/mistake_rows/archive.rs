//! The mistakes of `archive`.

use super::{MistakeRow, line};

pub(super) const ROWS: &[MistakeRow] = &[
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
];
