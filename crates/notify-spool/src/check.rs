//! The spool's part of `glance-notify check`: findings about the directory.
//!
//! The check only reads. It creates no directory, although a missing one is fine.

use std::fs;
use std::io;

use notify_core::transport::Finding;

use crate::admin;
use crate::config::Config;
use crate::error::printable_path;
use crate::spool_dir::missing_parent;

/// Inspects the spool's directory and returns one finding.
///
/// The function blocks: it opens every free slot for a moment.
pub(crate) fn check_directory(config: &Config) -> Vec<Finding> {
    let dir = &config.dir;
    if let Err(error) = fs::symlink_metadata(dir)
        && error.kind() == io::ErrorKind::NotFound
    {
        let parent = dir.parent().unwrap_or(dir);
        return vec![match fs::metadata(parent) {
            Ok(_) => {
                let text = format!("{}: does not exist yet", printable_path(dir));
                Finding::good("spool", text)
            }
            Err(error) => Finding::bad("spool", missing_parent(dir, error)),
        }];
    }
    match admin::slots(dir) {
        Err(error) => vec![Finding::bad("spool", error)],
        Ok(slots) => {
            let owned = slots.iter().filter(|slot| slot.owner.is_some()).count();
            let bytes: u64 = slots.iter().map(|slot| slot.file_bytes).sum();
            let text = format!(
                "{}: {} slots, {owned} of them in use by a process, {bytes} bytes",
                printable_path(dir),
                slots.len()
            );
            vec![Finding::good("spool", text)]
        }
    }
}
