//! A spool that is configured and not compiled in.

#![cfg(not(feature = "spool"))]
#![expect(clippy::unwrap_used, reason = "a test may fail as it likes")]

use glance_notify::Config;

#[test]
fn a_spool_that_is_not_compiled_in_is_refused_where_it_would_be_used() {
    let spool = "[spool]\ndir = '/var/spool/x'\n";
    let config: Config =
        format!("strategy = 'log'\nlog.target = 'stdout'\n{spool}").parse().unwrap();
    let error = glance_notify::start(&config).unwrap_err();
    assert_eq!(error.to_string(), "`spool` is not compiled in: enable the Cargo feature `spool`");
    let config: Config = format!("strategy = 'noop'\n{spool}").parse().unwrap();
    assert!(glance_notify::start(&config).is_ok());
}
