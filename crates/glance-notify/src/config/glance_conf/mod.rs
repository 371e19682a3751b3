//! Reading `glance-api.conf`: the notification options of OpenStack Glance, of every release since 2013.
//!
//! [`from_str`] translates the options of Glance's notifiers and of oslo.messaging to a [`Config`].
//! `docs/configuration.md` has the table of options. Defaults are Glance's own.
//!
//! An option that would change where or how notifications are delivered, and that this crate does not
//! support, is an error. An option that only tunes Glance's delivery is a
//! [warning](Config::warnings). All other options in the file belong to the service, and this module
//! does not read them.

mod conf_file;
mod ini;
mod options;
pub(super) mod translator;
mod url;

use notify_core::Result;

use super::configuration::Config;
use super::option_tree::OptionTree;

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
    let mut options = OptionTree::default();
    translator::translate(text, "glance-api.conf", &mut options)?;
    Config::from_options(options)
}
