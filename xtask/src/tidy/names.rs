//! The names of types.

use std::collections::BTreeMap;

use super::tokens::{Token, tokens};
use super::workspace::{TextFile, Workspace};

/// A name means one thing within the sources of a crate.
///
/// Types of unit tests and of integration tests do not count. Nor does a type that exists in two
/// versions, one for each state of a Cargo feature: see [`ALTERNATIVES`].
pub(super) fn types_are_unique(workspace: &Workspace) -> Vec<String> {
    let mut places: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for file in &workspace.sources {
        let Some(package) = source_of(file) else { continue };
        for name in type_names(&tokens(&file.text)) {
            let path = file.path.display().to_string();
            let places = places.entry((package.clone(), name)).or_default();
            if !places.contains(&path) {
                places.push(path);
            }
        }
    }
    let ambiguous = places
        .iter()
        .filter(|((_, name), places)| places.len() > 1 && !ALTERNATIVES.contains(&name.as_str()));
    ambiguous
        .map(|((_, name), places)| format!("`{name}` is defined in {}", places.join(" and ")))
        .collect()
}

/// A type is named after its role: not after what happened to it, and not by a pronoun.
pub(super) fn types_are_nouns(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for file in &workspace.sources {
        for name in type_names(&tokens(&file.text)) {
            if !is_noun(&name) {
                problems.push(format!("{}: name `{name}` after its role", file.path.display()));
            }
        }
    }
    problems
}

/// Returns the names of the structs, enums, traits and unions that `tokens` define.
fn type_names(tokens: &[Token]) -> Vec<String> {
    let defines = |word: &str| matches!(word, "struct" | "enum" | "trait" | "union");
    tokens
        .windows(2)
        .filter(|pair| defines(&pair[0].text) && pair[1].text.starts_with(char::is_uppercase))
        .map(|pair| pair[1].text.clone())
        .collect()
}

/// Returns whether a type's name reads as a noun. The last word of a compound decides.
fn is_noun(name: &str) -> bool {
    let start = name.rfind(char::is_uppercase).unwrap_or_default();
    let word = &name[start..];
    let is_participle = (word.ends_with("ed") || word.ends_with("ing")) && word.len() > 4;
    let is_noun = NOUNS.contains(&word);
    let is_alone = start == 0;
    (!is_participle || is_noun) && !(is_alone && NOT_NOUNS.contains(&word))
}

/// Returns the crate directory of a file below some `src`.
fn source_of(file: &TextFile) -> Option<String> {
    let parts: Vec<&str> = file.path.iter().filter_map(|part| part.to_str()).collect();
    let src = parts.iter().position(|part| *part == "src")?;
    Some(parts[..src].join("/"))
}

/// Types with a version for each state of a Cargo feature, of which one is compiled.
const ALTERNATIVES: [&str; 1] = ["TlsConfig"];

/// Words that look like participles and are nouns of this project or of the language.
const NOUNS: [&str; 8] =
    ["Encoding", "Binding", "Feed", "Finding", "Seed", "Setting", "String", "Warning"];

/// Words that are no nouns, or say nothing as a name of their own.
const NOT_NOUNS: [&str; 21] = [
    "Doing",
    "Everything",
    "Fate",
    "Found",
    "Held",
    "Inner",
    "Kept",
    "Larger",
    "Left",
    "Nothing",
    "Nowhere",
    "Said",
    "Seen",
    "Slow",
    "Told",
    "Torn",
    "Until",
    "What",
    "Where",
    "Which",
    "Wrong",
];

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::{source, sources};
    use super::*;

    #[test]
    fn a_name_with_two_meanings_in_a_crate_is_reported() {
        let one = ("crates/x/src/a.rs", "struct Row;");
        let two = ("crates/x/src/b.rs", "pub enum Row {}\n#[cfg(test)]\nmod tests { struct Row; }");
        let other = ("crates/y/src/a.rs", "struct Row;");
        let test = ("crates/x/tests/a.rs", "struct Row;");
        assert_eq!(types_are_unique(&sources(&[one, other, test])), [""; 0]);
        assert_eq!(
            types_are_unique(&sources(&[one, two])),
            ["`Row` is defined in crates/x/src/a.rs and crates/x/src/b.rs"]
        );
    }

    #[test]
    fn a_participle_or_a_pronoun_is_reported() {
        for name in ["Recorded", "RowWanted", "Waiting", "Told", "Left", "Inner"] {
            let text = format!("pub(crate) struct {name}(u8);");
            assert_eq!(types_are_nouns(&source("tests/a.rs", &text)).len(), 1, "{name}");
        }
        for name in ["Encoding", "JobFeed", "Bed", "Ring", "LeftJoin", "Row"] {
            let text = format!("enum {name} {{}}");
            assert_eq!(types_are_nouns(&source("tests/a.rs", &text)), [""; 0], "{name}");
        }
    }
}
