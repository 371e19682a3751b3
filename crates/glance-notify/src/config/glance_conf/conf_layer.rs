//! `ConfLayer`: the layer that files of Glance's format are translated to, and Glance's defaults below all layers.

use serde_json::Value;

use super::super::option_tree::{OptionTree, for_each_value};
use super::conf_files::ConfOption;

/// The options below the files, which the files override, and Glance's defaults.
///
/// A default is no choice of an operator: a value of any layer wins over it.
pub(super) struct ConfLayer<'a> {
    pub(super) options: &'a mut OptionTree,
    defaults: OptionTree,
    /// Warnings about values that a layer above may replace, with the keys.
    value_warnings: Vec<(String, String)>,
}

impl<'a> ConfLayer<'a> {
    /// Creates the layer over `options`.
    pub(super) fn new(options: &'a mut OptionTree) -> Self {
        Self { options, defaults: OptionTree::default(), value_warnings: Vec::new() }
    }

    /// Writes a value at one of our keys, with `option` as its origin.
    pub(super) fn put(&mut self, key: &str, value: Value, option: &ConfOption) {
        let tree = if option.is_default() { &mut self.defaults } else { &mut *self.options };
        tree.put(key, value, &option.origin());
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, warning: String) {
        self.options.warn(warning);
    }

    /// Returns whether an earlier layer has a value at `key`, or one that a default at `key` would
    /// contradict.
    pub(super) fn decides(&self, key: &str) -> bool {
        decides(self.options, key)
    }

    /// Adds a warning about the value at `key`, which does not concern a layer above that decides it.
    pub(super) fn warn_of_value(&mut self, key: String, warning: String) {
        let warning = (key, warning);
        if !self.value_warnings.contains(&warning) {
            self.value_warnings.push(warning);
        }
    }

    /// Writes the layers above over the options, and then the defaults of all keys that no layer decides.
    pub(super) fn finish(self, above: OptionTree) {
        let Self { options, defaults, value_warnings } = self;
        let concerns = |(key, _): &(String, String)| !decides(&above, key);
        let warnings = value_warnings.into_iter().filter(concerns).map(|(_, warning)| warning);
        options.warnings.extend(warnings);
        options.put_tree(above);
        for (key, origin) in &defaults.origins {
            if let Some(value) = defaults.get(key)
                && !decides(options, key)
            {
                options.put(key, value.clone(), &origin.place);
            }
        }
    }
}

/// Returns whether `options` have a value at `key`, or one that a default at `key` would contradict.
fn decides(options: &OptionTree, key: &str) -> bool {
    let (table, name) = key.split_once('.').unwrap_or(("", key));
    let is_no_table = options.get(table).is_some_and(|table| !table.is_object());
    let mut decides = is_no_table || options.get(key).is_some();
    for_each_value(&options.values, "", &mut |path, value| {
        // A destination may have the table too: `destination[0].rabbit.url`.
        let path = path.rsplit_once("].").map_or(path.as_str(), |(_, path)| path);
        let other = path.strip_prefix(table).and_then(|path| path.strip_prefix('.'));
        decides |= match (name, other) {
            ("host" | "port" | "user" | "password" | "virtual_host", Some("url"))
            | ("password", Some("password_file")) => true,
            ("durable", Some("queue_type")) => value.as_str() == Some("quorum"),
            _ => false,
        };
    });
    decides
}
