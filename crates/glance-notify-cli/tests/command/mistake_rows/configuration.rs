//! The mistakes of `check` and `config`.

use super::{CONFIG, MistakeRow, line};

pub(super) const ROWS: &[MistakeRow] = &[
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
];
