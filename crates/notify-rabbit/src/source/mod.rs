//! The source on RabbitMQ: it reads notifications through a tap of its own, or from queues of others.
//!
//! # Queues
//!
//! | [`SourceQueue`] | declares | takes messages from others | keeps messages while it is away |
//! |---|---|---|---|
//! | `Temporary` | an exclusive queue, gone with the connection | no | no |
//! | `Durable` | `glance-notify.NAME`, for one listener at a time | no | yes, up to 7 days |
//! | `Stream` | the stream `glance-notify.NAME`, for any number of listeners | no | yes, for `max_age` |
//! | `SharedStream` | nothing | no | yes |
//! | `Pool` | the pool's queue, unless it exists | only from its pool | yes |
//! | `Shared` | nothing | **yes** | yes |
//!
//! A tap binds its queue to the exchanges with the keys `TOPIC.#`. It declares no exchange: a durable
//! one would make oslo.messaging's publishers lose every notification.
//!
//! # Failures
//!
//! | the broker | the source |
//! |---|---|
//! | is down, freezes, or closes the connection | ends the session; the next one connects again, to any of the hosts |
//! | closes the channel, because an acknowledgement took too long | ends the session; the next one uses the same connection |
//! | cancels a consumer, because its queue is gone | ends the session; the next one declares a queue of its own again, or waits for that of others |
//! | has lost an exchange, and the bindings with it | is detached, and binds again as soon as the exchange is there |
//! | cannot reach one of several shared queues, or does not answer for it | is detached, reads the other queues, and looks again |
//! | starts no consumer, as a node without a replica of the stream | ends the session; the next one connects again, to any of the hosts |
//! | has a second listener for a durable tap | fails until the first one ends; of two that start together, both may fail once |
//!
//! After the start of a session the source binds again every second for two minutes, and then every
//! minute. A lost exchange counts from the last look that found it. The source cannot see that a binding was
//! removed, or that an exchange was declared again, between two looks.
//!
//! # Files
//!
//! `source_options` reads a table into the configuration of `source_config`. Then:
//!
//! ```text
//! rabbit_source ──► session ──► topology_watch ──► read_plan   (declare and bind)
//!       │              └──────► intake ──► deliveries, incoming  (messages)
//!       │                         └─────► stream_cursor ──► stream_checkpoint
//!       └─────────► inspection                                 (for the command)
//! ```

mod deliveries;
mod incoming;
mod inspection;
mod intake;
mod rabbit_source;
mod read_plan;
mod session;
mod source_config;
mod source_options;
mod stream_checkpoint;
mod stream_cursor;
mod topology_watch;

pub use inspection::{QueueDepth, QueueDepths};
pub use rabbit_source::RabbitSource;
pub use source_config::{RabbitSourceConfig, SourceQueue, StreamPosition, StreamStart};
