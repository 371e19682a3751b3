//! `cargo xtask features`: the facade's features add, never choose, and bring nothing of the others.
//!
//! Builds the facade with each of its features alone, with the default ones and with all, and looks
//! at what each selection brings along a build's normal edges. The features are read from the facade's
//! manifest; what is known here is only which crates belong to which of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{self, cargo};

/// Checks every selection of features.
///
/// # Errors
///
/// When one does not build, or brings what it must not.
pub(crate) fn run() -> Result<()> {
    let members = cargo::members()?;
    let facade =
        members.iter().find(|member| member.name == FACADE).context("there is no facade")?;
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
        cargo::run(cargo(&["check", "--quiet", "--package", FACADE]).args(selection.arguments()))
            .with_context(|| format!("{FACADE} with {selection}"))?;
        println!(
            "{selection}: builds, {} third-party crates ({:.1} s)",
            third_party(&tree).count(),
            start.elapsed().as_secs_f64()
        );
    }
    if !problems.is_empty() {
        bail!("features are not apart:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// What a program with the facade's default features has in its tree and must not have.
///
/// # Errors
///
/// When cargo cannot tell.
pub(crate) fn problems_of_the_default() -> Result<Vec<String>> {
    Ok(heavy(&tree(&Selection::Default)?))
}

/// A choice of features of the facade.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    Default,
    Alone(String),
    All,
}

impl Selection {
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

/// A feature, with what it enables.
type Features = BTreeMap<String, Vec<String>>;

fn selections(features: &Features) -> Vec<Selection> {
    let alone = features.keys().filter(|name| *name != "default").cloned().map(Selection::Alone);
    [Selection::Default].into_iter().chain(alone).chain([Selection::All]).collect()
}

/// The features that are on in a selection, those that others enable included.
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
struct Node {
    name: String,
    /// Whether it is a member of the workspace.
    ours: bool,
}

/// Every package that a selection builds, without those that only tests or build scripts use.
fn tree(selection: &Selection) -> Result<BTreeSet<Node>> {
    let arguments = ["--edges=normal", "--prefix=none", "--format={p}"];
    let lines = cargo::output(
        cargo(&["tree", "--package", FACADE]).args(arguments).args(selection.arguments()),
    )?;
    let tree = parse(&lines);
    // A tree that holds nothing foreign proves nothing if it holds nothing at all.
    ensure!(
        tree.iter().any(|node| node.name == FACADE),
        "`cargo tree` is not understood:\n{lines}"
    );
    Ok(tree)
}

/// `name v1.0.0`, with the path of those that are ours: `name v1.0.0 (/path)`.
fn parse(lines: &str) -> BTreeSet<Node> {
    lines
        .lines()
        .filter_map(|line| {
            let name = line.split_whitespace().next()?.to_owned();
            Some(Node { name, ours: line.contains(" (/") })
        })
        .collect()
}

fn third_party(tree: &BTreeSet<Node>) -> impl Iterator<Item = &str> {
    tree.iter().filter(|node| !node.ours).map(|node| node.name.as_str())
}

/// Crates that belong to features that are not on, and features that are on without their crate.
fn foreign(tree: &BTreeSet<Node>, enabled: &BTreeSet<String>, selection: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for owner in OWNERS {
        let found: Vec<&str> =
            tree.iter().map(|node| node.name.as_str()).filter(|name| owner.owns(name)).collect();
        if !enabled.contains(owner.feature) {
            for name in found {
                problems.push(format!(
                    "{selection} brings {name}, which belongs to `{}`",
                    owner.feature
                ));
            }
        } else if let Some(client) = owner.client.filter(|client| !found.contains(client)) {
            problems.push(format!("{selection} does not bring {client}, so this checks nothing"));
        }
    }
    problems
}

/// What the default features must not bring: network crates, and too many crates of any kind.
fn heavy(tree: &BTreeSet<Node>) -> Vec<String> {
    let mut problems: Vec<String> = tree
        .iter()
        .filter(|node| {
            matches_any(&node.name, NETWORK) || OWNERS.iter().any(|owner| owner.owns(&node.name))
        })
        .map(|node| format!("default features bring {}, a network crate", node.name))
        .collect();
    let crates: Vec<&str> = third_party(tree).collect();
    if crates.len() > CRATES_BY_DEFAULT {
        problems.push(format!(
            "default features bring {} third-party crates, more than {CRATES_BY_DEFAULT}: {}",
            crates.len(),
            crates.join(", ")
        ));
    }
    problems
}

/// Crates that may be there only with a feature.
struct Owner {
    feature: &'static str,
    /// What is there whenever the feature is.
    client: Option<&'static str>,
    crates: &'static [&'static str],
}

impl Owner {
    fn owns(&self, name: &str) -> bool {
        matches_any(name, self.crates)
    }
}

/// A name, or its beginning followed by `*`.
fn matches_any(name: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *pattern,
    })
}

