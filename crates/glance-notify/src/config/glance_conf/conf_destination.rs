//! One destination of files of Glance's format: a driver, and one topic if it is a broker.

use serde_json::Value;

use super::conf_files::ConfOption;
use super::strategy::StrategyChoice;

/// A driver and its topic.
#[derive(Clone)]
pub(super) struct ConfDestination {
    pub(super) strategy: &'static str,
    /// The option that selects the strategy, if there is one.
    pub(super) option: Option<ConfOption>,
    pub(super) topic: Option<ConfOption>,
    pub(super) envelope: Option<&'static str>,
}

impl ConfDestination {
    /// Returns the destination of a strategy without topics.
    pub(super) fn new(strategy: &'static str, choice: &StrategyChoice) -> Self {
        Self { strategy, option: choice.option.clone(), topic: None, envelope: None }
    }

    /// Returns our keys that belong to this destination alone, with their values and origins.
    pub(super) fn values(&self) -> impl Iterator<Item = (String, Value, &ConfOption)> {
        let topic = self.topic.as_ref().map(|topic| ("topic", topic.value.as_str(), topic));
        let envelope = self.envelope.zip(self.option.as_ref());
        let envelope = envelope.map(|(envelope, option)| ("envelope", envelope, option));
        let key = |(key, value, option): (_, &str, _)| {
            (format!("{}.{key}", self.strategy), value.into(), option)
        };
        topic.into_iter().chain(envelope).map(key)
    }

    /// Returns a name that is not among `taken`: the topic, or the strategy.
    pub(super) fn name(&self, taken: &[String]) -> String {
        let topic = self.topic.as_ref().map_or(self.strategy, |topic| &topic.value);
        let plain = |c: char| if matches!(c, 'a'..='z' | '0'..='9' | '-' | '_') { c } else { '-' };
        let name: String = topic.to_ascii_lowercase().chars().map(plain).take(MAX_CHARS).collect();
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        names.find(|name| !taken.contains(name)).unwrap_or_default()
    }

    /// Returns the place that selects this destination.
    pub(super) fn origin(&self) -> Option<String> {
        self.topic.as_ref().or(self.option.as_ref()).map(ConfOption::origin)
    }
}

/// How much of a topic the name of a destination holds. A number may follow.
const MAX_CHARS: usize = 56;
