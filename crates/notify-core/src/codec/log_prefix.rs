//! The prefix that oslo.log writes in front of a notification: its request, user and project.

use super::context::Context;

impl Context {
    /// Returns the request in the prefix of a line that oslo.messaging's driver `log` wrote; the empty
    /// context for any other line.
    ///
    /// The prefix ends with `oslo.messaging.notification.EVENT_TYPE [CONTEXT]`. `CONTEXT` is an optional
    /// global request id or `None`, the request id, the user and the project; `-` stands for a missing one.
    ///
    /// Returns no request for audit events: keystonemiddleware writes `audit.http.request` before Glance has
    /// set the request, so its prefix shows the request that the same thread handled before.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Context;
    ///
    /// let line = br#"2026-11-22 12:00:02 7 INFO oslo.messaging.notification.image.create [None req-1 bob web - - default default] {"event_type": "image.create"}"#;
    /// let context = Context::of_log_line(line);
    /// assert_eq!(context.user(), Some("bob"));
    /// ```
    pub fn of_log_line(line: &[u8]) -> Self {
        request_in_prefix(line).unwrap_or_default()
    }
}

/// Returns the request in the prefix of a line.
fn request_in_prefix(line: &[u8]) -> Option<Context> {
    let prefix = line.split(|byte| *byte == b'{').next().unwrap_or_default();
    // Most lines have no prefix. A search prepares its pattern even then, which took a twentieth of decoding.
    if prefix.len() < LOGGER.len() {
        return None;
    }
    let (_, rest) = std::str::from_utf8(prefix).ok()?.split_once(LOGGER)?;
    if rest.starts_with("audit.") {
        return None;
    }
    let (_, rest) = rest.split_once('[')?;
    let (words, _) = rest.split_once(']')?;
    let mut words = words.split_ascii_whitespace().peekable();
    let mut request_id = None;
    while let Some(word) = words.next_if(|word| *word == "None" || word.starts_with("req-")) {
        // The id of this request follows the global one.
        request_id = Some(word).filter(|word| *word != "None");
    }
    let mut word = || words.next().filter(|word| *word != "-").unwrap_or_default();
    let (user, project) = (word(), word());
    // Without a request, the words are of a format of the operator's own.
    let context = Context::builder().request_id(request_id?).user(user).project(project);
    Some(context.build_valid())
}

/// The beginning of the logger's name.
const LOGGER: &str = "oslo.messaging.notification.";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> [Option<String>; 3] {
        let context = Context::of_log_line(line.as_bytes());
        [context.request_id(), context.user(), context.project()]
            .map(|text| text.map(str::to_owned))
    }

    /// Lines of oslo.log today, in a container, and before global request ids.
    #[test]
    fn reads_request_user_and_project() {
        for line in [
            "2026-11-22 12:00:02.255 7 INFO oslo.messaging.notification.image.create [None req-1 u p - - default default] {}",
            "2026-11-22T12:00:04Z [wsgi-glance-api] 2026 7 INFO oslo.messaging.notification.image.send [req-9 req-1 u p - - d d] {}",
            "2014 7 INFO oslo.messaging.notification.image.create [req-1 u p - - -] {}",
        ] {
            let expected = ["req-1", "u", "p"].map(|word| Some(word.to_owned()));
            assert_eq!(request(line), expected, "{line}");
        }
    }

    /// A line without a request names no user, and an audit event's prefix shows another request.
    #[test]
    fn reads_no_request_where_there_is_none() {
        for line in [
            "2026 7 INFO oslo.messaging.notification.image.create [-] {}",
            "2026 7 INFO oslo.messaging.notification.image.create [u p] {}",
            "2026 7 INFO oslo.messaging.notification.audit.http.request [None req-1 u p - -] {}",
            "{\"a\": \"oslo.messaging.notification.x [req-1 u p]\"}",
            "",
        ] {
            assert_eq!(request(line), [None, None, None], "{line}");
        }
        let line = "2026 7 INFO oslo.messaging.notification.x [None req-1 - - - - - -] {}";
        assert_eq!(request(line), [Some("req-1".to_owned()), None, None]);
    }
}
