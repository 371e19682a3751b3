//! The mistakes of `spool`.

use super::{CONFIG, MistakeRow, line};

pub(super) const ROWS: &[MistakeRow] = &[
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
];
