//! The files that the command reads if you name none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Returns the first default file that exists.
pub(super) fn first_existing() -> Option<PathBuf> {
    candidates(&|name| std::env::var_os(name)).into_iter().find(|path| path.exists())
}

/// Returns the paths of the default files in the order of their precedence.
fn candidates(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    // The specification of base directories ignores relative paths.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let user = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|directory| directory.join("glance-notify").join("config.toml"));
    let here = Path::new("./glance-notify.toml").to_owned();
    let system = Path::new("/etc/glance-notify/config.toml").to_owned();
    [Some(here), user, Some(system)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The user's file follows the specification of base directories.
    #[test]
    fn the_default_files_are_here_of_the_user_and_of_the_system() {
        let paths = |variables: &'static [(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
            };
            candidates(&variable)
                .into_iter()
                .map(|path| path.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let (here, system) = ("./glance-notify.toml", "/etc/glance-notify/config.toml");
        assert_eq!(paths(&[]), [here, system]);
        assert_eq!(
            paths(&[("HOME", "/h")]),
            [here, "/h/.config/glance-notify/config.toml", system]
        );
        assert_eq!(
            paths(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]),
            [here, "/x/glance-notify/config.toml", system]
        );
        assert_eq!(paths(&[("XDG_CONFIG_HOME", "x")]), [here, system]);
    }
}
