//! The translation of a `glance-api.conf` into the keys of our configuration.
//!
//! Only the options of the chosen strategy are read: errors and warnings about another one would be noise.

use notify_core::Result;
use notify_core::event::EventType;
use serde_json::{Value, json};

use super::super::option_tree::OptionTree;
#[cfg(all(feature = "listen", feature = "rabbit"))]
use super::super::option_tree::config_error;
use super::broker_address::BrokerAddress;
use super::conf_destination::ConfDestination;
use super::conf_files::{ConfFiles, ConfOption, OptionName};
use super::conf_layer::ConfLayer;
use super::old_names;
#[cfg(all(feature = "listen", feature = "rabbit"))]
use super::options::RABBIT;
use super::options::{
    AMQP, CONFIG_SOURCE, CONTROL_EXCHANGE, DISABLED, DURABLE, DefaultedOption, GLANCE_NAMES,
    LOG_CONFIG, LOG_DIR, LOG_FILE, LOG_IGNORED, NOTIFIER_IGNORED, PUBLISHER, QUORUM, TOPICS,
};
use super::strategy::{BrokerChoice, StrategyChoice, of_strategy};
use super::unknown_options;
use crate::strategies;

/// Translates `files` and writes the options over those in `options`, then those of the layers `above`, and
/// then Glance's defaults of all keys that no layer decides.
///
/// A strategy of the layers above wins over that of the files.
pub(crate) fn translate(
    files: ConfFiles,
    options: &mut OptionTree,
    above: OptionTree,
) -> Result<()> {
    let strategy = above.get("strategy").and_then(Value::as_str);
    let strategy = strategy.and_then(strategies::canonical_name);
    let mut translator = ConfTranslator { files, layer: ConfLayer::new(options) };
    translator.translate(strategy)?;
    translator.layer.finish(above);
    Ok(())
}

/// Translates the broker of `files` to the keys of a source on RabbitMQ, below `rabbit`: its address, the
/// `exchanges` and the `topics`. Adds the warnings to the options.
///
/// Glance publishes there; whether it does is a warning, because the reader can do nothing about it.
#[cfg(all(feature = "listen", feature = "rabbit"))]
pub(crate) fn translate_source(files: ConfFiles, options: &mut OptionTree) -> Result<()> {
    let mut translator = ConfTranslator { files, layer: ConfLayer::new(options) };
    translator.translate_source()?;
    translator.layer.finish(OptionTree::default());
    Ok(())
}

/// Files and the layer that their translation goes to.
struct ConfTranslator<'a> {
    files: ConfFiles,
    layer: ConfLayer<'a>,
}

