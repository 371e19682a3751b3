//! The dependencies that each crate may have.

use super::tokens::tokens;
use super::workspace::{TextFile, Workspace};

/// notify-core neither depends on a backend nor names one in code. Its documentation may.
pub(super) fn core_names_no_backend(workspace: &Workspace) -> Vec<String> {
    let mut problems = forbidden(
        workspace,
        |package| package == CORE,
        |dependency| is_ours(dependency) || owner(dependency).is_some(),
    );
    let core = workspace.sources.iter().filter(|file| file.path.starts_with(CORE_SOURCES));
    problems.extend(core.flat_map(backends_named_in));
    problems
}

/// Returns every place where the code of a file names a backend.
fn backends_named_in(file: &TextFile) -> Vec<String> {
    let named = |text: &str| {
        let text = text.to_lowercase();
        BACKENDS.into_iter().find(|backend| text.contains(backend))
    };
    tokens(&file.text)
        .iter()
        .filter_map(|token| {
            named(&token.text)
                .map(|backend| format!("{}:{} names {backend}", file.path.display(), token.line))
        })
        .collect()
}

/// A transport depends on no other transport and on no other transport's client library. Of the
/// workspace it depends on notify-core only, and on notify-net if it connects to a broker.
pub(super) fn transports_are_apart(workspace: &Workspace) -> Vec<String> {
    let mut problems = Vec::new();
    for transport in TRANSPORTS {
        let net = ["notify-rabbit", "notify-qpid"].contains(&transport);
        problems.extend(forbidden(
            workspace,
            |package| package == transport,
            |dependency| {
                let allowed = dependency == CORE || (net && dependency == NET);
                let foreign_client = owner(dependency).is_some_and(|owner| owner != transport);
                (is_ours(dependency) && !allowed) || foreign_client
            },
        ));
    }
    problems
}

/// Of the packages that users build, only the facade depends on transports.
pub(super) fn only_the_facade_knows_transports(workspace: &Workspace) -> Vec<String> {
    let others = |package: &str| package != FACADE && !UNPUBLISHED.contains(&package);
    forbidden(workspace, others, |dependency| TRANSPORTS.contains(&dependency))
}

/// No package that users build depends on the conformance suite or the testbed.
pub(super) fn conformance_is_for_tests(workspace: &Workspace) -> Vec<String> {
    let users = |package: &str| !UNPUBLISHED.contains(&package);
    forbidden(workspace, users, |dependency| TEST_SUPPORT.contains(&dependency))
}

/// xtask works in whatever state the libraries are.
pub(super) fn xtask_stands_alone(workspace: &Workspace) -> Vec<String> {
    forbidden(workspace, |package| package == "xtask", is_ours)
}

/// Returns the normal dependencies that match `dependency`, of the packages that match `package`.
fn forbidden(
    workspace: &Workspace,
    package: impl Fn(&str) -> bool,
    dependency: impl Fn(&str) -> bool,
) -> Vec<String> {
    let packages = workspace.packages.iter().filter(|p| package(&p.name));
    packages
        .flat_map(|package| {
            let forbidden = package.normal_dependencies().filter(|name| dependency(name));
            forbidden.map(|name| format!("{} depends on {name}", package.name)).collect::<Vec<_>>()
        })
        .collect()
}

fn is_ours(package: &str) -> bool {
    package.starts_with("notify-") || package.starts_with(FACADE)
}

/// Returns the crate that a client library belongs to.
fn owner(client: &str) -> Option<&'static str> {
    CLIENTS
        .into_iter()
        .find(|(_, clients)| clients.iter().any(|prefix| client.starts_with(prefix)))
        .map(|(owner, _)| owner)
}

const CORE: &str = "notify-core";
const NET: &str = "notify-net";
const FACADE: &str = "glance-notify";
const TEST_SUPPORT: [&str; 2] = ["notify-conformance", "notify-testbed"];
const CORE_SOURCES: &str = "crates/notify-core/src";

/// The unpublished packages: tests and tools of the project itself.
pub(super) const UNPUBLISHED: [&str; 5] =
    ["notify-bench", "notify-chaos", "notify-fuzz", "notify-interop", "notify-testbed"];

