//! Files from the field.

use std::path::PathBuf;

use notify_testbed::broker::oslo_resolver::OpenstackEdition::{
    self, Glance2013, Glance2014, Oslo2015, Oslo2018, Oslo2026,
};

use crate::comparison::{Case, samples, table};

/// No file from the field sends notifications elsewhere than with OpenStack in silence.
#[test]
fn files_from_the_field_resolve_as_in_openstack() {
    let directory = samples("field");
    let mut names: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let cases: Vec<_> = names
        .into_iter()
        .map(|name| Case {
            edition: edition(&name),
            files: vec![directory.join(&name)],
            name: name.trim_end_matches(".conf").to_owned(),
        })
        .collect();
    assert!(cases.len() >= 18, "{} files", cases.len());
    insta::assert_snapshot!(table(&cases));
}

/// Several files and a directory resolve as with oslo.config, the later ones winning.
#[test]
fn several_files_resolve_as_in_openstack() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let base = write(
        "base.conf",
        "[DEFAULT]\ntransport_url = rabbit://a:b@base/v\n[oslo_messaging_notifications]\n\
         driver = messagingv2\ntopics = audit\n",
    );
    let url = write("url.conf", "[DEFAULT]\ntransport_url = rabbit://a:b@later/w\n");
    let noop = write("noop.conf", "[oslo_messaging_notifications]\ndriver = noop\n");
    let log = write("log.conf", "[oslo_messaging_notifications]\ndriver = log\n");
    let again = write("again.conf", "[DEFAULT]\nnotification_driver = messagingv2\n");
    let old_topic = write("topic.conf", "[DEFAULT]\nnotification_topics = old\n");
    write("glance.conf.d/20-b.conf", "[DEFAULT]\ntransport_url = rabbit://a:b@b\n");
    write("glance.conf.d/10-a.conf", "[DEFAULT]\ntransport_url = rabbit://a:b@a\n");
    write("glance.conf.d/30-c.ini", "[DEFAULT]\ntransport_url = rabbit://a:b@c\n");
    let conf_dir = directory.path().join("glance.conf.d");
    let case = |name: &str, edition, files: &[&PathBuf]| Case {
        name: name.to_owned(),
        edition,
        files: files.iter().map(|file| (*file).clone()).collect(),
    };
    let cases = [
        case("a later URL", Oslo2026, &[&base, &url]),
        case("an earlier URL", Oslo2026, &[&url, &base]),
        case("drivers add up, noop", Oslo2026, &[&base, &noop]),
        case("drivers add up, log", Oslo2026, &[&base, &log]),
        case("the same driver under two names", Oslo2018, &[&base, &again]),
        case("a deprecated name in a later file", Oslo2018, &[&base, &old_topic]),
        case("a directory", Oslo2026, &[&base, &conf_dir]),
        case("a file after a directory", Oslo2026, &[&base, &conf_dir, &url]),
    ];
    insta::assert_snapshot!(table(&cases));
}

/// Returns the edition of OpenStack that a file was written for.
fn edition(name: &str) -> OpenstackEdition {
    match name {
        "qpid-empty-sasl.conf" | "qpid_host.conf" => Glance2013,
        "lp1263945.conf" | "stock-2014.1-qpid.conf" => Glance2014,
        "kombu_ssl-default.conf" | "publisher.conf" | "rpc_backend-qpid.conf" => Oslo2015,
        "dollar-password.conf" | "rabbit_hosts.conf" => Oslo2018,
        _ => Oslo2026,
    }
}
