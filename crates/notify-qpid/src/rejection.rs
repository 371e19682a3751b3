//! The meaning of the outcome `rejected`, by its condition.
//!
//! | condition | meaning |
//! |---|---|
//! | resource-limit-exceeded, a custom condition with `server-busy` or `quota` | busy |
//! | none, from RabbitMQ 4: its queue is full or has no majority | busy |
//! | decode-error, invalid-field, not-allowed, not-implemented, unauthorized-access, message-size-exceeded | invalid |
//! | not-found, resource-deleted | unroutable |
//! | any other, and none from another broker | rejected |
//!
//! This module decides no verdict.

use fe2o3_amqp::types::definitions::{AmqpError, Error, ErrorCondition, LinkError};
use notify_net::Meaning;

use crate::config::Dialect;

/// Returns the meaning of a rejection with this error, by a broker of this dialect.
pub(crate) fn rejection_meaning(error: Option<&Error>, dialect: Dialect) -> Meaning {
    let Some(error) = error else {
        // RabbitMQ 4 rejects a message if a queue rejects it, and gives no reason before 4.3.
        let is_rabbitmq = matches!(dialect, Dialect::RabbitMq | Dialect::RabbitMq3);
        return if is_rabbitmq { Meaning::Busy } else { Meaning::Rejected };
    };
    match &error.condition {
        ErrorCondition::AmqpError(AmqpError::ResourceLimitExceeded) => Meaning::Busy,
        ErrorCondition::AmqpError(
            AmqpError::DecodeError
            | AmqpError::InvalidField
            | AmqpError::NotAllowed
            | AmqpError::NotImplemented
            | AmqpError::UnauthorizedAccess,
        )
        | ErrorCondition::LinkError(LinkError::MessageSizeExceeded) => Meaning::Invalid,
        ErrorCondition::AmqpError(AmqpError::NotFound | AmqpError::ResourceDeleted) => {
            Meaning::Unroutable
        }
        ErrorCondition::Custom(condition)
            if ["server-busy", "quota", "maxlen", "unavailable"]
                .iter()
                .any(|busy| condition.as_str().contains(busy)) =>
        {
            Meaning::Busy
        }
        _ => Meaning::Rejected,
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
            (ErrorCondition::AmqpError(AmqpError::ResourceLimitExceeded), Meaning::Busy),
            (custom("com.microsoft:server-busy"), Meaning::Busy),
            (ErrorCondition::AmqpError(AmqpError::DecodeError), Meaning::Invalid),
            (ErrorCondition::AmqpError(AmqpError::NotAllowed), Meaning::Invalid),
            (ErrorCondition::LinkError(LinkError::MessageSizeExceeded), Meaning::Invalid),
            (ErrorCondition::AmqpError(AmqpError::NotFound), Meaning::Unroutable),
            (ErrorCondition::AmqpError(AmqpError::InternalError), Meaning::Rejected),
            (custom("example:unknown"), Meaning::Rejected),
        ] {
            let error = Error::new(condition, None, None);
            assert_eq!(rejection_meaning(Some(&error), Dialect::Plain), meaning, "{error:?}");
        }
        assert_eq!(rejection_meaning(None, Dialect::Plain), Meaning::Rejected);
        assert_eq!(rejection_meaning(None, Dialect::RabbitMq), Meaning::Busy);
    }
}
