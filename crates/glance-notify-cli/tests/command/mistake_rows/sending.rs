//! The mistakes of `emit`, `validate` and `schema`.

use super::{CONFIG, MistakeRow, line};

pub(super) const ROWS: &[MistakeRow] = &[
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
];
