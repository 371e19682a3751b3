//! The context of a notification: the trace and the request during which a program emitted it.
//!
//! A context travels beside the body of a message and never changes it. This module checks texts. It knows
//! no header and no broker.

use std::fmt;
use std::sync::Arc;

use super::trace_context::{check_traceparent, check_tracestate};
use crate::error::{Error, ErrorKind, Result};
use crate::redact::printable::has_unsafe;

/// The trace and the request during which a program emits a notification.
///
/// Brokers get a context as headers or application properties beside the body, which stays as it is. A
/// spool keeps it, and a [`Delivery`](crate::listener::Delivery) shows it. Files get a context only as part
/// of a [`CloudEvent`](super::CloudEvent).
///
/// All parts are optional. They count against the [limit](super::SizeLimits::bytes) of the notification's
/// size. Cloning is cheap, and an empty context allocates nothing. The ids of a user and
/// of a project are no secrets; do not put a token into a context.
///
/// # Examples
///
/// ```
/// use notify_core::Context;
///
/// let context = Context::builder()
///     .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
///     .tracestate("congo=t61rcWkgMzE")
///     .request_id("req-3189a04f-8df2-4a3b-8c9f-6b8ff6a2a3a1")
///     .user("b6d0f0f5a1b04b1c8f0c9a4d7e0f2c11")
///     .build()?;
/// assert_eq!(context.tracestate(), Some("congo=t61rcWkgMzE"));
/// assert_eq!(context.project(), None);
///
/// let error = Context::builder().user("bob\n").build().unwrap_err();
/// assert_eq!(error.to_string(), "`user` holds a control character");
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Context(Option<Arc<ContextTexts>>);

/// The parts of a context that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct ContextTexts {
    traceparent: Option<Box<str>>,
    tracestate: Option<Box<str>>,
    request_id: Option<Box<str>>,
    user: Option<Box<str>>,
    project: Option<Box<str>>,
}

/// The parts of a context that is not checked yet, from [`Context::builder`].
///
/// An empty text means that the part is absent.
///
/// # Examples
///
/// ```
/// use notify_core::Context;
///
/// let context = Context::builder().request_id("req-1").project("").build()?;
/// assert_eq!((context.request_id(), context.project()), (Some("req-1"), None));
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ContextBuilder(ContextTexts);

impl Context {
    /// Returns the empty context.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Starts to build a context.
    pub fn builder() -> ContextBuilder {
        ContextBuilder::default()
    }

    /// Returns the position of the emitting span in its trace, as W3C Trace Context defines
    /// `traceparent`.
    pub fn traceparent(&self) -> Option<&str> {
        self.text(|texts| &texts.traceparent)
    }

    /// Returns the vendors' data about the trace, as W3C Trace Context defines `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.text(|texts| &texts.tracestate)
    }

    /// Returns the id of the request, such as `req-3189a04f-…`.
    pub fn request_id(&self) -> Option<&str> {
        self.text(|texts| &texts.request_id)
    }

    /// Returns the id of the user that made the request.
    pub fn user(&self) -> Option<&str> {
        self.text(|texts| &texts.user)
    }

    /// Returns the id of the project in which the user made the request.
    pub fn project(&self) -> Option<&str> {
        self.text(|texts| &texts.project)
    }

    /// Returns whether all parts are absent.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the size of all texts in bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.as_ref().map_or(0, |texts| texts.all().iter().flatten().map(|text| text.len()).sum())
    }

    fn text(&self, part: impl FnOnce(&ContextTexts) -> &Option<Box<str>>) -> Option<&str> {
        part(self.0.as_ref()?).as_deref()
    }
}

impl ContextTexts {
    /// Returns all parts.
    fn all(&self) -> [Option<&str>; 5] {
        let Self { traceparent, tracestate, request_id, user, project } = self;
        [traceparent, tracestate, request_id, user, project].map(Option::as_deref)
    }
}

impl ContextBuilder {
    /// Sets the `traceparent` of W3C Trace Context:
    /// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
    pub fn traceparent(mut self, text: impl Into<Box<str>>) -> Self {
        self.0.traceparent = given(text.into());
        self
    }

    /// Sets the `tracestate` of W3C Trace Context, of at most 1 024 bytes: `congo=t61rcWkgMzE`. It needs a
    /// [`traceparent`](Self::traceparent).
    pub fn tracestate(mut self, text: impl Into<Box<str>>) -> Self {
        self.0.tracestate = given(text.into());
        self
    }

    /// Sets the id of the request, of at most 255 bytes.
    pub fn request_id(mut self, text: impl Into<Box<str>>) -> Self {
        self.0.request_id = given(text.into());
        self
    }

    /// Sets the id of the user that made the request, of at most 255 bytes.
    pub fn user(mut self, text: impl Into<Box<str>>) -> Self {
        self.0.user = given(text.into());
        self
    }

    /// Sets the id of the project in which the user made the request, of at most 255 bytes.
    pub fn project(mut self, text: impl Into<Box<str>>) -> Self {
        self.0.project = given(text.into());
        self
    }

