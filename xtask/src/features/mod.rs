//! `cargo xtask features`: each feature of the facade adds its own crates and no others, and each feature of the
//! command builds alone.
//!
//! Builds the facade with each feature alone, with the default features and with all features, and
//! compares the dependency tree of each selection with the tables in `owners`. The features
//! themselves come from the facade's manifest.

mod owners;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{self, Package, cargo};
use owners::{DEFAULT_CRATES, NETWORK, OWNERS, matches_any};

/// Checks every selection of features.
///
/// # Errors
///
/// When a selection does not build without warnings, or when its dependency tree holds a crate that it must not.
pub(crate) fn run() -> Result<()> {
    let members = cargo::members()?;
    let facade = member(&members, FACADE)?;
    let mut problems = Vec::new();
    for selection in selections(&facade.features) {
        let start = Instant::now();
        let tree = tree(&selection)?;
        problems.extend(foreign(
            &tree,
            &enabled(&selection, &facade.features),
            &selection.to_string(),
        ));
        if selection == Selection::Default {
            problems.extend(heavy(&tree));
        }
        check(FACADE, &selection)?;
        println!(
            "{selection}: builds, {} third-party crates ({:.1} s)",
            third_party(&tree).count(),
            start.elapsed().as_secs_f64()
        );
    }
    if !problems.is_empty() {
        bail!("features are not isolated:\n  {}", problems.join("\n  "));
    }
    // The first command of the README builds one of them.
    for feature in member(&members, COMMAND)?.features.keys().filter(|name| *name != "default") {
        let selection = Selection::Alone(feature.clone());
        let start = Instant::now();
        check(COMMAND, &selection)?;
        println!("{COMMAND}, {selection}: builds ({:.1} s)", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Checks that a package builds with a selection, without a warning.
fn check(package: &str, selection: &Selection) -> Result<()> {
    let mut check = cargo(&["check", "--quiet", "--package", package]);
    let output =
        check.args(selection.arguments()).output().context("cannot start `cargo check`")?;
    let messages = String::from_utf8_lossy(&output.stderr);
    // Stable cargo refuses warnings only by flags that compile every dependency again.
    ensure!(
        output.status.success() && !messages.contains("warning"),
        "{package} with {selection}: {messages}"
    );
    Ok(())
}

/// Returns the member of the workspace with this name.
fn member<'a>(members: &'a [Package], name: &str) -> Result<&'a Package> {
    let member = members.iter().find(|member| member.name == name);
    member.with_context(|| format!("the workspace has no package `{name}`"))
}

/// Returns the violations of a program with the facade's default features.
///
/// # Errors
///
/// When cargo cannot list the dependencies.
pub(crate) fn problems_of_the_default() -> Result<Vec<String>> {
    Ok(heavy(&tree(&Selection::Default)?))
}

/// Returns those of some crates that a program without a broker must not have.
pub(crate) fn network_crates(names: &[String]) -> Vec<&str> {
    let is_network =
        |name: &&str| matches_any(name, NETWORK) || OWNERS.iter().any(|owner| owner.owns(name));
    names.iter().map(String::as_str).filter(is_network).collect()
}

/// A choice of features of the facade.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    Default,
    Alone(String),
    All,
}

impl Selection {
    /// Returns the arguments of cargo that select these features.
    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Default => vec![],
            Self::Alone(feature) => vec!["--no-default-features", "--features", feature],
            Self::All => vec!["--all-features"],
        }
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default features"),
            Self::Alone(feature) => write!(f, "only `{feature}`"),
            Self::All => f.write_str("all features"),
        }
    }
}

/// Each feature with the features that it enables.
type Features = BTreeMap<String, Vec<String>>;

/// Returns every selection that the check builds.
fn selections(features: &Features) -> Vec<Selection> {
    let alone = features.keys().filter(|name| *name != "default").cloned().map(Selection::Alone);
    [Selection::Default].into_iter().chain(alone).chain([Selection::All]).collect()
}

/// Returns the enabled features of a selection, including those that other features enable.
fn enabled(selection: &Selection, features: &Features) -> BTreeSet<String> {
    let mut open: Vec<&str> = match selection {
        Selection::Default => vec!["default"],
        Selection::Alone(feature) => vec![feature],
        Selection::All => features.keys().map(String::as_str).collect(),
    };
    let mut enabled = BTreeSet::new();
    while let Some(feature) = open.pop() {
        if enabled.insert(feature.to_owned()) {
            open.extend(features.get(feature).into_iter().flatten().map(String::as_str));
        }
    }
    enabled
}

/// A package in a dependency tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TreePackage {
    name: String,
    /// Whether the package is a member of the workspace.
    is_member: bool,
}

/// Returns the packages that a selection builds, without those of tests and build scripts.
fn tree(selection: &Selection) -> Result<BTreeSet<TreePackage>> {
    let arguments = ["--edges=normal", "--prefix=none", "--format={p}"];
    let lines = cargo::output(
        cargo(&["tree", "--package", FACADE]).args(arguments).args(selection.arguments()),
    )?;
    let tree = parse(&lines);
    // An empty tree would pass every check.
    ensure!(
        tree.iter().any(|node| node.name == FACADE),
        "cannot parse the output of `cargo tree`:\n{lines}"
    );
    Ok(tree)
}

/// Parses lines of the form `name v1.0.0`, or `name v1.0.0 (/path)` for members.
fn parse(lines: &str) -> BTreeSet<TreePackage> {
    lines
        .lines()
        .filter_map(|line| {
            let name = line.split_whitespace().next()?.to_owned();
            Some(TreePackage { name, is_member: line.contains(" (/") })
        })
        .collect()
}

