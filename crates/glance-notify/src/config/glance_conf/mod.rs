//! Reading `glance-api.conf`: the options of Glance's notifiers, from 2013's to those of
//! oslo.messaging, as a configuration of ours.
//!
//! `docs/configuration.md` has the table of options. Defaults are Glance's own. An option that would
//! change what is delivered and that has no counterpart here is refused; one that only tunes is
//! warned of ([`Config::warnings`]); everything else in the file is the service's, and not read.

mod ini;
mod options;
mod url;

use notify_core::{Error, ErrorKind, EventType, Result};
use serde_json::{Value, json};

use self::ini::{Assignment, DEFAULT, Ini, Wrong};
use self::options::{IGNORED, Kind, QPID, RABBIT, Setting};
use super::layers::Layers;
use crate::Config;
use crate::strategy;

/// Reads the text of a `glance-api.conf`, and nothing else: no environment.
///
/// ```
/// # fn main() -> glance_notify::Result<()> {
/// let config = glance_notify::config::glance_conf::from_str(
///     "[DEFAULT]\nnotifier_strategy = logging\nlog_dir = /var/log/glance\nlog_file = api.log\n",
/// )?;
/// assert_eq!(config.strategy(), "log");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`ErrorKind::Config`] with the line, when the text is no such file, or an option has a value that
/// is wrong or that nothing here corresponds to. Values are not repeated.
pub fn from_str(text: &str) -> Result<Config> {
    lay(Layers::new(), "glance-api.conf", text)?.build()
}

/// Lays what the text configures over `layers`.
pub(crate) fn lay(layers: Layers, place: &str, text: &str) -> Result<Layers> {
    let mut reader = Reader { ini: Ini::default(), place, layers };
    reader.ini = Ini::parse(text).map_err(|wrong| reader.wrong(&wrong))?;
    reader.read()?;
    Ok(reader.layers)
}

struct Reader<'a> {
    ini: Ini,
    place: &'a str,
    layers: Layers,
}

/// An option that the file sets: its section and name, and its value.
struct Found {
    name: String,
    value: String,
    line: usize,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<()> {
        let chosen = self.strategy()?;
        self.log_file()?;
        self.publisher()?;
        let url = self.first(&["oslo_messaging_notifications", DEFAULT], &["transport_url"])?;
        let (url, url_strategy) = match url {
            Some(url) => self.transport_url(url)?,
            None => (None, None),
        };
        self.options("rabbit", RABBIT, url.is_some() && url_strategy == Some("rabbit"))?;
        self.options("qpid", QPID, url.is_some() && url_strategy == Some("qpid"))?;
        // Glance sent to an exchange, with the priority in the subject.
        self.put("qpid.node", "topic".into(), &Found::default_of("the address"));
        if let (Some(found), Some(strategy)) = (url, url_strategy) {
            self.put(&format!("{strategy}.url"), found.value.clone().into(), &found);
        }
        if let Some((strategy, found)) = chosen {
            // oslo's driver `messaging` leaves it to the URL which of the two it is.
            let strategy = match url_strategy {
                Some(of_url) if strategy == "rabbit" => of_url,
                _ => strategy,
            };
            self.put("strategy", strategy.into(), &found);
        }
        self.ignored()
    }

    /// The strategy: `notifier_strategy`, or oslo.messaging's `driver`, which counts only where that is
    /// left at its default.
    fn strategy(&mut self) -> Result<Option<(&'static str, Found)>> {
        let strategy = self.first(&[DEFAULT], &["notifier_strategy"])?;
        if let Some(found) = strategy
            && found.value != "default"
        {
            let class = CLASSES.iter().find(|(class, _)| *class == found.value);
            let name = class.map_or(found.value.as_str(), |(_, name)| name);
            return match strategy::canonical(name) {
                Some(name) => Ok(Some((name, found))),
                None => Err(self.refuse(
                    &found,
                    "unknown: expected logging, rabbit, qpid, noop, default or the class that \
                     Glance has for one of them",
                )),
            };
        }
        let mut chosen = None;
        for found in self.drivers()? {
            let (strategy, envelope) = match found.value.as_str() {
                "" | "noop" | "noops" => ("noop", None),
                "log" => ("log", None),
                "messaging" => ("rabbit", Some("bare")),
                "messagingv2" => ("rabbit", Some("oslo-2.0")),
                _ => {
                    return Err(self.refuse(
                        &found,
                        "has no counterpart here: expected messaging, messagingv2, log or noop",
                    ));
                }
            };
            if chosen.is_some() {
                return Err(self.refuse(&found, "is a second driver: keep one"));
            }
            if let Some(envelope) = envelope {
                self.put("rabbit.envelope", envelope.into(), &found);
                self.put("qpid.envelope", envelope.into(), &found);
            }
            chosen = Some((strategy, found));
        }
        Ok(chosen)
    }

