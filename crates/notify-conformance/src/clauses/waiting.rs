//! Waiting with a bound, so that a transport that hangs fails its test.

use std::time::Duration;

use crate::harness::Harness;

/// Waits for `future`, and panics with `goal` when it takes longer than 90 s.
///
/// A broker may take half a minute to start.
pub(super) async fn within<T>(goal: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(TIMEOUT, future).await {
        Ok(output) => output,
        Err(_) => panic!("timed out after {} s waiting for {goal}", TIMEOUT.as_secs()),
    }
}

/// Waits until no transport holds a connection or file on the destination.
pub(super) async fn wait_until_released<H: Harness>(harness: &mut H) {
    within("the transport to release the destination", async {
        while harness.open_handles().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// The longest wait of a clause.
const TIMEOUT: Duration = Duration::from_secs(90);
