//! The bounds of queries: [`PageRunner`].
//!
//! A query blocks its thread, so it runs on one of few threads for blocking work. Reports that look at many
//! events wait for each other and not for them do searches: each has permits of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The permits of queries.
#[derive(Debug)]
pub(super) struct PageRunner {
    lookups: Arc<Semaphore>,
    reports: Arc<Semaphore>,
    /// The longest wait for a permit.
    longest_wait: Duration,
}

/// The kind of a page's query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryKind {
    /// It reads some pages of an index.
    Lookup,
    /// It may look at all events of an interval.
    Report,
}

/// The reason why a query gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunFailure {
    /// Other queries held all permits for too long.
    Busy,
    /// The query did not end. Its thread holds the permit until it does.
    TimedOut,
    /// The query panicked.
    Panicked,
}

impl Default for PageRunner {
    fn default() -> Self {
        let permits = |count| Arc::new(Semaphore::new(count));
        Self {
            lookups: permits(MOST_LOOKUPS),
            reports: permits(MOST_REPORTS),
            longest_wait: Duration::from_secs(10),
        }
    }
}

impl PageRunner {
    /// Runs a query that ends by itself at `deadline`, on a thread that may block.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the query still ends by itself and gives its permit back.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        kind: QueryKind,
        deadline: Duration,
        query: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RunFailure> {
        let permits = match kind {
            QueryKind::Lookup => &self.lookups,
            QueryKind::Report => &self.reports,
        };
        let permit = timeout(self.longest_wait, Arc::clone(permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(RunFailure::Busy) };
        let running = spawn_blocking(move || {
            let result = query();
            drop(permit);
            result
        });
        match timeout(deadline + GRACE, running).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(RunFailure::Panicked),
            Err(_) => Err(RunFailure::TimedOut),
        }
    }
}

/// The most searches and lookups at a time.
const MOST_LOOKUPS: usize = 4;
/// The most reports at a time.
const MOST_REPORTS: usize = 2;
/// The time beyond its deadline after which a query counts as hung: the disk may hang.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports that take all of their permits delay no search, and a query without a permit is refused after a
    /// bounded wait.
    #[tokio::test]
    async fn long_reports_delay_no_search() {
        let runner = PageRunner { longest_wait: Duration::from_millis(1), ..PageRunner::default() };
        let runner = Arc::new(runner);
        let mut ends = Vec::new();
        for _ in 0..MOST_REPORTS {
            let (end, wait) = std::sync::mpsc::channel::<()>();
            let runner = Arc::clone(&runner);
            let report = async move {
                runner.run(QueryKind::Report, Duration::MAX / 4, move || wait.recv().is_err()).await
            };
            ends.push((end, tokio::spawn(report)));
        }
        while runner.reports.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let minute = Duration::from_secs(60);
        assert_eq!(runner.run(QueryKind::Report, minute, || 7).await, Err(RunFailure::Busy));
        assert_eq!(runner.run(QueryKind::Lookup, minute, || 7).await, Ok(7));
        for (end, report) in ends {
            drop(end);
            assert_eq!(report.await.unwrap(), Ok(true));
        }
    }
}
