//! `cargo xtask samples`: makes the samples of OpenStack's notifications again.
//!
//! The samples are output of OpenStack's own code. This command must not change them on their way: it
//! installs the code, runs `tests/samples/make.py` and copies or compares bytes. The Python environment
//! is in the target directory, because it holds some 500 MB.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::setup;

/// Replaces the committed samples and prints what changed.
///
/// # Errors
///
/// When OpenStack's code cannot be installed or run, or when a file cannot be written.
pub(crate) fn rewrite() -> Result<()> {
    let made = make()?;
    let committed = Samples::read(&committed())?;
    let differences = committed.differences(&made);
    for difference in &differences {
        println!("{difference}");
    }
    made.write(&self::committed(), &committed)?;
    println!("{} files, {} of them changed", made.0.len(), differences.len());
    Ok(())
}

/// Compares the committed samples with new ones and prints each difference.
///
/// # Errors
///
/// When OpenStack's code cannot be installed or run, or when a file differs.
pub(crate) fn check() -> Result<()> {
    let made = make()?;
    let differences = Samples::read(&committed())?.differences(&made);
    for difference in &differences {
        eprintln!("{difference}");
    }
    if !differences.is_empty() {
        bail!(
            "{} of {} files differ; run `cargo xtask samples` to rewrite them",
            differences.len(),
            made.0.len()
        );
    }
    println!("{} files are as OpenStack's code writes them", made.0.len());
    Ok(())
}

/// Runs OpenStack's code and returns its output.
fn make() -> Result<Samples> {
    setup::packages(&["python3-venv"])?;
    let sources = cargo::root().join(SOURCES);
    let directory = cargo::target_directory()?.join("samples");
    fs::create_dir_all(&directory)?;
    let python =
        setup::python_environment(&directory.join("python"), &sources.join("requirements.txt"))?;
    let output = directory.join("output");
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
    println!("running Glance, keystonemiddleware, Nova, Cinder and oslo.messaging");
    cargo::run(Command::new(python).arg("-B").arg(sources.join("make.py")).arg(&output))?;
    Samples::read(&output)
}

/// Returns the directory of the committed samples.
fn committed() -> PathBuf {
    cargo::root().join(SOURCES).join("openstack-2026")
}

/// The files of a directory: their names and their contents.
struct Samples(BTreeMap<String, Vec<u8>>);

impl Samples {
    /// Reads a directory. A directory that does not exist holds no files.
    fn read(directory: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        if !directory.exists() {
            return Ok(Self(files));
        }
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name, bytes);
        }
        Ok(Self(files))
    }

    /// Writes the files into `directory` and removes those of `previous` that are gone.
    fn write(&self, directory: &Path, previous: &Self) -> Result<()> {
        fs::create_dir_all(directory)?;
        for name in previous.0.keys().filter(|name| !self.0.contains_key(*name)) {
            fs::remove_file(directory.join(name))?;
        }
        for (name, bytes) in &self.0 {
            let path = directory.join(name);
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Returns a line for each file that `made` holds and this directory does not, or the other way
    /// round, or in another form.
    fn differences(&self, made: &Self) -> Vec<String> {
        let gone = self.0.keys().filter(|name| !made.0.contains_key(*name));
        let mut lines: Vec<String> =
            gone.map(|name| format!("{name}: OpenStack's code no longer writes it")).collect();
        for (name, bytes) in &made.0 {
            match self.0.get(name) {
                None => lines.push(format!("{name}: new")),
                Some(old) if old != bytes => lines.push(format!(
                    "{name}: line {} differs ({} lines before, {} now)",
                    first_difference(old, bytes),
                    lines_of(old).count(),
                    lines_of(bytes).count()
                )),
                Some(_) => {}
            }
        }
        lines
    }
}

/// Returns the number of the first line that differs, from 1.
fn first_difference(old: &[u8], new: &[u8]) -> usize {
    1 + lines_of(old).zip(lines_of(new)).take_while(|(old, new)| old == new).count()
}

/// Returns the lines with their line feeds.
fn lines_of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// The directory of the Python programs.
const SOURCES: &str = "tests/samples";

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a directory of files with the given contents.
    fn samples(files: &[(&str, &str)]) -> Samples {
        let file = |&(name, text): &(&str, &str)| (name.to_owned(), text.as_bytes().to_vec());
        Samples(files.iter().map(file).collect())
    }

    /// `--check` must notice every kind of difference, and only differences.
    #[test]
    fn names_every_file_that_differs() {
        let committed =
            samples(&[("gone", ""), ("longer", "a\n"), ("other", "a\nb\n"), ("same", "a\n")]);
        let made =
            samples(&[("longer", "a\nb\n"), ("new", ""), ("other", "a\nc\n"), ("same", "a\n")]);
        assert_eq!(
            committed.differences(&made),
            [
                "gone: OpenStack's code no longer writes it",
                "longer: line 2 differs (1 lines before, 2 now)",
                "new: new",
                "other: line 2 differs (2 lines before, 2 now)",
            ]
        );
        assert!(made.differences(&made).is_empty());
    }

    /// A rewritten directory holds the new files and nothing else.
    #[test]
    fn rewrites_the_whole_directory() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let old = samples(&[("gone", "x\n"), ("kept", "old\n")]);
        old.write(directory.path(), &samples(&[]))?;
        let made = samples(&[("kept", "new\n"), ("new", "y\n")]);
        made.write(directory.path(), &old)?;
        assert!(Samples::read(directory.path())?.differences(&made).is_empty());
        assert_eq!(fs::read_dir(directory.path())?.count(), 2);
        Ok(())
    }
}
