//! `ConfFiles`: one or several files of oslo.config, queried by section and option.
//!
//! The order is oslo.config's: a later file wins over an earlier one, and within a file the newest name
//! of an option wins over its deprecated names.

use notify_core::Error;
use notify_core::Result;

use super::super::masking::is_secret;
use super::super::option_tree::config_error;
use super::ini::{Assignment, DEFAULT, IniFile, SyntaxError};
use super::interpolation::{escaped, expanded};

/// The section and the name of an option.
pub(super) type OptionName = (&'static str, &'static str);

/// Parsed files, in the order in which oslo.config would read them.
#[derive(Clone, Default)]
pub(crate) struct ConfFiles {
    files: Vec<ConfFile>,
}

/// A parsed file and the name that errors and origins give it.
#[derive(Clone)]
struct ConfFile {
    place: String,
    ini: IniFile,
}

/// An option that a file sets, or one of Glance's defaults.
#[derive(Clone)]
pub(super) struct ConfOption {
    /// The name as messages show it: `rabbit_host`, or `[oslo_messaging_rabbit] ssl`.
    pub(super) name: String,
    pub(super) value: String,
    /// The file and the line, or `None` for a default.
    place: Option<(String, usize)>,
}

impl ConfFiles {
    /// Parses `text` and adds it as the last file. Errors name it `place`.
    pub(crate) fn push(&mut self, text: &str, place: &str) -> Result<()> {
        let ini = IniFile::parse(text).map_err(|SyntaxError { line, message }| {
            config_error(format!("{place}, line {line}: {message}"))
        })?;
        self.files.push(ConfFile { place: place.to_owned(), ini });
        Ok(())
    }

    /// Returns `true` if there is no file.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the names of the files in the form of a message.
    pub(super) fn places(&self) -> String {
        let mut places: Vec<&str> = Vec::new();
        for file in &self.files {
            // The parameters of a URL count as a file of the same place.
            if !places.contains(&file.place.as_str()) {
                places.push(&file.place);
            }
        }
        places.join(", ")
    }

    /// Returns `true` if the last file sets an option that looks like a secret.
    pub(crate) fn last_has_secret(&self) -> bool {
        let mut options = self.files.last().into_iter().flat_map(|file| file.ini.iter());
        options.any(|(_, key, assignment)| {
            !assignment.value.is_empty() && is_secret(key, &assignment.value.as_str().into())
        })
    }

    /// Adds the parameters of a URL as options of `section` that win over all files.
    pub(super) fn override_with(
        &mut self,
        section: &'static str,
        parameters: &[(String, String)],
        url: &ConfOption,
    ) {
        let Some((place, line)) = &url.place else { return };
        let mut ini = IniFile::default();
        for (key, value) in parameters {
            ini.put(section, key, escaped(value), *line);
        }
        self.files.push(ConfFile { place: place.clone(), ini });
    }

    /// Returns the value of an option. `names` are its name and then its deprecated names.
    ///
    /// An empty value counts as absent, as in Glance's samples.
    pub(super) fn first(&self, names: &[OptionName]) -> Result<Option<ConfOption>> {
        let option = self.first_with_empty(names)?;
        Ok(option.filter(|option| !option.value.is_empty()))
    }

