//! The syntax of oslo.config's files: sections, `key = value` or `key: value`, comments, values that
//! go on in indented lines, and `$name` for the value of another option.
//!
//! Errors give the line and repeat no text: it may be a password.

use std::collections::BTreeMap;

/// A file, section by section.
#[derive(Default)]
pub(super) struct Ini {
    /// By section and key; a key may be given more than once.
    options: BTreeMap<(String, String), Vec<Assignment>>,
}

/// One value, and the line it begins in.
#[derive(Clone)]
pub(super) struct Assignment {
    pub(super) value: String,
    pub(super) line: usize,
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

impl Ini {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut ini = Self::default();
        let mut section: Option<&str> = None;
        // The key whose value may go on in the next line.
        let mut open: Option<(String, String)> = None;
        for (index, full) in text.lines().enumerate() {
            let wrong = |what| Wrong { line: index + 1, what };
            let line = full.trim_end();
            if line.is_empty() {
                open = None;
            } else if line.starts_with([' ', '\t']) {
                let values = open.as_ref().and_then(|key| ini.options.get_mut(key));
                let Some(assignment) = values.and_then(|values| values.last_mut()) else {
                    return Err(wrong("an indented line goes on with a value, but there is none"));
                };
                assignment.value.push('\n');
                assignment.value.push_str(line.trim_start());
            } else if let Some(name) = line.strip_prefix('[') {
                match name.strip_suffix(']') {
                    Some(name) if !name.is_empty() => section = Some(name),
                    _ => return Err(wrong("a section is a name in brackets")),
                }
                open = None;
            } else if line.starts_with(['#', ';']) {
                open = None;
            } else {
                let Some((key, value)) = line.split_once(['=', ':']) else {
                    return Err(wrong("expected `key = value`"));
                };
                let (Some(section), false) = (section, key.trim().is_empty()) else {
                    return Err(wrong("expected a section in brackets before, and a key"));
                };
                let key = (section.to_owned(), key.trim().to_owned());
                let assignment = Assignment { value: unquoted(value.trim()), line: index + 1 };
                ini.options.entry(key.clone()).or_default().push(assignment);
                open = Some(key);
            }
        }
        Ok(ini)
    }

    /// The last value of an option, as it was written.
    fn last(&self, section: &str, key: &str) -> Option<&Assignment> {
        self.options.get(&(section.to_owned(), key.to_owned()))?.last()
    }

    /// The last value of an option, with every `$name` replaced.
    pub(super) fn get(&self, section: &str, key: &str) -> Result<Option<Assignment>, Wrong> {
        let found = self.last(section, key);
        found
            .map(|assignment| {
                self.expanded(section, assignment, MAX_NESTING, &mut { MAX_REPLACED })
            })
            .transpose()
    }

    /// All values of an option that may be given more than once.
    pub(super) fn all(&self, section: &str, key: &str) -> Result<Vec<Assignment>, Wrong> {
        let found = self.options.get(&(section.to_owned(), key.to_owned()));
        found
            .into_iter()
            .flatten()
            .map(|assignment| {
                self.expanded(section, assignment, MAX_NESTING, &mut { MAX_REPLACED })
            })
            .collect()
    }

    /// Replaces `$name`, `${name}` and `${section.name}` by the option's value, and `$$` by `$`, as
    /// oslo.config does.
    fn expanded(
        &self,
        section: &str,
        assignment: &Assignment,
        nesting: usize,
        left: &mut usize,
    ) -> Result<Assignment, Wrong> {
        let line = assignment.line;
        if nesting == 0 {
            return Err(Wrong { line, what: "`$` leads from option to option without end" });
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
            let name = name_at(braced.unwrap_or(rest));
            let length = match braced {
                // As Python's templates: what is no reference stays.
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
            let other = self.last(other_section, key).map(|found| (other_section, found));
            let other = other.or_else(|| Some((DEFAULT, self.last(DEFAULT, name)?)));
            let Some((section, other)) = other else {
                return Err(Wrong {
                    line,
                    what: "a `$` names an option that this file does not set; `$$` is a dollar sign",
                });
            };
            let other = self.expanded(section, other, nesting - 1, left)?.value;
            let Some(less) = left.checked_sub(1 + other.len()) else {
                return Err(Wrong {
                    line,
                    what: "the value is too long once every `$` is replaced",
                });
            };
            *left = less;
            value.push_str(&other);
        }
        value.push_str(rest);
        Ok(Assignment { value, line })
    }
}

/// The name of an option that `text` begins with; may be empty.
fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'));
    let name = &text[..end.unwrap_or(text.len())];
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '.') { "" } else { name }
}

