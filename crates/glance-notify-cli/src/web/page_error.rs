//! Pages that could not be made: [`PageError`], an answer with a status and a sentence that says what to do.

use askama::Template;
use axum::http::StatusCode;
use notify_archive::{ArchiveError, ArchiveErrorKind};

use super::access_rules::AccessRefusal;
use super::page_frame::PageFrame;
use super::page_runner::RunFailure;
use super::page_selection::PageSelection;
use super::page_text::PageText;

/// The reason why there is no page.
#[derive(Clone, Debug)]
pub(super) struct PageError {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) message: String,
}

/// The page that shows a [`PageError`].
#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorTemplate<'a> {
    pub(super) frame: &'a PageFrame,
    pub(super) message: PageText,
}

impl PageError {
    /// Creates an error.
    pub(super) fn new(status: StatusCode, title: &'static str, message: impl Into<String>) -> Self {
        Self { status, title, message: message.into() }
    }

    /// Creates the error of a page that does not exist.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", message)
    }

    /// Creates the error of parameters without a meaning.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid parameters", message)
    }

    /// Returns an error if a parameter has no meaning.
    pub(super) fn check(selection: &PageSelection) -> Result<(), Self> {
        let messages: Vec<_> = selection
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.parameter.name(), problem.message))
            .collect();
        if messages.is_empty() { Ok(()) } else { Err(Self::invalid(messages.join("; "))) }
    }
}

impl From<ArchiveError> for PageError {
    fn from(error: ArchiveError) -> Self {
        match error.kind() {
            ArchiveErrorKind::DeadlineExceeded => Self::from(RunFailure::TimedOut),
            _ if error.is_transient() => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The archive is not readable at the moment",
                format!("{error}. Try again."),
            ),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The archive is not readable",
                error.to_string(),
            ),
        }
    }
}

impl From<RunFailure> for PageError {
    fn from(failure: RunFailure) -> Self {
        match failure {
            RunFailure::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many queries",
                "Other queries use all the room there is. Try again in some seconds.",
            ),
            RunFailure::TimedOut => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The query took too long",
                "Choose a shorter interval or a narrower filter. For a long report, use the command \
                 `glance-notify report`, which has ten minutes, or start `serve` with a longer `--deadline`.",
            ),
            RunFailure::Panicked => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "This is a bug",
                "The page could not be made. Please report the lines on standard error of the command.",
            ),
        }
    }
}

impl From<AccessRefusal> for PageError {
    fn from(refusal: AccessRefusal) -> Self {
        match refusal {
            AccessRefusal::NoHost => {
                Self::new(StatusCode::BAD_REQUEST, "No host", "The request names no host.")
            }
            AccessRefusal::UnknownHost(name) => Self::new(
                StatusCode::MISDIRECTED_REQUEST,
                "Unknown host",
                format!(
                    "These pages do not answer under the name {name}. If it is yours, start `serve` with \
                     `--host` and this name."
                ),
            ),
            AccessRefusal::Unauthorized => Self::new(
                StatusCode::UNAUTHORIZED,
                "Authentication required",
                "Give the token as the password. Any user name will do.",
            ),
        }
    }
}