const TRANSPORTS: [&str; 5] =
    ["notify-log", "notify-noop", "notify-qpid", "notify-rabbit", "notify-spool"];

/// The client libraries of each transport, by the beginnings of their names.
pub(super) const CLIENTS: [(&str, &[&str]); 3] = [
    ("notify-rabbit", &["lapin", "amq-protocol"]),
    ("notify-qpid", &["fe2o3-amqp", "serde_amqp"]),
    ("notify-spool", &["redb"]),
];

/// The words of backends that the code of notify-core must not contain, in lower case.
const BACKENDS: [&str; 11] = [
    "amqp",
    "fe2o3",
    "lapin",
    "notify_log",
    "notify_net",
    "notify_noop",
    "notify_spool",
    "proton",
    "qpid",
    "rabbit",
    "redb",
];

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::{packages, source};
    use super::*;

    #[test]
    fn a_backend_name_in_core_is_reported() {
        let names = |path, text| core_names_no_backend(&source(path, text));
        let inside = "crates/notify-core/src/config/driver.rs";
        assert_eq!(names(inside, "\n\nfn open_rabbit() {}"), [format!("{inside}:3 names rabbit")]);
        assert_eq!(names(inside, r#"const NAME: &str = "Qpid";"#).len(), 1);
        assert_eq!(
            names(inside, "//! Not `rabbit`.\n/// Nor `qpid`.\nfn f() {} // lapin"),
            [""; 0]
        );
        assert_eq!(
            names(inside, "#[cfg(test)] mod tests { const NAME: &str = \"rabbit\"; }"),
            [""; 0]
        );
        assert_eq!(names("crates/notify-rabbit/src/lib.rs", "fn rabbit() {}"), [""; 0]);
    }

    #[test]
    fn a_backend_dependency_of_core_is_reported() {
        let depends = |line| core_names_no_backend(&packages(&[line]));
        assert_eq!(depends("notify-core: serde lapin"), ["notify-core depends on lapin"]);
        assert_eq!(depends("notify-core: notify-noop").len(), 1);
        assert_eq!(depends("notify-core: serde"), [""; 0]);
    }

    #[test]
    fn a_foreign_dependency_of_a_transport_is_reported() {
        let knows = |line| transports_are_apart(&packages(&[line]));
        assert_eq!(knows("notify-rabbit: notify-core notify-net lapin serde"), [""; 0]);
        assert_eq!(knows("notify-rabbit: notify-log"), ["notify-rabbit depends on notify-log"]);
        assert_eq!(knows("notify-rabbit: fe2o3-amqp").len(), 1);
        assert_eq!(knows("notify-log: notify-net").len(), 1);
        assert_eq!(knows("notify-log: redb").len(), 1);
        assert_eq!(knows("notify-spool: notify-core redb"), [""; 0]);
        assert_eq!(knows("notify-noop: glance-notify").len(), 1);
    }

    #[test]
    fn a_transport_dependency_outside_the_facade_is_reported() {
        let knows = |line| only_the_facade_knows_transports(&packages(&[line]));
        assert_eq!(knows("glance-notify: notify-log notify-rabbit"), [""; 0]);
        assert_eq!(knows("glance-notify-cli: notify-log").len(), 1);
        assert_eq!(knows("notify-conformance: notify-noop").len(), 1);
        assert_eq!(knows("notify-bench: notify-log"), [""; 0]);
    }

    #[test]
    fn a_normal_dependency_on_test_support_is_reported() {
        let built_with = |line| conformance_is_for_tests(&packages(&[line]));
        assert_eq!(built_with("notify-log: notify-conformance").len(), 1);
        assert_eq!(built_with("notify-log: notify-testbed").len(), 1);
        assert_eq!(built_with("notify-interop: notify-conformance"), [""; 0]);
        let mut dev = packages(&["notify-log: notify-conformance"]);
        dev.packages[0].dependencies[0].kind = Some("dev".to_owned());
        assert_eq!(conformance_is_for_tests(&dev), [""; 0]);
    }

    #[test]
    fn a_library_dependency_of_xtask_is_reported() {
        assert_eq!(xtask_stands_alone(&packages(&["xtask: anyhow notify-core"])).len(), 1);
    }
}