fn unquoted(value: &str) -> String {
    let quoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote)));
    quoted.unwrap_or(value).to_owned()
}

/// The section that is looked into last.
pub(super) const DEFAULT: &str = "DEFAULT";

/// How many options one value may lead through.
const MAX_NESTING: usize = 8;
/// How much may be replaced for one value, in bytes and with one for each `$`: options that name each
/// other twice would double it each time, in length or, where nothing comes of it, in work.
const MAX_REPLACED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str, key: &str) -> Option<String> {
        let value = Ini::parse(text).unwrap().get(DEFAULT, key).unwrap();
        value.map(|assignment| assignment.value)
    }

    #[test]
    fn values_are_read_as_oslo_config_reads_them() {
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
        let ini = Ini::parse(text).unwrap();
        let lines: Vec<_> = ini.all(DEFAULT, "again").unwrap().iter().map(|a| a.line).collect();
        assert_eq!(lines, [14, 15]);
    }

    #[test]
    fn dollars_name_other_options() {
        let text = "[DEFAULT]\nname = n\ndir = /var/$name\nfile = ${dir}/$name.log\ncost = 5$$ \\$x $ $1 ${\n\
                    both = $o.p ${o.p}\n[o]\np = q\n";
        assert_eq!(get(text, "dir").as_deref(), Some("/var/n"));
        assert_eq!(get(text, "cost").as_deref(), Some("5$ $x $ $1 ${"));
        assert_eq!(get(text, "both").as_deref(), Some("q q"));
        assert_eq!(get("[DEFAULT]\na = ${b}/c\nb = x", "a").as_deref(), Some("x/c"));
        // As in oslo.config, a dot belongs to the name.
        let wrong = Ini::parse(text).unwrap().get(DEFAULT, "file").err().unwrap();
        assert_eq!(wrong.line, 4);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let circle = Ini::parse("[DEFAULT]\na = $b\nb = $a").unwrap();
        assert!(circle.get(DEFAULT, "a").err().unwrap().what.contains("without end"));
        let names = "abcdefgh";
        let lines = names.as_bytes().windows(2).map(|pair| {
            let [one, next] = [pair[0], pair[1]].map(char::from);
            format!("{one} = {}", format!("${next} ").repeat(64))
        });
        let lines = lines.collect::<Vec<_>>().join("\n");
        let double = Ini::parse(&format!("[DEFAULT]\n{lines}\nh = x")).unwrap();
        assert!(double.get(DEFAULT, "a").err().unwrap().what.contains("too long"));
        // Nor does it help that nothing comes of it.
        let lines = lines.replace(' ', "");
        let nothing = Ini::parse(&format!("[DEFAULT]\n{lines}\nh =")).unwrap();
        assert!(nothing.get(DEFAULT, "a").is_err());
    }

    #[test]
    fn what_is_no_file_of_options_is_refused_by_its_line() {
        for (text, line) in [
            ("a = b", 1),
            ("[DEFAULT]\n\n  a = b", 3),
            ("[DEFAULT]\na = b\n\n c", 4),
            ("[DEFAULT\na = b", 1),
            ("[]\na = b", 1),
            ("[DEFAULT]\nhunter2", 2),
            ("[DEFAULT]\n= hunter2", 2),
        ] {
            let wrong = Ini::parse(text).err().unwrap();
            assert_eq!(wrong.line, line, "{text}");
            assert!(!wrong.what.contains("hunter2"));
        }
    }
}
