//! Presets: the options that a word such as `compat = "openstack"` sets.
//!
//! A preset never overrides an option that any source sets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::option_tree::OptionTree;
use super::toml::parse_value;
use crate::strategies;

/// The value of the key `compat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CompatPreset {
    /// For a virtual host that OpenStack services share, and for consumers such as Ceilometer.
    Openstack,
}

impl CompatPreset {
    /// Returns the preset options, with their values in the form of `--set`.
    fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Openstack => OPENSTACK,
        }
    }
}

/// The options of `compat = "openstack"`. Those in a strategy's table apply to that strategy only.
const OPENSTACK: &[(&str, &str)] = &[
    ("payloads", "glance"),
    ("rabbit.durable", "false"),
    ("rabbit.envelope", "oslo-2.0"),
    ("qpid.envelope", "oslo-2.0"),
    ("qpid.node", "topic"),
];

/// Adds the options of the configured preset that no source has set.
///
/// An unknown preset adds nothing; [`CommonSettings`](super::common_settings::CommonSettings) rejects
/// it later.
pub(super) fn add_presets(options: &mut OptionTree) {
    let string = |key| options.get(key).and_then(Value::as_str);
    let Some(Ok(preset)) = options.get("compat").map(CompatPreset::deserialize) else {
        return;
    };
    let strategy = string("strategy").and_then(strategies::canonical_name);
    let place = format!("compat = \"{}\"", string("compat").unwrap_or_default());
    for (key, text) in preset.options() {
        let table = key.split_once('.').map(|(table, _)| table);
        let applies = table.is_none() || table == strategy;
        if applies && options.get(key).is_none() {
            options.put(key, parse_value(text), &place);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// Returns every configured key with its value and origin.
    fn configured_entries(toml: &str) -> Vec<String> {
        let config: Config = toml.parse().unwrap();
        let entries = config.entries();
        let configured = entries.iter().filter(|entry| entry.origin != "default");
        configured
            .map(|entry| format!("{} = {} ({})", entry.key, entry.value, entry.origin))
            .collect()
    }

    /// A configured option wins over the preset, and other strategies' options stay out.
    #[test]
    fn openstack_sets_only_missing_options_of_the_configured_strategy() {
        assert_eq!(
            configured_entries("compat = 'openstack'\nstrategy = 'rabbit'\nrabbit.durable = true"),
            [
                "compat = \"openstack\" (TOML)",
                "payloads = \"glance\" (compat = \"openstack\")",
                "rabbit.durable = true (TOML)",
                "rabbit.envelope = \"oslo-2.0\" (compat = \"openstack\")",
                "strategy = \"rabbit\" (TOML)",
            ]
        );
        assert_eq!(
            configured_entries("compat = 'openstack'\nstrategy = 'qpid'\npayloads = 'documented'"),
            [
                "compat = \"openstack\" (TOML)",
                "payloads = \"documented\" (TOML)",
                "qpid.envelope = \"oslo-2.0\" (compat = \"openstack\")",
                "qpid.node = \"topic\" (compat = \"openstack\")",
                "strategy = \"qpid\" (TOML)",
            ]
        );
    }

    /// A typo in `compat` is an error, not a missing preset.
    #[test]
    fn rejects_an_unknown_preset() {
        assert_eq!(
            "compat = 'nova'".parse::<Config>().unwrap_err().to_string(),
            "`compat` (TOML): unknown value, expected \"openstack\""
        );
    }
}
