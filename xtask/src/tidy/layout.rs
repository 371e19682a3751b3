//! The layout: manifests, directories and file names.

use std::collections::BTreeSet;

use toml::Table;

use super::workspace::{TextFile, Workspace};
use crate::cargo::Package;

/// `crates/` holds only packages that may be published, and no other directory holds one.
pub(super) fn crates_are_published(workspace: &Workspace) -> Vec<String> {
    let misplaced = |package: &&Package| {
        let below_crates = package.manifest_path.iter().rev().nth(2).is_some_and(|d| d == "crates");
        below_crates != package.is_published()
    };
    let packages = workspace.packages.iter().filter(misplaced);
    packages
        .map(|package| {
            format!(
                "{}: set `publish = false` and move it out of crates/, or neither",
                package.name
            )
        })
        .collect()
}

/// Every entry of `workspace.members` has a line of comment above it.
pub(super) fn members_have_comments(workspace: &Workspace) -> Vec<String> {
    let root = workspace.manifests.iter().filter(|file| file.path.iter().count() == 1);
    root.flat_map(|manifest| members_without_comment(&manifest.text)).collect()
}

fn members_without_comment(manifest: &str) -> Vec<String> {
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    let Some(start) = lines.iter().position(|line| line.starts_with("members = [")) else {
        return Vec::new();
    };
    let mut uncommented = Vec::new();
    for (index, line) in lines.iter().enumerate().skip(start) {
        let names_a_member = line.starts_with('"') || (index == start && line.contains('"'));
        if names_a_member && !lines[index - 1].starts_with('#') {
            uncommented.push(format!("Cargo.toml:{}: {line} has no comment", index + 1));
        }
        if line.ends_with(']') {
            break;
        }
    }
    uncommented
}

/// The top level of notify-core's sources stays a map that a reader takes in at a glance.
pub(super) fn core_is_grouped(workspace: &Workspace) -> Vec<String> {
    let entries: BTreeSet<_> = workspace
        .sources
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/notify-core/src").ok()?.iter().next())
        .filter(|entry| *entry != "lib.rs")
        .collect();
    if entries.len() <= 9 {
        return Vec::new();
    }
    vec![format!("crates/notify-core/src has {} entries beside lib.rs", entries.len())]
}

/// A clone works on every operating system.
pub(super) fn file_names_are_portable(workspace: &Workspace) -> Vec<String> {
    let unportable =
        workspace.tracked.iter().filter(|path| path.split('/').any(|name| !is_portable(name)));
    unportable.map(|path| format!("Windows cannot hold {path:?}")).collect()
}

/// Returns whether Windows accepts `name` as a file name.
fn is_portable(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_port = |device: &str| {
        stem.strip_prefix(device).is_some_and(|number| matches!(number.as_bytes(), [b'1'..=b'9']))
    };
    let is_device =
        matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || is_port("com") || is_port("lpt");
    let is_allowed = |c: char| !c.is_control() && !r#"<>:"\|?*"#.contains(c);
    !is_device && !name.ends_with(['.', ' ']) && name.chars().all(is_allowed)
}

/// The workspace forbids unsafe code and asks for documentation, and every member takes its lints.
pub(super) fn lints_hold_everywhere(workspace: &Workspace) -> Vec<String> {
    workspace.manifests.iter().filter_map(missing_lint).collect()
}

/// Returns the first lint setting that a manifest lacks.
fn missing_lint(manifest: &TextFile) -> Option<String> {
    let path = manifest.path.display();
    let table: Table = match manifest.text.parse() {
        Ok(table) => table,
        Err(error) => return Some(format!("{path}: {error}")),
    };
    let Some(workspace) = table.get("workspace") else {
        let takes = table.get("lints").and_then(|lints| lints.get("workspace"));
        let takes = takes.and_then(toml::Value::as_bool) == Some(true);
        return (!takes).then(|| format!("{path}: add `lints.workspace = true`"));
    };
    let level = |name: &str| workspace.get("lints")?.get("rust")?.get(name)?.as_str();
    let (name, levels) = LINTS
        .into_iter()
        .find(|(name, levels)| !level(name).is_some_and(|level| levels.contains(&level)))?;
    Some(format!("{path}: set the lint `{name}` to `{}`", levels[0]))
}

