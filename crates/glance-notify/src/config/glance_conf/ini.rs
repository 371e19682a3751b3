//! The syntax of oslo.config's files.
//!
//! A file consists of sections, options (`key = value` or `key: value`) and comments. Indented lines
//! continue a value. `$name` in a value stands for the value of another option. These are the rules of
//! `oslo_config/iniparser.py` and, for `$name`, of `oslo_config/cfg.py`.
//!
//! Errors name the line and never quote it, because it may contain a password.

use std::collections::BTreeMap;

/// A parsed file.
#[derive(Default)]
pub(super) struct IniFile {
    /// The values of each option, by section and key. A file may set an option several times.
    options: BTreeMap<(String, String), Vec<Assignment>>,
}

/// A value of an option, and the line that sets it.
#[derive(Clone)]
pub(super) struct Assignment {
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
    /// Parses a file. Leaves `$` references in place; [`get`](Self::get) replaces them.
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
                let key = (section.to_owned(), key.trim().to_owned());
                let assignment = Assignment { value: unquoted(value.trim()), line: index + 1 };
                ini.options.entry(key.clone()).or_default().push(assignment);
                open = Some(key);
            }
        }
        Ok(ini)
    }

    /// Returns the last value of an option, with every `$name` replaced.
    pub(super) fn get(&self, section: &str, key: &str) -> Result<Option<Assignment>, SyntaxError> {
        let assignment = self.last(section, key);
        assignment
            .map(|assignment| {
                self.expanded(section, assignment, MAX_NESTING, &mut { MAX_REPLACED })
            })
            .transpose()
    }

    /// Returns all values of an option, with every `$name` replaced.
    pub(super) fn all(&self, section: &str, key: &str) -> Result<Vec<Assignment>, SyntaxError> {
        let assignments = self.options.get(&(section.to_owned(), key.to_owned()));
        assignments
            .into_iter()
            .flatten()
            .map(|assignment| {
                self.expanded(section, assignment, MAX_NESTING, &mut { MAX_REPLACED })
            })
            .collect()
    }

    /// Returns the last value of an option as the file has it.
    fn last(&self, section: &str, key: &str) -> Option<&Assignment> {
        self.options.get(&(section.to_owned(), key.to_owned()))?.last()
    }

    /// Replaces `$name`, `${name}` and `${section.name}` by the value of that option, and `$$` by `$`.
    ///
    /// `nesting` bounds how many options one value may lead through, and `budget` how much it may
    /// replace. oslo.config replaces without bounds.
    fn expanded(
        &self,
        section: &str,
        assignment: &Assignment,
        nesting: usize,
        budget: &mut usize,
    ) -> Result<Assignment, SyntaxError> {
        let line = assignment.line;
        if nesting == 0 {
            return Err(SyntaxError {
                line,
                message: "`$` references form a cycle or are nested too deeply",
            });
        }
        let text = assignment.value.replace("\\$", "$$");
        let mut value = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            value.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                value.push('$');
                rest = after;
                continue;
            }
            let braced = rest.strip_prefix('{');
            let name = leading_name(braced.unwrap_or(rest));
            let length = match braced {
                // A `$` without a name stays, as in Python's `string.Template`.
                _ if name.is_empty() => None,
                None => Some(name.len()),
                Some(braced) => braced[name.len()..].starts_with('}').then_some(name.len() + 2),
            };
            let Some(length) = length else {
                value.push('$');
                continue;
            };
            rest = &rest[length..];
            let (other_section, key) = name.split_once('.').unwrap_or((section, name));
            let other = self.last(other_section, key).map(|other| (other_section, other));
            let other = other.or_else(|| Some((DEFAULT, self.last(DEFAULT, name)?)));
            let Some((section, other)) = other else {
                return Err(SyntaxError {
                    line,
                    message: "a `$` references an option that this file does not set: write `$$` for \
                              a dollar sign",
                });
            };
            let other = self.expanded(section, other, nesting - 1, budget)?.value;
            let Some(left) = budget.checked_sub(1 + other.len()) else {
                return Err(SyntaxError {
                    line,
                    message: "the value is too long after its `$` references are replaced",
                });
            };
            *budget = left;
            value.push_str(&other);
        }
        value.push_str(rest);
        Ok(Assignment { value, line })
    }
}

/// Returns the option name that `text` begins with, which may be empty.
///
/// As in oslo.config, a dot belongs to the name.
fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'));
    let name = &text[..end.unwrap_or(text.len())];
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '.') { "" } else { name }
}

/// Removes one pair of quotes around a value.
fn unquoted(value: &str) -> String {
    let quoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote)));
    quoted.unwrap_or(value).to_owned()
}

/// The section that a `$` reference falls back to.
pub(super) const DEFAULT: &str = "DEFAULT";

/// The number of options that one value may lead through by `$` references.
const MAX_NESTING: usize = 8;
/// The bytes that one value may replace, plus one for each `$`.
///
/// Options that reference each other twice would double the length with each level, and with it the
/// time, even if the final values are empty.
const MAX_REPLACED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the value of `key` in the section `DEFAULT` of `text`.
    fn get(text: &str, key: &str) -> Option<String> {
        let value = IniFile::parse(text).unwrap().get(DEFAULT, key).unwrap();
        value.map(|assignment| assignment.value)
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
        let lines: Vec<_> = ini.all(DEFAULT, "again").unwrap().iter().map(|a| a.line).collect();
        assert_eq!(lines, [14, 15]);
    }

    /// The forms of references are oslo.config's.
    #[test]
    fn a_dollar_references_another_option() {
        let text = "[DEFAULT]\nname = n\ndir = /var/$name\nfile = ${dir}/$name.log\ncost = 5$$ \\$x $ $1 ${\n\
                    both = $o.p ${o.p}\n[o]\np = q\n";
        assert_eq!(get(text, "dir").as_deref(), Some("/var/n"));
        assert_eq!(get(text, "cost").as_deref(), Some("5$ $x $ $1 ${"));
        assert_eq!(get(text, "both").as_deref(), Some("q q"));
        assert_eq!(get("[DEFAULT]\na = ${b}/c\nb = x", "a").as_deref(), Some("x/c"));
        // As in oslo.config, a dot belongs to the name.
        let error = IniFile::parse(text).unwrap().get(DEFAULT, "file").err().unwrap();
        assert_eq!(error.line, 4);
    }

    /// A hostile file cannot make expansion run without end or exhaust the memory.
    #[test]
    fn rejects_cyclic_and_exponential_references() {
        let cycle = IniFile::parse("[DEFAULT]\na = $b\nb = $a").unwrap();
        assert!(cycle.get(DEFAULT, "a").err().unwrap().message.contains("form a cycle"));
        let names = "abcdefgh";
        let lines = names.as_bytes().windows(2).map(|pair| {
            let [one, next] = [pair[0], pair[1]].map(char::from);
            format!("{one} = {}", format!("${next} ").repeat(64))
        });
        let lines = lines.collect::<Vec<_>>().join("\n");
        let doubling = IniFile::parse(&format!("[DEFAULT]\n{lines}\nh = x")).unwrap();
        assert!(doubling.get(DEFAULT, "a").err().unwrap().message.contains("too long"));
        // Empty values cost time all the same.
        let lines = lines.replace(' ', "");
        let empty = IniFile::parse(&format!("[DEFAULT]\n{lines}\nh =")).unwrap();
        assert!(empty.get(DEFAULT, "a").is_err());
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
