//! The language of comments, messages and documents.
//!
//! A program cannot judge prose. This check only keeps out the words that `CONTRIBUTING.md` rules
//! out everywhere.

use super::workspace::{TextFile, Workspace};

/// Sources and documents use plain words: `CONTRIBUTING.md` lists the alternatives.
pub(super) fn no_archaic_words(workspace: &Workspace) -> Vec<String> {
    let files = workspace.sources.iter().chain(&workspace.documents);
    let lists_them = |file: &&TextFile| !LISTS.iter().any(|path| file.path.to_str() == Some(path));
    files.filter(lists_them).flat_map(archaic_words_in).collect()
}

fn archaic_words_in(file: &TextFile) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let words = words(line);
        for phrase in PHRASES {
            let phrase_words: Vec<&str> = phrase.split(' ').collect();
            if words.windows(phrase_words.len()).any(|window| window == phrase_words) {
                problems.push(format!("{}:{}: \"{phrase}\"", file.path.display(), index + 1));
            }
        }
    }
    problems
}

/// Returns the words of a line in lower case. An underscore separates the words of a name.
fn words(line: &str) -> Vec<String> {
    let words = line.split(|c: char| !c.is_alphabetic() && c != '\'' && c != '-');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Words and phrases that have a plainer alternative.
const PHRASES: [&str; 15] = [
    "nobody",
    "nobody's",
    "somebody",
    "somebody's",
    "everybody",
    "whoever",
    "whomever",
    "whosoever",
    "mend",
    "mends",
    "mended",
    "in vain",
    "for ever",
    "farewell",
    "how-manieth",
];

/// The files that list the words.
const LISTS: [&str; 2] = ["CONTRIBUTING.md", "xtask/src/tidy/language.rs"];

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::{source, text_file};
    use super::*;

    #[test]
    fn an_archaic_word_is_reported_with_its_line() {
        let check = |text| no_archaic_words(&source("xtask/src/a.rs", text));
        assert_eq!(check("// Fine.\n// Whoever waits."), ["xtask/src/a.rs:2: \"whoever\""]);
        assert_eq!(check("fn waits_in_vain() {}").len(), 1);
        assert_eq!(check("let text = \"until an operator mends it\";").len(), 1);
        assert_eq!(check("// Amended at least for every test."), [""; 0]);
    }

    #[test]
    fn documents_are_checked_and_the_list_is_not() {
        let documents = |path| vec![text_file(path, "Nobody reads it.")];
        let check = |path| {
            no_archaic_words(&Workspace { documents: documents(path), ..Workspace::default() })
        };
        assert_eq!(check("docs/a.md").len(), 1);
        assert_eq!(check("CONTRIBUTING.md"), [""; 0]);
    }
}
