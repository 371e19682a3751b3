//! What a transport took hold of it lets go.

use super::{deliver, released, within};
use crate::harness::Harness;
use crate::samples;

/// Closing releases the destination; so does closing what was never used.
pub async fn close_releases<H: Harness>() {
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    deliver(transport.as_mut(), &samples::messages(0..3)).await;
    let closed = within("close", transport.close()).await;
    assert!(closed.is_ok(), "{closed:?}");
    released(&mut harness).await;
    let mut unused = harness.transport();
    let closed = within("close", unused.close()).await;
    assert!(closed.is_ok(), "{closed:?}");
    assert_eq!(harness.holders().await, 0);
}

/// A transport that is dropped without being closed releases the destination too, without a word.
pub async fn drop_without_close_is_quiet<H: Harness>() {
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    deliver(transport.as_mut(), &samples::messages(0..3)).await;
    drop(transport);
    released(&mut harness).await;
    drop(harness.transport());
    assert_eq!(harness.holders().await, 0);
}
