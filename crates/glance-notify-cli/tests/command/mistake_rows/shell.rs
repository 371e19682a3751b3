//! The mistakes of `completions` and `man`.

use super::{MistakeRow, line};

pub(super) const ROWS: &[MistakeRow] = &[
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
