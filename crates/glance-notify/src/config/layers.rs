//! Laying one source of configuration over another, and remembering where each value came from.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use notify_core::config::{Origin, Origins};
use notify_core::redact::{Redact, printable};
use notify_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::entries::{is_secret, leaves};
use super::glance_conf;
use super::toml::{self, parse_value};
use super::{Config, compat};

/// Sources of configuration, each laid over those before it.
///
/// ```no_run
/// # fn main() -> glance_notify::Result<()> {
/// use glance_notify::config::Layers;
///
/// let config = Layers::new()
///     .file("/etc/glance/notify.toml")?
///     .environment()?
///     .set("log.sync=false")?
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Layers {
    table: Map<String, Value>,
    origins: Origins,
    warnings: Vec<String>,
}

impl Layers {
    /// Nothing yet: the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays the file at `path` over: TOML where its name ends in `.toml`, and what
    /// [`glance_conf`](super::glance_conf) reads where it ends in `.conf`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when the file cannot be read, is larger than 1 MiB, has another ending,
    /// or is not what its ending says.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let place = printable(&path.to_string_lossy(), PLACE_CHARS).to_string();
        let (text, mode) = read(path)
            .map_err(|error| refuse(format!("cannot read `{place}`")).with_source(error))?;
        let mut layers = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => self.toml(&place, &text)?,
            Some("conf") => glance_conf::lay(self, &place, &text)?,
            _ => {
                return Err(refuse(format!(
                    "`{place}`: a configuration is a file that ends in .toml or, in the manner of \
                     glance-api.conf, in .conf"
                )));
            }
        };
        if mode & 0o004 != 0 && layers.has_secret_of(&place) {
            layers
                .warn(format!("`{place}` holds a secret and can be read by everybody: chmod o-r"));
        }
        Ok(layers)
    }

    /// Lays a text of TOML over; errors name it `place`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when it is no TOML. The text is not quoted.
    pub fn toml(self, place: &str, text: &str) -> Result<Self> {
        let table = toml::parse(text).map_err(|wrong| refuse(format!("{place}, {wrong}")))?;
        self.table(place, table)
    }

    /// Lays a table over; errors name it `place`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when it has both `log_file` and `log.file`.
    pub fn table(mut self, place: &str, mut table: Map<String, Value>) -> Result<Self> {
        if let Some(log_file) = table.remove("log_file") {
            let log = table.entry("log").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(log) = log
                && log.insert("file".to_owned(), log_file).is_some()
            {
                return Err(refuse(format!(
                    "`log_file` and `log.file` ({place}) are the same: keep one"
                )));
            }
        }
        for (key, value) in table {
            self.put(&key, value, place, None);
        }
        Ok(self)
    }

    /// Lays the environment of this process over: `GLANCE_NOTIFY__LOG__FILE` is `log.file`. Values are
    /// as those of [`set`](Self::set).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when a variable of that prefix names no key or is not UTF-8.
    pub fn environment(self) -> Result<Self> {
        self.variables(std::env::vars_os())
    }

    /// Lays `variables` over as if they were the environment.
    ///
    /// # Errors
    ///
    /// As those of [`environment`](Self::environment).
    pub fn variables(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            let place = format!("environment variable {}", printable(name, PLACE_CHARS));
            let Some(text) = value.to_str() else {
                return Err(refuse(format!("{place}: is not UTF-8")));
            };
            let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            self.put_text(&key, text, &place)?;
        }
        Ok(self)
    }

    /// Lays one setting over: `KEY=VALUE`, as `log.sync=false`. The value is one of TOML; what is none
    /// is a string, and so is whatever stands where a string belongs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when there is no `=`, or no key before it.
    pub fn set(mut self, setting: &str) -> Result<Self> {
        let Some((key, text)) = setting.split_once('=') else {
            return Err(refuse(
                "--set: expected KEY=VALUE, as in `--set log.file=notifications.log`",
            ));
        };
        self.put_text(key.trim(), text, "--set")?;
        Ok(self)
    }

    /// The configuration that this makes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key, a wrong value and an unknown strategy.
    pub fn build(mut self) -> Result<Config> {
        compat::preset(&mut self);
        Config::new(self.table, self.origins, self.warnings)
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The value at a dotted path.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let mut segments = key.split('.');
        let mut value = self.table.get(segments.next()?)?;
        for segment in segments {
            value = value.get(segment)?;
        }
        Some(value)
    }

    /// Puts a value at a dotted path; a table is laid over what is there, key by key.
    pub(crate) fn put(&mut self, key: &str, value: Value, place: &str, raw: Option<&str>) {
        if let Value::Object(table) = value {
            if table.is_empty() {
                self.slot(key);
                let origin = Origin { place: place.to_owned(), raw: None };
                self.origins.entry(key.to_owned()).or_insert(origin);
            }
            for (name, value) in table {
                self.put(&format!("{key}.{name}"), value, place, None);
            }
            return;
        }
        *self.slot(key) = value;
        let below = format!("{key}.");
        self.origins.retain(|known, _| !known.starts_with(&below));
        let origin = Origin { place: place.to_owned(), raw: raw.map(str::to_owned) };
        self.origins.insert(key.to_owned(), origin);
    }

    fn put_text(&mut self, key: &str, text: &str, place: &str) -> Result<()> {
        let key = if key == "log_file" { "log.file" } else { key };
        if key.split('.').any(str::is_empty) || key.split('.').count() > MAX_DEPTH {
            return Err(refuse(format!(
                "{place}: `{}` is no key: expected one as `log.file`",
                printable(&Redact::Secrets.text(key), 64)
            )));
        }
        self.put(key, parse_value(text), place, Some(text));
        Ok(())
    }

    /// The place of a value, made where it is missing; what is no table on the way becomes one.
    fn slot(&mut self, key: &str) -> &mut Value {
        let Self { table, origins, .. } = self;
        let mut path = String::new();
        let mut segments = key.split('.').peekable();
        let first = segments.next().unwrap_or_default();
        path.push_str(first);
        let mut value = table.entry(first).or_insert_with(|| Value::Object(Map::new()));
        for segment in segments {
            if !value.is_object() {
                *value = Value::Object(Map::new());
                origins.remove(&path);
            }
            path.push('.');
            path.push_str(segment);
            value = &mut value[segment];
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
        }
        value
    }

    fn has_secret_of(&self, place: &str) -> bool {
        let mut found = false;
        leaves(&self.table, "", &mut |key, value| {
            let ours = self.origins.get(&key).is_some_and(|origin| origin.place == place);
            found |= ours && is_secret(&key, value);
        });
        found
    }
}

