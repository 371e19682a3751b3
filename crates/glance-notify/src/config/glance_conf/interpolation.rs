//! `$name` in the value of an option stands for the value of another option.
//!
//! These are the rules of `oslo_config/cfg.py`, with bounds that oslo.config lacks. Errors never quote a
//! value.

use super::ini::{DEFAULT, section_name};

/// Returns the value of an option by its section and key, if any file sets it.
pub(super) type Lookup<'a> = dyn Fn(&str, &str) -> Option<&'a str> + 'a;

/// Replaces `$name`, `${name}` and `${section.name}` by the value of that option, and `$$` by `$`.
///
/// A name without a section belongs to `group`, the group of the option that has this value, or to
/// `[DEFAULT]`.
pub(super) fn expanded(
    text: &str,
    group: &str,
    lookup: &Lookup<'_>,
) -> Result<String, &'static str> {
    expanded_within(text, group, lookup, MAX_NESTING, &mut { MAX_REPLACED })
}

/// Escapes a text, so that [`expanded`] returns it unchanged.
pub(super) fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// Implements [`expanded`].
///
/// `nesting` bounds how many options one value may lead through, and `budget` how much it may replace.
fn expanded_within(
    text: &str,
    group: &str,
    lookup: &Lookup<'_>,
    nesting: usize,
    budget: &mut usize,
) -> Result<String, &'static str> {
    if nesting == 0 {
        return Err("`$` references form a cycle or are nested too deeply");
    }
    let text = text.replace("\\$", "$$");
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
        let (section, key) = match name.split_once('.') {
            Some((section, key)) => (section_name(section), key),
            None => (group.to_owned(), name),
        };
        let found = lookup(&section, key).map(|text| (section.as_str(), text));
        let found = found.or_else(|| Some((DEFAULT, lookup(DEFAULT, name)?)));
        let Some((section, text)) = found else {
            return Err(
                "a `$` references an option that this file does not set: set it, or write `$$` for a \
                 dollar sign",
            );
        };
        let other = expanded_within(text, section, lookup, nesting - 1, budget)?;
        let Some(left) = budget.checked_sub(1 + other.len()) else {
            return Err("the value is too long after its `$` references are replaced");
        };
        *budget = left;
        value.push_str(&other);
    }
    value.push_str(rest);
    Ok(value)
}

/// Returns the option name that `text` begins with, which may be empty.
///
/// As in oslo.config, a dot belongs to the name.
fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'));
    let name = &text[..end.unwrap_or(text.len())];
    if name.starts_with(|c: char| c.is_ascii_digit() || c == '.') { "" } else { name }
}

/// The number of options that one value may lead through by `$` references.
const MAX_NESTING: usize = 8;
/// The bytes that one value may replace, plus one for each `$`.
///
/// Options that reference each other twice would double the length with each level, and with it the
/// time, even if the final values are empty.
const MAX_REPLACED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::super::ini::IniFile;
    use super::*;

    /// Returns the value of `key` in the section `DEFAULT` of `text`.
    fn get(text: &str, key: &str) -> Result<String, &'static str> {
        let ini = IniFile::parse(text).unwrap();
        let lookup =
            |section: &str, key: &str| Some(ini.values(section, key).last()?.value.as_str());
        expanded(lookup(DEFAULT, key).unwrap(), DEFAULT, &lookup)
    }

    /// The forms of references are oslo.config's.
    #[test]
    fn a_dollar_references_another_option() {
        let text = "[DEFAULT]\nname = n\ndir = /var/$name\nfile = ${dir}/$name.log\ncost = 5$$ \\$x $ $1 ${\n\
                    both = $o.p ${O.p}\n[o]\np = q\n";
        assert_eq!(get(text, "dir").unwrap(), "/var/n");
        assert_eq!(get(text, "cost").unwrap(), "5$ $x $ $1 ${");
        assert_eq!(get(text, "both").unwrap(), "q q");
        assert_eq!(get("[DEFAULT]\na = ${b}/c\nb = x", "a").unwrap(), "x/c");
        // As in oslo.config, a dot belongs to the name.
        assert!(get(text, "file").unwrap_err().contains("this file does not set"));
    }

    /// A value that has been expanded once survives a second time.
    #[test]
    fn an_escaped_text_expands_to_itself() {
        for text in ["a$b", "$$", "5$ ${x}"] {
            assert_eq!(expanded(&escaped(text), DEFAULT, &|_, _| None).unwrap(), text);
        }
    }

    /// A hostile file cannot make expansion run without end or exhaust the memory.
    #[test]
    fn rejects_cyclic_and_exponential_references() {
        assert!(get("[DEFAULT]\na = $b\nb = $a", "a").unwrap_err().contains("form a cycle"));
        let names = "abcdefgh";
        let lines = names.as_bytes().windows(2).map(|pair| {
            let [one, next] = [pair[0], pair[1]].map(char::from);
            format!("{one} = {}", format!("${next} ").repeat(64))
        });
        let lines = lines.collect::<Vec<_>>().join("\n");
        assert!(get(&format!("[DEFAULT]\n{lines}\nh = x"), "a").unwrap_err().contains("too long"));
        // Empty values cost time all the same.
        let lines = lines.replace(' ', "");
        assert!(get(&format!("[DEFAULT]\n{lines}\nh ="), "a").is_err());
    }
}
