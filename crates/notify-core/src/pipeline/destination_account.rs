//! The public view of one destination: its name, its strategy and its account.

use super::stats::Stats;

/// The account of one destination at one moment, from
/// [`Notifier::destinations`](super::Notifier::destinations).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DestinationAccount {
    /// The [name](super::NotifierBuilder::named) of the destination; empty without one.
    pub name: String,
    /// Whether receipts wait for this destination.
    pub required: bool,
    /// The strategy, or `spool` with a spool in front of it.
    pub strategy: &'static str,
    /// The account. With a spool, delivered means stored on the disk.
    pub stats: Stats,
    /// With a spool, the strategy that forwards from it, and the account of that.
    pub forwarded: Option<(&'static str, Stats)>,
}
