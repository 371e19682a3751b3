//! Warnings about settings that have no effect: keys of strategies that are not chosen, keys that every
//! destination overrides, and variables that only look like settings.
//!
//! A file may hold the tables of all strategies. A variable or `--set` is for this run, so it should have
//! an effect, and a misspelt key is a mistake in any table.

use notify_core::redact::{Redact, printable};

use super::configuration::Config;
use super::keys::ConfigKey;
use super::option_tree::{OptionTree, concerns_destination};
use crate::strategies::is_name;

/// Adds a warning for each key without effect under the strategies of all destinations.
pub(super) fn warn(options: &mut OptionTree, strategies: &[&str]) {
    let mut warnings = Vec::new();
    for (key, origin) in &options.origins {
        let table = key.split('.').next().unwrap_or_default();
        // A strategy that is chosen checks its own table, and a spool in front of it.
        let has_spool = strategies.iter().any(|strategy| *strategy != "noop");
        let is_checked = !is_name(table) && (table != "spool" || has_spool);
        if is_checked || strategies.contains(&table) {
            continue;
        }
        let known = ConfigKey::all().any(|known| {
            known.name == key
                || key.strip_prefix(known.name).is_some_and(|rest| rest.starts_with('.'))
        });
        let shown = printable(&Redact::Secrets.text(key), MAX_CHARS).to_string();
        let place = printable(&origin.place, MAX_CHARS);
        if !known {
            let hint = match ConfigKey::similar(key) {
                Some(key) => format!(": did you mean `{}`?", key.name),
                None => String::new(),
            };
            warnings.push(format!("`{shown}` ({place}) is ignored: unknown option{hint}"));
        } else if origin.raw.is_some() {
            warnings.push(format!(
                "`{shown}` ({place}) has no effect because the strategy is `{}`",
                strategies.join("`, `")
            ));
        }
    }
    options.warnings.extend(warnings);
}

/// Adds a warning for each variable and each `--set` that all `destinations` override in their tables.
pub(super) fn warn_of_overridden(options: &mut OptionTree, destinations: &[Config]) {
    let Some(tables) = options.origins.get("destination") else { return };
    let mut warnings = Vec::new();
    for (key, origin) in &options.origins {
        let concerns = |one: &Config| concerns_destination(key, Some(one.strategy));
        let reaches = |one: &Config| one.options.origins.get(key) == Some(origin);
        if origin.raw.is_some()
            && destinations.iter().any(concerns)
            && !destinations.iter().any(reaches)
        {
            warnings.push(format!(
                "`{}` ({}) has no effect because every destination overrides it: change it in {}",
                printable(&Redact::Secrets.text(key), MAX_CHARS),
                printable(&origin.place, MAX_CHARS),
                printable(&tables.place, MAX_CHARS)
            ));
        }
    }
    options.warnings.extend(warnings);
}

/// Returns the warning about a variable that starts like a setting and is none, if `name` is such a one.
pub(super) fn warning_of_variable(name: &str) -> Option<String> {
    let rest = name.strip_prefix("GLANCE_NOTIFY_")?;
    let flat = rest.to_ascii_lowercase().replace("__", "_");
    let key = ConfigKey::all().find(|key| key.name.replace('.', "_") == flat);
    let meant = match key {
        Some(key) => key.name.to_ascii_uppercase().replace('.', "__"),
        None => rest.to_owned(),
    };
    Some(format!(
        "the environment variable {} is ignored: two underscores follow GLANCE_NOTIFY and each table, \
         as in GLANCE_NOTIFY__{}",
        printable(name, MAX_CHARS),
        printable(&meant, MAX_CHARS)
    ))
}

/// How much of a key or a name a warning shows, in characters.
const MAX_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use crate::config::Layers;

    /// Returns the warnings of layers.
    fn warnings(toml: &str, variables: &[(&str, &str)], settings: &[&str]) -> Vec<String> {
        let layers = Layers::new().toml("a.toml", toml).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let layers = layers.variables(variables).unwrap();
        let layers = settings.iter().fold(layers, |layers, setting| layers.set(setting).unwrap());
        layers.build().unwrap().warnings().to_vec()
    }

    /// D7: nothing that an operator sets for this run is ignored in silence.
    #[test]
    fn d7_settings_without_effect_are_warned_of() {
        let file = "strategy = 'rabbit'\nlog.file = 'x'\nqpid.port = 1\n";
        assert_eq!(warnings(file, &[], &[]), [""; 0]);
        assert_eq!(
            warnings(file, &[("GLANCE_NOTIFY__LOG__SYNC", "false")], &["qpid.host=h", "log.fle=x"]),
            [
                "`log.fle` (--set) is ignored: unknown option: did you mean `log.file`?",
                "`log.sync` (environment variable GLANCE_NOTIFY__LOG__SYNC) has no effect because the \
                 strategy is `rabbit`",
                "`qpid.host` (--set) has no effect because the strategy is `rabbit`",
            ]
        );
        assert_eq!(
            warnings("strategy = 'log'\nrabbit.usr = 'u'\nspool.size = 1\n", &[], &[]),
            ["`rabbit.usr` (a.toml) is ignored: unknown option: did you mean `rabbit.user`?"]
        );
    }

    /// D7: a value outside of the tables that no destination takes, because each has its own.
    #[test]
    fn d7_settings_that_every_destination_overrides_are_warned_of() {
        let table = |name: &str, keys: &str| {
            format!("[[destination]]\nname = '{name}'\nstrategy = 'rabbit'\n{keys}\n")
        };
        let variables = [("GLANCE_NOTIFY__RABBIT__TOPIC", "images")];
        let settings = ["queue.max_age=9", "rabbit.topic=other", "spool.size=1"];
        let own = "rabbit.topic = 't'\nspool = false";
        let both = format!("{}{}", table("a", own), table("b", own));
        let warning = |key: &str, place: &str| {
            format!(
                "`{key}` ({place}) has no effect because every destination overrides it: change it in \
                 a.toml"
            )
        };
        assert_eq!(
            warnings(&both, &variables, &[]),
            [warning("rabbit.topic", "environment variable GLANCE_NOTIFY__RABBIT__TOPIC")]
        );
        assert_eq!(
            warnings(&both, &variables, &settings),
            [warning("rabbit.topic", "--set"), warning("spool.size", "--set")]
        );
        assert_eq!(warnings(&format!("rabbit.topic = 'x'\n{both}"), &[], &[]), [""; 0]);
        let one = format!("{}{}", table("a", own), table("b", "spool = false"));
        assert_eq!(warnings(&one, &variables, &[]), [""; 0]);
    }

    /// D7: one underscore in place of two, before the key and inside it.
    #[test]
    fn d7_variables_with_one_underscore_are_warned_of() {
        for (name, meant) in [
            ("GLANCE_NOTIFY_STRATEGY", "GLANCE_NOTIFY__STRATEGY"),
            ("GLANCE_NOTIFY_RABBIT_URL", "GLANCE_NOTIFY__RABBIT__URL"),
            ("GLANCE_NOTIFY_QUEUE__MAX_AGE", "GLANCE_NOTIFY__QUEUE__MAX_AGE"),
            ("GLANCE_NOTIFY_X", "GLANCE_NOTIFY__X"),
        ] {
            let warnings = warnings("", &[(name, "log"), ("GLANCE_NOTIFYX", "1")], &[]);
            assert_eq!(
                warnings,
                [format!(
                    "the environment variable {name} is ignored: two underscores follow GLANCE_NOTIFY \
                     and each table, as in {meant}"
                )]
            );
        }
    }
}
