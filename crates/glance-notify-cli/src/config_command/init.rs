//! `glance-notify config init`: writes a commented sample with every key.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use glance_notify::config::sample;
use glance_notify::transport::DRIVERS;

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::terminal::{print_note, write_stdout};

/// Write a commented sample of the configuration with every key.
///
/// The other subcommands read `./glance-notify.toml` if you name no file with -c.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InitArgs {
    /// File to create, whose name ends in .toml; `-` is standard output. The command never overwrites a file.
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    file: PathBuf,

    /// Strategy that the sample chooses.
    #[arg(long, value_name = "NAME", default_value = "log")]
    #[arg(value_parser = PossibleValuesParser::new(DRIVERS.iter().map(|driver| driver.name)))]
    strategy: String,
}

/// Writes the sample.
///
/// # Errors
///
/// Returns an error if the file has another ending than `.toml`, exists already or cannot be written.
pub(super) fn run(args: &InitArgs) -> Result<ExitStatus, CommandError> {
    let text = sample(&args.strategy);
    if args.file == Path::new("-") {
        write_stdout(|out| out.write_all(text.as_bytes()))?;
        return Ok(ExitStatus::Success);
    }
    let name = display_path(&args.file);
    if args.file.extension().is_none_or(|extension| extension != "toml") {
        return Err(CommandError::new(
            ExitStatus::PermanentError,
            format!(
                "`{name}` does not end in `.toml`, so that no command would read it as TOML: name another file"
            ),
        ));
    }
    let created = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&args.file);
    let mut file = match created {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(CommandError::new(
                ExitStatus::PermanentError,
                format!("`{name}` exists already: name another file, or remove it first"),
            ));
        }
        created => created
            .map_err(|error| CommandError::file(&format!("cannot create `{name}`"), &error))?,
    };
    file.write_all(text.as_bytes())
        .map_err(|error| CommandError::file(&format!("cannot write `{name}`"), &error))?;
    let is_default = args.file == Path::new(DEFAULT_FILE);
    let option = if is_default { String::new() } else { format!(" -c {name}") };
    print_note(format_args!(
        "wrote `{name}` with the strategy `{}`: edit it, then run `glance-notify check{option}`",
        args.strategy
    ));
    Ok(ExitStatus::Success)
}

/// The file that the other subcommands read without `-c`.
const DEFAULT_FILE: &str = "glance-notify.toml";
/// The mode of the new file, minus the umask: it will hold a password, so others must not read it.
const MODE: u32 = 0o640;
/// The examples of the help text.
const EXAMPLES: &str = "\
Examples:
  glance-notify config init
  glance-notify config init --strategy rabbit /etc/glance-notify/config.toml
  glance-notify config init - | less";
