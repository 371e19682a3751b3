//! Clauses about release: a closed or dropped transport leaves no connection, file or thread.

use super::waiting::{wait_until_released, within};
use crate::attempts::deliver;
use crate::harness::Harness;
use crate::samples;

/// `close` releases the destination, also when the transport never sent anything.
pub async fn close_releases_the_destination<H: Harness>() {
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    deliver(transport.as_mut(), &samples::messages(0..3)).await;
    let closed = within("`close`", transport.close()).await;
    assert!(closed.is_ok(), "{closed:?}");
    wait_until_released(&mut harness).await;
    let mut unused = harness.transport();
    let closed = within("`close`", unused.close()).await;
    assert!(closed.is_ok(), "{closed:?}");
    assert_eq!(harness.open_handles().await, 0);
}

/// Dropping a transport without closing it releases the destination, without a panic.
pub async fn drop_releases_the_destination<H: Harness>() {
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    deliver(transport.as_mut(), &samples::messages(0..3)).await;
    drop(transport);
    wait_until_released(&mut harness).await;
    drop(harness.transport());
    assert_eq!(harness.open_handles().await, 0);
}
