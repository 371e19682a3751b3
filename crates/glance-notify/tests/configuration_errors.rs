//! The errors of an invalid configuration: the key, its place, the expected value, and no secret.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use glance_notify::{Config, ErrorKind};

/// Parses `toml`, which must be invalid, and returns the message of the error.
fn error_message(toml: &str) -> String {
    let error = toml.parse::<Config>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

/// Every error names the key, its place and the expected value.
#[test]
fn an_invalid_key_is_named_with_its_place_and_the_expected_value() {
    for (toml, expected) in [
        (
            "strategy = 'kafka'",
            "`strategy` (TOML): unknown value, expected \"noop\", \"log\", \"rabbit\" or \"qpid\"",
        ),
        ("strategy = 3", "`strategy` (TOML): expected a string, found a whole number"),
        (
            "strateyg = 'log'",
            "`strateyg` (TOML): unknown option, expected \"strategy\", \"publisher_id\", \"disabled_notifications\", \"payloads\", \"redact\", \"compat\", \"log_file\", \"queue\", \"spool\", \"log\", \"rabbit\", \"qpid\", \"archive\", \"listener\", \"destination\" or \"source\"",
        ),
        ("log = 'x'", "`log` (TOML): expected a table, found a string"),
        (
            "payloads = 'oslo'",
            "`payloads` (TOML): unknown value, expected \"documented\" or \"glance\"",
        ),
        ("compat = true", "`compat` (TOML): expected a string, found a boolean"),
        (
            "disabled_notifications = 'image'",
            "`disabled_notifications` (TOML): expected a list, found a string",
        ),
        (
            "[queue]\nmax_messages = -1",
            "`queue.max_messages` (TOML): expected a whole number from 0 to 18446744073709551615, found a negative number",
        ),
        (
            "[queue]\nmax_age = '1h'",
            "`queue.max_age` (TOML): expected a number of seconds above 0 and at most 31622400, found a string",
        ),
        (
            "[queue]\noverflow = 'block'",
            "`queue.overflow` (TOML): unknown value, expected \"drop_newest\" or \"drop_oldest\"",
        ),
        (
            "log_file = 'a'\nlog.file = 'b'",
            "`log_file` and `log.file` (TOML) set the same option: remove one",
        ),
    ] {
        assert_eq!(error_message(toml), expected);
    }
}

/// A password at a key that expects one of a few words appears in no error.
#[test]
fn an_unknown_word_is_never_repeated() {
    for key in ["strategy", "payloads", "redact", "envelope", "compat", "queue.overflow"] {
        let text = error_message(&format!("{key} = 'hunter2'"));
        assert!(text.starts_with(&format!("`{key}` (TOML): ")), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// An unquoted password is a syntax error; the message must not quote the line.
#[test]
fn a_toml_syntax_error_has_line_and_column_and_no_quotation() {
    let text = error_message("strategy = 'rabbit'\n[rabbit]\nurl = hunter2\n");
    assert!(text.starts_with("TOML, line 3, column 7: "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