impl ConfTranslator<'_> {
    /// Translates all options of the strategy.
    fn translate(&mut self, strategy: Option<&'static str>) -> Result<()> {
        if let Some(option) = self.files.first(CONFIG_SOURCE)? {
            return Err(option.refuse("only files are supported: copy the options into this file"));
        }
        let mut choices = StrategyChoice::read_all(&self.files, &mut self.layer.options.warnings)?;
        // Without a choice in the files, the strategy of an earlier source stays.
        let is_chosen = choices.iter().any(|choice| choice.option.is_some());
        let earlier = self.layer.options.get("strategy").filter(|_| !is_chosen);
        let strategy = strategy.or_else(|| strategies::canonical_name(earlier?.as_str()?));
        if let Some(strategy) = strategy {
            // The strategy of another source is the only one, with the driver of the files that fits best.
            let is_broker = |strategy: &str| matches!(strategy, "rabbit" | "qpid");
            let fits = |it: &StrategyChoice| is_broker(it.strategy) == is_broker(strategy);
            let best = choices.iter().position(fits).unwrap_or_default();
            choices = vec![choices.swap_remove(best)];
        }
        self.publisher_id(&choices[0])?;
        self.disabled_notifications()?;
        let mut destinations = Vec::new();
        for choice in &choices {
            destinations.extend(self.destinations_of(choice, strategy)?);
        }
        let of_broker = |it: &&ConfDestination| it.strategy != "log" && it.strategy != "noop";
        let chosen = destinations.iter().find(of_broker).or(destinations.first());
        let chosen = chosen.map_or("noop", |destination| destination.strategy);
        unknown_options::warn(&self.files, chosen, &mut self.layer.options.warnings);
        old_names::warn(&self.files, chosen, &mut self.layer.options.warnings);
        self.put_destinations(&destinations);
        Ok(())
    }

    /// Translates the options of one choice, and returns its destinations: one for each topic of a broker.
    fn destinations_of(
        &mut self,
        choice: &StrategyChoice,
        strategy: Option<&'static str>,
    ) -> Result<Vec<ConfDestination>> {
        match strategy.unwrap_or(choice.strategy) {
            "rabbit" | "qpid" => self.broker(choice, strategy),
            "log" => {
                self.log_file()?;
                Ok(vec![ConfDestination::new("log", choice)])
            }
            _ => {
                self.warn_of_silence(choice, SILENCE);
                Ok(vec![ConfDestination::new("noop", choice)])
            }
        }
    }

    /// Writes the keys of one destination, or a list of several.
    fn put_destinations(&mut self, destinations: &[ConfDestination]) {
        if let [only] = destinations {
            for (key, value, option) in only.values() {
                self.put(&key, value, option);
            }
            if let Some(option) = &only.option {
                self.put("strategy", only.strategy.into(), option);
            }
            return;
        }
        // The strategy of an earlier source would contradict the list.
        self.layer.options.remove("strategy");
        let mut names: Vec<String> = Vec::new();
        let tables: Vec<Value> = destinations
            .iter()
            .map(|destination| {
                let name = destination.name(&names);
                let mut table = json!({ "name": name, "strategy": destination.strategy });
                for (key, value, option) in destination.values() {
                    if option.is_default() {
                        self.layer.put(&key, value, option);
                    } else if let Some((group, key)) = key.split_once('.') {
                        table[group][key] = value;
                    }
                }
                names.push(name);
                table
            })
            .collect();
        let last = destinations.iter().rev().find_map(ConfDestination::origin);
        let place = last.unwrap_or_else(|| self.files.places());
        self.layer.options.put("destination", tables.into(), &place);
    }

    /// Translates the broker as the place of a source.
    #[cfg(all(feature = "listen", feature = "rabbit"))]
    fn translate_source(&mut self) -> Result<()> {
        if let Some(option) = self.files.first(CONFIG_SOURCE)? {
            return Err(option.refuse("only files are supported: copy the options into this file"));
        }
        // A mixture of drivers publishes to the same queues.
        let mixed =
            StrategyChoice { strategy: "rabbit", option: None, envelope: None, by_glance: false };
        let warnings = &mut self.layer.options.warnings;
        let choices = StrategyChoice::read_all(&self.files, warnings).unwrap_or_else(|error| {
            warnings.push(error.to_string());
            Vec::new()
        });
        let is_broker = |choice: &StrategyChoice| matches!(choice.strategy, "rabbit" | "qpid");
        let broker = choices.iter().position(is_broker).unwrap_or_default();
        let choice = choices.into_iter().nth(broker).unwrap_or(mixed);
        if !is_broker(&choice) {
            let is_log = choice.strategy == "log";
            self.warn_of_silence(&choice, if is_log { LOG_ONLY } else { SILENCE });
        }
        let BrokerChoice { options, url } = BrokerChoice::read(&self.files, &choice)?;
        if options.strategy != RABBIT.strategy {
            let problem = "notifications are read from RabbitMQ only: expected a URL that begins with \
                           rabbit://";
            return Err(match &url {
                Some((_, option)) => option.refuse(problem),
                None => config_error(format!("{}: {problem}", self.files.places())),
            });
        }
        if let Some((url, option)) = &url {
            BrokerAddress::check_parameters(options, url, option)?;
            self.files.override_with(options.group, &url.parameters, option);
        }
        let (exchange, topics) = self.exchange_and_topics(options.strategy, &choice)?;
        self.put("rabbit.exchanges", json!([exchange.value]), &exchange);
        let names: Vec<_> = topics.iter().map(|topic| topic.value.as_str()).collect();
        self.put("rabbit.topics", json!(names), &topics[0]);
        unknown_options::warn(&self.files, options.strategy, &mut self.layer.options.warnings);
        old_names::warn(&self.files, options.strategy, &mut self.layer.options.warnings);
        let address = BrokerAddress::read(&self.files, options, url.as_ref())?;
        address.put(&self.files, options, &mut self.layer)
    }

    /// Translates the options of a broker, and returns a destination for each topic.
    fn broker(
        &mut self,
        choice: &StrategyChoice,
        strategy: Option<&'static str>,
    ) -> Result<Vec<ConfDestination>> {
        let mut broker = BrokerChoice::read(&self.files, choice)?;
        if let Some(strategy) = strategy
            && strategy != broker.options.strategy
        {
            if let Some((_, option)) = broker.url.take() {
                let text =
                    format!("ignored: its protocol is not that of the strategy `{strategy}`");
                self.layer.warn(option.describe(&text));
            }
            broker.options = of_strategy(strategy);
        }
        let BrokerChoice { options, url } = broker;
        if let Some((url, option)) = &url {
            BrokerAddress::check_parameters(options, url, option)?;
            self.files.override_with(options.group, &url.parameters, option);
        }
        for (names, default, message) in options.unsupported {
            if let Some(option) = self.files.first(names)?
                && !option.has_value(default)
            {
                return Err(option.refuse(message));
            }
        }
        let strategy = options.strategy;
        let (exchange, topics) = self.exchange_and_topics(strategy, choice)?;
        self.put(&format!("{strategy}.exchange"), exchange.value.as_str().into(), &exchange);
        let address = BrokerAddress::read(&self.files, options, url.as_ref())?;
        address.put(&self.files, options, &mut self.layer)?;
        if strategy == "rabbit" {
            self.durability()?;
        } else {
            // Glance sends to a topic exchange, with the priority in the subject.
            self.put("qpid.node", "topic".into(), &ConfOption::default_of("the address"));
        }
        if options.group == AMQP.group
            && let Some((_, option)) = &url
        {
            self.layer.warn(option.describe(
                "oslo.messaging's AMQP 1.0 driver has its own addresses and message bodies, and its \
                 listeners do not read this project's: set `qpid.address` for your reader",
            ));
        }
        self.warn_of_ignored(options.ignored)?;
        self.warn_of_ignored(NOTIFIER_IGNORED)?;
        let of_topic = |topic| ConfDestination {
            topic: Some(topic),
            envelope: choice.envelope,
            ..ConfDestination::new(strategy, choice)
        };
        Ok(topics.into_iter().map(of_topic).collect())
    }

    /// Returns the name of the exchange, and at least one topic.
    fn exchange_and_topics(
        &mut self,
        strategy: &str,
        choice: &StrategyChoice,
    ) -> Result<(ConfOption, Vec<ConfOption>)> {
        let names = GLANCE_NAMES.iter().find(|(of_strategy, ..)| *of_strategy == strategy);
        let (_, exchange, topic) = names.unwrap_or(&GLANCE_NAMES[0]);
        let exchange = self.name(CONTROL_EXCHANGE, exchange, "glance", choice)?;
        let option = self.name(TOPICS, topic, "notifications", choice)?;
        let mut topics: Vec<ConfOption> = Vec::new();
        for topic in option.list() {
            let topic = option.clone().with_value(topic);
            if !topics.iter().any(|known| known.value == topic.value) {
                topics.push(topic);
            }
        }
        if topics.is_empty() {
            let problem = "empty, so Glance would send nothing: name one topic";
            return Err(option.refuse(problem));
        }
        Ok((exchange, topics))
    }

    /// Returns the option that names the exchange or the topics.
    ///
    /// Glance's own strategies had options of their own. oslo.messaging never read those.
    fn name(
        &mut self,
        oslo: &[OptionName],
        glance: &[OptionName],
        default: &str,
        choice: &StrategyChoice,
    ) -> Result<ConfOption> {
        let of_glance = self.files.first(glance)?;
        if choice.by_glance
            && let Some(option) = of_glance
        {
            return Ok(option);
        }
        let name = if choice.by_glance { glance[0].1 } else { oslo[0].1 };
        let default = || ConfOption::default_of(name).with_value(default);
        let option = self.files.first_with_empty(oslo)?.unwrap_or_else(default);
        if let Some(ignored) = of_glance.filter(|ignored| ignored.value != option.value) {
            self.layer.warn(ignored.describe(&format!(
                "ignored, as Glance ignores it since 2014.1: `{}` decides",
                oslo[0].1
            )));
        }
        Ok(option)
    }

    /// Translates the type of RabbitMQ's queues and whether they survive a restart.
    fn durability(&mut self) -> Result<()> {
        let (durable, durable_option) = self.files.flag(DURABLE)?;
        if let (true, Some(option)) = self.files.flag(QUORUM)? {
            self.put("rabbit.queue_type", "quorum".into(), &option);
            // A quorum queue is always durable, whatever the option for other queues says.
            self.put("rabbit.durable", true.into(), &option);
        } else {
            let option = durable_option.unwrap_or_else(|| ConfOption::default_of(DURABLE[0].1));
            self.put("rabbit.durable", durable.into(), &option);
        }
        Ok(())
    }

    /// Translates `log_file`, and joins it to `log_dir` if it is relative.
    fn log_file(&mut self) -> Result<()> {
        if let Some(option) = self.files.first(LOG_CONFIG)? {
            return Err(option.refuse(
                "a configuration of Python's logging is not supported: remove it and set `log_file`",
            ));
        }
        let directory = self.files.first(LOG_DIR)?;
        match (self.files.first(LOG_FILE)?, directory) {
            (Some(mut option), directory) => {
                if let Some(directory) = directory {
                    let path = std::path::Path::new(&directory.value).join(&option.value);
                    option.value = path.to_string_lossy().into_owned();
                }
                self.put("log.file", option.value.clone().into(), &option);
            }
            (None, Some(directory)) => {
                return Err(directory.refuse(
                    "without `log_file` the name of the file depends on the service: set `log_file`",
                ));
            }
            // Another layer may set `log.file`, or another target.
            (None, None) => {
                self.layer.options.without_log_file = Some(format!(
                    "`[DEFAULT] log_file` ({}) is missing: name the file to append to",
                    self.files.places()
                ));
            }
        }
        self.warn_of_ignored(LOG_IGNORED)
    }

    /// Translates the sender's name. Glance's default is the same on every host.
    fn publisher_id(&mut self, choice: &StrategyChoice) -> Result<()> {
        if let Some(option) = self.files.first(PUBLISHER)? {
            self.put("publisher_id", option.value.clone().into(), &option);
            return Ok(());
        }
        self.put("publisher_id", DEFAULT_PUBLISHER.into(), &ConfOption::default_of(PUBLISHER[0].1));
        if let Some(option) = choice.option.as_ref().filter(|_| choice.by_glance)
            && choice.strategy != "noop"
        {
            self.layer.warn(option.describe(&format!(
                "Glance before 2014.1 sent the host name as publisher id, later releases send \
                 `{DEFAULT_PUBLISHER}`, as here: set `default_publisher_id`"
            )));
        }
        Ok(())
    }

    /// Translates the disabled event types, and warns of names that no event of Glance has. A name that is
    /// valid stays, because other services have events too.
    fn disabled_notifications(&mut self) -> Result<()> {
        let Some(option) = self.files.first(DISABLED)? else { return Ok(()) };
        let count = option.list().filter(|name| !is_event_name(name)).count();
        if count > 0 {
            let entries = if count == 1 { "entry has" } else { "entries have" };
            self.layer.warn(option.describe(&format!(
                "{count} unknown {entries} no effect: Glance compares whole event types, and groups \
                 such as `image` or `task`"
            )));
        }
        let valid: Vec<_> = option.list().filter(|name| EventType::new(name).is_ok()).collect();
        self.put("disabled_notifications", json!(valid), &option);
        Ok(())
    }

    /// Warns that nothing is sent, with `text`.
    fn warn_of_silence(&mut self, choice: &StrategyChoice, text: &str) {
        let warning = match &choice.option {
            Some(option) => option.describe(text),
            None => format!("{}: no notification driver: {text}", self.files.places()),
        };
        self.layer.warn(warning);
    }

    /// Warns of every option that this crate ignores and that a file sets to another value than its default.
    fn warn_of_ignored(&mut self, options: &[DefaultedOption]) -> Result<()> {
        for (names, default, reason) in options {
            if let Some(option) = self.files.first(names)?
                && !option.has_value(default)
            {
                self.layer.warn(option.describe(&format!("ignored: {reason}")));
            }
        }
        Ok(())
    }

    /// Writes a value at one of our keys, with `option` as its origin.
    fn put(&mut self, key: &str, value: Value, option: &ConfOption) {
        self.layer.put(key, value, option);
    }
}

