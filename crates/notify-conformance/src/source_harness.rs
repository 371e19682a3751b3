//! The interface between the clauses of sources and a place: what a test can publish, read and break.
//!
//! It describes places only. The clauses that use it are in [`source_clauses`](crate::source_clauses).

use async_trait::async_trait;
use notify_core::source::Source;

/// An ability of a place that some clauses need.
///
/// A harness lists the abilities that its place lacks in [`SourceHarness::UNSUPPORTED`].
///
/// # Examples
///
/// ```
/// use notify_conformance::SourceCapability;
/// use notify_conformance::source_script::SourceScript;
///
/// assert!(SourceCapability::BreakSession.is_supported_by::<SourceScript>());
/// assert!(!SourceCapability::Tap.is_supported_by::<SourceScript>());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceCapability {
    /// A test can end the session of a source from outside, as a broker that restarts does.
    BreakSession,
    /// The place remembers what a closed source has not acknowledged, and hands it to the next source.
    Resume,
    /// The place holds bodies of any bytes, line ends included.
    AnyBytes,
    /// The source reads an own copy beside a queue that other consumers share.
    Tap,
}

impl SourceCapability {
    /// Returns whether the place of `H` has this ability.
    ///
    /// Prints the harness's reason when it does not, so that the output of a skipped clause says why
    /// the clause does not apply.
    pub fn is_supported_by<H: SourceHarness>(self) -> bool {
        let missing = H::UNSUPPORTED.iter().find(|(capability, _)| *capability == self);
        if let Some((capability, reason)) = missing {
            println!("does not apply, {capability:?} is unsupported: {reason}");
        }
        missing.is_none()
    }
}

/// One place that your source reads from, started for one test.
///
/// Each clause starts its own harness, so tests run side by side. Dropping the harness must end
/// everything that it started.
///
/// # Examples
///
/// See the source of [`SourceScript`](crate::source_script::SourceScript).
///
/// ```
/// use notify_conformance::SourceHarness;
/// use notify_conformance::source_script::SourceScript;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut harness = SourceScript::start().await;
/// harness.publish_bodies(&[b"{}".to_vec()]).await;
/// assert_eq!(harness.unacknowledged().await, 1);
/// # }
/// ```
#[async_trait]
pub trait SourceHarness: Send + Sized {
    /// The abilities that this place lacks, each with the reason.
    ///
    /// A clause that needs one of them prints the reason and passes. For every other capability the
    /// methods that name it below must work.
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)];

    /// Starts a fresh, empty place that no other test uses.
    async fn start() -> Self;

    /// Opens a source of this place. A clause has at most one source at a time.
    ///
    /// With [`SourceCapability::Resume`], a later source continues where the earlier one stopped.
    async fn source(&mut self) -> Box<dyn Source>;

    /// Publishes these bodies in order, with another client than the source's own.
    ///
    /// The clauses publish only while a source is attached, or before the first one is, if the place
    /// keeps messages then.
    async fn publish_bodies(&mut self, bodies: &[Vec<u8>]);

    /// Returns how many messages the place still has to deliver or to be acknowledged.
    async fn unacknowledged(&mut self) -> usize;

    /// Returns how many connections or open files the sources hold on the place.
    ///
    /// Clauses wait until it is 0 after a source is closed or dropped.
    async fn open_handles(&mut self) -> usize;

    /// Ends the session of the source from outside. See [`SourceCapability::BreakSession`].
    async fn break_session(&mut self) {}

    /// Returns how many messages the shared queue holds. See [`SourceCapability::Tap`].
    async fn shared_queue(&mut self) -> usize {
        0
    }
}
