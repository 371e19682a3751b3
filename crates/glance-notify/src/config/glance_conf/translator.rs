//! The translation of a `glance-api.conf` into the keys of our configuration.

use notify_core::Result;
use notify_core::event::EventType;
use serde_json::{Value, json};

use super::super::option_tree::OptionTree;
use super::super::toml::parse_value;
use super::conf_file::{ConfFile, ConfOption};
use super::ini::DEFAULT;
use super::options::{IGNORED, OptionTranslation, QPID, RABBIT, ValueKind};
use super::url::{self, TransportUrl};
use crate::strategies;

/// Translates `text` and writes the options over those in `options`. Errors name the text `place`.
pub(crate) fn translate(text: &str, place: &str, options: &mut OptionTree) -> Result<()> {
    let file = ConfFile::parse(text, place)?;
    ConfTranslator { file, options }.translate()
}

/// A file and the options that its translation goes to.
struct ConfTranslator<'a> {
    file: ConfFile<'a>,
    options: &'a mut OptionTree,
}

impl ConfTranslator<'_> {
    /// Translates all options.
    ///
    /// The URL comes after the separate options, because it replaces the address in them.
    fn translate(&mut self) -> Result<()> {
        let chosen = self.strategy()?;
        self.log_file()?;
        self.publisher_id()?;
        self.disabled_notifications()?;
        let url =
            self.file.first(&["oslo_messaging_notifications", DEFAULT], &["transport_url"])?;
        let url = url.map(|option| url::translate(&self.file, option)).transpose()?;
        let (url, url_strategy) = match url {
            Some(TransportUrl { strategy, url }) => (url, Some(strategy)),
            None => (None, None),
        };
        self.strategy_options("rabbit", RABBIT, url.is_some() && url_strategy == Some("rabbit"))?;
        self.strategy_options("qpid", QPID, url.is_some() && url_strategy == Some("qpid"))?;
        // Glance sends to a topic exchange, with the priority in the subject.
        self.put("qpid.node", "topic".into(), &ConfOption::default_of("the address"));
        if let (Some(option), Some(strategy)) = (url, url_strategy) {
            self.put(&format!("{strategy}.url"), option.value.clone().into(), &option);
        }
        if let Some((strategy, option)) = chosen {
            // oslo.messaging's driver `messaging` takes its protocol from the URL.
            let strategy = match url_strategy {
                Some(of_url) if strategy == "rabbit" => of_url,
                _ => strategy,
            };
            self.put("strategy", strategy.into(), &option);
        }
        self.warn_of_ignored_options()
    }

    /// Returns the strategy and the option that selects it.
    ///
    /// That is `notifier_strategy`, or oslo.messaging's `driver` if `notifier_strategy` has its
    /// default. The driver also selects the envelope.
    fn strategy(&mut self) -> Result<Option<(&'static str, ConfOption)>> {
        let strategy = self.file.first(&[DEFAULT], &["notifier_strategy"])?;
        if let Some(option) = strategy
            && option.value != "default"
        {
            let class = CLASSES.iter().find(|(class, _)| *class == option.value);
            let name = class.map_or(option.value.as_str(), |(_, name)| name);
            return match strategies::canonical_name(name) {
                Some(name) => Ok(Some((name, option))),
                None => Err(self.file.refuse(
                    &option,
                    "unknown strategy: expected logging, rabbit, qpid, noop, default, or Glance's \
                     class for one of them",
                )),
            };
        }
        let mut chosen = None;
        for option in self.drivers()? {
            let (strategy, envelope) = match option.value.as_str() {
                "" | "noop" | "noops" => ("noop", None),
                "log" => ("log", None),
                "messaging" => ("rabbit", Some("bare")),
                "messagingv2" => ("rabbit", Some("oslo-2.0")),
                _ => {
                    return Err(self.file.refuse(
                        &option,
                        "unsupported driver: expected messaging, messagingv2, log or noop",
                    ));
                }
            };
            if chosen.is_some() {
                return Err(self
                    .file
                    .refuse(&option, "more than one driver is not supported: keep one"));
            }
            if let Some(envelope) = envelope {
                self.put("rabbit.envelope", envelope.into(), &option);
                self.put("qpid.envelope", envelope.into(), &option);
            }
            chosen = Some((strategy, option));
        }
        Ok(chosen)
    }

    /// Returns all values of oslo.messaging's driver option, under its newer or its older name.
    fn drivers(&self) -> Result<Vec<ConfOption>> {
        for (section, name) in
            [("oslo_messaging_notifications", "driver"), (DEFAULT, "notification_driver")]
        {
            let drivers = self.file.all(section, name)?;
            if !drivers.is_empty() {
                return Ok(drivers);
            }
        }
        Ok(Vec::new())
    }

    /// Translates `log_file`, and joins it to `log_dir` if it is relative.
    fn log_file(&mut self) -> Result<()> {
        let directory = self.file.first(&[DEFAULT], &["log_dir", "logdir"])?;
        let Some(mut option) = self.file.first(&[DEFAULT], &["log_file", "logfile"])? else {
            return Ok(());
        };
        if let Some(directory) = directory {
            let path = std::path::Path::new(&directory.value).join(&option.value);
            option.value = path.to_string_lossy().into_owned();
        }
        self.put("log.file", option.value.clone().into(), &option);
        Ok(())
    }

    /// Translates the sender's name. Without one, our default applies: the host name.
    fn publisher_id(&mut self) -> Result<()> {
        if let Some(option) = self.file.first(&[DEFAULT], &["default_publisher_id"])? {
            self.put("publisher_id", option.value.clone().into(), &option);
        }
        Ok(())
    }

    /// Translates the disabled event types, and warns of names that this crate does not emit.
    fn disabled_notifications(&mut self) -> Result<()> {
        let Some(option) = self.file.first(&[DEFAULT], &["disabled_notifications"])? else {
            return Ok(());
        };
        let is_known = |name: &str| name != "image.member" && EventType::new(name).is_ok();
        let names = option.value.split(',').map(str::trim).filter(|name| !name.is_empty());
        let (known, unknown): (Vec<_>, Vec<_>) = names.partition(|name| is_known(name));
        if !unknown.is_empty() {
            let place = self.file.origin_of(&option);
            let count = unknown.len();
            let entries = if count == 1 { "entry has" } else { "entries have" };
            self.options.warn(format!(
                "`disabled_notifications` ({place}): {count} unknown {entries} no effect: Glance \
                 compares whole event types, and groups such as `image` or `task`"
            ));
        }
        self.put("disabled_notifications", json!(known), &option);
        Ok(())
    }

    /// Translates the options of one strategy, with Glance's defaults for those that the file omits.
    ///
    /// Omits the broker's address if `has_url`. Otherwise writes the address as separate options, or
    /// as a URL if the file asks for TLS.
    fn strategy_options(
        &mut self,
        strategy: &str,
        translations: &[OptionTranslation],
        has_url: bool,
    ) -> Result<()> {
        let mut address = Vec::new();
        for translation in translations {
            let option = self.file.first(translation.sections, translation.names)?;
            let value = match &option {
                Some(option) => self.file.typed_value(option, translation.kind)?,
                None => translation.default.map_or(Value::Null, parse_value),
            };
            let option = option.unwrap_or_else(|| ConfOption::default_of(translation.names[0]));
            match translation.kind {
                ValueKind::Tls | ValueKind::Address => address.push((translation, value, option)),
                _ if value.is_null() => {}
                ValueKind::Quorum => {
                    self.put(&format!("{strategy}.{}", translation.key), value, &option);
                    // A quorum queue is always durable, whatever the option for other queues says.
                    self.put(&format!("{strategy}.durable"), true.into(), &option);
                }
                _ => self.put(&format!("{strategy}.{}", translation.key), value, &option),
            }
        }
        if has_url {
            return Ok(());
        }
        let tls = address.iter().find(|(translation, value, _)| {
            translation.kind == ValueKind::Tls && *value == Value::Bool(true)
        });
        if let Some((_, _, option)) = tls {
            // Our configuration has no option for TLS but the scheme of the URL.
            let part = |key: &str| {
                let part = address.iter().find(|(translation, ..)| translation.key == key);
                part.map(|(_, value, _)| value).filter(|value| !value.is_null())
            };
            let url = url::from_parts(&part);
            let option =
                ConfOption { name: option.name.clone(), value: String::new(), line: option.line };
            self.put(&format!("{strategy}.url"), url.into(), &option);
            return Ok(());
        }
        for (translation, value, option) in &address {
            if translation.kind == ValueKind::Address && !value.is_null() {
                self.put(&format!("{strategy}.{}", translation.key), value.clone(), option);
            }
        }
        Ok(())
    }

    /// Warns of every option that the file sets and that this crate ignores.
    fn warn_of_ignored_options(&mut self) -> Result<()> {
        for (sections, name, reason) in IGNORED {
            if let Some(option) = self.file.first(sections, &[name])? {
                let place = self.file.origin_of(&option);
                self.options.warn(format!("`{name}` ({place}) is ignored: {reason}"));
            }
        }
        Ok(())
    }

    /// Writes a value at one of our keys, with `option` as its origin.
    fn put(&mut self, key: &str, value: Value, option: &ConfOption) {
        let place = self.file.origin_of(option);
        self.options.put(key, value, &place);
    }
}

/// Glance's notifier classes, which `notifier_strategy` may name, and our strategies for them.
const CLASSES: &[(&str, &str)] = &[
    ("glance.notifier.notify_log.LoggingStrategy", "log"),
    ("glance.notifier.notify_kombu.RabbitStrategy", "rabbit"),
    ("glance.notifier.notify_qpid.QpidStrategy", "qpid"),
    ("glance.notifier.notify_noop.NoopStrategy", "noop"),
];
