//! The template of a target address, `qpid.address`.
//!
//! A template knows its placeholders and nothing of brokers, so both the configuration and the
//! topology can use it.

use std::fmt;
use std::str::FromStr;

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Priority, Result};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A target address with the placeholders `{exchange}`, `{topic}` and `{priority}`.
///
/// Use it for a broker whose addresses no dialect produces. `{priority}` becomes `info`, `warn`, `error`, or
/// another priority in lower case.
///
/// # Examples
///
/// ```
/// use notify_qpid::Template;
///
/// let template: Template = "{exchange}/{topic}.{priority}".parse()?;
/// assert_eq!(template.to_string(), "{exchange}/{topic}.{priority}");
///
/// let error = "{queue}".parse::<Template>().unwrap_err();
/// assert!(error.to_string().starts_with("unknown placeholder `{queue}`"));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<TemplatePart>);

/// A literal text or a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Exchange,
    Topic,
    Priority,
}

impl FromStr for Template {
    type Err = Error;

    /// Parses a template.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an empty text, an unknown placeholder and a `{` without `}`. The
    /// message is made to follow the name of the option.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(invalid("expected a text with `{exchange}`, `{topic}` or `{priority}`"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            let Some((name, after)) = from.split_once('}') else {
                return Err(invalid("a `{` has no `}`"));
            };
            if !before.is_empty() {
                parts.push(TemplatePart::Text(before.to_owned()));
            }
            parts.push(match name {
                "exchange" => TemplatePart::Exchange,
                "topic" => TemplatePart::Topic,
                "priority" => TemplatePart::Priority,
                _ => {
                    let name = printable(name, 64);
                    return Err(invalid(format!(
                        "unknown placeholder `{{{name}}}`: use {{exchange}}, {{topic}} or \
                         {{priority}}"
                    )));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(TemplatePart::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

impl Template {
    /// Returns the address for one priority.
    pub(crate) fn fill(&self, exchange: &str, topic: &str, priority: Priority) -> String {
        let mut address = String::new();
        for part in &self.0 {
            address.push_str(match part {
                TemplatePart::Text(text) => text,
                TemplatePart::Exchange => exchange,
                TemplatePart::Topic => topic,
                TemplatePart::Priority => priority.lower(),
            });
        }
        address
    }
}

impl fmt::Display for Template {
    /// Writes the template as it was parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            f.write_str(match part {
                TemplatePart::Text(text) => text,
                TemplatePart::Exchange => "{exchange}",
                TemplatePart::Topic => "{topic}",
                TemplatePart::Priority => "{priority}",
            })?;
        }
        Ok(())
    }
}

/// Writes the text of the template.
impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TemplateVisitor)
    }
}

/// A visitor that parses the text inside the deserializer, which adds the key and the place to an
/// error.
struct TemplateVisitor;

impl Visitor<'_> for TemplateVisitor {
    type Value = Template;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Template, E> {
        text.parse().map_err(E::custom)
    }
}

/// Returns an error about the text of a template.
fn invalid(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, problem.into())
}
