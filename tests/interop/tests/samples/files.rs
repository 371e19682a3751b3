//! The files: their names, their lengths, and what none of them may hold.

use std::fs;

use glance_notify::codec::{NotificationInput, SizeLimits};

use crate::reading::{SERVICES, lines, names, object, path};

/// No file vanishes, appears or changes its length unnoticed.
#[test]
fn every_file_has_its_number_of_lines() {
    let counted = |directory: &str| -> Vec<(String, usize)> {
        let count = |name: String| {
            let count = lines(&format!("{directory}/{name}")).len();
            (name, count)
        };
        names(directory).into_iter().map(count).collect()
    };
    let pinned = |files: &[(&str, usize)]| -> Vec<(String, usize)> {
        files.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    };
    assert_eq!(counted("openstack-2026"), pinned(&OPENSTACK));
    assert_eq!(counted("collection"), pinned(&COLLECTION));
    assert_eq!(counted("collection/forms"), pinned(&FORMS));
}

/// The samples stay small enough for a repository.
#[test]
fn the_samples_are_smaller_than_a_megabyte() {
    let mut bytes = 0;
    for directory in DIRECTORIES {
        for name in names(directory) {
            bytes += fs::metadata(path(&format!("{directory}/{name}"))).unwrap().len();
        }
    }
    assert!(bytes < 1_000_000, "{bytes} bytes");
}

/// The day that `glance-notify demo` prints is what its program writes.
#[test]
fn the_day_of_a_cloud_is_what_its_program_writes() {
    let program = path("cloud_day.py");
    let status = std::process::Command::new("python3").arg(program).arg("--check").status();
    assert!(status.unwrap().success(), "run `python3 tests/samples/cloud_day.py`");
}

/// The README describes each file.
#[test]
fn the_readme_names_every_file() {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    for directory in ["collection", "collection/forms"] {
        for name in names(directory) {
            assert!(readme.contains(&format!("| `{name}` |")), "{directory}/{name}");
        }
    }
    for service in SERVICES.into_iter().chain(["oslo-lenient"]) {
        assert!(readme.contains(&format!("| `{service}` |")), "{service}");
    }
}

/// The samples hold no token that OpenStack redacts and no path of the machine that made them.
#[test]
fn the_samples_hold_nothing_of_the_machine() {
    let workspace = path("../..").canonicalize().unwrap().display().to_string();
    for name in names("openstack-2026") {
        let text = fs::read_to_string(path(&format!("openstack-2026/{name}"))).unwrap();
        for forbidden in ["fake-token", "/home/", "/root/", "/tmp/", "/target/", &workspace] {
            assert!(!text.contains(forbidden), "{name} holds {forbidden}");
        }
    }
}

/// Each line of the collection is a JSON object.
#[test]
fn the_collection_is_json_lines() {
    for (name, _) in COLLECTION {
        for line in lines(&format!("collection/{name}")) {
            object(&line);
        }
    }
}

/// The reader may refuse a sample, but it returns for each of them.
#[test]
fn the_reader_survives_every_sample() {
    let limits = SizeLimits::default();
    for directory in DIRECTORIES {
        for name in names(directory) {
            for line in lines(&format!("{directory}/{name}")) {
                let _ = NotificationInput::decode(line.as_bytes(), &limits);
            }
        }
    }
}

/// The directories of the samples.
const DIRECTORIES: [&str; 3] = ["openstack-2026", "collection", "collection/forms"];

/// The files that `cargo xtask samples` makes, with their numbers of lines.
const OPENSTACK: [(&str, usize); 27] = [
    ("audit-v1.jsonl", 38),
    ("audit-v2.jsonl", 38),
    ("audit-wire.jsonl", 1),
    ("audit.log", 38),
    ("cinder-v1.jsonl", 18),
    ("cinder-v2.jsonl", 18),
    ("cinder-wire.jsonl", 1),
    ("cinder.log", 18),
    ("glance-cri.log", 7),
    ("glance-json.log", 7),
    ("glance-pebble.log", 7),
    ("glance-v1.jsonl", 140),
    ("glance-v2.jsonl", 140),
    ("glance-wire.jsonl", 2),
    ("glance.log", 140),
    ("nova-v1.jsonl", 34),
    ("nova-v2.jsonl", 34),
    ("nova-wire.jsonl", 4),
    ("nova.log", 34),
    ("oslo-lenient-v1.jsonl", 4),
    ("oslo-lenient-v2.jsonl", 4),
    ("oslo-lenient-wire.jsonl", 1),
    ("oslo-lenient.log", 4),
    ("oslo-v1.jsonl", 25),
    ("oslo-v2.jsonl", 25),
    ("oslo-wire.jsonl", 8),
    ("oslo.log", 21),
];

/// The samples of 2011 to 2025.
const COLLECTION: [(&str, usize); 16] = [
    ("2011-diablo-integer-id.jsonl", 2),
    ("2012-essex.jsonl", 3),
    ("2012-folsom-ceilometer.jsonl", 4),
    ("2012-folsom-delete-dict.jsonl", 1),
    ("2012-folsom-info-text.jsonl", 2),
    ("2013-grizzly-stacktach.jsonl", 10),
    ("2013-grizzly-yagi.jsonl", 4),
    ("2013-icehouse-glance.jsonl", 32),
    ("2014-juno-location-data.jsonl", 1),
    ("2015-liberty-searchlight.jsonl", 6),
    ("2018-queens-bare.jsonl", 1),
    ("2018-queens-context.jsonl", 1),
    ("2018-queens-envelope.jsonl", 1),
    ("2018-queens-unique-id.jsonl", 1),
    ("2025-epoxy-image-delete.jsonl", 1),
    ("2025-epoxy-tasks.jsonl", 4),
];

/// Texts with one oddity each.
const FORMS: [(&str, usize); 14] = [
    ("array.json", 1),
    ("bom.jsonl", 1),
    ("crlf.jsonl", 2),
    ("members.jsonl", 1),
    ("name-lone-surrogate.jsonl", 1),
    ("oslo-log-driver.log", 1),
    ("pretty.json", 8),
    ("prio-audit.jsonl", 1),
    ("prio-error.jsonl", 1),
    ("python-repr.log", 1),
    ("size-float.jsonl", 1),
    ("size-nan.jsonl", 1),
    ("ts-nofrac.jsonl", 1),
    ("ts-z.jsonl", 1),
];
