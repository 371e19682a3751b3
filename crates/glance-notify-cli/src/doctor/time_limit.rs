//! The time limit of one examination, so that a peer that stays silent is a finding.

use std::time::Duration;

use glance_notify::{Error, ErrorKind};

/// Waits for the result of an examination, at most for [`CHECK_TIMEOUT`].
///
/// # Errors
///
/// That of the examination, or [`ErrorKind::Timeout`].
pub(super) async fn within_time<T>(
    result: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(CHECK_TIMEOUT, result).await.unwrap_or_else(|_| {
        let text = format!("no answer within {} s", CHECK_TIMEOUT.as_secs());
        Err(Error::new(ErrorKind::Timeout, text))
    })
}

/// The longest examination of one source, of its queues, or by its management API.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
