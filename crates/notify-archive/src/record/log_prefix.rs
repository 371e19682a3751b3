//! The prefix that oslo.log writes in front of a notification: its request, user and project.

use std::sync::Arc;

use super::event_record::RequestContext;

/// Returns the request in the prefix of a line that oslo.messaging's driver `log` wrote.
///
/// The prefix ends with `oslo.messaging.notification.EVENT_TYPE [CONTEXT]`. `CONTEXT` is an optional global
/// request id or `None`, the request id, the user and the project; `-` stands for a missing one.
///
/// Returns no request for audit events: keystonemiddleware writes `audit.http.request` before Glance has
/// set the request, so its prefix shows the request that the same thread handled before.
pub(crate) fn request_in_prefix(line: &[u8]) -> RequestContext {
    let prefix = line.split(|byte| *byte == b'{').next().unwrap_or_default();
    let prefix = std::str::from_utf8(prefix).unwrap_or_default();
    let Some((_, rest)) = prefix.split_once(LOGGER) else { return RequestContext::default() };
    if rest.starts_with("audit.") {
        return RequestContext::default();
    }
    let context = rest.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let Some((context, _)) = context else { return RequestContext::default() };
    let mut words = context.split_ascii_whitespace().peekable();
    let mut request_id = None;
    while let Some(word) = words.next_if(|word| *word == "None" || word.starts_with("req-")) {
        // The id of this request follows the global one.
        request_id = Some(word).filter(|word| *word != "None");
    }
    let mut word = || words.next().filter(|word| *word != "-").map(Arc::from);
    let (user, project) = (word(), word());
    // Without a request, the words are of a format of the operator's own.
    match request_id {
        Some(id) => RequestContext { request_id: Some(id.into()), user, project },
        None => RequestContext::default(),
    }
}

/// The beginning of the logger's name.
const LOGGER: &str = "oslo.messaging.notification.";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> [Option<String>; 3] {
        let context = request_in_prefix(line.as_bytes());
        [context.request_id, context.user, context.project].map(|text| text.map(|t| t.to_string()))
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
