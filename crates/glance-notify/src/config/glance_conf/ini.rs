//! The syntax of oslo.config's files.
//!
//! A file consists of sections, options (`key = value` or `key: value`) and comments. Indented lines
//! continue a value. These are the rules of `oslo_config/iniparser.py`. `conf_files` replaces the `$name`
//! in values.
//!
//! Errors name the line and never quote it, because it may contain a password.

use std::collections::BTreeMap;

/// A parsed file.
#[derive(Clone, Default)]
pub(super) struct IniFile {
    /// The values of each option, by section and key. A file may set an option several times.
    options: BTreeMap<(String, String), Vec<Assignment>>,
}

/// A value of an option, and the line that sets it.
#[derive(Clone)]
pub(super) struct Assignment {
    /// The value, in which `$name` is not replaced yet.
    pub(super) value: String,
    /// The first line of the value, from 1.
    pub(super) line: usize,
}

/// An error in a file, with its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) message: &'static str,
}

impl IniFile {
    /// Parses a file.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut ini = Self::default();
        let mut section: Option<&str> = None;
        // The option that an indented line continues.
        let mut open: Option<(String, String)> = None;
        for (index, full) in text.lines().enumerate() {
            let error = |message| SyntaxError { line: index + 1, message };
            let line = full.trim_end();
            if line.is_empty() {
                open = None;
            } else if line.starts_with([' ', '\t']) {
                let values = open.as_ref().and_then(|key| ini.options.get_mut(key));
                let Some(assignment) = values.and_then(|values| values.last_mut()) else {
                    return Err(error("indented line without a value to continue"));
                };
                assignment.value.push('\n');
                assignment.value.push_str(line.trim_start());
            } else if let Some(name) = line.strip_prefix('[') {
                match name.strip_suffix(']') {
                    Some(name) if !name.is_empty() => section = Some(name),
                    _ => return Err(error("expected a section name in brackets, as `[DEFAULT]`")),
                }
                open = None;
            } else if line.starts_with(['#', ';']) {
                open = None;
            } else {
                let Some((key, value)) = line.split_once(['=', ':']) else {
                    return Err(error("expected `key = value`"));
                };
                let (Some(section), false) = (section, key.trim().is_empty()) else {
                    return Err(error("expected `key = value` below a section in brackets"));
                };
                let (section, key, value) = (section_name(section), key.trim(), value.trim());
                ini.put(&section, key, unquoted(value).to_owned(), index + 1);
                open = Some((section, key.to_owned()));
            }
        }
        Ok(ini)
    }

    /// Adds a value of an option.
    pub(super) fn put(&mut self, section: &str, key: &str, value: String, line: usize) {
        let values = self.options.entry((section.to_owned(), key.to_owned())).or_default();
        values.push(Assignment { value, line });
    }

    /// Returns all values of an option, in the order of the file.
    pub(super) fn values(&self, section: &str, key: &str) -> &[Assignment] {
        self.options.get(&(section.to_owned(), key.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Returns the section, the key and the last value of every option.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Assignment)> {
        let last = |values: &'_ Vec<Assignment>| values.len().checked_sub(1);
        self.options.iter().filter_map(move |((section, key), values)| {
            Some((section.as_str(), key.as_str(), &values[last(values)?]))
        })
    }
}

/// Returns the name of a section as oslo.config compares it: without regard to case, except `DEFAULT`.
pub(super) fn section_name(name: &str) -> String {
    if name == DEFAULT { name.to_owned() } else { name.to_ascii_lowercase() }
}

/// Removes one pair of quotes around a value.
fn unquoted(value: &str) -> &str {
    let quoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote)));
    quoted.unwrap_or(value)
}

/// The section of options that belong to no group.
pub(super) const DEFAULT: &str = "DEFAULT";

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the value of `key` in the section `DEFAULT` of `text`.
    fn get(text: &str, key: &str) -> Option<String> {
        let ini = IniFile::parse(text).unwrap();
        ini.values(DEFAULT, key).last().map(|assignment| assignment.value.clone())
    }

    /// Quotes, continuation lines and repeated keys have oslo.config's meaning.
    #[test]
    fn reads_values_as_oslo_config_does() {
        let text = "\
# a comment
; another
[DEFAULT]
equals = a=b:c
colon: a=b
spaced   =   v  \t
empty =
quoted = \" v \"
half = 'v\"
long = one,
  two,
\tthree
  # not a comment
again = 1
again = 2

[other]
again = 3
";
        for (key, value) in [
            ("equals", "a=b:c"),
            ("colon", "a=b"),
            ("spaced", "v"),
            ("empty", ""),
            ("quoted", " v "),
            ("half", "'v\""),
            ("long", "one,\ntwo,\nthree\n# not a comment"),
            ("again", "2"),
        ] {
            assert_eq!(get(text, key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(get(text, "absent"), None);
        let ini = IniFile::parse(text).unwrap();
        let lines: Vec<_> = ini.values(DEFAULT, "again").iter().map(|a| a.line).collect();
        assert_eq!(lines, [14, 15]);
    }

    /// The error names the line and does not quote it.
    #[test]
    fn a_syntax_error_names_its_line_and_quotes_nothing() {
        for (text, line) in [
            ("a = b", 1),
            ("[DEFAULT]\n\n  a = b", 3),
            ("[DEFAULT]\na = b\n\n c", 4),
            ("[DEFAULT\na = b", 1),
            ("[]\na = b", 1),
            ("[DEFAULT]\nhunter2", 2),
            ("[DEFAULT]\n= hunter2", 2),
        ] {
            let error = IniFile::parse(text).err().unwrap();
            assert_eq!(error.line, line, "{text}");
            assert!(!error.message.contains("hunter2"));
        }
    }
}
