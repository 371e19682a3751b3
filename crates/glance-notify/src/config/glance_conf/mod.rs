//! Reading `glance-api.conf`: the notification options of OpenStack Glance, of every release since 2011.
//!
//! [`from_str`] translates the options of Glance's notifiers and of oslo.messaging to a [`Config`].
//! `docs/configuration.md` has the table of options. Defaults are Glance's own, below all layers.
//!
//! An option that would change where or how notifications are delivered, and that this crate does not
//! support, is an error. An option that only tunes Glance's delivery is a
//! [warning](Config::warnings). All other options in the file belong to the service, and this module
//! does not read them.

mod broker_address;
mod conf_destination;
pub(super) mod conf_files;
mod conf_layer;
mod ini;
mod interpolation;
mod old_names;
mod options;
mod strategy;
pub(super) mod translator;
mod transport_url;
pub(super) mod unknown_options;

use notify_core::Result;

use super::configuration::Config;
use super::option_tree::OptionTree;
use conf_files::ConfFiles;

/// Reads the text of a `glance-api.conf`. Ignores the environment.
///
/// [`Layers::file`](super::Layers::file) reads such a file, and lets you override it.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) with the line if the syntax is invalid, if an
/// option has an invalid value, or if this crate does not support the value. The message does not
/// repeat the value, which may be a password.
///
/// # Examples
///
/// ```
/// # fn main() -> glance_notify::Result<()> {
/// let config = glance_notify::config::glance_conf::from_str(
///     "[DEFAULT]\nnotifier_strategy = logging\nlog_dir = /var/log/glance\nlog_file = api.log\n",
/// )?;
/// assert_eq!(config.strategy(), "log");
/// # Ok(())
/// # }
/// ```
pub fn from_str(text: &str) -> Result<Config> {
    let mut files = ConfFiles::default();
    files.push(text, "glance-api.conf")?;
    let mut options = OptionTree::default();
    translator::translate(files, &mut options, OptionTree::default())?;
    Config::from_options(options)
}
