//! The meaning of the outcome `rejected`, by its condition.
//!
//! | condition | meaning |
//! |---|---|
//! | resource-limit-exceeded, a custom condition with `server-busy`, `quota`, `maxlen` or `unavailable` | busy |
//! | none, from RabbitMQ: its queue is full or has no majority | busy |
//! | decode-error, invalid-field, not-allowed, not-implemented, unauthorized-access, message-size-exceeded | invalid |
//! | not-found, resource-deleted | unroutable |
//! | any other, and none from another broker | rejected |
//!
//! This module decides no verdict.

use fe2o3_amqp::types::definitions::{AmqpError, Error, ErrorCondition, LinkError};
use notify_net::BrokerAnswer;

use crate::config::Dialect;

/// Returns the meaning of a rejection with this error, by a broker of this dialect.
pub(crate) fn rejection_meaning(error: Option<&Error>, dialect: Dialect) -> BrokerAnswer {
    let Some(error) = error else {
        // RabbitMQ 4 rejects a message if a queue rejects it, and gives no reason before 4.3.
        let is_rabbitmq = matches!(dialect, Dialect::RabbitMq | Dialect::RabbitMq3);
        return if is_rabbitmq { BrokerAnswer::Busy } else { BrokerAnswer::Rejected };
    };
    match &error.condition {
        ErrorCondition::AmqpError(AmqpError::ResourceLimitExceeded) => BrokerAnswer::Busy,
        ErrorCondition::AmqpError(
            AmqpError::DecodeError
            | AmqpError::InvalidField
            | AmqpError::NotAllowed
            | AmqpError::NotImplemented
            | AmqpError::UnauthorizedAccess,
        )
        | ErrorCondition::LinkError(LinkError::MessageSizeExceeded) => BrokerAnswer::Invalid,
        ErrorCondition::AmqpError(AmqpError::NotFound | AmqpError::ResourceDeleted) => {
            BrokerAnswer::Unroutable
        }
        ErrorCondition::Custom(condition)
            if ["server-busy", "quota", "maxlen", "unavailable"]
                .iter()
                .any(|busy| condition.as_str().contains(busy)) =>
        {
            BrokerAnswer::Busy
        }
        _ => BrokerAnswer::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::primitives::Symbol;

    use super::*;

    /// Each condition has the meaning of its row.
    #[test]
    fn each_condition_has_its_meaning() {
        let custom = |text: &str| ErrorCondition::Custom(Symbol::from(text));
        for (condition, meaning) in [
            (ErrorCondition::AmqpError(AmqpError::ResourceLimitExceeded), BrokerAnswer::Busy),
            (custom("com.microsoft:server-busy"), BrokerAnswer::Busy),
            (custom("example:maxlen"), BrokerAnswer::Busy),
            (custom("example:unavailable"), BrokerAnswer::Busy),
            (ErrorCondition::AmqpError(AmqpError::DecodeError), BrokerAnswer::Invalid),
            (ErrorCondition::AmqpError(AmqpError::NotAllowed), BrokerAnswer::Invalid),
            (ErrorCondition::LinkError(LinkError::MessageSizeExceeded), BrokerAnswer::Invalid),
            (ErrorCondition::AmqpError(AmqpError::NotFound), BrokerAnswer::Unroutable),
            (ErrorCondition::AmqpError(AmqpError::InternalError), BrokerAnswer::Rejected),
            (custom("example:unknown"), BrokerAnswer::Rejected),
        ] {
            let error = Error::new(condition, None, None);
            assert_eq!(rejection_meaning(Some(&error), Dialect::Plain), meaning, "{error:?}");
        }
        assert_eq!(rejection_meaning(None, Dialect::Plain), BrokerAnswer::Rejected);
        assert_eq!(rejection_meaning(None, Dialect::RabbitMq), BrokerAnswer::Busy);
    }
}
