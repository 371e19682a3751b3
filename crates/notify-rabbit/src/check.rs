//! What `glance-notify check` finds at the broker. Sends nothing, declares nothing that is not there.

use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, options::ExchangeUnbindOptions};
use notify_core::Result;
use notify_core::transport::Finding;
use tokio::time::timeout;

use crate::config::{Config, Declare};
use crate::connection::Connection;
use crate::error::Doing;
use crate::runtime::quietly;
use crate::topology::{Mismatch, Node, Topology, is_missing};

/// Looks at everything that sending needs.
///
/// # Errors
///
/// When the broker stops answering.
pub(crate) async fn check(
    connection: &Connection,
    topology: &Topology,
    config: &Config,
) -> Result<Vec<Finding>> {
    let mut findings = vec![
        Finding::good("broker", format!("{} at {}", connection.product, connection.peer)),
        connection.peer.tls_finding(),
        Finding::good("login", connection.site.to_string()),
    ];
    let look = async {
        for node in topology.nodes() {
            findings.push(look_at(node, connection, config).await?);
        }
        findings.push(may_publish(connection, topology).await?);
        Ok(())
    };
    match timeout(config.connect_timeout, quietly(look)).await {
        Ok(result) => result.map(|()| findings),
        Err(_) => Err(connection.site.late("did not answer", connection.blocked().as_deref())),
    }
}

async fn look_at(node: Node<'_>, connection: &Connection, config: &Config) -> Result<Finding> {
    let channel = connection.another_channel().await?;
    let subject = node.to_string();
    let found = match node.look(&channel).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => {
            return Ok(match config.declare {
                Declare::Yes => Finding::good(subject, "not there yet: will be declared"),
                Declare::Verify | Declare::No => Finding::bad(subject, node.missing()),
            });
        }
        Err(error) => return Err(connection.site.explain(&error, Doing::Declare)),
    };
    let (seen, full) = match found {
        Some(queue) => {
            let (messages, consumers) = (queue.message_count(), queue.consumer_count());
            let full =
                config.backlog_warning > 0 && consumers == 0 && messages > config.backlog_warning;
            (format!("{messages} messages, {consumers} consumers"), full)
        }
        None => ("is there".to_owned(), false),
    };
    if config.declare == Declare::Yes
        && let Some(finding) = difference(node, &subject, &channel, connection, config).await?
    {
        return Ok(finding);
    }
    if full {
        let policy = crate::backlog::policy(&config.virtual_host, &config.topic);
        let cost = format!("{seen}: nobody reads it; read it, or bound it with {policy}");
        return Ok(Finding::warning(subject, cost));
    }
    Ok(Finding::good(subject, seen))
}

/// Declares once more what is there: that changes nothing and says how it differs, and whether we
/// may.
async fn difference(
    node: Node<'_>,
    subject: &str,
    channel: &Channel,
    connection: &Connection,
    config: &Config,
) -> Result<Option<Finding>> {
    let Err(error) = node.declare(channel, config).await else { return Ok(None) };
    let Some(mismatch) = Mismatch::of(&error) else {
        let error = connection.site.explain(&error, Doing::Declare);
        return if error.is_transient() {
            Err(error)
        } else {
            Ok(Some(Finding::bad(subject, error)))
        };
    };
    Ok(match mismatch.judge(config) {
        Ok(None) => None,
        Ok(Some(cost)) => Some(Finding::warning(subject, cost)),
        Err(error) => Some(Finding::bad(subject, error)),
    })
}

/// Whether we may write to the exchange.
///
/// The broker checks that before it refuses to unbind from the default exchange, which it always
/// does: the question changes nothing whatever the answer.
async fn may_publish(connection: &Connection, topology: &Topology) -> Result<Finding> {
    let channel = connection.another_channel().await?;
    let question = channel.exchange_unbind(
        topology.exchange.clone(),
        ShortString::default(),
        ShortString::default(),
        ExchangeUnbindOptions::default(),
        FieldTable::default(),
    );
    let subject = "permission to write";
    let Err(error) = question.await else { return Ok(Finding::good(subject, "granted")) };
    let refused = match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => {
            error.get_message().as_str().contains("refused for user")
        }
        _ => return Err(connection.site.explain(&error, Doing::Publish)),
    };
    Ok(if refused {
        Finding::bad(subject, connection.site.explain(&error, Doing::Publish))
    } else {
        Finding::good(subject, "granted")
    })
}
