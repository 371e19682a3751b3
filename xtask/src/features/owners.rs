//! The crates that `cargo xtask features` compares dependency trees with. It runs no command.

/// The crates that only one feature may add.
pub(super) struct FeatureOwner {
    pub(super) feature: &'static str,
    /// A crate that the feature always adds.
    pub(super) client: Option<&'static str>,
    crates: &'static [&'static str],
}

impl FeatureOwner {
    /// Returns whether only this feature may add the crate `name`.
    pub(super) fn owns(&self, name: &str) -> bool {
        matches_any(name, self.crates)
    }
}

/// Returns whether `name` equals a pattern, or starts with a pattern that ends in `*`.
pub(super) fn matches_any(name: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *pattern,
    })
}

/// The third-party crates with default features. Several destinations, permits, the context, sequence numbers,
/// a configuration in code and metrics add none. On some platforms a few of them are absent.
pub(super) const DEFAULT_CRATES: [&str; 40] = [
    "async-trait",
    "bytes",
    "cfg-if",
    "deranged",
    "forkguard",
    "futures-core",
    "futures-task",
    "futures-util",
    "getrandom",
    "hostname",
    "itoa",
    "libc",
    "memchr",
    "num-conv",
    "once_cell",
    "pin-project-lite",
    "powerfmt",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "serde_path_to_error",
    "serde_spanned",
    "slab",
    "syn",
    "time",
    "time-core",
    "tokio",
    "tokio-macros",
    "toml",
    "toml_datetime",
    "toml_parser",
    "tracing",
    "tracing-core",
    "unicode-ident",
    "uuid",
    "winnow",
    "zmij",
];

/// The crates of each feature that adds some.
pub(super) const OWNERS: [FeatureOwner; 5] = [
    FeatureOwner {
        feature: "metrics",
        client: Some("metrics"),
        crates: &["metrics", "rapidhash", "rustversion"],
    },
    FeatureOwner {
        feature: "rabbit",
        client: Some("lapin"),
        crates: &["lapin", "amq-protocol*", "notify-rabbit"],
    },
    FeatureOwner {
        feature: "qpid",
        client: Some("fe2o3-amqp"),
        crates: &["fe2o3-amqp*", "serde_amqp*", "notify-qpid"],
    },
    FeatureOwner { feature: "spool", client: Some("redb"), crates: &["redb", "notify-spool"] },
    FeatureOwner {
        feature: "tls",
        // `tls` alone adds no crate: without a broker there is no connection.
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

/// The crates that programs open sockets with, beside the standard library.
pub(super) const NETWORK: &[&str] = &[
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
