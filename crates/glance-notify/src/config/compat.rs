//! Presets: what a word such as `compat = "openstack"` sets where nothing else does.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::layers::Layers;
use super::parse_value;
use crate::strategy;

/// With whom a configuration is compatible.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compat {
    /// A virtual host shared with services of OpenStack, and Ceilometer as a reader.
    Openstack,
}

impl Compat {
    fn presets(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Openstack => OPENSTACK,
        }
    }
}

/// What is set, as `--set` would have it. Keys in the table of a strategy are for that one only.
const OPENSTACK: &[(&str, &str)] = &[
    ("payloads", "glance"),
    ("rabbit.durable", "false"),
    ("rabbit.envelope", "oslo-2.0"),
    ("qpid.envelope", "oslo-2.0"),
    ("qpid.node", "topic"),
];

/// Sets what the configured `compat` presets and what is not set already.
///
/// A `compat` that is none is left for the types to refuse.
pub(super) fn preset(layers: &mut Layers) {
    let word = |key| layers.get(key).and_then(Value::as_str);
    let Some(Ok(compat)) = layers.get("compat").map(Compat::deserialize) else {
        return;
    };
    let strategy = word("strategy").and_then(strategy::canonical);
    let place = format!("compat = \"{}\"", word("compat").unwrap_or_default());
    for (key, text) in compat.presets() {
        let whose = key.split_once('.').map(|(table, _)| table);
        let ours = whose.is_none() || whose == strategy;
        if ours && layers.get(key).is_none() {
            layers.put(key, parse_value(text), &place, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn entries(toml: &str) -> Vec<String> {
        let config: Config = toml.parse().unwrap();
        let entries = config.entries();
        let set = entries.iter().filter(|entry| entry.origin != "default");
        set.map(|entry| format!("{} = {} ({})", entry.key, entry.value, entry.origin)).collect()
    }

    #[test]
    fn openstack_presets_what_is_not_set() {
        assert_eq!(
            entries("compat = 'openstack'\nstrategy = 'rabbit'\nrabbit.durable = true"),
            [
                "compat = \"openstack\" (TOML)",
                "payloads = \"glance\" (compat = \"openstack\")",
                "rabbit.durable = true (TOML)",
                "rabbit.envelope = \"oslo-2.0\" (compat = \"openstack\")",
                "strategy = \"rabbit\" (TOML)",
            ]
        );
        assert_eq!(
            entries("compat = 'openstack'\nstrategy = 'qpid'\npayloads = 'documented'"),
            [
                "compat = \"openstack\" (TOML)",
                "payloads = \"documented\" (TOML)",
                "qpid.envelope = \"oslo-2.0\" (compat = \"openstack\")",
                "qpid.node = \"topic\" (compat = \"openstack\")",
                "strategy = \"qpid\" (TOML)",
            ]
        );
    }

    #[test]
    fn an_unknown_word_is_refused() {
        assert_eq!(
            "compat = 'nova'".parse::<Config>().unwrap_err().to_string(),
            "`compat` (TOML): unknown \"nova\": expected \"openstack\""
        );
    }
}
