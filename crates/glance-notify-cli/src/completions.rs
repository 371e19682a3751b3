//! `glance-notify completions`: prints a completion script for a shell.
//!
//! clap generates the script from the argument definitions, so that it always matches
//! the options of this build.
//!
//! ```text
//! $ glance-notify completions bash > /etc/bash_completion.d/glance-notify
//! ```

use clap_complete::Shell;

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Print a script that makes your shell complete the arguments of this command.
#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Your shell.
    shell: Shell,
}

/// Writes the completion script of `command` to standard output.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(crate) fn run(
    args: &CompletionsArgs,
    command: &mut clap::Command,
) -> Result<ExitStatus, CommandError> {
    // clap_complete panics when a write fails, so it writes to memory first.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "glance-notify", &mut script);
    write_stdout(|out| out.write_all(&script))?;
    Ok(ExitStatus::Success)
}
