//! Erlang terms as text.

/// Writes `text` as the literal of an Erlang binary. Numbers for its bytes make escaping
/// unnecessary.
pub(super) fn binary_literal(text: &str) -> String {
    let bytes: Vec<_> = text.bytes().map(|byte| byte.to_string()).collect();
    format!("<<{}>>", bytes.join(","))
}