    /// Every value of oslo.messaging's multi-valued driver option, under its newer or older name.
    fn drivers(&self) -> Result<Vec<Found>> {
        for (section, name) in
            [("oslo_messaging_notifications", "driver"), (DEFAULT, "notification_driver")]
        {
            let all = self.ini.all(section, name).map_err(|wrong| self.wrong(&wrong))?;
            if !all.is_empty() {
                return Ok(all.into_iter().map(|found| Found::new(section, name, found)).collect());
            }
        }
        Ok(Vec::new())
    }

    /// `log_file`, joined to `log_dir` where it is relative.
    fn log_file(&mut self) -> Result<()> {
        let directory = self.first(&[DEFAULT], &["log_dir", "logdir"])?;
        let Some(mut found) = self.first(&[DEFAULT], &["log_file", "logfile"])? else {
            return Ok(());
        };
        if let Some(directory) = directory {
            let path = std::path::Path::new(&directory.value).join(&found.value);
            found.value = path.to_string_lossy().into_owned();
        }
        self.put("log.file", found.value.clone().into(), &found);
        Ok(())
    }

    fn publisher(&mut self) -> Result<()> {
        if let Some(found) = self.first(&[DEFAULT], &["default_publisher_id"])? {
            self.put("publisher_id", found.value.clone().into(), &found);
        }
        let Some(found) = self.first(&[DEFAULT], &["disabled_notifications"])? else {
            return Ok(());
        };
        let known = |name: &str| {
            EventType::ALL.iter().any(|event| event.as_str() == name || event.group() == name)
        };
        let names = found.value.split(',').map(str::trim).filter(|name| !name.is_empty());
        let (known, unknown): (Vec<_>, Vec<_>) = names.partition(|name| known(name));
        if !unknown.is_empty() {
            let place = self.at(&found);
            self.layers.warn(format!(
                "`disabled_notifications` ({place}): {} of its entries disable nothing: they are \
                 neither one of the eleven event types nor `image` or `task`",
                unknown.len()
            ));
        }
        self.put("disabled_notifications", json!(known), &found);
        Ok(())
    }

    /// The options of one strategy: what the file sets, and Glance's defaults.
    fn options(&mut self, strategy: &str, options: &[Setting], has_url: bool) -> Result<()> {
        let mut address = Vec::new();
        for option in options {
            let found = self.first(option.sections, option.names)?;
            let value = match &found {
                Some(found) => self.value(found, option.kind)?,
                None => option.default.map_or(Value::Null, crate::config::parse_value),
            };
            let found = found.unwrap_or_else(|| Found::default_of(option.names[0]));
            match option.kind {
                Kind::Tls | Kind::Address => address.push((option, value, found)),
                _ if value.is_null() => {}
                Kind::Quorum => {
                    self.put(&format!("{strategy}.{}", option.ours), value, &found);
                    // Quorum queues are durable, whatever is said of others.
                    self.put(&format!("{strategy}.durable"), true.into(), &found);
                }
                _ => self.put(&format!("{strategy}.{}", option.ours), value, &found),
            }
        }
        if has_url {
            return Ok(());
        }
        let tls = address
            .iter()
            .find(|(option, value, _)| option.kind == Kind::Tls && *value == Value::Bool(true));
        if let Some((_, _, found)) = tls {
            // Only a URL can say that TLS is wanted.
            let part = |ours: &str| {
                let part = address.iter().find(|(option, ..)| option.ours == ours);
                part.map(|(_, value, _)| value).filter(|value| !value.is_null())
            };
            let url = url::from_parts(&part);
            let found = Found { name: found.name.clone(), value: String::new(), line: found.line };
            self.put(&format!("{strategy}.url"), url.into(), &found);
            return Ok(());
        }
        for (option, value, found) in &address {
            if option.kind == Kind::Address && !value.is_null() {
                self.put(&format!("{strategy}.{}", option.ours), value.clone(), found);
            }
        }
        Ok(())
    }