/// Returns the names of the packages outside the workspace.
fn third_party(tree: &BTreeSet<TreePackage>) -> impl Iterator<Item = &str> {
    tree.iter().filter(|node| !node.is_member).map(|node| node.name.as_str())
}

/// Returns a violation for each crate of a disabled feature, and for each enabled feature whose client
/// is absent.
fn foreign(
    tree: &BTreeSet<TreePackage>,
    enabled: &BTreeSet<String>,
    selection: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    for owner in OWNERS {
        let found: Vec<&str> =
            tree.iter().map(|node| node.name.as_str()).filter(|name| owner.owns(name)).collect();
        if !enabled.contains(owner.feature) {
            for name in found {
                problems
                    .push(format!("{selection} adds {name}, which belongs to `{}`", owner.feature));
            }
        } else if let Some(client) = owner.client.filter(|client| !found.contains(client)) {
            problems.push(format!("{selection} does not add {client}: update the table of owners"));
        }
    }
    problems
}

/// Returns a violation for each crate in the default tree that default features must not add.
fn heavy(tree: &BTreeSet<TreePackage>) -> Vec<String> {
    let is_foreign = |node: &&TreePackage| {
        matches_any(&node.name, NETWORK)
            || OWNERS.iter().any(|owner| owner.owns(&node.name))
            || !node.is_member && !DEFAULT_CRATES.contains(&node.name.as_str())
    };
    let foreign = tree.iter().filter(is_foreign);
    foreign.map(|node| format!("default features add {}, which they must not", node.name)).collect()
}

const FACADE: &str = "glance-notify";
const COMMAND: &str = "glance-notify-cli";

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Features {
        let feature = |name: &str, enables: &[&str]| {
            (name.to_owned(), enables.iter().map(|&e| e.to_owned()).collect())
        };
        Features::from([
            feature("default", &["log"]),
            feature("log", &["dep:notify-log"]),
            feature("rabbit", &["dep:notify-rabbit"]),
            feature("tls", &["notify-rabbit?/tls"]),
            feature("full", &["log", "rabbit", "tls"]),
        ])
    }

    fn problems(lines: &str, selection: &Selection) -> Vec<String> {
        foreign(&parse(lines), &enabled(selection, &features()), &selection.to_string())
    }

    fn alone(feature: &str) -> Selection {
        Selection::Alone(feature.to_owned())
    }

    #[test]
    fn selects_every_feature_alone() {
        let selections = selections(&features());
        let expected = [alone("full"), alone("log"), alone("rabbit"), alone("tls")];
        assert_eq!(selections[0], Selection::Default);
        assert_eq!(selections[1..5], expected);
        assert_eq!(selections[5], Selection::All);
    }

    #[test]
    fn a_feature_may_enable_other_features() {
        let lines = "glance-notify v0.1.0 (/x)\nlapin v4.12.3\nrustls v0.23.0\n";
        assert!(problems(lines, &alone("full")).is_empty());
        assert!(problems(lines, &Selection::All).is_empty());
    }

    #[test]
    fn a_crate_of_another_feature_is_reported() {
        let lines = "glance-notify v0.1.0 (/x)\nlapin v4.12.3\nrustls v0.23.0\n";
        let [problem] = problems(lines, &alone("rabbit")).try_into().unwrap();
        assert_eq!(problem, "only `rabbit` adds rustls, which belongs to `tls`");
        assert_eq!(problems(lines, &alone("tls")).len(), 1);
        assert_eq!(problems(lines, &Selection::Default).len(), 2);
    }

    #[test]
    fn a_feature_without_its_client_is_reported() {
        let lines = "glance-notify v0.1.0 (/x)\n";
        let [problem] = problems(lines, &alone("rabbit")).try_into().unwrap();
        assert!(problem.contains("does not add lapin"), "{problem}");
    }

    #[test]
    fn a_network_crate_by_default_is_reported() {
        let [problem] = heavy(&parse("tokio v1.0.0\nmio v1.0.0\n")).try_into().unwrap();
        assert_eq!(problem, "default features add mio, which they must not");
        assert_eq!(heavy(&parse("notify-net v0.1.0 (/x)\nlapin v4.12.3\n")).len(), 2);
    }

    #[test]
    fn a_new_crate_by_default_is_reported() {
        let ours = "glance-notify v0.1.0 (/x)\nserde_derive v1.0.0 (proc-macro)\n";
        assert!(heavy(&parse(ours)).is_empty());
        let [problem] = heavy(&parse(&(ours.to_owned() + "hex v1.0.0\n"))).try_into().unwrap();
        assert_eq!(problem, "default features add hex, which they must not");
    }

    /// The features of this edition add no crate to the default program: the real dependency tree has only known crates, and
    /// the feature `metrics` alone has those of an empty selection and its own.
    #[test]
    fn no_feature_of_this_edition_adds_a_crate_to_the_default_program() {
        assert_eq!(problems_of_the_default().unwrap(), [""; 0]);
        let default = tree(&Selection::Default).unwrap();
        let known: BTreeSet<_> = third_party(&default).collect();
        let metrics = tree(&alone("metrics")).unwrap();
        let owner = OWNERS.iter().find(|owner| owner.feature == "metrics").unwrap();
        let foreign: Vec<_> = third_party(&metrics)
            .filter(|name| !known.contains(name) && !owner.owns(name))
            .collect();
        assert_eq!(foreign, [""; 0]);
        assert!(third_party(&metrics).any(|name| name == "metrics"));
    }
}
