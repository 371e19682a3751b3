//! `glance-notify config explain`: prints the description of keys.

use std::io::{self, Write};

use glance_notify::config::{ConfigKey, Layers, Redact};
use glance_notify::transport::printable;

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Explain keys of the configuration: kind, default and meaning.
///
/// Without a key, the command lists all of them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// Key such as `queue.max_age`, or a table such as `queue`.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
}

/// Prints the descriptions.
///
/// # Errors
///
/// Returns an error that names the nearest key if a key is unknown.
pub(super) fn run(args: &ExplainArgs) -> Result<ExitStatus, CommandError> {
    if args.keys.is_empty() {
        write_stdout(|out| ConfigKey::all().try_for_each(|key| print_line(out, key)))?;
        return Ok(ExitStatus::Success);
    }
    for name in &args.keys {
        let name = name.trim_matches(['[', ']']);
        if let Some(key) = ConfigKey::find(name) {
            write_stdout(|out| print_description(out, key))?;
            continue;
        }
        let table: Vec<_> = ConfigKey::all().filter(|key| key.table() == name).collect();
        if table.is_empty() {
            return Err(unknown(name));
        }
        write_stdout(|out| table.iter().try_for_each(|key| print_line(out, key)))?;
    }
    Ok(ExitStatus::Success)
}

/// Prints a key on one line, as the list of all keys.
fn print_line(out: &mut dyn Write, key: &ConfigKey) -> io::Result<()> {
    let sentence = key.meaning.split(". ").next().unwrap_or_default().trim_end_matches('.');
    writeln!(out, "{:<24} {}", key.name, plain(sentence))
}

/// Prints everything about a key.
fn print_description(out: &mut dyn Write, key: &ConfigKey) -> io::Result<()> {
    writeln!(out, "{}", key.name)?;
    match key.kind.unit() {
        Some(unit) if unit != key.kind.name() => {
            writeln!(out, "  kind      {} ({unit})", key.kind.name())?;
        }
        _ => writeln!(out, "  kind      {}", key.kind.name())?,
    }
    writeln!(out, "  default   {}", plain(key.default))?;
    if let Some(strategy) = key.strategy() {
        writeln!(out, "  strategy  {strategy}")?;
    }
    // A variable would replace the whole list of tables.
    if !["source", "destination"].contains(&key.table()) {
        let variable = key.name.to_ascii_uppercase().replace('.', "__");
        writeln!(out, "  variable  {}{variable}", Layers::PREFIX)?;
    }
    if key.meaning.is_empty() { Ok(()) } else { writeln!(out, "  {}", plain(key.meaning)) }
}

/// Returns Markdown as plain text.
fn plain(text: &str) -> String {
    text.replace(['`', '*'], "")
}

/// Returns the error of an unknown key.
fn unknown(name: &str) -> CommandError {
    let hint = match ConfigKey::similar(name) {
        Some(key) => format!("did you mean `{}`?", key.name),
        None => "`glance-notify config explain` lists all keys".to_owned(),
    };
    let name = Redact::Secrets.text(name);
    let name = printable(&name, MAX_CHARS);
    CommandError::new(ExitStatus::PermanentError, format!("unknown key `{name}`: {hint}"))
}

/// How much of an unknown key a message shows, in characters.
const MAX_CHARS: usize = 64;
/// The examples of the help text.
const EXAMPLES: &str = "\
Examples:
  glance-notify config explain queue.max_age
  glance-notify config explain rabbit";
