//! `cargo xtask tidy`: the invariants of the code base, each a check with a name.
//!
//! The compiler and clippy hold the invariants that they can (`workspace.lints`); these are the
//! others. Each check has a test on a workspace that violates it.

mod crates;
mod duplicates;
mod front_page;
mod imports;
mod language;
mod layout;
mod names;
mod published;
mod sources;
mod tokens;
mod workspace;

use anyhow::{Result, bail};

use crate::cargo;
use crate::features;
use workspace::Workspace;

/// Runs every check and prints each violation.
///
/// # Errors
///
/// When a check finds a violation, or when the workspace cannot be read.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::read(&cargo::root())?;
    let mut violated = 0;
    let mut report = |name: &str, problems: Vec<String>| {
        for problem in &problems {
            eprintln!("{name}: {problem}");
        }
        violated += usize::from(!problems.is_empty());
    };
    for (name, check) in CHECKS {
        report(name, check(&workspace));
    }
    report("default features pull no network crate", features::problems_of_the_default()?);

    for note in sources::long_files(&workspace) {
        println!("note: {note}");
    }
    if violated > 0 {
        bail!("{violated} of {} invariants are violated", CHECKS.len() + 1);
    }
    println!("{} invariants hold", CHECKS.len() + 1);
    Ok(())
}

/// A check returns its violations, one line each.
type Check = fn(&Workspace) -> Vec<String>;

const CHECKS: [(&str, Check); 24] = [
    ("core names no backend", crates::core_names_no_backend),
    ("a transport depends on core, notify-net and its client only", crates::transports_are_apart),
    ("only the facade knows all transports", crates::only_the_facade_knows_transports),
    ("the conformance suite is for tests", crates::conformance_is_for_tests),
    ("xtask depends on none of the libraries", crates::xtask_stands_alone),
    ("crates/ holds what is published", layout::crates_are_published),
    ("published crates describe themselves", published::crates_describe_themselves),
    ("the README of a library is its documentation", published::readmes_are_up_to_date),
    ("every member has a line of comment", layout::members_have_comments),
    ("notify-core/src has at most nine entries", layout::core_is_grouped),
    ("file names work on Windows", layout::file_names_are_portable),
    ("forbid(unsafe_code) everywhere", layout::lints_hold_everywhere),
    ("the root holds what it may", layout::root_is_clean),
    ("no import cycle between files", imports::no_import_cycles),
    ("no two types of one name in a crate", names::types_are_unique),
    ("types are nouns", names::types_are_nouns),
    ("a front page shows at most 25 names", front_page::front_pages_are_short),
    ("plain words only", language::no_archaic_words),
    ("no client type in a public signature", sources::no_client_type_in_public),
    ("every file opens with //!", sources::files_open_with_their_purpose),
    ("only the command, xtask and log.target = \"stdout\" print", sources::libraries_do_not_print),
    ("no bare #[allow]", sources::no_bare_allow),
    ("no six alike lines in both AMQP crates", duplicates::amqp_crates_share_no_lines),
    ("no todo!", sources::no_unfinished_code),
];
