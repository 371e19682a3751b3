//! The outcome of one notification at one destination.

use std::sync::Arc;

use crate::error::Result;

/// The outcome of one notification at one destination, from
/// [`Receipt::by_destination`](super::Receipt::by_destination).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DestinationOutcome {
    /// The [name](super::NotifierBuilder::named) of the destination. Empty for a notifier with one
    /// destination.
    pub destination: Arc<str>,
    /// Whether the receipt waits for this destination.
    pub required: bool,
    /// The notification's progress at this destination.
    pub progress: DestinationProgress,
}

/// The progress of one notification at one destination.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DestinationProgress {
    /// The destination does not get the notification: its filter leaves it out.
    Filtered,
    /// The outcome is not known yet.
    Pending,
    /// The outcome.
    ///
    /// # Errors
    ///
    /// The notification's own error at this destination.
    Ended(Result<()>),
}