    /// Returns the value of an option, which may be empty.
    pub(super) fn first_with_empty(&self, names: &[OptionName]) -> Result<Option<ConfOption>> {
        for file in self.files.iter().rev() {
            for (section, name) in names {
                if let Some(assignment) = file.ini.values(section, name).last() {
                    return self.option(file, section, name, assignment, names).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Returns all values of an option that may have several. They add up over names and files.
    pub(super) fn all(&self, names: &[OptionName]) -> Result<Vec<ConfOption>> {
        let mut options = Vec::new();
        for file in &self.files {
            for (section, name) in names.iter().rev() {
                for assignment in file.ini.values(section, name) {
                    options.push(self.option(file, section, name, assignment, names)?);
                }
            }
        }
        Ok(options)
    }

    /// Returns the value of a Boolean option, with the option if it is set.
    pub(super) fn flag(&self, names: &[OptionName]) -> Result<(bool, Option<ConfOption>)> {
        match self.first_with_empty(names)? {
            Some(option) => Ok((option.flag()?, Some(option))),
            None => Ok((false, None)),
        }
    }

    /// Returns every section and name that a file sets, with the last value.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str, String)> {
        self.files.iter().flat_map(|file| {
            file.ini.iter().map(|(section, name, assignment)| {
                (section, name, format!("{}, line {}", file.place, assignment.line))
            })
        })
    }

    /// Creates an option from the place that sets it, with every `$name` replaced.
    fn option(
        &self,
        file: &ConfFile,
        section: &str,
        name: &str,
        assignment: &Assignment,
        names: &[OptionName],
    ) -> Result<ConfOption> {
        let group = names.first().map_or(section, |(group, _)| group);
        let place = (file.place.clone(), assignment.line);
        let value = expanded(&assignment.value, group, &|section, key| self.value(section, key))
            .map_err(|message| config_error(format!("{}, line {}: {message}", place.0, place.1)))?;
        Ok(ConfOption { name: full_name(section, name), value, place: Some(place) })
    }

    /// Returns the last value of an option, or its default if other options reference it.
    fn value(&self, section: &str, key: &str) -> Option<&str> {
        let mut files = self.files.iter().rev();
        let set = files.find_map(|file| file.ini.values(section, key).last());
        let default = || REFERENCED_DEFAULTS.iter().find(|(name, _)| *name == (section, key));
        set.map(|assignment| assignment.value.as_str()).or_else(|| Some(default()?.1))
    }
}

impl ConfOption {
    /// Creates Glance's default of an option, as the origin of a value.
    pub(super) fn default_of(name: &str) -> Self {
        Self { name: name.to_owned(), value: String::new(), place: None }
    }

    /// Returns whether no file sets the option.
    pub(super) fn is_default(&self) -> bool {
        self.place.is_none()
    }

    /// Returns the option with another value.
    pub(super) fn with_value(self, value: &str) -> Self {
        Self { value: value.to_owned(), ..self }
    }

    /// Returns the value as a Boolean.
    pub(super) fn flag(&self) -> Result<bool> {
        parse_bool(&self.value).ok_or_else(|| self.refuse("expected true or false"))
    }

    /// Returns whether the option has this value, in any case, and in any spelling if it is a Boolean.
    pub(super) fn has_value(&self, value: &str) -> bool {
        let is_flag = matches!(value, "true" | "false");
        self.value.eq_ignore_ascii_case(value)
            || is_flag && parse_bool(&self.value) == parse_bool(value)
    }

    /// Returns the items of a list, separated by commas. Empty items do not count.
    pub(super) fn list(&self) -> impl Iterator<Item = &str> {
        self.value.split(',').map(str::trim).filter(|item| !item.is_empty())
    }

    /// Returns the place that set the option, as `check` and warnings show it.
    pub(super) fn origin(&self) -> String {
        match &self.place {
            None => format!("Glance's default of {}", self.name),
            Some((place, line)) => format!("{place}, line {line}"),
        }
    }

    /// Returns the error for an invalid option: its name, its line and `message`.
    pub(super) fn refuse(&self, message: &str) -> Error {
        config_error(self.describe(message))
    }

    /// Returns `message` after the option's name and its line.
    pub(super) fn describe(&self, message: &str) -> String {
        format!("`{}` ({}): {message}", self.name, self.origin())
    }
}

/// Returns an option's name as messages show it.
pub(super) fn full_name(section: &str, name: &str) -> String {
    if section == DEFAULT { name.to_owned() } else { format!("[{section}] {name}") }
}

/// Parses a Boolean by the words that oslo.config accepts, in any case.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// The defaults of options that oslo.messaging's own values reference: `$rabbit_host:$rabbit_port`.
const REFERENCED_DEFAULTS: &[((&str, &str), &str)] = &[
    ((DEFAULT, "rabbit_host"), "localhost"),
    ((DEFAULT, "rabbit_port"), "5672"),
    ((DEFAULT, "qpid_hostname"), "localhost"),
    ((DEFAULT, "qpid_port"), "5672"),
    ((DEFAULT, "control_exchange"), "glance"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses files, in this order.
    fn files(texts: &[&str]) -> ConfFiles {
        let mut files = ConfFiles::default();
        for (index, text) in texts.iter().enumerate() {
            files.push(text, &format!("{index}.conf")).unwrap();
        }
        files
    }

    /// A new name wins within a file, and a later file wins whatever name it uses.
    #[test]
    fn later_files_win_and_then_newer_names() {
        const NAMES: &[OptionName] = &[("group", "new"), (DEFAULT, "old")];
        for (texts, expected) in [
            (&["[DEFAULT]\nold = a\n[group]\nnew = b"][..], "b 0.conf, line 4"),
            (&["[group]\nnew = b", "[DEFAULT]\nold = a"][..], "a 1.conf, line 2"),
            (&["[Group]\nnew = b\nnew = c"][..], "c 0.conf, line 3"),
        ] {
            let option = files(texts).first(NAMES).unwrap().unwrap();
            assert_eq!(format!("{} {}", option.value, option.origin()), expected);
        }
        let all = files(&["[group]\nnew = b\nnew = c\n[DEFAULT]\nold = a", "[group]\nnew = d"]);
        let values: Vec<_> =
            all.all(NAMES).unwrap().into_iter().map(|option| option.value).collect();
        assert_eq!(values, ["a", "b", "c", "d"]);
        assert!(files(&["[default]\nold = a"]).first(NAMES).unwrap().is_none());
    }

    /// A reference looks into the option's group first, wherever the value stands.
    #[test]
    fn a_reference_reads_the_group_of_its_option() {
        const NAMES: &[OptionName] =
            &[("oslo_messaging_rabbit", "rabbit_hosts"), (DEFAULT, "rabbit_hosts")];
        let text = "[DEFAULT]\nrabbit_hosts = $rabbit_host:$rabbit_port\nmy_ip = 10.0.0.1\n\
                    [oslo_messaging_rabbit]\nrabbit_host = $my_ip\n";
        assert_eq!(files(&[text]).first(NAMES).unwrap().unwrap().value, "10.0.0.1:5672");
        let error = files(&["[DEFAULT]\nrabbit_hosts = $nothing"]).first(NAMES).err().unwrap();
        assert!(error.to_string().starts_with("0.conf, line 2: a `$` references"), "{error}");
    }
}