/// Returns whether Glance sends events of this type or group.
fn is_event_name(name: &str) -> bool {
    let is_documented = |known: &EventType| known.as_str() == name || known.group() == name;
    EventType::DOCUMENTED.iter().any(is_documented)
        || UNDOCUMENTED.contains(&name)
        || METADEF_GROUPS.contains(&name.split('.').next().unwrap_or_default())
}

/// Glance's event types of images and tasks that its specification did not document before 2026.
const UNDOCUMENTED: &[&str] = &[
    "image.member.create",
    "image.member.update",
    "image.member.delete",
    "task.create",
    "task.delete",
];
/// The groups of Glance's events about the definitions of metadata.
const METADEF_GROUPS: &[&str] = &[
    "metadef_namespace",
    "metadef_object",
    "metadef_property",
    "metadef_resource_type",
    "metadef_tag",
];
/// Glance's publisher id since December 2013.
const DEFAULT_PUBLISHER: &str = "image.localhost";
/// The warning about a file that selects no destination.
const SILENCE: &str = "no notifications are sent: set `driver = messagingv2` below \
                       `[oslo_messaging_notifications]` to send them";
/// The warning to a reader of the broker about a file that selects the log.
#[cfg(all(feature = "listen", feature = "rabbit"))]
const LOG_ONLY: &str = "Glance writes notifications to its log and sends none to the broker: read the \
                        log file, or set `driver = messagingv2` below `[oslo_messaging_notifications]`";
