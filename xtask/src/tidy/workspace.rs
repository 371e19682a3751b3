//! The workspace as the checks see it: packages, manifests, sources and file names.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Package};

/// The parts of the workspace that the checks look at.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) packages: Vec<Package>,
    /// The workspace's manifest and those of its members.
    pub(super) manifests: Vec<TextFile>,
    /// Every Rust source of a member, tests included.
    pub(super) sources: Vec<TextFile>,
    /// Every Markdown document: those of the root and those in `docs`.
    pub(super) documents: Vec<TextFile>,
    /// The README of each member that has one.
    pub(super) readmes: Vec<TextFile>,
    /// The names in the root directory.
    pub(super) root: Vec<String>,
    /// The paths of all files that git tracks, from the root.
    pub(super) tracked: Vec<String>,
}

/// A file with its path from the root.
#[derive(Clone, Debug)]
pub(super) struct TextFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Workspace {
    /// Reads the workspace at `root`.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or when there is nothing to check: a check of nothing would
    /// always pass.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let packages = cargo::members()?;
        let mut workspace = Self { root: names(root)?, ..Self::default() };
        for directory in SOURCE_DIRECTORIES {
            workspace.sources.extend(files(root, Path::new(directory), "rs")?);
        }
        workspace.documents = files(root, Path::new("docs"), "md")?;
        for path in workspace.root.iter().map(Path::new) {
            if path.extension().is_some_and(|end| end == "md") {
                workspace.documents.push(TextFile::read(root, path)?);
            }
        }
        let own = root.join("Cargo.toml");
        for manifest in packages.iter().map(|p| &p.manifest_path).chain([&own]) {
            let path = manifest.strip_prefix(root).unwrap_or(manifest);
            workspace.manifests.push(TextFile::read(root, path)?);
        }
        for manifest in workspace.manifests.iter().map(|manifest| &manifest.path) {
            let path = manifest.with_file_name("README.md");
            if path != Path::new("README.md") && root.join(&path).is_file() {
                workspace.readmes.push(TextFile::read(root, &path)?);
            }
        }
        workspace.packages = packages;
        workspace.tracked = tracked(root)?;
        if workspace.sources.is_empty() || workspace.packages.is_empty() {
            bail!("there is nothing to check in {}", root.display());
        }
        Ok(workspace)
    }
}

impl TextFile {
    fn read(root: &Path, path: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }
}

/// Returns the files below `directory` that end in `extension`, without build output.
fn files(root: &Path, directory: &Path, extension: &str) -> Result<Vec<TextFile>> {
    let absolute = root.join(directory);
    let mut found = Vec::new();
    if !absolute.is_dir() {
        return Ok(found);
    }
    for name in names(&absolute)? {
        let path = directory.join(&name);
        if root.join(&path).is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(files(root, &path, extension)?);
            }
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(TextFile::read(root, &path)?);
        }
    }
    Ok(found)
}

/// Returns the paths of the files that git tracks; none outside a git checkout.
fn tracked(root: &Path) -> Result<Vec<String>> {
    if !root.join(".git").exists() {
        return Ok(Vec::new());
    }
    let mut command = std::process::Command::new("git");
    let listed = cargo::output(command.args(["ls-files", "-z"]).current_dir(root))?;
    Ok(listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// Returns the names in a directory, sorted.
fn names(directory: &Path) -> Result<Vec<String>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(directory)?.collect();
    let mut names: Vec<_> =
        entries?.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// The directories that hold the members of the workspace.
const SOURCE_DIRECTORIES: [&str; 3] = ["crates", "tests", "xtask"];

/// Small workspaces for the tests of the checks.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::cargo::Dependency;

    /// Returns a workspace of one source file.
    pub(in super::super) fn source(path: &str, text: &str) -> Workspace {
        sources(&[(path, text)])
    }

    /// Returns a workspace of these source files.
    pub(in super::super) fn sources(files: &[(&str, &str)]) -> Workspace {
        let file = |(path, text): &(&str, &str)| text_file(path, text);
        Workspace { sources: files.iter().map(file).collect(), ..Workspace::default() }
    }

    /// Returns a workspace of one manifest.
    pub(in super::super) fn manifest(path: &str, text: &str) -> Workspace {
        Workspace { manifests: vec![text_file(path, text)], ..Workspace::default() }
    }

    /// Returns a file with this path and text.
    pub(in super::super) fn text_file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.to_owned() }
    }

    /// Returns a workspace of packages with normal dependencies, each written as `a: b c`.
    pub(in super::super) fn packages(lines: &[&str]) -> Workspace {
        let package = |line: &&str| {
            let (name, dependencies) = line.split_once(':').unwrap();
            let dependency = |name: &str| Dependency { name: name.to_owned(), kind: None };
            Package {
                name: name.to_owned(),
                manifest_path: format!("/crates/{name}/Cargo.toml").into(),
                dependencies: dependencies.split_whitespace().map(dependency).collect(),
                ..Package::default()
            }
        };
        Workspace { packages: lines.iter().map(package).collect(), ..Workspace::default() }
    }

    #[test]
    fn reads_the_whole_workspace() {
        let workspace = Workspace::read(&cargo::root()).unwrap();
        let paths: Vec<_> = workspace.sources.iter().map(|file| file.path.as_path()).collect();
        assert!(paths.contains(&Path::new("xtask/src/tidy/mod.rs")));
        assert!(paths.contains(&Path::new("crates/notify-core/src/lib.rs")));
        assert!(workspace.documents.iter().any(|file| file.path == Path::new("README.md")));
        assert!(workspace.documents.iter().any(|file| file.path == Path::new("docs/glossary.md")));
        assert!(workspace.manifests.iter().any(|file| file.path == Path::new("Cargo.toml")));
        assert_eq!(workspace.manifests.len(), workspace.packages.len() + 1);
    }
}
