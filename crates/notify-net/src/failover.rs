//! Failover from one configured host to the next, within one deadline.
//!
//! This module decides the order and the time; the transport connects and logs in.

use std::time::Duration;

use notify_core::{Error, ErrorKind};
use tokio::time::Instant;

use crate::host::Host;

/// One pass over the configured hosts, in random order.
///
/// Each host gets an equal share of the time that is left, so a silent host cannot use up the time of
/// the others. A host that fails early leaves its time to the rest.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use notify_net::{Failover, Host};
/// # async fn log_in(host: &Host) -> notify_core::Result<()> { Ok(()) }
///
/// # async fn example(hosts: &[Host]) -> notify_core::Result<()> {
/// let mut failover = Failover::new(hosts, Duration::from_secs(10));
/// while let Some((host, deadline)) = failover.next() {
///     match tokio::time::timeout_at(deadline, log_in(host)).await {
///         Ok(Ok(connection)) => return Ok(connection),
///         Ok(Err(error)) => failover.record_error(error),
///         Err(_) => failover.record_timeout(host),
///     }
/// }
/// Err(failover.into_error())
/// # }
/// ```
#[derive(Debug)]
pub struct Failover<'a> {
    /// The hosts that remain. [`next`](Self::next) takes the last one.
    remaining: Vec<&'a Host>,
    deadline: Instant,
    errors: Vec<Error>,
}

impl<'a> Failover<'a> {
    /// Creates a pass over `hosts` that ends within `timeout`.
    ///
    /// The order is random, so that many clients spread over the nodes of a cluster.
    pub fn new(hosts: &'a [Host], timeout: Duration) -> Self {
        let mut remaining: Vec<_> = hosts.iter().collect();
        for last in (1..remaining.len()).rev() {
            // Without a source of randomness the host stays where the configuration put it.
            let random = getrandom::u32().map_or(last, |random| random as usize);
            remaining.swap(last, random % (last + 1));
        }
        Self { remaining, deadline: Instant::now() + timeout, errors: Vec::new() }
    }

    /// Returns the next host and the deadline for logging in there, or `None` after the last host.
    #[expect(clippy::should_implement_trait, reason = "the loop body needs the rest mutably")]
    pub fn next(&mut self) -> Option<(&'a Host, Instant)> {
        let deadline = fair_share(self.deadline, self.remaining.len());
        Some((self.remaining.pop()?, deadline))
    }

    /// Records the error of the last host.
    pub fn record_error(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// Records that `host` did not finish the login before its deadline.
    pub fn record_timeout(&mut self, host: &Host) {
        self.record_error(Error::new(
            ErrorKind::Timeout,
            format!("{host} timed out: does a broker listen on this port?"),
        ));
    }

    /// Returns one error for the whole pass, with the reason of every host.
    ///
    /// Its kind is permanent only if every host failed with a permanent error, because a host that
    /// is only unreachable may come back.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use notify_core::{Error, ErrorKind};
    /// use notify_net::Failover;
    ///
    /// let mut failover = Failover::new(&[], Duration::from_secs(10));
    /// failover.record_error(Error::new(ErrorKind::Access, "authentication failed at a"));
    /// failover.record_error(Error::new(ErrorKind::Unavailable, "cannot connect to b"));
    /// let error = failover.into_error();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "cannot log in to any host: authentication failed at a; cannot connect to b"
    /// );
    /// assert!(error.is_transient());
    /// ```
    pub fn into_error(mut self) -> Error {
        if self.errors.len() < 2 {
            return self
                .errors
                .pop()
                .unwrap_or_else(|| Error::new(ErrorKind::Config, "no broker host is configured"));
        }
        let kind = self.errors.iter().find(|error| error.is_transient()).unwrap_or(&self.errors[0]);
        let reasons: Vec<_> = self.errors.iter().map(|error| format!("{error:#}")).collect();
        Error::new(kind.kind(), format!("cannot log in to any host: {}", reasons.join("; ")))
    }
}

/// Returns the end of the current share, if `parts` equal shares fill the time until `deadline`.
pub(crate) fn fair_share(deadline: Instant, parts: usize) -> Instant {
    let now = Instant::now();
    let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// Creates a host.
    fn host(name: &str, port: u16) -> Host {
        Host { name: name.into(), port }
    }

    /// A silent host costs its share and no more; the time of a quick failure goes to the rest.
    #[tokio::test(start_paused = true)]
    async fn every_host_has_its_share_of_the_deadline() {
        let hosts = [host("a", 1), host("b", 2), host("c", 3)];
        let start = Instant::now();
        let mut failover = Failover::new(&hosts, Duration::from_secs(12));
        let mut names = Vec::new();
        let mut elapsed = Vec::new();
        while let Some((host, deadline)) = failover.next() {
            // The second host fails at once and leaves its time to the third.
            if names.len() == 1 {
                failover.record_error(Error::new(ErrorKind::Access, "refused"));
            } else {
                tokio::time::sleep_until(deadline).await;
                failover.record_timeout(host);
            }
            names.push(host.name.clone());
            elapsed.push(start.elapsed().as_secs());
        }
        assert_eq!(elapsed, [4, 4, 12]);
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
        let error = failover.into_error();
        assert!(error.is_transient(), "a host that may come back: {error}");
        assert!(error.to_string().contains("refused; "), "{error}");
    }

    /// Two passes differ in their order, and each contains every host once.
    #[test]
    fn the_order_is_shuffled() {
        let hosts: Vec<_> = (1..=8).map(|port| host("h", port)).collect();
        let order = || {
            let failover = Failover::new(&hosts, LONG);
            failover.remaining.iter().map(|host| host.port).collect::<Vec<_>>()
        };
        let first = order();
        assert!((0..64).any(|_| order() != first));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    /// The pass is a permanent error only if no host can come back by itself.
    #[test]
    fn the_error_is_permanent_only_if_all_are() {
        let hosts = [host("a", 1), host("b", 2)];
        let mut failover = Failover::new(&hosts, LONG);
        failover.record_error(Error::new(ErrorKind::Access, "wrong password"));
        failover.record_error(Error::new(ErrorKind::Config, "unknown vhost"));
        let error = failover.into_error();
        assert_eq!(error.kind(), ErrorKind::Access);
        assert_eq!(error.to_string(), "cannot log in to any host: wrong password; unknown vhost");
    }

    /// A pass over no host is a configuration error instead of a success.
    #[test]
    fn no_host_is_a_configuration_error() {
        let mut failover = Failover::new(&[], LONG);
        assert!(failover.next().is_none());
        assert_eq!(failover.into_error().to_string(), "no broker host is configured");
    }
}