    /// A value of the kind that its option wants.
    fn value(&self, found: &Found, kind: Kind) -> Result<Value> {
        let text = found.value.as_str();
        Ok(match kind {
            Kind::Address if found.name.ends_with("port") => match text.parse::<u16>() {
                Ok(port) => port.into(),
                Err(_) => {
                    return Err(self.refuse(found, "expected a whole number from 0 to 65535"));
                }
            },
            Kind::Flag => match boolean(text) {
                Some(flag) => flag.into(),
                None => return Err(self.refuse(found, "expected true or false")),
            },
            Kind::Tls => match (boolean(text), text) {
                (Some(flag), _) => flag.into(),
                (None, "ssl") => true.into(),
                (None, "tcp") => false.into(),
                (None, _) => return Err(self.refuse(found, "is none of its values")),
            },
            Kind::Quorum => match boolean(text) {
                Some(true) => "quorum".into(),
                Some(false) => Value::Null,
                None => return Err(self.refuse(found, "expected true or false")),
            },
            Kind::One if text.contains(',') => {
                return Err(self.refuse(found, "names several: keep one"));
            }
            Kind::Words => text.split([' ', ',']).filter(|word| !word.is_empty()).collect(),
            // An empty text is how Glance's options say none.
            Kind::Text | Kind::One | Kind::Address if text.is_empty() => Value::Null,
            Kind::Text | Kind::One | Kind::Address => text.into(),
        })
    }

    /// Warns of what is set and has no counterpart.
    fn ignored(&mut self) -> Result<()> {
        for (sections, name, reason) in IGNORED {
            if let Some(found) = self.first(sections, &[name])? {
                let place = self.at(&found);
                self.layers.warn(format!("`{name}` ({place}) is not used: {reason}"));
            }
        }
        Ok(())
    }

    /// The first of the sections that sets the option, under any of its names.
    fn first(&self, sections: &[&str], names: &[&str]) -> Result<Option<Found>> {
        for section in sections {
            for name in names {
                let found = self.ini.get(section, name).map_err(|wrong| self.wrong(&wrong))?;
                if let Some(found) = found {
                    return Ok(Some(Found::new(section, name, found)));
                }
            }
        }
        Ok(None)
    }

    fn flag(&self, section: &str, names: &[&str]) -> Result<bool> {
        match self.first(&[section], names)? {
            Some(found) => Ok(self.value(&found, Kind::Flag)? == Value::Bool(true)),
            None => Ok(false),
        }
    }

    fn put(&mut self, key: &str, value: Value, found: &Found) {
        let place = self.at(found);
        self.layers.put(key, value, &place, None);
    }

    fn at(&self, found: &Found) -> String {
        match found.line {
            0 => format!("Glance's default of {}", found.name),
            line => format!("{}, line {line}", self.place),
        }
    }

    fn refuse(&self, found: &Found, what: &str) -> Error {
        let Found { name, line, .. } = found;
        Error::new(ErrorKind::Config, format!("`{name}` ({}, line {line}): {what}", self.place))
    }

    fn wrong(&self, wrong: &Wrong) -> Error {
        let Wrong { line, what } = wrong;
        Error::new(ErrorKind::Config, format!("{}, line {line}: {what}", self.place))
    }
}

impl Found {
    fn new(section: &str, name: &str, assignment: Assignment) -> Self {
        let name = match section {
            DEFAULT => name.to_owned(),
            section => format!("[{section}] {name}"),
        };
        Self { name, value: assignment.value, line: assignment.line }
    }

    fn default_of(name: &str) -> Self {
        Self { name: name.to_owned(), value: String::new(), line: 0 }
    }
}

/// The words that oslo.config takes for a Boolean.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// The classes that stand behind Glance's names, which `notifier_strategy` may name instead.
const CLASSES: &[(&str, &str)] = &[
    ("glance.notifier.notify_log.LoggingStrategy", "log"),
    ("glance.notifier.notify_kombu.RabbitStrategy", "rabbit"),
    ("glance.notifier.notify_qpid.QpidStrategy", "qpid"),
    ("glance.notifier.notify_noop.NoopStrategy", "noop"),
];
