//! Warnings about options by names that current oslo.messaging no longer reads, in a file for a release that
//! knows the new ones.
//!
//! Such a file works here, and sends notifications elsewhere, or none, in Glance.

use super::conf_files::{ConfFiles, ConfOption, OptionName, full_name};
use super::options::{
    DRIVER, IN_URL, NOTIFICATION_URL, NOTIFICATIONS, RABBIT, RENAMED, RPC_BACKEND, TOPICS,
    TRANSPORT_URL,
};
use super::transport_url::TransportUrl;

/// Adds a warning for each old name that supplies a value for `strategy`, if the files also have options by
/// new names.
pub(super) fn warn(files: &ConfFiles, strategy: &str, warnings: &mut Vec<String>) {
    if !files.names().any(|(section, ..)| section == NOTIFICATIONS) {
        return;
    }
    // The translation of an option reports the error in its value.
    let first = |names: &[OptionName]| files.first(names).ok().flatten();
    let mut warn = |option: &ConfOption, names: &[OptionName], (section, name): OptionName| {
        let new = full_name(section, name);
        if option.name != new {
            let release = if names == DRIVER || names == TOPICS {
                "oslo.messaging 16 and later ignores"
            } else {
                "current oslo.messaging ignores"
            };
            warnings.push(format!(
                "`{}` ({}) is read, but {release} it; the option is `{new}`",
                option.name,
                option.origin()
            ));
        }
    };
    for option in files.all(DRIVER).unwrap_or_default() {
        if !option.value.is_empty() {
            warn(&option, DRIVER, DRIVER[0]);
        }
    }
    if strategy != RABBIT.strategy {
        return;
    }
    let tls_files = RABBIT.tls_files.iter().map(|(_, names)| *names);
    for names in RENAMED.iter().copied().chain(tls_files) {
        if let Some(option) = first(names) {
            warn(&option, names, names[0]);
        }
    }
    let url = first(NOTIFICATION_URL).or_else(|| first(TRANSPORT_URL));
    let url = url.and_then(|option| TransportUrl::parse(&option).ok());
    // The options in place of which a URL is read. One without a host or a virtual host leaves that part to
    // the options.
    let is_replaced = |names: &[OptionName]| {
        url.as_ref().is_some_and(|url| {
            if names == RABBIT.virtual_host {
                url.virtual_host.is_some()
            } else {
                names == RPC_BACKEND || !url.hosts.is_empty()
            }
        })
    };
    for names in IN_URL.iter().copied() {
        if !is_replaced(names)
            && let Some(option) = first(names)
        {
            warn(&option, names, TRANSPORT_URL[0]);
        }
    }
}