    /// Checks the parts and builds the context.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], which names the part, if a text is too long or holds a control character, or
    /// if `traceparent` or `tracestate` break the grammar of W3C Trace Context. The error repeats no text.
    pub fn build(self) -> Result<Context> {
        let Self(texts) = self;
        for (name, text) in
            [("request_id", &texts.request_id), ("user", &texts.user), ("project", &texts.project)]
        {
            if let Some(text) = text {
                check_text(name, text)?;
            }
        }
        if let Some(traceparent) = &texts.traceparent {
            check_traceparent(traceparent).map_err(invalid)?;
        }
        if let Some(tracestate) = &texts.tracestate {
            if texts.traceparent.is_none() {
                return Err(invalid("`tracestate` needs a `traceparent`"));
            }
            check_tracestate(tracestate).map_err(invalid)?;
        }
        Ok(Self(texts).build_unchecked())
    }

    /// Builds the context of the parts that are valid, and leaves out the others.
    ///
    /// Use it for texts that another program sent: one wrong text must not hide the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Context;
    ///
    /// let context = Context::builder().traceparent("01-too-short").user("bob").build_valid();
    /// assert_eq!((context.traceparent(), context.user()), (None, Some("bob")));
    /// ```
    pub fn build_valid(self) -> Context {
        let Self(mut texts) = self;
        for text in [&mut texts.request_id, &mut texts.user, &mut texts.project] {
            text.take_if(|text| check_text("", text).is_err());
        }
        texts.traceparent.take_if(|text| check_traceparent(text).is_err());
        let has_trace = texts.traceparent.is_some();
        texts.tracestate.take_if(|text| !has_trace || check_tracestate(text).is_err());
        Self(texts).build_unchecked()
    }

    /// Builds the context of texts that are valid.
    fn build_unchecked(self) -> Context {
        let is_empty = self.0.all().iter().all(Option::is_none);
        Context((!is_empty).then(|| Arc::new(self.0)))
    }
}

/// The empty context, for methods without one.
pub(crate) static EMPTY: Context = Context::new();

/// Shows the parts that are present.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Context");
        let names = ["traceparent", "tracestate", "request_id", "user", "project"];
        let texts = self.0.as_ref().map(|texts| texts.all()).unwrap_or_default();
        for (name, text) in std::iter::zip(names, texts) {
            if let Some(text) = text {
                shown.field(name, &text);
            }
        }
        shown.finish()
    }
}

/// Returns a text unless it is empty.
fn given(text: Box<str>) -> Option<Box<str>> {
    Some(text).filter(|text| !text.is_empty())
}

/// Checks an id.
fn check_text(name: &str, text: &str) -> Result<()> {
    if text.len() > MAX_ID_BYTES {
        let size = text.len();
        return Err(invalid(format!(
            "`{name}` has {size} bytes, at most {MAX_ID_BYTES} are allowed"
        )));
    }
    if has_unsafe(text) {
        return Err(invalid(format!("`{name}` holds a control character")));
    }
    Ok(())
}

/// Returns the error of a text.
fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

/// The longest id of a request, a user or a project, in bytes.
const MAX_ID_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a context come out as they went in, and an empty one holds nothing.
    #[test]
    fn keeps_the_parts_that_were_set() {
        assert_eq!(size_of::<Context>(), size_of::<usize>());
        let context = Context::builder().user("u").project("p").build().unwrap();
        assert_eq!((context.user(), context.project(), context.size()), (Some("u"), Some("p"), 2));
        let empty = Context::builder().user("").traceparent("").build().unwrap();
        assert_eq!((empty.is_empty(), empty.size()), (true, 0));
        assert_eq!(empty, Context::new());
        assert_eq!(
            format!("{empty:?} {context:?}"),
            r#"Context Context { user: "u", project: "p" }"#
        );
    }

    /// Long texts and control characters are refused by name, and nothing of them is repeated.
    #[test]
    fn refuses_hostile_texts_by_name() {
        let long = "x".repeat(256);
        for (builder, expected) in [
            (Context::builder().user(&*long), "`user` has 256 bytes, at most 255 are allowed"),
            (Context::builder().project("a\u{1b}[2J"), "`project` holds a control character"),
            (Context::builder().request_id("a\u{202e}b"), "`request_id` holds a control character"),
            (Context::builder().tracestate("a=1"), "`tracestate` needs a `traceparent`"),
        ] {
            let error = builder.clone().build().unwrap_err();
            assert_eq!((error.to_string().as_str(), error.kind()), (expected, ErrorKind::Invalid));
            assert!(builder.build_valid().is_empty());
        }
    }

    /// One wrong text of another program does not hide the others.
    #[test]
    fn keeps_the_valid_texts_of_another_program() {
        let builder = Context::builder()
            .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .tracestate("NOT VALID")
            .user("bob\0")
            .project("web");
        let context = builder.build_valid();
        assert_eq!((context.user(), context.tracestate()), (None, None));
        assert_eq!(context.project(), Some("web"));
        assert!(context.traceparent().is_some());
    }
}
