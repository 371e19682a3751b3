//! The option that names the dead-letter file.

use std::path::PathBuf;

use glance_notify::listen::DeadLetterFile;

use crate::exit_status::{CommandError, ExitStatus};
use crate::settings::ConfigArgs;

/// The option that names the file.
#[derive(clap::Args)]
pub(super) struct DeadFileArgs {
    /// File of the dead letters. By default, it is that of `listener.dead_letters` in the configuration.
    #[arg(long, value_name = "FILE")]
    dead_letters: Option<PathBuf>,
}

impl DeadFileArgs {
    /// Returns the file that the option or the configuration names.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid or names no file, and for a configuration beside the
    /// option.
    pub(super) fn file(&self, config: &ConfigArgs) -> Result<DeadLetterFile, CommandError> {
        if let Some(path) = &self.dead_letters {
            config.refuse()?;
            return Ok(DeadLetterFile::new(path));
        }
        let config = config.load_part(&["listener"])?;
        config.dead_letters().map(DeadLetterFile::new).ok_or_else(|| {
            let message = "no dead-letter file is configured: name it with `--dead-letters`, or set \
                           `listener.dead_letters`";
            CommandError::new(ExitStatus::PermanentError, message)
        })
    }
}
