//! The report of `glance-notify check` about the broker.
//!
//! The checks send no message, and declare only entities that exist already, which changes nothing.
//!
//! A report of a new virtual host:
//!
//! ```text
//! broker: RabbitMQ 3.10.8 at rabbit1:5671 (192.0.2.7)
//! TLS: TLS 1.3, TLS13_AES_256_GCM_SHA384, certificate and name verified
//! login: user `glance` at rabbit1:5671
//! exchange `glance`: does not exist yet: the first send declares it
//! queue `notifications.info`: does not exist yet: the first send declares it
//! queue `notifications.warn`: does not exist yet: the first send declares it
//! queue `notifications.error`: does not exist yet: the first send declares it
//! write permission: granted
//! ```

use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, options::ExchangeUnbindOptions};
use notify_core::Result;
use notify_core::transport::Finding;
use tokio::time::timeout;

use crate::backlog::{LimitedQueues, OverflowPolicy, limit_command};
use crate::broker_entity::{BrokerEntity, is_not_found};
use crate::config::{Config, DeclareMode};
use crate::connection::Connection;
use crate::error::Operation;
use crate::mismatch::Mismatch;
use crate::runtime::silently;
use crate::topology::Topology;

/// Checks everything that sending needs, within `rabbit.connect_timeout`.
///
/// # Errors
///
/// When the broker stops answering. Problems that you must solve are findings, not errors.
pub(crate) async fn check(
    connection: &Connection,
    topology: &Topology,
    config: &Config,
) -> Result<Vec<Finding>> {
    let mut findings = vec![
        Finding::good("broker", format!("{} at {}", connection.product, connection.peer)),
        connection.peer.tls_finding(),
        Finding::good("login", connection.context.to_string()),
    ];
    let checks = async {
        for entity in topology.entities() {
            findings.push(check_entity(entity, connection, config).await?);
        }
        findings.push(check_write_permission(connection, topology).await?);
        Ok(())
    };
    match timeout(config.endpoint.connect_timeout, silently(checks)).await {
        Ok(result) => result.map(|()| findings),
        Err(_) => {
            Err(connection.context.timeout_error("did not answer", connection.blocked().as_deref()))
        }
    }
}

/// Checks one exchange or queue: existence, difference from the configuration, backlog.
///
/// A finding holds one problem, and a difference takes precedence over a backlog.
async fn check_entity(
    entity: BrokerEntity<'_>,
    connection: &Connection,
    config: &Config,
) -> Result<Finding> {
    let channel = connection.open_channel().await?;
    let subject = entity.to_string();
    let found = match entity.look_up(&channel).await {
        Ok(found) => found,
        Err(error) if is_not_found(&error) => {
            return Ok(match config.declare {
                DeclareMode::Yes => {
                    Finding::good(subject, "does not exist yet: the first send declares it")
                }
                DeclareMode::Verify | DeclareMode::No => {
                    Finding::bad(subject, entity.missing_error())
                }
            });
        }
        Err(error) => {
            let error = connection.context.explain(&error, Operation::Declare);
            return if connection.is_usable() {
                Ok(Finding::bad(subject, error))
            } else {
                Err(error)
            };
        }
    };
    let (description, backlogged) = match found {
        Some(queue) => {
            let (messages, consumers) = (queue.message_count(), queue.consumer_count());
            let backlogged =
                config.backlog_warning > 0 && consumers == 0 && messages > config.backlog_warning;
            (format!("{messages} messages, {consumers} consumers"), backlogged)
        }
        None => ("exists".to_owned(), false),
    };
    if config.declare == DeclareMode::Yes
        && let Some(finding) =
            check_difference(entity, &subject, &channel, connection, config).await?
    {
        return Ok(finding);
    }
    if backlogged {
        let queues = LimitedQueues::OfTopic(&config.topic);
        let command = limit_command(config.virtual_host(), queues, OverflowPolicy::Reject);
        let advice = format!("{description}: start a consumer, or limit the queue with {command}");
        return Ok(Finding::warning(subject, advice));
    }
    Ok(Finding::good(subject, description))
}

/// Declares an existing entity again. That changes nothing; the broker's answer tells how the entity
/// differs from the configuration, and whether the user may declare it.
async fn check_difference(
    entity: BrokerEntity<'_>,
    subject: &str,
    channel: &Channel,
    connection: &Connection,
    config: &Config,
) -> Result<Option<Finding>> {
    let Err(error) = entity.declare(channel, config).await else { return Ok(None) };
    let Some(mismatch) = Mismatch::parse(&error) else {
        let error = connection.context.explain(&error, Operation::Declare);
        return if error.is_transient() {
            Err(error)
        } else {
            Ok(Some(Finding::bad(subject, error)))
        };
    };
    Ok(match mismatch.evaluate(config) {
        Ok(None) => None,
        Ok(Some(warning)) => Some(Finding::warning(subject, warning)),
        Err(error) => Some(Finding::bad(subject, error)),
    })
}

/// Checks whether the user may write to the exchange.
///
/// RabbitMQ checks this permission before it refuses to unbind an exchange from the default exchange,
/// which it always refuses. So the request changes nothing, and the error tells the permission.
async fn check_write_permission(connection: &Connection, topology: &Topology) -> Result<Finding> {
    let channel = connection.open_channel().await?;
    let unbind = channel.exchange_unbind(
        topology.exchange.clone(),
        ShortString::default(),
        ShortString::default(),
        ExchangeUnbindOptions::default(),
        FieldTable::default(),
    );
    let subject = "write permission";
    let Err(error) = unbind.await else { return Ok(Finding::good(subject, "granted")) };
    let denied = match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => {
            error.get_message().as_str().contains("refused for user")
        }
        _ => {
            return Err(connection.context.explain(&error, Operation::Publish { declares: false }));
        }
    };
    Ok(if denied {
        Finding::bad(
            subject,
            connection.context.explain(&error, Operation::Publish { declares: false }),
        )
    } else {
        Finding::good(subject, "granted")
    })
}
