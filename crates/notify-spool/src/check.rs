//! What can be seen of the spool without writing to it, for `glance-notify check`.

use std::fs;
use std::io;

use notify_core::transport::Finding;

use crate::admin;
use crate::config::Config;
use crate::error::{of_file, shown};

/// Looks, and leaves nothing behind.
pub(crate) fn look(config: &Config) -> Vec<Finding> {
    let dir = &config.dir;
    if let Err(error) = fs::symlink_metadata(dir)
        && error.kind() == io::ErrorKind::NotFound
    {
        let above = dir.parent().unwrap_or(dir);
        return vec![match fs::metadata(above) {
            Ok(_) => Finding::good("spool", format!("{}: does not exist yet", shown(dir))),
            Err(error) => {
                let what = format!("needs the directory {}: create it", shown(above));
                Finding::bad("spool", of_file(dir, &what, error))
            }
        }];
    }
    match admin::slots(dir) {
        Err(error) => vec![Finding::bad("spool", error)],
        Ok(slots) => {
            let held = slots.iter().filter(|slot| slot.owner.is_some()).count();
            let bytes: u64 = slots.iter().map(|slot| slot.file_bytes).sum();
            let seen = format!(
                "{}: {} slots, {held} of them held by a process, {bytes} bytes",
                shown(dir),
                slots.len()
            );
            vec![Finding::good("spool", seen)]
        }
    }
}
