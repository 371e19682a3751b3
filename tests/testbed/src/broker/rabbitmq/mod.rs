//! Private RabbitMQ nodes.
//!
//! ```no_run
//! use notify_testbed::broker::rabbitmq::RabbitMq;
//!
//! let broker = RabbitMq::start();
//! let vhost = broker.vhost();
//! // … publish to vhost.url() …
//! broker.kill();
//! broker.restart();
//! let messages = vhost.drain("notifications.info");
//! ```

mod broker;
mod builder;
mod cluster;
mod erlang;
mod erlang_console;
mod node_pool;
mod node_process;
mod node_settings;
mod queue;
mod vhost;

pub use broker::RabbitMq;
pub use builder::RabbitMqBuilder;
pub use cluster::Cluster;
pub use node_pool::{NodePool, PooledNode};
pub use queue::QueueInfo;
pub use vhost::Vhost;

pub use super::amqp_client::RabbitMqMessage;
