//! The archive that the pages show, with its settings: [`Site`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_archive::question::{Calendar, ProjectNames};

use super::access_rules::AccessRules;
use super::page_runner::PageRunner;
use super::page_text::PageText;

/// An archive and the settings of its pages.
///
/// # Examples
///
/// ```
/// use glance_notify_cli::web::Site;
///
/// let site = Site::new("/var/lib/glance-notify/archive".as_ref()).zone("Europe/Berlin").unwrap();
/// assert!(site.zone("Mars/Olympus").is_err());
/// ```
#[derive(Debug)]
pub struct Site {
    pub(super) archive: PathBuf,
    pub(super) label: PageText,
    pub(super) names: ProjectNames,
    pub(super) default_zone: String,
    pub(super) access: AccessRules,
    pub(super) deadline: Duration,
    pub(super) runner: PageRunner,
}

impl Site {
    /// Creates the site of an archive: times in UTC, loopback names only, no token, ten seconds for a query.
    pub fn new(archive: &Path) -> Self {
        Self {
            archive: archive.to_owned(),
            label: PageText::new(&archive.to_string_lossy()),
            names: ProjectNames::default(),
            default_zone: "UTC".to_owned(),
            access: AccessRules::default(),
            deadline: Duration::from_secs(10),
            runner: PageRunner::default(),
        }
    }

    /// Sets the name under which the pages show the archive. Default: its directory.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = PageText::new(label);
        self
    }

    /// Sets the names of projects.
    #[must_use]
    pub fn names(mut self, names: ProjectNames) -> Self {
        self.names = names;
        self
    }

    /// Sets the time zone of viewers who chose none.
    ///
    /// # Errors
    ///
    /// Returns a text that shows the accepted forms.
    pub fn zone(mut self, name: &str) -> Result<Self, String> {
        Calendar::new(name)?;
        name.clone_into(&mut self.default_zone);
        Ok(self)
    }

    /// Sets the rules for access. Default: loopback names and addresses, without a token.
    #[must_use]
    pub fn access(mut self, access: AccessRules) -> Self {
        self.access = access;
        self
    }

    /// Sets the longest time of one query. A page that needs longer says how to narrow it.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}
