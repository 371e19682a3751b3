//! The names of projects: [`ProjectNames`].

use std::collections::HashMap;

use serde::Deserialize;

/// The names of projects by their ids, from Keystone.
///
/// # Examples
///
/// ```
/// use notify_archive::question::ProjectNames;
///
/// // The output of `openstack project list -f json`.
/// let names = ProjectNames::from_json(br#"[{"ID": "c0ffee", "Name": "data"}]"#).unwrap();
/// assert_eq!(names.shown("c0ffee"), "data");
/// assert_eq!(names.shown("f00"), "f00");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProjectNames(HashMap<String, String>);

impl ProjectNames {
    /// Reads the names from JSON: the output of `openstack project list -f json`, or the answer of
    /// Keystone's API to `GET /v3/projects`.
    ///
    /// # Errors
    ///
    /// Returns a text that says what the JSON should be.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let file = serde_json::from_slice(json).map_err(|_| EXPECTED)?;
        let (ProjectsFile::List(list) | ProjectsFile::Answer { projects: list }) = file;
        Ok(Self(list.into_iter().map(|project| (project.id, project.name)).collect()))
    }

    /// Returns the name of a project, or its id if the name is not known.
    pub fn shown<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, String::as_str)
    }

    /// Returns the id of the project with this name, or `name` itself if no project or several have it.
    pub fn id<'a>(&'a self, name: &'a str) -> &'a str {
        let mut ids = self.0.iter().filter(|(_, known)| *known == name).map(|(id, _)| id.as_str());
        match (ids.next(), ids.next()) {
            (Some(id), None) => id,
            _ => name,
        }
    }
}

/// The two forms of a list of projects.
#[derive(Deserialize)]
#[serde(untagged)]
enum ProjectsFile {
    List(Vec<ProjectEntry>),
    Answer { projects: Vec<ProjectEntry> },
}

/// One project.
#[derive(Deserialize)]
struct ProjectEntry {
    #[serde(alias = "ID")]
    id: String,
    #[serde(alias = "Name")]
    name: String,
}

/// The message for a file of another form.
const EXPECTED: &str =
    "expected a JSON list of projects: use the output of `openstack project list -f json`";

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of Keystone are read, and another JSON is refused with the command that makes one.
    #[test]
    fn reads_the_project_list_of_keystone() {
        let api = br#"{"projects": [{"id": "a", "name": "A", "domain_id": "d"}], "links": {}}"#;
        assert_eq!(ProjectNames::from_json(api).unwrap().shown("a"), "A");
        let error = ProjectNames::from_json(br#"{"a": "A"}"#).unwrap_err();
        assert!(error.contains("openstack project list -f json"));
    }
}
