//! The facts that a registry shows about a published crate.

use std::path::Path;

use super::workspace::{TextFile, Workspace};
use crate::cargo::Package;
use crate::readme;

/// A published crate has everything that crates.io and docs.rs show about it.
pub(super) fn crates_describe_themselves(workspace: &Workspace) -> Vec<String> {
    let packages = workspace.packages.iter().filter(|package| package.is_published());
    packages
        .flat_map(|package| {
            let missing = missing(package, &workspace.tracked);
            missing.into_iter().map(|what| format!("{} has no {what}", package.name))
        })
        .collect()
}

/// Returns what a package lacks.
fn missing(package: &Package, tracked: &[String]) -> Vec<&'static str> {
    let directory = format!("crates/{}", package.name);
    let has_file = |name: &str| tracked.iter().any(|path| *path == format!("{directory}/{name}"));
    let docs_rs = &package.metadata["docs"]["rs"];
    let facts = [
        ("description", package.description.is_some()),
        ("documentation", package.documentation.is_some()),
        ("license", package.license.is_some()),
        ("keywords", (1..=5).contains(&package.keywords.len())),
        ("categories", (1..=5).contains(&package.categories.len())),
        ("rust-version", package.rust_version.is_some()),
        ("readme", package.readme.is_some() && has_file("README.md")),
        ("LICENSE", has_file("LICENSE")),
        ("package.metadata.docs.rs", docs_rs["all-features"] == true),
    ];
    facts.into_iter().filter(|(_, is_there)| !is_there).map(|(what, _)| what).collect()
}

/// The README of a library is what `cargo xtask readme` writes.
pub(super) fn readmes_are_up_to_date(workspace: &Workspace) -> Vec<String> {
    let outdated = |package: &&Package| {
        let directory = Path::new("crates").join(&package.name);
        let text = |files: &[TextFile], name: &str| {
            let path = directory.join(name);
            files.iter().find(|file| file.path == path).map(|file| file.text.clone())
        };
        text(&workspace.sources, "src/lib.rs").is_some_and(|source| {
            text(&workspace.readmes, "README.md") != Some(readme::text(package, &source))
        })
    };
    let packages = workspace.packages.iter().filter(|package| package.is_published());
    packages
        .filter(outdated)
        .map(|package| format!("{}: run `cargo xtask readme`", package.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::{packages, text_file};
    use super::*;

    /// Returns a workspace of one complete package.
    fn complete() -> Workspace {
        let mut workspace = packages(&["x:"]);
        let some = || Some("text".to_owned());
        let package = &mut workspace.packages[0];
        (package.description, package.documentation) = (some(), some());
        (package.license, package.rust_version) = (some(), some());
        package.keywords = vec!["k".to_owned()];
        package.categories = vec!["c".to_owned()];
        package.readme = Some("README.md".into());
        package.metadata = serde_json::json!({"docs": {"rs": {"all-features": true}}});
        workspace.tracked = vec!["crates/x/README.md".to_owned(), "crates/x/LICENSE".to_owned()];
        workspace
    }

    #[test]
    fn a_crate_without_a_description_is_reported() {
        let mut workspace = complete();
        assert_eq!(crates_describe_themselves(&workspace), [""; 0]);
        workspace.packages[0].keywords.clear();
        workspace.tracked.pop();
        assert_eq!(
            crates_describe_themselves(&workspace),
            ["x has no keywords", "x has no LICENSE"]
        );
        workspace.packages[0].publish = Some(Vec::new());
        assert_eq!(crates_describe_themselves(&workspace), [""; 0]);
    }

    #[test]
    fn a_readme_that_differs_from_the_documentation_is_reported() {
        let mut workspace = complete();
        let source = "//! Does it.";
        workspace.sources = vec![text_file("crates/x/src/lib.rs", source)];
        assert_eq!(readmes_are_up_to_date(&workspace), ["x: run `cargo xtask readme`"]);
        let text = readme::text(&workspace.packages[0], source);
        workspace.readmes = vec![text_file("crates/x/README.md", &text)];
        assert_eq!(readmes_are_up_to_date(&workspace), [""; 0]);
        workspace.readmes[0].text.push('x');
        assert_eq!(readmes_are_up_to_date(&workspace).len(), 1);
    }
}
