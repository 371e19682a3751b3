//! The names in commands for `rabbitmqctl`, as the texts of this crate and of `glance-notify doctor` show them.
//!
//! Nothing here runs a command.

use notify_core::redact::printable;

/// Returns a pattern that matches `name` only.
pub fn pattern(name: &str) -> String {
    let special = |c: char| ".\\+*?()[]{}|^$".contains(c);
    let escaped = name.chars().map(|c| if special(c) { format!("\\{c}") } else { c.to_string() });
    escaped.collect()
}

/// Returns a text as one word of a shell, printable and whole: half a pattern would be another one.
pub fn quoted(text: &str) -> String {
    format!("'{}'", printable(text, usize::MAX).to_string().replace('\'', r"'\''"))
}
