//! Warnings about options that look as if they decided where notifications go, and that neither Glance nor
//! oslo.messaging reads.
//!
//! A misspelt name sends notifications elsewhere than its author meant, in silence.

use super::conf_files::{ConfFiles, OptionName, full_name};
use super::ini::DEFAULT;
use super::options::{AMQP, QPID, RABBIT, WITHOUT_EFFECT, known_names};

/// Adds a warning for each unknown option that would concern `strategy`.
pub(super) fn warn(files: &ConfFiles, strategy: &str, warnings: &mut Vec<String>) {
    for (section, name, place) in files.names() {
        let (concerned, hint) = concern(section, name);
        let is_concerned = concerned.is_empty() || concerned == strategy;
        if is_concerned && hint.is_some() {
            let hint = hint.unwrap_or_default();
            let name = notify_core::redact::printable(&full_name(section, name), 128).to_string();
            warnings.push(format!("`{name}` ({place}) is ignored, as Glance ignores it{hint}"));
        }
    }
}

/// Returns the warning about an environment variable that sets an option in oslo.config, such as
/// `OS_DEFAULT__TRANSPORT_URL`, if `name` is one. It names no value, which may be a password.
pub(crate) fn warning_of_variable(name: &str) -> Option<String> {
    let (section, option) = name.strip_prefix("OS_")?.split_once("__")?;
    let is_meant = |(group, known): &OptionName| {
        group.to_ascii_uppercase() == section && known.to_ascii_uppercase() == option
    };
    let (section, known) = known_names().find(is_meant)?;
    Some(format!(
        "the environment variable {name} is ignored, though oslo.config reads such variables over the \
         files: set `{}` in a file",
        full_name(section, known)
    ))
}

/// Returns the strategy that an unknown option would concern, or an empty name for all, and a hint.
///
/// The hint is `None` for a known option, and for one that belongs to the rest of the service.
fn concern(section: &str, name: &str) -> (&'static str, Option<String>) {
    let known: Vec<OptionName> = known_names().collect();
    // The name that was meant, if the spelling alone is wrong: `Transport-URL`.
    let meant = name.to_ascii_lowercase().replace('-', "_");
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| meant.starts_with(*prefix));
    let trimmed = section.trim();
    let strategy = match section {
        DEFAULT if begins(&["rabbit_", "kombu_"]) => "rabbit",
        DEFAULT if begins(&["qpid_"]) => "qpid",
        DEFAULT if begins(NOTIFIER_PREFIXES) => "",
        DEFAULT if meant == name || !known.contains(&(DEFAULT, meant.as_str())) => {
            return ("", None);
        }
        DEFAULT if begins(&["log", "use_", "default_log_"]) => "log",
        DEFAULT => "",
        _ if section == RABBIT.group => "rabbit",
        _ if section == QPID.group || section == AMQP.group => "qpid",
        "oslo_messaging_notifications" => "",
        // A misspelt section.
        _ if trimmed.starts_with("oslo_messaging_not") || trimmed.starts_with("oslo.messaging") => {
            let hint = ": the section is `[oslo_messaging_notifications]`".to_owned();
            return ("", Some(hint));
        }
        _ if trimmed.starts_with("oslo_messaging") || trimmed.eq_ignore_ascii_case(DEFAULT) => {
            return ("", hint_of_section(trimmed, name));
        }
        _ => return ("", None),
    };
    let is_amqp = section == AMQP.group;
    if is_amqp || WITHOUT_EFFECT.contains(&name) || known.contains(&(section, name)) {
        return ("", None);
    }
    let here = known.iter().find(|known| **known == (section, meant.as_str()));
    let hint = match (section, name) {
        ("DEFAULT", "qpid_host") => ": the option is `qpid_hostname`".to_owned(),
        _ => match here.or_else(|| known.iter().find(|(_, known)| *known == meant)) {
            Some((section, _)) if meant == name => format!(": it belongs to `[{section}]`"),
            Some((section, known)) => format!(": the option is `{}`", full_name(section, known)),
            None => ": no such option".to_owned(),
        },
    };
    (strategy, Some(hint))
}

/// Returns the hint about an option in a misspelt section, or `None` if no section has such an option. Of
/// several sections it names the most similar one.
fn hint_of_section(section: &str, name: &str) -> Option<String> {
    let similarity = |(other, _): &OptionName| {
        let pairs = section.bytes().zip(other.bytes());
        pairs.take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
    };
    let (section, _) = known_names().filter(|(_, known)| *known == name).max_by_key(similarity)?;
    Some(format!(": it belongs to `[{section}]`"))
}

/// The beginnings of the names in `[DEFAULT]` that concern every strategy.
const NOTIFIER_PREFIXES: &[&str] =
    &["notification_", "notifier_", "disabled_notif", "default_publisher", "transport_"];
