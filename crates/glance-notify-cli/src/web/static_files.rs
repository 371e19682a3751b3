//! The style sheet and the icon.

use std::sync::LazyLock;

/// The style sheet of all pages.
pub(super) const STYLE: &str = include_str!("style.css");

/// The icon of the browser's tab.
pub(super) const ICON: &str = include_str!("icon.svg");

/// The path of the icon.
pub(super) const ICON_PATH: &str = "/icon.svg";

/// The path of the style sheet. It changes with the content, so that browsers keep the sheet and never an old
/// one.
pub(super) static STYLE_PATH: LazyLock<String> =
    LazyLock::new(|| format!("/style-{:016x}.css", hash(STYLE.as_bytes())));

/// Returns a hash of some bytes (FNV-1a).
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