const FACADE: &str = "glance-notify";

/// Third-party crates in the tree of a program with default features, at most.
const CRATES_BY_DEFAULT: usize = 40;

const OWNERS: [Owner; 4] = [
    Owner {
        feature: "rabbit",
        client: Some("lapin"),
        crates: &["lapin", "amq-protocol*", "notify-rabbit"],
    },
    Owner {
        feature: "qpid",
        client: Some("fe2o3-amqp"),
        crates: &["fe2o3-amqp*", "serde_amqp*", "notify-qpid"],
    },
    Owner { feature: "spool", client: Some("redb"), crates: &["redb", "notify-spool"] },
    Owner {
        feature: "tls",
        // No TLS where there is nobody to talk to.
        client: None,
        crates: &[
            "rustls*",
            "tokio-rustls",
            "futures-rustls",
            "ring",
            "aws-lc-*",
            "webpki*",
            "native-tls",
            "tokio-native-tls",
            "openssl*",
            "security-framework*",
            "schannel",
        ],
    },
];

/// What every program that opens sockets, beyond the standard library, is built on.
const NETWORK: &[&str] = &[
    "mio",
    "socket2",
    "polling",
    "async-io",
    "async-net",
    "hyper*",
    "h2",
    "h3",
    "quinn*",
    "curl*",
    "reqwest",
    "ureq",
    "hickory-*",
    "trust-dns-*",
    "notify-net",
];

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
    fn every_feature_is_selected_alone() {
        let selections = selections(&features());
        let expected = [alone("full"), alone("log"), alone("rabbit"), alone("tls")];
        assert_eq!(selections[0], Selection::Default);
        assert_eq!(selections[1..5], expected);
        assert_eq!(selections[5], Selection::All);
    }

    #[test]
    fn a_feature_may_enable_others() {
        let lines = "glance-notify v0.1.0 (/x)\nlapin v4.12.3\nrustls v0.23.0\n";
        assert!(problems(lines, &alone("full")).is_empty());
        assert!(problems(lines, &Selection::All).is_empty());
    }

    #[test]
    fn a_crate_of_another_feature_is_found() {
        let lines = "glance-notify v0.1.0 (/x)\nlapin v4.12.3\nrustls v0.23.0\n";
        let [problem] = problems(lines, &alone("rabbit")).try_into().unwrap();
        assert_eq!(problem, "only `rabbit` brings rustls, which belongs to `tls`");
        assert_eq!(problems(lines, &alone("tls")).len(), 1);
        assert_eq!(problems(lines, &Selection::Default).len(), 2);
    }

    #[test]
    fn a_feature_without_its_client_is_found() {
        let lines = "glance-notify v0.1.0 (/x)\n";
        let [problem] = problems(lines, &alone("rabbit")).try_into().unwrap();
        assert!(problem.contains("does not bring lapin"), "{problem}");
    }

    #[test]
    fn a_network_crate_by_default_is_found() {
        let [problem] = heavy(&parse("tokio v1.0.0\nmio v1.0.0\n")).try_into().unwrap();
        assert_eq!(problem, "default features bring mio, a network crate");
        assert_eq!(heavy(&parse("notify-net v0.1.0 (/x)\nlapin v4.12.3\n")).len(), 2);
    }

    #[test]
    fn too_many_crates_by_default_are_found() {
        let crates = |count: usize| {
            let lines: Vec<_> = (0..count).map(|i| format!("crate{i} v1.0.0")).collect();
            lines.join("\n")
        };
        let ours = "glance-notify v0.1.0 (/x)\nserde_derive v1.0.0 (proc-macro)\n";
        assert!(heavy(&parse(&(ours.to_owned() + &crates(39)))).is_empty());
        let [problem] = heavy(&parse(&(ours.to_owned() + &crates(40)))).try_into().unwrap();
        assert!(
            problem.contains("41 third-party crates") && problem.contains("crate7"),
            "{problem}"
        );
    }
}
