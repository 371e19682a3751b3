//! `cargo xtask tidy`: the invariants of the code, each a check with a name.
//!
//! What the compiler and clippy can hold, they do (`workspace.lints`); these are the others. Each is
//! tested below on a workspace that breaks it.

mod crates;
mod imports;
mod layout;
mod sources;
mod tokens;

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Package};
use crate::features;

/// Runs every check.
///
/// # Errors
///
/// Names the checks that do not hold, and what breaks them.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::read(&cargo::root())?;
    let mut broken = 0;
    let mut report = |name: &str, problems: Vec<String>| {
        for problem in &problems {
            eprintln!("{name}: {problem}");
        }
        broken += usize::from(!problems.is_empty());
    };
    for (name, check) in CHECKS {
        report(name, check(&workspace));
    }
    report("default features pull no network crate", features::problems_of_the_default()?);

    for note in sources::long_files(&workspace) {
        println!("note: {note}");
    }
    if broken > 0 {
        bail!("{broken} invariants do not hold");
    }
    println!("{} invariants hold", CHECKS.len() + 1);
    Ok(())
}

type Check = fn(&Workspace) -> Vec<String>;

const CHECKS: [(&str, Check); 13] = [
    ("core names no backend", crates::core_names_no_backend),
    ("a transport depends on core, notify-net and its client only", crates::transports_are_apart),
    ("only the facade knows all transports", crates::only_the_facade_knows_transports),
    ("the conformance suite is for tests", crates::conformance_is_for_tests),
    ("xtask depends on none of the libraries", crates::xtask_stands_alone),
    ("no client type in a public signature", sources::no_client_type_in_public),
    ("forbid(unsafe_code) everywhere", layout::lints_hold_everywhere),
    ("every file opens with //!", sources::every_file_says_what_it_is_for),
    ("only the command, xtask and log.target = \"stdout\" print", sources::libraries_do_not_print),
    ("no bare #[allow]", sources::no_bare_allow),
    ("no todo!", sources::nothing_is_left_undone),
    ("no import cycle between files", imports::no_import_cycles),
    ("the root holds what it may", layout::root_is_clean),
];

/// What is checked, as it was read.
#[derive(Debug, Default)]
struct Workspace {
    packages: Vec<Package>,
    /// The manifest of the workspace, and those of its members.
    manifests: Vec<File>,
    sources: Vec<File>,
    /// The names in its root.
    root: Vec<String>,
}

/// A file, with its path from the root.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    text: String,
}

impl Workspace {
    fn read(root: &Path) -> Result<Self> {
        let packages = cargo::members()?;
        let mut workspace = Self { root: names(root)?, ..Self::default() };
        for directory in MEMBERS {
            workspace.add_sources(root, Path::new(directory))?;
        }
        let own = root.join("Cargo.toml");
        for manifest in packages.iter().map(|p| &p.manifest_path).chain([&own]) {
            let path = manifest.strip_prefix(root).unwrap_or(manifest).to_owned();
            workspace.manifests.push(File { text: fs::read_to_string(manifest)?, path });
        }
        workspace.packages = packages;
        // A check that looks at nothing would always hold.
        if workspace.sources.is_empty() || workspace.packages.is_empty() {
            bail!("nothing to check in {}", root.display());
        }
        Ok(workspace)
    }

    fn add_sources(&mut self, root: &Path, directory: &Path) -> Result<()> {
        let absolute = root.join(directory);
        if !absolute.is_dir() {
            return Ok(());
        }
        for name in names(&absolute)? {
            let path = directory.join(&name);
            if root.join(&path).is_dir() {
                if name != "target" && !name.starts_with('.') {
                    self.add_sources(root, &path)?;
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(root.join(&path))
                    .with_context(|| format!("cannot read {}", path.display()))?;
                self.sources.push(File { path, text });
            }
        }
        Ok(())
    }
}

/// The names in a directory, in order.
fn names(directory: &Path) -> Result<Vec<String>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(directory)?.collect();
    let mut names: Vec<_> =
        entries?.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Where the members of the workspace are.
const MEMBERS: [&str; 3] = ["crates", "tests", "xtask"];

#[cfg(test)]
mod testing {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cargo::Dependency;

    /// A workspace of one source file.
    pub(super) fn source(path: &str, text: &str) -> Workspace {
        let file = File { path: path.into(), text: text.to_owned() };
        Workspace { sources: vec![file], ..Workspace::default() }
    }

    /// A workspace of packages with normal dependencies: `a: b c`.
    pub(super) fn packages(lines: &[&str]) -> Workspace {
        let package = |line: &&str| {
            let (name, dependencies) = line.split_once(':').unwrap();
            let dependency = |name: &str| Dependency { name: name.to_owned(), kind: None };
            Package {
                name: name.to_owned(),
                manifest_path: format!("/crates/{name}/Cargo.toml").into(),
                features: BTreeMap::default(),
                dependencies: dependencies.split_whitespace().map(dependency).collect(),
            }
        };
        Workspace { packages: lines.iter().map(package).collect(), ..Workspace::default() }
    }

    #[test]
    fn this_workspace_is_read_whole() {
        let workspace = Workspace::read(&cargo::root()).unwrap();
        let paths: Vec<_> = workspace.sources.iter().map(|file| file.path.as_path()).collect();
        assert!(paths.contains(&Path::new("xtask/src/tidy/mod.rs")));
        assert!(paths.contains(&Path::new("crates/notify-core/src/lib.rs")));
        assert!(workspace.manifests.iter().any(|file| file.path == Path::new("Cargo.toml")));
        assert_eq!(workspace.manifests.len(), workspace.packages.len() + 1);
    }
}
