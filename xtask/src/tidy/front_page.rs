//! The front pages: the names at the root of the crates that users meet first.

use super::tokens::{Token, tokens};
use super::workspace::Workspace;

/// The facade and the core show at most 25 names at their root; the rest sits in modules.
pub(super) fn front_pages_are_short(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for path in FRONT_PAGES {
        let root = workspace.sources.iter().find(|file| file.path.to_str() == Some(path));
        let Some(file) = root else { continue };
        let names = public_names(&tokens(&file.text));
        if names.len() > MOST {
            problems.push(format!("{path} shows {} names: {}", names.len(), names.join(", ")));
        }
    }
    problems
}

/// Returns the names that the root of a crate makes public.
fn public_names(tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let word = |offset: usize| tokens.get(index + offset).map_or("", |t| t.text.as_str());
        if token.text != "pub" || word(1) == "(" {
            continue;
        }
        if word(1) == "use" {
            names.extend(used_names(&tokens[index + 2..]));
        } else if let Some(name) = tokens[index + 1..].iter().find(|t| !is_keyword(&t.text)) {
            names.push(name.text.clone());
        }
    }
    names
}

/// Returns the names that a `use` declaration brings into scope.
fn used_names(tokens: &[Token]) -> Vec<String> {
    let end = tokens.iter().position(|token| token.text == ";").unwrap_or(tokens.len());
    let mut names = Vec::new();
    for (index, token) in tokens[..end].iter().enumerate() {
        let next = tokens[index + 1].text.as_str();
        let is_name = token.text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if is_name && matches!(next, "," | "}" | ";") {
            names.push(token.text.clone());
        }
    }
    names
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "async"
            | "const"
            | "enum"
            | "extern"
            | "fn"
            | "mod"
            | "static"
            | "struct"
            | "trait"
            | "type"
    )
}

const FRONT_PAGES: [&str; 2] = ["crates/glance-notify/src/lib.rs", "crates/notify-core/src/lib.rs"];

/// As many names as a reader takes in at a glance. Comparable crates show 17 to 29.
const MOST: usize = 25;

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::source;
    use super::*;

    #[test]
    fn a_long_front_page_is_reported() {
        let items = |count: usize| -> String {
            let items = (0..count).map(|i| format!("pub use m::{{a{i}, B as b{i}}};\n"));
            items.collect::<Vec<_>>().concat()
        };
        let path = "crates/notify-core/src/lib.rs";
        assert_eq!(front_pages_are_short(&source(path, &items(12))), [""; 0]);
        assert_eq!(front_pages_are_short(&source(path, &items(13))).len(), 1);
        assert_eq!(front_pages_are_short(&source("crates/x/src/lib.rs", &items(13))), [""; 0]);
    }

    #[test]
    fn every_kind_of_public_item_counts() {
        let text = "pub mod a;\nmod b;\npub(crate) mod c;\npub use d::{E, f::G as H};\n\
                    pub use {i, j};\npub const fn k() {}\npub struct L { x: u8 }";
        assert_eq!(public_names(&tokens(text)), ["a", "E", "H", "i", "j", "k", "L"]);
    }
}