impl fmt::Debug for Layers {
    /// Names the keys, shows no value: any of them may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("keys", &self.origins.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> std::io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok((text, mode))
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message.into())
}

const PREFIX: &str = "GLANCE_NOTIFY__";
const MAX_BYTES: u64 = 1024 * 1024;
const PLACE_CHARS: usize = 256;
/// How many segments a key may have that is given as text. The longest has two.
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(layers: Layers, key: &str) -> String {
        let strategy = key.split('.').next().unwrap();
        let config = layers.set(&format!("strategy={strategy}")).unwrap().build().unwrap();
        let entries = config.entries();
        let entry = entries.iter().find(|entry| entry.key == key).unwrap();
        format!("{} ({})", entry.value, entry.origin)
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn the_environment_lies_over_the_file_and_settings_over_both() {
        let file = Layers::new().toml("a.toml", "log_file = 'a'\nlog.sync = true").unwrap();
        assert_eq!(shown(file.clone(), "log.file"), "\"a\" (a.toml)");
        let environment = file.variables(variables(&[
            ("GLANCE_NOTIFY__LOG__FILE", "b"),
            ("GLANCE_NOTIFY_LOG__FILE", "x"),
            ("PATH", "/bin"),
        ]));
        let environment = environment.unwrap();
        assert_eq!(
            shown(environment.clone(), "log.file"),
            "\"b\" (environment variable GLANCE_NOTIFY__LOG__FILE)"
        );
        let set = environment.set("log_file=c").unwrap();
        assert_eq!(shown(set.clone(), "log.file"), "\"c\" (--set)");
        assert_eq!(shown(set, "log.sync"), "true (a.toml)");
    }

    #[test]
    fn digits_are_a_string_where_a_string_belongs() {
        let layers = Layers::new().set("publisher_id=007").unwrap();
        assert_eq!(layers.build().unwrap().publisher_id(), Some("007"));
        let layers = Layers::new().variables(variables(&[("GLANCE_NOTIFY__PUBLISHER_ID", "true")]));
        assert_eq!(layers.unwrap().build().unwrap().publisher_id(), Some("true"));
    }

    #[test]
    fn a_value_takes_the_place_of_a_table_and_a_table_that_of_a_value() {
        let layers = Layers::new().set("rabbit={ host = \"a\", port = 1 }").unwrap();
        assert_eq!(shown(layers.clone(), "rabbit.port"), "1 (--set)");
        let layers = layers.set("rabbit=1").unwrap();
        assert_eq!(
            layers.clone().build().unwrap_err().to_string(),
            "`rabbit` (--set): expected a table, found a whole number"
        );
        assert_eq!(shown(layers.set("rabbit.host=b").unwrap(), "rabbit.host"), "\"b\" (--set)");
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        let deep = format!("{}=1", ["a"; 9].join("."));
        for setting in ["strategy", "=log", "log.=x", ".log=x", "a..b=x", deep.as_str()] {
            let error = Layers::new().set(setting).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with("--set: "), "{error}");
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_and_holds_a_secret_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify.toml");
        for (text, mode, warned) in [
            ("rabbit.password = 'x'", 0o644, true),
            ("rabbit.url = 'amqp://u:p@h'", 0o604, true),
            ("rabbit.password = 'x'", 0o640, false),
            ("rabbit.password_file = '/x'", 0o644, false),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let config = Layers::new().file(&path).unwrap().build().unwrap();
            assert_eq!(!config.warnings().is_empty(), warned, "{text} {mode:o}");
        }
    }

    #[test]
    fn files_that_are_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let large = vec![b'#'; 1024 * 1024 + 1];
        for (path, expected) in [
            (dir.path().to_owned(), "Is a directory"),
            (dir.path().join("none.toml"), "No such file"),
            (file("latin.toml", b"# \xe4"), "UTF-8"),
            (file("large.toml", &large), "larger than 1 MiB"),
            (file("notify.yaml", b"a: b"), "ends in .toml"),
        ] {
            let error = Layers::new().file(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
