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
    let strategy = match section {
        DEFAULT if name.starts_with("rabbit_") || name.starts_with("kombu_") => "rabbit",
        DEFAULT if name.starts_with("qpid_") => "qpid",
        DEFAULT if name.starts_with("notification_") || name.starts_with("notifier_") => "",
        DEFAULT => return ("", None),
        _ if section == RABBIT.group => "rabbit",
        _ if section == QPID.group || section == AMQP.group => "qpid",
        "oslo_messaging_notifications" => "",
        // A misspelt section.
        _ if section.starts_with("oslo_messaging_not") || section.starts_with("oslo.messaging") => {
            let hint = ": the section is `[oslo_messaging_notifications]`".to_owned();
            return ("", Some(hint));
        }
        _ if section.starts_with("oslo_messaging") || section.eq_ignore_ascii_case(DEFAULT) => {
            return ("", hint_of_section(section, name));
        }
        _ => return ("", None),
    };
    let known: Vec<OptionName> = known_names().collect();
    let is_amqp = section == AMQP.group;
    if is_amqp || WITHOUT_EFFECT.contains(&name) || known.contains(&(section, name)) {
        return ("", None);
    }
    let hint = match (section, name) {
        ("DEFAULT", "qpid_host") => ": the option is `qpid_hostname`".to_owned(),
        _ => match known.iter().find(|(_, known)| *known == name) {
            Some((section, _)) => format!(": it belongs to `[{section}]`"),
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
