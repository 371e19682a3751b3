//! The slots of destinations that the configuration does not name any more.
//!
//! Nothing forwards them, because their messages belong to another destination. So they must not be
//! forgotten in silence.

use std::fs;
use std::path::{Path, PathBuf};

use notify_core::Result;
use notify_core::pipeline::DestinationName;
use notify_core::transport::Finding;

use crate::admin::slots;
use crate::config::Config;
use crate::error::printable_path;
use crate::slot::{database_version, slot_numbers};
use crate::spool_dir::SpoolDir;

/// Returns a finding for each directory with slots that `config` does not forward. Only looks.
pub(crate) fn find_unknown_slots(config: &Config) -> Vec<Finding> {
    let Some(known) = &config.known else { return Vec::new() };
    let root = config.shared_dir();
    let finding =
        |dir: &PathBuf| Finding::warning("spool", advice(root, dir, "may hold notifications"));
    unknown_dirs(root, known).iter().map(finding).collect()
}

/// Logs a warning for each directory with messages that `config` does not forward. Blocks, and opens the
/// slots that no process owns.
pub(crate) fn report_unknown_slots(config: &Config) {
    let Some(known) = &config.known else { return };
    let root = config.shared_dir();
    for dir in unknown_dirs(root, known) {
        // Messages in a slot that cannot be read must not be passed over in silence.
        let contents: Result<Vec<_>> =
            slots(&dir).and_then(|slots| slots.into_iter().map(|slot| slot.contents).collect());
        let contents = match contents {
            Err(error) => {
                tracing::warn!("{}: {error:#}", advice(root, &dir, "may hold notifications"));
                continue;
            }
            Ok(contents) => contents.into_iter().flatten(),
        };
        let (pending, dead) = contents.fold((0, 0), |(pending, dead), contents| {
            (pending + contents.pending.messages, dead + contents.dead.messages)
        });
        if pending + dead > 0 {
            let holds = format!("holds {pending} pending notifications and {dead} dead letters");
            tracing::warn!("{}", advice(root, &dir, &holds));
        }
    }
}

/// Returns the directories with slots that hold data and belong to none of `known`: `root` itself, unless
/// no destination has a name, and those below it.
fn unknown_dirs(root: &Path, known: &[DestinationName]) -> Vec<PathBuf> {
    let own = (!known.is_empty()).then(|| root.to_owned());
    let below = fs::read_dir(root).into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        let is_dir = entry.file_type().is_ok_and(|file_type| file_type.is_dir());
        let is_known = known.iter().any(|name| entry.file_name() == name.as_str());
        (is_dir && !is_known).then(|| entry.path())
    });
    let mut dirs: Vec<_> = own.into_iter().chain(below).filter(|dir| holds_slots(dir)).collect();
    dirs.sort();
    dirs
}

/// Returns whether a directory has a slot with a database.
fn holds_slots(dir: &Path) -> bool {
    let Ok(dir) = SpoolDir::open(dir, false) else { return false };
    let numbers = slot_numbers(&dir).unwrap_or_default();
    numbers.into_iter().any(|number| !database_version(&dir, number).is_empty())
}

/// Returns the text about a directory: `root` itself or one below it.
fn advice(root: &Path, dir: &Path, holds: &str) -> String {
    let name = match dir.file_name() {
        Some(name) if dir != root => printable_path(Path::new(name)),
        _ => "''".to_owned(),
    };
    let dir = printable_path(dir);
    format!(
        "{dir} {holds} of a destination that is not configured: nothing forwards them; configure that \
         destination again, or look with `glance-notify spool ls --destination {name}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a directory with one slot that holds data.
    fn make_slot(dir: &Path) {
        use std::os::unix::fs::DirBuilderExt as _;
        let _ = fs::DirBuilder::new().mode(0o700).create(dir);
        for name in ["slot-0.lock", "slot-0.redb"] {
            fs::write(dir.join(name), "x").unwrap();
        }
    }

    /// A spool of the only destination knows the directory itself; named destinations know those below.
    #[test]
    fn slots_of_destinations_without_a_configuration_are_found() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("spool");
        for dir in [root.clone(), root.join("audit"), root.join("broker")] {
            make_slot(&dir);
        }
        fs::create_dir(root.join("empty")).unwrap();
        let audit = DestinationName::new("audit").unwrap();
        assert_eq!(unknown_dirs(&root, &[]), [root.join("audit"), root.join("broker")]);
        assert_eq!(unknown_dirs(&root, &[audit]), [root.clone(), root.join("broker")]);
        assert!(unknown_dirs(&parent.path().join("none"), &[]).is_empty());
    }
}
