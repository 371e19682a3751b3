//! A configured spool in a program without the feature `spool`.

#![cfg(all(not(feature = "spool"), feature = "log", feature = "noop"))]

use glance_notify::Config;

/// Without the spool, messages would be less durable than configured, so starting fails. `noop` never
/// uses a spool, so it starts.
#[test]
fn start_rejects_a_spool_that_is_not_compiled_in() {
    let spool = "[spool]\ndir = '/var/spool/x'\n";
    let config: Config =
        format!("strategy = 'log'\nlog.target = 'stdout'\n{spool}").parse().unwrap();
    let error = glance_notify::start(&config).unwrap_err();
    assert_eq!(error.to_string(), "`spool` is not compiled in: enable the Cargo feature `spool`");
    let config: Config = format!("strategy = 'noop'\n{spool}").parse().unwrap();
    assert!(glance_notify::start(&config).is_ok());
}
