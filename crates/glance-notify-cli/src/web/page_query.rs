//! The parameters of a page's URL: [`PageQuery`].
//!
//! A link is a query: everything that a page shows follows from these parameters. Parsing only splits and
//! bounds them; `page_selection` gives them their meaning.

/// The parameters of a page's URL, decoded.
///
/// Empty values are left out, as a form sends them for empty fields. Each page passes the parameters of the
/// others on in its links, so that the way back to a search keeps its filters.
///
/// # Examples
///
/// ```
/// use glance_notify_cli::web::{PageParameter, PageQuery};
///
/// let query = PageQuery::parse("event=image.*&tz=&image=a%20b").unwrap();
/// assert_eq!(query.one(PageParameter::Image), Some("a b"));
/// assert_eq!(query.one(PageParameter::Zone), None);
/// let query = query.with(PageParameter::Zone, "Europe/Berlin");
/// assert_eq!(query.url("/search"), "/search?event=image.*&image=a+b&tz=Europe%2FBerlin");
/// assert!(PageQuery::parse("colour=red").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// In the order of the parameters, and for each parameter in the order of the URL.
    values: Vec<(PageParameter, String)>,
}

/// One parameter of a page's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageParameter {
    /// `event`: patterns of event types. Several, also separated by spaces.
    Event,
    /// `priority`: priorities. Several.
    Priority,
    /// `image`: ids or names of images. Several.
    Image,
    /// `project`: ids or names of projects. Several.
    Project,
    /// `since`: the begin of the interval.
    Since,
    /// `until`: the end of the interval.
    Until,
    /// `undated`: `1` for events with implausible times.
    Undated,
    /// `tz`: the time zone of all times.
    Zone,
    /// `n`: the events on a page.
    Limit,
    /// `before`: the place behind which a page begins.
    Before,
    /// `id`: the image, the task or the notification of a page.
    Id,
    /// `older_than`: the age in minutes from which an outcome is missing.
    OlderThan,
}

impl PageQuery {
    /// Parses the part of a URL behind the question mark.
    ///
    /// # Errors
    ///
    /// Returns a text that names the parameter if it is unknown or given too often.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let parameter = PageParameter::ALL.into_iter().find(|known| known.name() == name);
            let parameter = parameter.ok_or_else(|| {
                let names = PageParameter::ALL.map(PageParameter::name).join(", ");
                format!("unknown parameter `{name}`: the parameters are {names}")
            })?;
            query.add(parameter, &value)?;
        }
        query.values.sort_by_key(|(parameter, _)| *parameter);
        Ok(query)
    }

    /// Adds the values in one text behind those that are there.
    fn add(&mut self, parameter: PageParameter, text: &str) -> Result<(), String> {
        let parts: Vec<_> = match parameter {
            PageParameter::Event => text.split_whitespace().collect(),
            _ => vec![text.trim()],
        };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            if self.all(parameter).count() == parameter.most_values() {
                return Err(format!(
                    "`{}` is given more than {} times",
                    parameter.name(),
                    parameter.most_values()
                ));
            }
            self.values.push((parameter, part.to_owned()));
        }
        Ok(())
    }

    /// Returns all values of a parameter.
    pub fn all(&self, parameter: PageParameter) -> impl Iterator<Item = &str> {
        let values = self.values.iter().filter(move |(known, _)| *known == parameter);
        values.map(|(_, value)| value.as_str())
    }

    /// Returns the first value of a parameter.
    pub fn one(&self, parameter: PageParameter) -> Option<&str> {
        self.all(parameter).next()
    }

    /// Returns the query with one value for a parameter, instead of those that it had.
    #[must_use]
    pub fn with(&self, parameter: PageParameter, value: &str) -> Self {
        let mut query = self.without(&[parameter]);
        query.insert(parameter, value);
        query
    }

    /// Returns the query with one more value for a parameter.
    #[must_use]
    pub fn and(&self, parameter: PageParameter, value: &str) -> Self {
        let mut query = self.clone();
        query.insert(parameter, value);
        query
    }

    /// Inserts a value behind those of its parameter.
    fn insert(&mut self, parameter: PageParameter, value: &str) {
        let place = self.values.partition_point(|(known, _)| *known <= parameter);
        self.values.insert(place, (parameter, value.to_owned()));
    }

    /// Returns the query without some parameters.
    #[must_use]
    pub fn without(&self, parameters: &[PageParameter]) -> Self {
        let kept = self.values.iter().filter(|(known, _)| !parameters.contains(known));
        Self { values: kept.cloned().collect() }
    }

    /// Removes a value of a parameter, and keeps its others.
    pub(super) fn remove(&mut self, parameter: PageParameter, value: &str) {
        self.values.retain(|(known, text)| *known != parameter || text != value);
    }

    /// Returns the names and values of all parameters, as the fields of a form.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(parameter, value)| (parameter.name(), value.as_str()))
    }

    /// Returns the URL of a page with these parameters.
    pub fn url(&self, path: &str) -> String {
        if self.values.is_empty() {
            return path.to_owned();
        }
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(self.fields());
        format!("{path}?{}", text.finish())
    }
}

impl PageParameter {
    /// Every parameter, in the order of a URL.
    pub const ALL: [Self; 12] = [
        Self::Event,
        Self::Priority,
        Self::Image,
        Self::Project,
        Self::Since,
        Self::Until,
        Self::Undated,
        Self::Zone,
        Self::Limit,
        Self::Before,
        Self::Id,
        Self::OlderThan,
    ];

    /// Returns the name in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Priority => "priority",
            Self::Image => "image",
            Self::Project => "project",
            Self::Since => "since",
            Self::Until => "until",
            Self::Undated => "undated",
            Self::Zone => "tz",
            Self::Limit => "n",
            Self::Before => "before",
            Self::Id => "id",
            Self::OlderThan => "older_than",
        }
    }

    /// Returns how often a URL may have the parameter.
    fn most_values(self) -> usize {
        match self {
            Self::Event | Self::Priority | Self::Image | Self::Project => 16,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A URL comes back from its query, so links lose no filter.
    #[test]
    fn a_query_survives_its_url() {
        for text in [
            "",
            "event=image.*&event=task.run&priority=ERROR&image=%3Cscript%3E&project=a%26b",
            "since=2026-11&until=2026-12&tz=Europe%2FBerlin&n=20&before=1.2.2026-11.sqlite",
            "id=%E2%80%AE%00&older_than=5&undated=1",
        ] {
            let query = PageQuery::parse(text).unwrap();
            let url = query.url("/p");
            let again = url.strip_prefix("/p").unwrap().trim_start_matches('?');
            assert_eq!(PageQuery::parse(again).unwrap(), query, "{text}");
        }
    }

    /// Event patterns can share one field of a form, and empty fields count as absent.
    #[test]
    fn fields_of_a_form_become_values() {
        let query = PageQuery::parse("event=image.*++task.*&image=+a+b+&since=&tz=").unwrap();
        assert_eq!(query.all(PageParameter::Event).collect::<Vec<_>>(), ["image.*", "task.*"]);
        assert_eq!(query.url(""), "?event=image.*&event=task.*&image=a+b");
    }

    /// A misspelt parameter would show other events than the viewer asked for, so it is an error.
    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        for (text, expected) in [
            ("evnt=image.*", "unknown parameter `evnt`"),
            ("tz=UTC&tz=local", "`tz` is given more than 1 times"),
            (&"image=a&".repeat(17), "`image` is given more than 16 times"),
        ] {
            assert!(PageQuery::parse(text).unwrap_err().contains(expected), "{text}");
        }
    }
}
