//! The prefix that oslo.log writes in front of a notification: the logger's name, the request, the user and
//! the project.

use memchr::{memchr, memmem};

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

/// Returns the end of the logger's prefix `oslo.messaging.notification.` in a line that oslo.messaging's driver
/// `log` wrote, or of the one that Glance's notifier of 2013 had.
///
/// The line is `TIME PID LEVEL oslo.messaging.notification.EVENT_TYPE [CONTEXT] {JSON}`. A container may have
/// put more in front, and a format of the operator's own may lack the level.
///
/// Other lines of a log hold texts that strangers chose, such as the target of a request, and such a text may
/// look like a notification. The name counts only as a word of its own, in front of any brace, and if no word in
/// front is a level, except for the last. Behind the level of another logger stands the name of that logger, and
/// uWSGI writes a brace in front of a request.
pub(super) fn logger_end(line: &[u8]) -> Option<usize> {
    let prefix = &line[..memchr(b'{', line).unwrap_or(line.len())];
    // Most lines have no prefix. A search prepares its pattern even then, which took a twentieth of decoding.
    if prefix.len() < LOGGERS[1].len() {
        return None;
    }
    // A level in front of the first such word is in front of each later one too.
    let (start, end) = LOGGERS.iter().find_map(|logger| {
        let mut places = memmem::find_iter(prefix, *logger);
        let is_word = |at: &usize| *at == 0 || prefix[*at - 1].is_ascii_whitespace();
        places.find(is_word).map(|at| (at, at + logger.len()))
    })?;
    let words = prefix[..start].rsplit(|byte| !byte.is_ascii_alphanumeric());
    // The codes of a colour may stand in front of a level, without white space.
    let is_level = |word: &[u8]| LEVELS.iter().any(|level| word.ends_with(level));
    (!words.filter(|word| !word.is_empty()).skip(1).any(is_level)).then_some(end)
}

/// Returns the request in the prefix of a line.
fn request_in_prefix(line: &[u8]) -> Option<Context> {
    let rest = &line[logger_end(line)?..];
    let rest = &rest[..memchr(b'{', rest).unwrap_or(rest.len())];
    let rest = std::str::from_utf8(rest).ok()?;
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

/// The beginning of the names of the loggers through which oslo.messaging's driver `log` writes.
pub(super) const LOGGER: &str = "oslo.messaging.notification.";
/// The beginnings of the names of all loggers that write notifications. The second is the shortest.
const LOGGERS: [&[u8]; 2] = [LOGGER.as_bytes(), b"glance.notifier."];
/// The levels of oslo.log, also of earlier versions.
const LEVELS: [&[u8]; 8] =
    [b"DEBUG", b"INFO", b"WARNING", b"ERROR", b"CRITICAL", b"AUDIT", b"TRACE", b"WARN"];

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
            "2026 7 INFO eventlet.wsgi [-] \"GET oslo.messaging.notification.x [req-1 u p] {}\"",
            "",
        ] {
            assert_eq!(request(line), [None, None, None], "{line}");
        }
        let line = "2026 7 INFO oslo.messaging.notification.x [None req-1 - - - - - -] {}";
        assert_eq!(request(line), [Some("req-1".to_owned()), None, None]);
    }
}
