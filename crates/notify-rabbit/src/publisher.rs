//! A connection with one channel in confirm mode, for publishing.
//!
//! A source uses a [`Connection`] without this module.

use std::sync::Arc;

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use notify_core::Result;
use notify_core::transport::BrokerCounters;
use tokio::time::timeout;

use crate::answers::PublishAnswers;
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Operation;
use crate::publish_frames::PublishFrames;
use crate::runtime::silently;

/// A connection and its channel for publishing.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// The connection, with the declarations' channels and the background tasks.
    pub(crate) connection: Connection,
    pub(crate) answers: Arc<PublishAnswers>,
    /// The channel in confirm mode. lapin publishes nothing on it.
    channel: Channel,
    /// The buffer for the frames of publishes on the channel.
    pub(crate) frames: PublishFrames,
    /// Whether the broker has answered for a message on this connection, by an ack or a nack.
    pub(crate) has_answered: bool,
    pub(crate) counters: Arc<BrokerCounters>,
}

impl Publisher {
    /// Opens the channel for publishing on `connection`, within `rabbit.connect_timeout`.
    ///
    /// # Errors
    ///
    /// The error of the broker, or a timeout.
    pub(crate) async fn open(
        connection: Connection,
        answers: Arc<PublishAnswers>,
        config: &Config,
        counters: &Arc<BrokerCounters>,
    ) -> Result<Self> {
        let (channel, frames) = open_confirming_channel(&connection, &answers, config).await?;
        let counters = Arc::clone(counters);
        Ok(Self { connection, answers, channel, frames, has_answered: false, counters })
    }

    /// Returns whether the connection and its channel are open.
    pub(crate) fn is_usable(&self) -> bool {
        self.connection.is_usable()
            && self.channel.status().connected()
            && !self.connection.watch.has_ended()
    }

    /// Replaces the channel by a new one, within `rabbit.connect_timeout`.
    ///
    /// Call it only while no message on the old channel is unconfirmed: their confirms would be lost.
    pub(crate) async fn renew_channel(&mut self, config: &Config) -> Result<()> {
        (self.channel, self.frames) =
            open_confirming_channel(&self.connection, &self.answers, config).await?;
        Ok(())
    }
}

/// Opens a channel in confirm mode (RabbitMQ's extension `confirm.select`): the broker answers every
/// publish with an ack or a nack.
async fn open_confirming_channel(
    connection: &Connection,
    answers: &PublishAnswers,
    config: &Config,
) -> Result<(Channel, PublishFrames)> {
    let open = async {
        let channel = connection.open_channel().await?;
        match channel.confirm_select(ConfirmSelectOptions::default()).await {
            Ok(()) => Ok(channel),
            Err(error) => Err(connection.context.explain(&error, Operation::Declare)),
        }
    };
    let Ok(channel) = timeout(config.endpoint.connect_timeout, silently(open)).await else {
        let blocked = connection.blocked();
        return Err(connection
            .context
            .unanswered_error("did not open a channel", blocked.as_deref()));
    };
    let channel = channel?;
    answers.begin_channel(channel.id(), Some(channel.status().clone()));
    let frames = PublishFrames::new(channel.id(), connection.frame_max());
    Ok((channel, frames))
}
