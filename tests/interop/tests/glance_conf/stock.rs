//! Glance's samples of every release, as they are and with their options turned on.

use std::fmt::Write;
use std::path::Path;

use notify_testbed::broker::oslo_resolver::OpenstackEdition::{
    self, Glance2013, Glance2014, Oslo2015, Oslo2018, Oslo2026,
};

use crate::comparison::{Case, samples, table};

/// No sample of a release sends notifications elsewhere than with that release in silence.
#[test]
fn stock_samples_resolve_as_in_openstack() {
    let directory = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for release in RELEASES {
        let path = samples("stock").join(format!("{release}.conf"));
        let text = std::fs::read_to_string(&path).unwrap();
        let edition = edition(release);
        cases.push(Case { name: release.to_owned(), edition, files: vec![path] });
        for (variant, lines) in variants(edition) {
            let path = directory.path().join(format!("{release}-{variant}.conf"));
            write(&path, &text, lines);
            cases.push(Case { name: format!("{release}, {variant}"), edition, files: vec![path] });
        }
    }
    assert!(cases.len() >= 24 * 2, "{} option sets", cases.len());
    insta::assert_snapshot!(table(&cases));
}

/// Returns the lines that turn notifications on, under a name.
fn variants(edition: OpenstackEdition) -> &'static [(&'static str, &'static str)] {
    match edition {
        Glance2013 | Glance2014 => &[
            ("rabbit", "[DEFAULT]\nnotifier_strategy = rabbit"),
            ("qpid", "[DEFAULT]\nnotifier_strategy = qpid"),
            ("logging", "[DEFAULT]\nnotifier_strategy = logging"),
        ],
        Oslo2015 => &[
            ("rabbit", "[DEFAULT]\nnotification_driver = messaging"),
            ("qpid", "[DEFAULT]\nnotification_driver = messagingv2\nrpc_backend = qpid"),
            ("log", "[DEFAULT]\nnotification_driver = log\nlog_file = /var/log/glance/api.log"),
        ],
        Oslo2018 => &[
            ("rabbit", "[oslo_messaging_notifications]\ndriver = messagingv2"),
            ("log", "[DEFAULT]\nnotification_driver = log\nlog_dir = /l\nlog_file = n.log"),
        ],
        Oslo2026 => &[
            ("rabbit", "[oslo_messaging_notifications]\ndriver = messagingv2"),
            (
                "rabbit with TLS",
                "[DEFAULT]\ntransport_url = rabbit://u:p@h1,u:p@h2:5671/v%2Fw?ssl=1\n\
                 [oslo_messaging_notifications]\ndriver = messaging\n\
                 [oslo_messaging_rabbit]\nssl_ca_file = /etc/ca.pem",
            ),
        ],
    }
}

/// Writes a sample with all of its options turned on, and then `lines`.
fn write(path: &Path, sample: &str, lines: &str) {
    let mut text = String::new();
    for line in sample.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if !line.ends_with("<None>") {
            writeln!(text, "{line}").unwrap();
        }
    }
    std::fs::write(path, format!("{text}{lines}\n")).unwrap();
}

/// Returns the edition of OpenStack that reads the sample of a release.
fn edition(release: &str) -> OpenstackEdition {
    match release {
        "2011.3" | "2012.1" | "2012.2" | "2013.1" | "2013.2" => Glance2013,
        "2014.1" => Glance2014,
        "2014.2" | "2015.1.0" | "11.0.0" => Oslo2015,
        "12.0.0" | "13.0.0" | "14.0.0" | "15.0.0" | "16.0.0" | "17.0.0" => Oslo2018,
        _ => Oslo2026,
    }
}

/// The releases whose samples are in the project.
const RELEASES: [&str; 30] = [
    "2011.3", "2012.1", "2012.2", "2013.1", "2013.2", "2014.1", "2014.2", "2015.1.0", "11.0.0",
    "12.0.0", "13.0.0", "14.0.0", "15.0.0", "16.0.0", "17.0.0", "18.0.0", "19.0.0", "20.0.0",
    "21.0.0", "22.0.0", "23.0.0", "24.0.0", "25.0.0", "26.0.0", "27.0.0", "28.0.0", "29.0.0",
    "30.0.0", "31.0.0", "32.0.0",
];
