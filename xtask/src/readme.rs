//! `cargo xtask readme`: writes the README of each published library from the documentation in its `lib.rs`.
//!
//! So both say the same, and the examples in a README are tested with the documentation. `cargo xtask tidy`
//! reports a README that is not up to date.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cargo::{self, Package};

/// Writes the README of each published library.
///
/// # Errors
///
/// When a file cannot be read or written.
pub(crate) fn write() -> Result<()> {
    for package in cargo::members()?.iter().filter(|package| package.is_published()) {
        let directory = package.manifest_path.parent().unwrap_or(Path::new("."));
        let Ok(source) = fs::read_to_string(directory.join("src/lib.rs")) else { continue };
        let path = directory.join("README.md");
        fs::write(&path, text(package, &source))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Returns the README of a library with the source of its `lib.rs`.
pub(crate) fn text(package: &Package, source: &str) -> String {
    let mut readme = format!("# {}\n", package.name);
    // The text since the last block of code: a link can span lines.
    let mut prose = String::from("\n");
    let mut code: Option<CodeBlock> = None;
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    for line in lines.map(|line| line.strip_prefix(' ').unwrap_or(line)) {
        match (&code, line.strip_prefix("```")) {
            (None, Some(language)) => {
                readme += &without_item_links(&prose);
                prose.clear();
                let block = CodeBlock::new(language);
                readme.extend(["```", &block.language, "\n"]);
                code = Some(block);
            }
            (Some(_), Some(_)) => {
                readme += "```\n";
                code = None;
            }
            (Some(block), None) => {
                if let Some(line) = block.shown(line) {
                    readme.extend([line, "\n"]);
                }
            }
            // The name of the crate is the only heading of the first level.
            (None, None) if line.starts_with('#') => prose.extend(["#", line, "\n"]),
            (None, None) => prose.extend([line, "\n"]),
        }
    }
    readme += &without_item_links(&prose);
    let version = package.rust_version.as_deref().unwrap_or("stable");
    let license = package.license.as_deref().unwrap_or("none");
    readme + &format!("\n## Licence\n\n{license}. This crate needs Rust {version} or later.\n")
}

/// A block of code in documentation.
struct CodeBlock {
    language: String,
}

impl CodeBlock {
    fn new(attributes: &str) -> Self {
        let is_rust = ["", "no_run", "ignore", "should_panic", "compile_fail", "rust"]
            .contains(&attributes.split(',').next().unwrap_or_default());
        Self { language: if is_rust { "rust" } else { attributes }.to_owned() }
    }

    /// Returns the line as rustdoc shows it, or `None` if rustdoc hides it.
    fn shown<'a>(&self, line: &'a str) -> Option<&'a str> {
        let trimmed = line.trim_start();
        if self.language != "rust" {
            return Some(line);
        }
        if trimmed.starts_with("##") {
            return Some(&trimmed[1..]);
        }
        (trimmed != "#" && !trimmed.starts_with("# ")).then_some(line)
    }
}

/// Replaces links to items, which only rustdoc can follow, by their texts.
fn without_item_links(prose: &str) -> String {
    let mut text = String::new();
    let mut rest = prose;
    while let Some(start) = rest.find('[') {
        text += &rest[..start];
        rest = &rest[start..];
        let Some(end) = rest.find(']') else { break };
        let (label, after) = (&rest[1..end], &rest[end + 1..]);
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        match target {
            Some((target, after)) if is_address(target) => {
                text.extend(["[", label, "](", target, ")"]);
                rest = after;
            }
            Some((_, after)) => {
                text += label;
                rest = after;
            }
            None if label.starts_with('`') => {
                text += label;
                rest = after;
            }
            None => {
                text += &rest[..=end];
                rest = after;
            }
        }
    }
    text + rest
}

/// Returns `true` for a target that a reader without rustdoc can follow.
fn is_address(target: &str) -> bool {
    target.starts_with("https://") || target.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readme(docs: &str) -> String {
        let package = Package {
            name: "x".to_owned(),
            rust_version: Some("1.90".to_owned()),
            license: Some("MIT".to_owned()),
            ..Package::default()
        };
        let text = text(&package, docs);
        let end = "\n## Licence\n\nMIT. This crate needs Rust 1.90 or later.\n";
        text.strip_prefix("# x\n\n").unwrap().strip_suffix(end).unwrap().to_owned()
    }

    #[test]
    fn headings_and_code_are_those_of_a_document() {
        let docs = "//! Does it.\n//!\n//! # Examples\n//!\n//! ```no_run\n//! # fn main() {\n//! f();\n\
                    //! # }\n//! ```\n//!\n//! ```text\n//! # kept\n//! ```\n\nmod a;\n//! not this";
        let expected = "Does it.\n\n## Examples\n\n```rust\nf();\n```\n\n```text\n# kept\n```\n";
        assert_eq!(readme(docs), expected);
    }

    #[test]
    fn links_to_items_become_texts() {
        let docs =
            "//! A [`T`](crate::T), [a\n//! b](c::D#e), [`U`], [web](https://w), [up](#u), [1] end";
        let expected = "A `T`, a\nb, `U`, [web](https://w), [up](#u), [1] end\n";
        assert_eq!(readme(docs), expected);
    }
}
