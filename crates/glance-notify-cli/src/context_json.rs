//! The context of a notification as JSON: [`ContextJson`].

use glance_notify::codec::Context;
use serde::Serialize;

/// The parts of a context that are present.
#[derive(Serialize)]
pub(crate) struct ContextJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
}

impl<'a> ContextJson<'a> {
    /// Returns the parts of a context, or `None` if it is empty.
    pub(crate) fn new(context: &'a Context) -> Option<Self> {
        (!context.is_empty()).then(|| Self {
            traceparent: context.traceparent(),
            tracestate: context.tracestate(),
            request_id: context.request_id(),
            user: context.user(),
            project: context.project(),
        })
    }
}
