//! Differences between an existing exchange or queue and the configuration.
//!
//! This module only interprets the broker's text. Declaring is the task of
//! [`topology`](crate::topology).
//!
//! RabbitMQ refuses a declaration whose arguments differ from those of the existing entity, names the
//! first difference and closes the channel (406 `PRECONDITION_FAILED`, "inequivalent arg"). With
//! `rabbit.on_mismatch = "adopt"`, a [`Mismatch`] becomes a warning:
//!
//! | existing entity | configured | result |
//! |---|---|---|
//! | not durable | durable | warning: lost when the broker restarts |
//! | durable | not durable | used: safer than configured |
//! | classic queue | quorum | warning: not replicated |
//! | quorum queue | classic | used: safer than configured |
//! | a length limit, a TTL, auto-delete, exclusive | none of these | warning with the consequence |
//! | exchange of another type, or internal | topic | error |

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Result};

use crate::config::{Config, MismatchPolicy};

/// The difference between an existing entity and the configuration, by the first argument that the
/// broker names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    entity: String,
    argument: String,
    configured: String,
    actual: String,
}

impl Mismatch {
    /// Parses the broker's refusal of a declaration. Returns `None` for any other error.
    ///
    /// RabbitMQ: `inequivalent arg 'durable' for exchange 'glance' in vhost '/': received 'true' but
    /// current is 'false'`.
    pub(crate) fn parse(error: &lapin::Error) -> Option<Self> {
        let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
        let text = error.get_message().as_str();
        let (_, text) = text.split_once("inequivalent arg '")?;
        let (argument, text) = text.split_once("' for ")?;
        let (entity, text) = text.split_once(" in vhost ")?;
        let (_, text) = text.split_once(": received ")?;
        let (configured, actual) = text.split_once(" but current is ")?;
        Some(Self {
            entity: printable(&entity.replacen(" '", " `", 1).replace('\'', "`"), 300).to_string(),
            argument: printable(argument, 64).to_string(),
            configured: value(configured),
            actual: value(actual),
        })
    }

    /// Returns a warning about adopting the entity, or `None` if it is at least as safe as the
    /// configuration asks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the entity is unusable, or `rabbit.on_mismatch` is `refuse`.
    pub(crate) fn evaluate(&self, config: &Config) -> Result<Option<String>> {
        let Self { entity, argument, configured, actual } = self;
        let option = match argument.as_str() {
            "durable" => "`rabbit.durable`",
            "x-queue-type" => "`rabbit.queue_type`",
            _ if entity.starts_with("exchange") => "`rabbit.exchange`",
            _ => "`rabbit.topic`",
        };
        let unusable = matches!(argument.as_str(), "type" | "internal");
        if unusable || config.on_mismatch == MismatchPolicy::Refuse {
            let change = if unusable {
                "choose another `rabbit.exchange`".into()
            } else {
                format!("change {option}")
            };
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "{entity} exists with `{argument}` {actual}, but {configured} is configured: \
                     {change}, or delete it at the broker"
                ),
            ));
        }
        let consequence = match (argument.as_str(), actual.as_str()) {
            ("durable", "true") | ("x-queue-type", "quorum") => return Ok(None),
            ("durable", _) => "is not durable: lost when the broker restarts",
            ("auto_delete", _) => "is deleted with its messages when its last consumer leaves",
            ("exclusive", _) => "belongs to one connection and is deleted with it",
            ("x-queue-type", _) => "is not replicated: lost with its node",
            ("x-message-ttl" | "x-expires", _) => "loses messages that no consumer reads in time",
            ("x-max-length" | "x-max-length-bytes" | "x-overflow", _) => {
                "loses or rejects messages when it is full"
            }
            _ => "differs from the configuration",
        };
        Ok(Some(format!(
            "{entity} exists and is used unchanged: it {consequence} (`{argument}` is {actual})"
        )))
    }
}

/// Returns a value in the broker's text as an operator writes it: `'true'` becomes `true`, and `the
/// value 'quorum' of type 'longstr'` becomes `quorum`.
fn value(text: &str) -> String {
    let text = text.strip_prefix("the value ").unwrap_or(text);
    let text = text.split_once(" of type ").map_or(text, |(value, _)| value);
    printable(text.trim_matches('\''), 64).to_string()
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    /// Parses the text of a refused declaration.
    fn mismatch(text: &str) -> Mismatch {
        let error =
            AMQPError::from_id(406, format!("PRECONDITION_FAILED - {text}").into()).unwrap();
        Mismatch::parse(&lapin::ErrorKind::ProtocolError(error).into()).unwrap()
    }

    const DURABLE: &str = "inequivalent arg 'durable' for exchange 'glance' in vhost 'mm': received \
                           'true' but current is 'false'";
    const QUORUM: &str = "inequivalent arg 'x-queue-type' for queue 'notifications.info' in vhost \
                          'mm': received the value 'quorum' of type 'longstr' but current is none";
    const TYPE: &str = "inequivalent arg 'type' for exchange 'glance' in vhost '/': received \
                        'topic' but current is 'fanout'";
    const LENGTH: &str = "inequivalent arg 'x-max-length' for queue 'notifications.info' in vhost \
                          '/': received none but current is the value '10' of type 'signedint'";

    /// Adopting an entity that is less safe than configured has a warning with the consequence.
    #[test]
    fn adopting_an_unsafe_entity_is_a_warning() {
        let warning = |text| mismatch(text).evaluate(&Config::default()).unwrap();
        assert_eq!(
            warning(DURABLE).unwrap(),
            "exchange `glance` exists and is used unchanged: it is not durable: lost when the \
             broker restarts (`durable` is false)"
        );
        assert_eq!(
            warning(QUORUM).unwrap(),
            "queue `notifications.info` exists and is used unchanged: it is not replicated: lost \
             with its node (`x-queue-type` is none)"
        );
        assert!(warning(LENGTH).unwrap().ends_with("when it is full (`x-max-length` is 10)"));
        let safer = "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but \
                     current is 'true'";
        assert_eq!(warning(safer), None);
    }

    /// The error of an entity that is unusable or must not be adopted names both values.
    #[test]
    fn an_unusable_entity_is_an_error_with_both_values() {
        let refuse = Config { on_mismatch: MismatchPolicy::Refuse, ..Config::default() };
        for (text, config, expected) in [
            (
                TYPE,
                &Config::default(),
                "exchange `glance` exists with `type` fanout, but topic is configured: choose \
                 another `rabbit.exchange`, or delete it at the broker",
            ),
            (
                DURABLE,
                &refuse,
                "exchange `glance` exists with `durable` false, but true is configured: change \
                 `rabbit.durable`, or delete it at the broker",
            ),
            (
                LENGTH,
                &refuse,
                "queue `notifications.info` exists with `x-max-length` 10, but none is configured: \
                 change `rabbit.topic`, or delete it at the broker",
            ),
        ] {
            let error = mismatch(text).evaluate(config).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!error.is_transient());
        }
    }
}
