//! Manifests, and what lies in the root.

use toml::Table;

use super::{File, Workspace};

/// The workspace forbids unsafe code and asks for documentation, and every member takes its lints.
pub(super) fn lints_hold_everywhere(workspace: &Workspace) -> Vec<String> {
    workspace.manifests.iter().filter_map(lints_missing_in).collect()
}

fn lints_missing_in(manifest: &File) -> Option<String> {
    let path = manifest.path.display();
    let table: Table = match manifest.text.parse() {
        Ok(table) => table,
        Err(error) => return Some(format!("{path}: {error}")),
    };
    let Some(workspace) = table.get("workspace") else {
        let takes = table.get("lints").and_then(|lints| lints.get("workspace"));
        let takes = takes.and_then(toml::Value::as_bool) == Some(true);
        return (!takes).then(|| format!("{path} lacks `lints.workspace = true`"));
    };
    let lint = |name: &str| workspace.get("lints")?.get("rust")?.get(name)?.as_str();
    let missing = LINTS
        .into_iter()
        .find(|(name, levels)| !lint(name).is_some_and(|l| levels.contains(&l)))?;
    Some(format!("{path}: the lint `{}` is not set to `{}`", missing.0, missing.1[0]))
}

/// Whoever opens the project sees at once what there is.
pub(super) fn root_is_clean(workspace: &Workspace) -> Vec<String> {
    let strange = |name: &&String| !name.starts_with('.') && !ROOT.contains(&name.as_str());
    workspace.root.iter().filter(strange).map(|name| format!("{name} in the root")).collect()
}

/// The lints that the other checks build on, and what they are to be at least.
const LINTS: [(&str, &[&str]); 3] = [
    ("unsafe_code", &["forbid"]),
    ("missing_docs", &["warn", "deny", "forbid"]),
    // So that what is `pub` in a source is public.
    ("unreachable_pub", &["warn", "deny", "forbid"]),
];

/// What git ignores is one of them: `target`.
const ROOT: [&str; 9] = [
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
    use super::*;

    fn manifests(text: &str) -> Vec<String> {
        let file = File { path: "crates/x/Cargo.toml".into(), text: text.to_owned() };
        lints_hold_everywhere(&Workspace { manifests: vec![file], ..Workspace::default() })
    }

    #[test]
    fn a_member_without_the_lints_is_found() {
        assert_eq!(manifests("[package]\n[lints]\nworkspace = true"), [""; 0]);
        assert_eq!(manifests("[package]").len(), 1);
        assert_eq!(manifests("[package]\n[lints.rust]\nunsafe_code = \"forbid\"").len(), 1);
    }

    #[test]
    fn a_workspace_that_allows_unsafe_code_is_found() {
        let text = |level| {
            format!(
                "[workspace.lints.rust]\nunsafe_code = \"{level}\"\n\
                 missing_docs = \"warn\"\nunreachable_pub = \"warn\""
            )
        };
        assert_eq!(manifests(&text("forbid")), [""; 0]);
        assert_eq!(manifests(&text("deny")).len(), 1);
        assert_eq!(manifests("[workspace]").len(), 1);
    }

    #[test]
    fn strange_things_in_the_root_are_found() {
        let root = |names: &[&str]| {
            let root = names.iter().map(|&name| name.to_owned()).collect();
            root_is_clean(&Workspace { root, ..Workspace::default() })
        };
        assert_eq!(root(&["Cargo.toml", ".ci", "crates"]), [""; 0]);
        assert_eq!(root(&["notes.txt"]), ["notes.txt in the root"]);
    }
}
