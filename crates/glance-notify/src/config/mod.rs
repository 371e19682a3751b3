//! The configuration of a notifier: a TOML file, overridden by the environment and by single settings.
//!
//! [`Config`] is the result. [`Layers`] combines the sources and remembers where each value came from.
//! [`glance_conf`] reads a `glance-api.conf` instead of TOML. [`ConfigKey`] and `docs/configuration.md`
//! describe every key. [`ConfigTable`] is a configuration that a program builds, without text.
//!
//! A transport of your own gets the common keys with [`Config::builder_for`]. The other types are those
//! with which the transports of this project read their tables: [`Driver`], [`DriverOptions`], [`Origin`],
//! [`Seconds`].

mod common_settings;
mod compat;
mod config_file;
mod config_reading;
mod config_table;
pub(crate) mod configuration;
mod default_files;
mod delivery_table;
mod destination_config;
mod destination_header;
mod entries;
pub mod glance_conf;
mod keys;
pub(crate) mod layers;
mod masking;
mod option_tree;
mod queue_table;
mod reading_tables;
mod toml;
mod unused_keys;

pub use compat::CompatPreset;
pub use config_table::{ConfigTable, DestinationTable};
pub use configuration::Config;
pub use delivery_table::DeliveryTable;
pub use destination_config::DestinationConfig;
pub use entries::ConfigEntry;
pub use keys::{ConfigKey, KeyKind, sample};
pub use layers::Layers;
pub use notify_core::config::{Driver, DriverOptions, Origin, Origins, Seconds};
pub use notify_core::redact::Redact;
pub use queue_table::QueueTable;
pub use reading_tables::{ArchiveTable, ListenerTable};
