//! OpenStack's own reading of its configuration files, over the versions of oslo.messaging that they were
//! written for.
//!
//! The program runs oslo.config and oslo.messaging up to the moment in which they would open a
//! connection. It contacts no broker.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::python_process::{PythonProcess, virtual_environment};

/// The edition of OpenStack that reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpenstackEdition {
    /// Glance's own strategies, until 2013.2.
    Glance2013,
    /// Glance 2014.1, which had both its strategies and oslo.messaging.
    Glance2014,
    /// oslo.messaging 2.5.0 of 2015.
    Oslo2015,
    /// oslo.messaging 5.35.6 of 2018.
    Oslo2018,
    /// oslo.messaging 18.3.1 of 2026.
    Oslo2026,
}

impl OpenstackEdition {
    /// Returns the name as a table shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Glance2013 => "glance-2013",
            Self::Glance2014 => "glance-2014",
            Self::Oslo2015 => "2.5.0",
            Self::Oslo2018 => "5.35.6",
            Self::Oslo2026 => "18.3.1",
        }
    }

    /// Returns the old version of oslo.messaging that this edition runs on.
    fn old_version(self) -> Option<&'static str> {
        match self {
            Self::Glance2014 | Self::Oslo2015 => Some("2.5.0"),
            Self::Oslo2018 => Some("5.35.6"),
            Self::Glance2013 | Self::Oslo2026 => None,
        }
    }
}

/// A Python process that resolves files for one edition. Dropping it ends the process.
#[derive(Debug)]
pub struct OsloResolver(PythonProcess);

impl OsloResolver {
    /// Starts the process.
    ///
    /// # Panics
    ///
    /// Panics if `cargo xtask setup` has not installed the version.
    pub fn start(edition: OpenstackEdition) -> Self {
        let directory = edition.old_version().map(|version| {
            let directory = old_versions().join(version);
            assert!(
                directory.exists(),
                "{} is missing: run `cargo xtask setup`",
                directory.display()
            );
            std::fs::canonicalize(directory).expect("the directory exists")
        });
        let argument = json!({ "edition": edition.name(), "directory": directory });
        Self(PythonProcess::start(PROGRAM, &argument))
    }

    /// Returns the destination that OpenStack resolves from the files, or `{"error": …}`.
    ///
    /// # Panics
    ///
    /// Panics if the process does not answer.
    pub fn resolve(&mut self, files: &[&Path]) -> Value {
        self.0.send(&json!(files));
        self.0.receive()
    }
}

/// Returns the directory of the old versions of oslo.messaging.
fn old_versions() -> PathBuf {
    let python = virtual_environment();
    python
        .parent()
        .and_then(Path::parent)
        .expect("the interpreter is in bin")
        .join("oslo.messaging")
}

const PROGRAM: &str = include_str!("python/oslo_resolution.py");
