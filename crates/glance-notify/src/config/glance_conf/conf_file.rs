//! `ConfFile`: a parsed `glance-api.conf`, queried by section and option, with typed values.

use notify_core::Error;
use notify_core::Result;
use serde_json::Value;

use super::super::option_tree::config_error;
use super::ini::{Assignment, DEFAULT, IniFile, SyntaxError};
use super::options::ValueKind;

/// A parsed file and the name that errors and origins give it.
pub(super) struct ConfFile<'a> {
    ini: IniFile,
    place: &'a str,
}

/// An option that the file sets, or one of Glance's defaults.
pub(super) struct ConfOption {
    /// The name as messages show it: `rabbit_host`, or `[oslo_messaging_rabbit] ssl`.
    pub(super) name: String,
    pub(super) value: String,
    /// The line of the value, from 1. Zero for a default.
    pub(super) line: usize,
}

impl<'a> ConfFile<'a> {
    /// Parses `text`; errors name it `place`.
    pub(super) fn parse(text: &str, place: &'a str) -> Result<Self> {
        match IniFile::parse(text) {
            Ok(ini) => Ok(Self { ini, place }),
            Err(error) => Err(syntax_error(place, &error)),
        }
    }

    /// Returns the first of `names` in the first of `sections` that the file sets.
    pub(super) fn first(&self, sections: &[&str], names: &[&str]) -> Result<Option<ConfOption>> {
        for section in sections {
            for name in names {
                let value = self.ini.get(section, name);
                if let Some(value) = value.map_err(|error| syntax_error(self.place, &error))? {
                    return Ok(Some(ConfOption::new(section, name, value)));
                }
            }
        }
        Ok(None)
    }

    /// Returns all values of an option that a file may set several times.
    pub(super) fn all(&self, section: &str, name: &str) -> Result<Vec<ConfOption>> {
        let values = self.ini.all(section, name);
        let values = values.map_err(|error| syntax_error(self.place, &error))?;
        Ok(values.into_iter().map(|value| ConfOption::new(section, name, value)).collect())
    }

    /// Returns the value of a Boolean option, or `false` if the file does not set it.
    pub(super) fn flag(&self, section: &str, names: &[&str]) -> Result<bool> {
        match self.first(&[section], names)? {
            Some(option) => Ok(self.typed_value(&option, ValueKind::Flag)? == Value::Bool(true)),
            None => Ok(false),
        }
    }

    /// Converts the value of an option. Returns `Value::Null` for an empty text, which in Glance's
    /// options means "not set".
    pub(super) fn typed_value(&self, option: &ConfOption, kind: ValueKind) -> Result<Value> {
        let text = option.value.as_str();
        Ok(match kind {
            ValueKind::Address if option.name.ends_with("port") => match text.parse::<u16>() {
                Ok(port) => port.into(),
                Err(_) => {
                    return Err(self.refuse(option, "expected a whole number from 0 to 65535"));
                }
            },
            ValueKind::Flag => match parse_bool(text) {
                Some(flag) => flag.into(),
                None => return Err(self.refuse(option, "expected true or false")),
            },
            ValueKind::Tls => match (parse_bool(text), text) {
                (Some(flag), _) => flag.into(),
                (None, "ssl") => true.into(),
                (None, "tcp") => false.into(),
                (None, _) => {
                    return Err(self.refuse(option, "expected ssl, tcp, true or false"));
                }
            },
            ValueKind::Quorum => match parse_bool(text) {
                Some(true) => "quorum".into(),
                Some(false) => Value::Null,
                None => return Err(self.refuse(option, "expected true or false")),
            },
            ValueKind::SingleTopic if text.contains(',') => {
                return Err(self.refuse(option, "more than one topic is not supported: keep one"));
            }
            ValueKind::Words => text.split([' ', ',']).filter(|word| !word.is_empty()).collect(),
            ValueKind::Text | ValueKind::SingleTopic | ValueKind::Address => {
                if text.is_empty() {
                    Value::Null
                } else {
                    text.into()
                }
            }
        })
    }

    /// Returns the place that set an option, as `check` and warnings show it.
    pub(super) fn origin_of(&self, option: &ConfOption) -> String {
        match option.line {
            0 => format!("Glance's default of {}", option.name),
            line => format!("{}, line {line}", self.place),
        }
    }

    /// Returns the error for an invalid option: its name, its line and `message`.
    pub(super) fn refuse(&self, option: &ConfOption, message: &str) -> Error {
        let ConfOption { name, line, .. } = option;
        config_error(format!("`{name}` ({}, line {line}): {message}", self.place))
    }
}

impl ConfOption {
    /// Creates the option that a file sets.
    fn new(section: &str, name: &str, assignment: Assignment) -> Self {
        let name = match section {
            DEFAULT => name.to_owned(),
            section => format!("[{section}] {name}"),
        };
        Self { name, value: assignment.value, line: assignment.line }
    }

    /// Creates Glance's default of an option, as the origin of a value.
    pub(super) fn default_of(name: &str) -> Self {
        Self { name: name.to_owned(), value: String::new(), line: 0 }
    }
}

/// Parses a Boolean by the words that oslo.config accepts, in any case.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// Returns the error for a line that is not valid in the file at `place`.
fn syntax_error(place: &str, error: &SyntaxError) -> Error {
    config_error(format!("{place}, line {}: {}", error.line, error.message))
}