/// A visitor sees at once what the project consists of.
pub(super) fn root_is_clean(workspace: &Workspace) -> Vec<String> {
    let unknown = |name: &&String| !name.starts_with('.') && !ROOT.contains(&name.as_str());
    workspace.root.iter().filter(unknown).map(|name| format!("{name} is in the root")).collect()
}

/// The lints that the other checks build on, each with its accepted levels, the default first.
const LINTS: [(&str, &[&str]); 3] = [
    ("unsafe_code", &["forbid"]),
    ("missing_docs", &["warn", "deny", "forbid"]),
    // The checks of public items rely on `pub` meaning public.
    ("unreachable_pub", &["warn", "deny", "forbid"]),
];

/// The names that the root may hold. git ignores `target`.
const ROOT: [&str; 11] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "crates",
    "docs",
    "target",
    "tests",
    "xtask",
];

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::{manifest, packages, sources};
    use super::*;

    #[test]
    fn an_unpublished_crate_below_crates_is_reported() {
        let mut workspace = packages(&["notify-core:"]);
        assert_eq!(crates_are_published(&workspace), [""; 0]);
        workspace.packages[0].publish = Some(Vec::new());
        assert_eq!(crates_are_published(&workspace).len(), 1);
        workspace.packages[0].manifest_path = "/tests/notify-core/Cargo.toml".into();
        assert_eq!(crates_are_published(&workspace), [""; 0]);
    }

    #[test]
    fn a_member_without_comment_is_reported() {
        let check = |text| members_have_comments(&manifest("Cargo.toml", text));
        assert_eq!(check("members = [\n    # The first.\n    \"a\",\n]"), [""; 0]);
        assert_eq!(check("members = [\n    # The first.\n    \"a\",\n    \"b\",\n]").len(), 1);
        assert_eq!(check("[workspace]\nmembers = [\"a\"]").len(), 1);
    }

    #[test]
    fn a_tenth_entry_of_core_is_reported() {
        let paths: Vec<_> =
            (0..10).map(|i| (format!("crates/notify-core/src/m{i}/mod.rs"), "")).collect();
        let files: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        assert_eq!(core_is_grouped(&sources(&files[..9])), [""; 0]);
        assert_eq!(core_is_grouped(&sources(&files)).len(), 1);
    }

    #[test]
    fn a_name_that_windows_cannot_hold_is_reported() {
        for name in ["a:b", "a?", "a ", "a.", "con", "NUL.txt", "com1", "a\u{1}", "a\\b"] {
            let tracked = vec![format!("docs/{name}")];
            let workspace = Workspace { tracked, ..Workspace::default() };
            assert_eq!(file_names_are_portable(&workspace).len(), 1, "{name:?}");
        }
        let tracked = vec!["docs/console.md".to_owned(), "com/a.b".to_owned(), "comma".to_owned()];
        assert_eq!(
            file_names_are_portable(&Workspace { tracked, ..Workspace::default() }),
            [""; 0]
        );
    }

    #[test]
    fn a_member_without_the_lints_is_reported() {
        let check = |text| lints_hold_everywhere(&manifest("crates/x/Cargo.toml", text));
        assert_eq!(check("[package]\n[lints]\nworkspace = true"), [""; 0]);
        assert_eq!(check("[package]").len(), 1);
        assert_eq!(check("[package]\n[lints.rust]\nunsafe_code = \"forbid\"").len(), 1);
    }

    #[test]
    fn a_workspace_that_allows_unsafe_code_is_reported() {
        let check = |text: &str| lints_hold_everywhere(&manifest("Cargo.toml", text));
        let text = |level| {
            format!(
                "[workspace.lints.rust]\nunsafe_code = \"{level}\"\n\
                 missing_docs = \"warn\"\nunreachable_pub = \"warn\""
            )
        };
        assert_eq!(check(&text("forbid")), [""; 0]);
        assert_eq!(check(&text("deny")).len(), 1);
        assert_eq!(check("[workspace]").len(), 1);
    }

    #[test]
    fn an_unknown_name_in_the_root_is_reported() {
        let check = |names: &[&str]| {
            let root = names.iter().map(|&name| name.to_owned()).collect();
            root_is_clean(&Workspace { root, ..Workspace::default() })
        };
        assert_eq!(check(&["Cargo.toml", ".ci", "crates"]), [""; 0]);
        assert_eq!(check(&["notes.txt"]), ["notes.txt is in the root"]);
    }
}
