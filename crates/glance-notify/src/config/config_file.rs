//! Configuration files: reading one safely, and the choice of its format.
//!
//! Only this file opens configuration files.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use notify_core::Result;
use notify_core::redact::printable_path;

use super::glance_conf::conf_files::ConfFiles;
use super::masking::is_secret;
use super::option_tree::{OptionTree, config_error, for_each_value};

/// Reads the file at `path`: TOML into `options`, the format of `glance-api.conf` into `conf_files`, by its
/// name.
///
/// Warns if the file contains a secret and every user of the machine can read it.
pub(super) fn put_file(
    options: &mut OptionTree,
    conf_files: &mut ConfFiles,
    path: &Path,
) -> Result<()> {
    let place = shown(path);
    let (text, mode) = read(path)
        .map_err(|error| config_error(format!("cannot read `{place}`")).with_source(error))?;
    let has_secret = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => {
            options.put_toml(&place, &text)?;
            has_secret_from(options, &place)
        }
        Some("conf") => {
            conf_files.push(&text, &place)?;
            conf_files.last_has_secret()
        }
        _ => {
            return Err(config_error(format!(
                "`{place}`: unknown file type: expected a name that ends in .toml, or in .conf for \
                 the format of glance-api.conf"
            )));
        }
    };
    if mode & READABLE_BY_ALL != 0 && has_secret {
        options.warn(format!(
            "`{place}` contains a secret, and every user can read the file: run `chmod o-r` on it"
        ));
    }
    Ok(())
}

/// Warns of every `password_file` that every user of the machine can read.
pub(super) fn warn_of_password_files(options: &mut OptionTree) {
    let mut warnings = Vec::new();
    for_each_value(&options.values, "", &mut |key, value| {
        let is_password_file = key.rsplit('.').next() == Some("password_file");
        let Some(path) = value.as_str().filter(|_| is_password_file).map(Path::new) else { return };
        // The login reports a file that is missing.
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & READABLE_BY_ALL != 0 {
            warnings.push(format!(
                "`{}` holds a password, and every user can read the file: run `chmod o-r` on it",
                shown(path)
            ));
        }
    });
    warnings.dedup();
    options.warnings.extend(warnings);
}

/// Returns the `.conf` files of a directory in alphabetical order, as oslo.config's `--config-dir` does.
pub(super) fn conf_files_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let place = shown(directory);
    let failed = |error| config_error(format!("cannot read `{place}`")).with_source(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // Python's `glob` leaves out hidden files.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if path.extension().is_some_and(|extension| extension == "conf") && !is_hidden {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(config_error(format!(
            "`{place}` is a directory without a file whose name ends in .conf"
        )));
    }
    paths.sort();
    Ok(paths)
}

/// Returns a path in the form of a message.
fn shown(path: &Path) -> String {
    printable_path(path, PLACE_CHARS)
}

/// Returns the text of the file at `path`, and the permission bits of the file.
fn read(path: &Path) -> std::io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other("the file is larger than 1 MiB"));
    }
    Ok((text, mode))
}

/// Returns `true` if a value that came from `place` is a secret.
fn has_secret_from(options: &OptionTree, place: &str) -> bool {
    let mut found = false;
    for_each_value(&options.values, "", &mut |key, value| {
        let origin = options.origin(&key);
        found |= origin.is_some_and(|origin| origin.place == place) && is_secret(&key, value);
    });
    found
}

/// The permission bit that lets every user read a file.
const READABLE_BY_ALL: u32 = 0o004;
/// The largest configuration file, in bytes: a bound on memory if the path names something else.
const MAX_BYTES: u64 = 1024 * 1024;
/// How much of a path an error shows, in characters.
const PLACE_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use notify_core::ErrorKind;

    use super::super::layers::Layers;
    use super::*;

    /// Passwords belong in files that other users cannot read.
    #[test]
    fn warns_of_a_secret_in_a_file_that_every_user_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify.toml");
        for (text, mode, warns) in [
            ("rabbit.password = 'x'", 0o644, true),
            ("rabbit.url = 'amqp://u:p@h'", 0o604, true),
            ("rabbit.password = 'x'", 0o640, false),
            ("rabbit.password_file = '/x'", 0o644, false),
            // A user alone is no secret; a malformed URL may hold a password anywhere.
            ("rabbit.url = 'amqp://u@h/v'", 0o644, false),
            ("rabbit.url = 'amqp://u@h,u@g/v'", 0o644, false),
            ("rabbit.url = 'amqp://u@h:5672,u@g:5672/v'", 0o644, false),
            ("[[source]]\nurl = 'amqp://u@h,g/v'\npassword_file = '/x'", 0o644, false),
            ("[[source]]\nurl = 'amqp://u:p@h,g/v'", 0o644, true),
            ("rabbit.url = 'amqp://u@h,u:p@g/v'", 0o644, true),
            ("rabbit.url = 'amqp://u:@h/v'", 0o644, true),
            ("rabbit.url = 'amqp://u@h/v?password=p'", 0o644, true),
            ("rabbit.url = 'amqp://u p@h/v'", 0o644, true),
            ("rabbit.url = 'amqp://u/p@h/v'", 0o644, true),
            ("rabbit.url = 'amqp:/u@h/v'", 0o644, true),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut options = OptionTree::default();
            put_file(&mut options, &mut ConfFiles::default(), &path).unwrap();
            assert_eq!(!options.warnings.is_empty(), warns, "{text} {mode:o}");
        }
    }

    /// A password file is as secret as a configuration with a password.
    #[test]
    fn warns_of_a_password_file_that_every_user_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "x").unwrap();
        for (mode, warns) in [(0o644, true), (0o640, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            for text in ["rabbit.password_file = 'P'", "[[source]]\npassword_file = 'P'"] {
                let text = text.replace('P', path.to_str().unwrap());
                let layers = Layers::new().toml("a.toml", &text).unwrap();
                let config = layers.build().unwrap();
                let has_warning = config.warnings().iter().any(|text| text.contains("chmod o-r"));
                assert_eq!(has_warning, warns, "{text} {mode:o}");
            }
        }
    }

    /// Directories, missing, binary, large and unknown files are errors of kind `Config`.
    #[test]
    fn rejects_a_file_that_is_not_a_configuration() {
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
            let (mut options, mut conf_files) = (OptionTree::default(), ConfFiles::default());
            let error = put_file(&mut options, &mut conf_files, &path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
