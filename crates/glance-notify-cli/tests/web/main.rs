//! The web pages: in a real browser, under hostile clients, and over hostile texts.
//!
//! `cargo xtask setup` installs Chromium, its driver and the accessibility checker axe-core.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail as it likes"
)]

mod accessibility;
mod bounds;
mod browser;
mod filters;
mod hostile_texts;
mod journey;
mod owners;
mod site;
mod web_driver;
