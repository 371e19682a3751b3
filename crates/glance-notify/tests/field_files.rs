//! Files that people have: each was read wrongly, or refused, by the first edition.
//!
//! The number in a test's name is that of the defect. `tests/interop` compares the same files with
//! OpenStack's own reading.

#![cfg(all(feature = "rabbit", feature = "qpid", feature = "tls"))]
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use glance_notify::config::{Layers, glance_conf};
use glance_notify::transport::{open, qpid, rabbit};
use glance_notify::{Config, Result};

/// Reads a file from the field.
macro_rules! field {
    ($name:literal) => {
        include_str!(concat!("../../../tests/samples/glance-conf/field/", $name))
    };
}

/// Reads a file and returns the endpoint of RabbitMQ.
fn rabbit_of(text: &str) -> rabbit::Endpoint {
    let config = glance_conf::from_str(text).unwrap();
    assert_eq!(config.strategy(), "rabbit");
    rabbit::Config::from_options(config.options("rabbit")).unwrap().endpoint
}

/// Reads a file and returns the endpoint of an AMQP 1.0 broker.
fn qpid_of(text: &str) -> qpid::Endpoint {
    let config = glance_conf::from_str(text).unwrap();
    assert_eq!(config.strategy(), "qpid");
    qpid::Config::from_options(config.options("qpid")).unwrap().endpoint
}

/// Returns hosts as text.
fn shown(hosts: &[rabbit::Host]) -> Vec<String> {
    hosts.iter().map(ToString::to_string).collect()
}

/// Returns the message of the error for a text that is refused, by its reading or by its strategy.
fn refusal(text: &str) -> String {
    let opened = glance_conf::from_str(text).and_then(|config| open(&config).map(drop));
    opened.unwrap_err().to_string()
}

/// C1: a list of hosts wins over `rabbit_host`.
#[test]
fn c1_rabbit_hosts_names_the_brokers() {
    let config = rabbit_of(field!("rabbit_hosts.conf"));
    assert_eq!(shown(&config.hosts), ["127.0.0.11:5671", "127.0.0.12:5671"]);
    assert_eq!(config.user.as_deref(), Some("stackrabbit"));
    let text = "[DEFAULT]\nnotification_driver = messaging\nrabbit_port = 7\n\
                rabbit_hosts = a, [::1]:8, $rabbit_host:$rabbit_port,\n";
    assert_eq!(shown(&rabbit_of(text).hosts), ["a:7", "[::1]:8", "localhost:7"]);
    let text = "[DEFAULT]\nnotifier_strategy = rabbit\nrabbit_hosts =\nrabbit_host = b\n\
                rabbit_userid = u\nrabbit_password = p\n";
    assert_eq!(shown(&rabbit_of(text).hosts), ["b:5672"]);
    assert!(
        refusal("[DEFAULT]\nnotifier_strategy = rabbit\nrabbit_hosts = a:b:c d\n")
            .starts_with("`rabbit_hosts` (glance-api.conf, line 3): expected a list of hosts")
    );
}

/// C2: every sample from 2012.1 to 2015.1 has `qpid_sasl_mechanisms =`.
#[test]
fn c2_an_empty_list_of_mechanisms_means_none() {
    let config = qpid_of(field!("qpid-empty-sasl.conf"));
    assert_eq!(shown(&config.hosts), ["127.0.0.2:5672"]);
    assert_eq!(config.sasl_mechanism, [qpid::SaslMechanism::Anonymous]);
    qpid_of(field!("stock-2014.1-qpid.conf"));
}

/// C3: `rpc_backend` decides the protocol, by its short and its long names.
#[test]
fn c3_rpc_backend_decides_the_protocol() {
    assert_eq!(shown(&qpid_of(field!("rpc_backend-qpid.conf")).hosts), ["127.0.0.9:5672"]);
    let file = |backend: &str| {
        format!("[DEFAULT]\nrpc_backend = {backend}\nnotification_driver = messaging\n")
    };
    for (backend, strategy) in [
        ("rabbit", "rabbit"),
        ("glance.openstack.common.rpc.impl_kombu", "rabbit"),
        ("nova.rpc.impl_kombu", "rabbit"),
        ("glance.openstack.common.rpc.impl_qpid", "qpid"),
        ("amqp", "qpid"),
        ("", "rabbit"),
    ] {
        let config = glance_conf::from_str(&file(backend)).unwrap();
        assert_eq!(config.strategy(), strategy, "{backend}");
    }
    for backend in ["zmq", "glance.openstack.common.rpc.impl_zmq", "fake", "kombu+memory"] {
        assert_eq!(
            refusal(&file(backend)),
            "`rpc_backend` (glance-api.conf, line 2): unsupported protocol: expected rabbit, qpid or \
             amqp"
        );
    }
}

/// C6: the files of TLS were in `[DEFAULT]` once.
#[test]
fn c6_kombu_ssl_options_of_the_default_section_are_read() {
    let config = rabbit_of(field!("kombu_ssl-default.conf"));
    assert_eq!(shown(&config.hosts), ["127.0.0.8:5671"]);
    let tls = config.tls.unwrap();
    assert_eq!(tls.ca_file.unwrap().to_str(), Some("/etc/ssl/certs/rabbit-ca.pem"));
    assert_eq!(tls.cert_file.unwrap().to_str(), Some("/etc/ssl/certs/glance.pem"));
    assert_eq!(tls.key_file.unwrap().to_str(), Some("/etc/ssl/private/glance.key"));
}

/// C7: Glance does not read `qpid_host`, and its old sample shows it.
#[test]
fn c7_a_misspelt_host_is_warned_of() {
    let config = glance_conf::from_str(field!("qpid_host.conf")).unwrap();
    assert!(config.warnings().iter().any(|warning| {
        warning
            == "`qpid_host` (glance-api.conf, line 3) is ignored, as Glance ignores it: the option is \
                `qpid_hostname`"
    }));
    let text = "[DEFAULT]\nnotification_drivers = messagingv2\n[oslo_messaging_notification]\ndriver = log\n\
                [oslo_messaging_rabbit]\ndriver = log\nrabbit_hots = h\n";
    let config = glance_conf::from_str(text).unwrap();
    let warned = |name: &str| config.warnings().iter().any(|warning| warning.contains(name));
    assert!(warned("notification_drivers") && warned("[oslo_messaging_notification] driver"));
    assert!(!warned("rabbit_hots"), "the strategy is noop: {:?}", config.warnings());
}

/// C7: the URL decides, whatever the strategy says.
#[test]
fn c7_a_url_wins_over_the_strategy() {
    let config = rabbit_of(field!("lp1263945.conf"));
    assert_eq!(
        (shown(&config.hosts).as_slice(), config.user.as_deref()),
        (&["127.0.0.2:5672".to_owned()][..], Some("u"))
    );
}

/// oslo.messaging fills in an empty password of a URL, and its schemes have no case.
#[test]
fn a_url_without_a_password_has_that_of_oslo_messaging() {
    for url in ["Rabbit://u:@h", "rabbit://u@h"] {
        let config = rabbit_of(&format!(
            "[DEFAULT]\nnotification_driver = messaging\ntransport_url = {url}\n"
        ));
        assert_eq!(config.user.as_deref(), Some("u"));
        let password = rabbit::Password::Inline(rabbit::Secret::new("guest"));
        assert_eq!(config.password, Some(password), "{url}");
    }
}

/// C7: an empty URL counts as absent.
#[test]
fn c7_an_empty_url_is_absent() {
    let config = rabbit_of(field!("empty-transport_url.conf"));
    assert_eq!(shown(&config.hosts), ["127.0.0.2:5672"]);
    assert_eq!(config.virtual_host.as_deref(), Some("/"));
    rabbit_of("[DEFAULT]\ntransport_url =\nnotification_driver = messaging\n");
}

/// C7: a file has Glance's publisher id, and a configuration of our own has the host name.
#[test]
fn c7_the_default_publisher_of_a_file_is_that_of_glance() {
    let config = glance_conf::from_str(field!("publisher.conf")).unwrap();
    assert_eq!(config.publisher_id(), Some("image.localhost"));
    assert_eq!("".parse::<Config>().unwrap().publisher_id(), None);
    let old = glance_conf::from_str("[DEFAULT]\nnotifier_strategy = rabbit\n").unwrap();
    assert!(old.warnings()[0].contains("Glance before 2014.1 sent the host name"));
}

/// C8: a value that TOML reads as a number or a time is a string where a string belongs.
#[test]
fn c8_numbers_and_times_stay_strings_where_a_string_belongs() -> Result<()> {
    for text in
        ["inf", "nan", "-inf", "1e5", "1e999", "0x1F", "1979-05-27 07:32:00Z", "true", "[", "007"]
    {
        let variables = [
            ("GLANCE_NOTIFY__PUBLISHER_ID".into(), text.into()),
            ("GLANCE_NOTIFY__RABBIT__PASSWORD".into(), text.into()),
        ];
        let layers = Layers::new().set("strategy=rabbit")?.set("rabbit.user=u")?;
        let config =
            layers.variables(variables)?.set(&format!("rabbit.exchange={text}"))?.build()?;
        assert_eq!(config.publisher_id(), Some(text));
        let rabbit = rabbit::Config::from_options(config.options("rabbit"))?;
        let password = rabbit::Password::Inline(rabbit::Secret::new(text));
        assert_eq!(rabbit.endpoint.password, Some(password), "{text}");
        assert_eq!(rabbit.exchange, text);
    }
    let error = Layers::new().set("queue.max_age=inf")?.build().unwrap_err();
    assert!(error.to_string().starts_with("`queue.max_age` (--set): expected a number"), "{error}");
    for toml in ["publisher_id = nan", "queue.max_age = inf", "rabbit.hosts = [{ a = -inf }]"] {
        let error = toml.parse::<Config>().unwrap_err().to_string();
        assert!(error.contains("`inf` and `nan` are not supported"), "{error}");
    }
    Ok(())
}

/// C11: options of another strategy are no one's concern.
#[test]
fn c11_warnings_concern_the_chosen_strategy_only() {
    let stock = include_str!("../../../tests/samples/glance-conf/stock/2013.2.conf");
    let warnings = |strategy: &str| {
        let text = format!("{stock}\nnotifier_strategy = {strategy}\ndefault_publisher_id = x\n");
        glance_conf::from_str(&text).unwrap().warnings().to_vec()
    };
    assert_eq!(warnings("rabbit"), [""; 0]);
    // The heartbeat, which is 60 by default, `qpid_host`, which that sample shows by mistake, and the default
    // address because of it.
    assert_eq!(warnings("qpid").len(), 3, "{:?}", warnings("qpid"));
    assert!(warnings("qpid").iter().all(|warning| warning.starts_with("`qpid_")));
    let noop = warnings("noop");
    assert!(noop.len() == 1 && noop[0].contains("no notifications are sent"), "{noop:?}");
}

/// C9: two topics are two destinations on one broker.
#[test]
fn c9_two_topics_become_two_destinations() {
    let config = glance_conf::from_str(field!("kolla-two-topics.conf")).unwrap();
    let destinations = config.destinations();
    let topics: Vec<_> = destinations
        .iter()
        .map(|one| {
            let options = one.config().options("rabbit");
            let rabbit = rabbit::Config::from_options(options).unwrap();
            assert_eq!(shown(&rabbit.endpoint.hosts), ["127.0.0.2:5672"]);
            assert_eq!(rabbit.endpoint.user.as_deref(), Some("openstack"));
            assert!(one.is_required());
            (one.name(), rabbit.topic)
        })
        .collect();
    let names = ["notifications", "vitrage_notifications"];
    assert_eq!(topics, names.map(|name| (name, name.to_owned())));
    assert_eq!(config.publisher_id(), Some("image.localhost"));
    assert_eq!(config.warnings(), [""; 0]);
    let topic = config.entries().into_iter().find(|it| it.key == "destination[1].rabbit.topic");
    assert_eq!(topic.unwrap().origin, "glance-api.conf, line 5");
}

/// C9: two drivers are two destinations.
#[test]
fn c9_a_broker_and_a_log_become_two_destinations() {
    let config = Layers::new().set("log.file=/var/log/n.log").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("glance-api.conf");
    std::fs::write(&path, field!("log_and_messaging.conf")).unwrap();
    let config = config.file(&path).unwrap().build().unwrap();
    let destinations = config.destinations();
    let strategies: Vec<_> =
        destinations.iter().map(|one| (one.name(), one.config().strategy())).collect();
    assert_eq!(strategies, [("notifications", "rabbit"), ("log", "log")]);
    for one in destinations {
        open(one.config()).unwrap();
    }
    let error = open(&config).unwrap_err();
    assert!(error.to_string().starts_with("several destinations are configured"), "{error}");
}

/// The strategy of another source is the only one, as before.
#[test]
fn c9_a_strategy_of_another_source_wins_over_several_drivers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("glance-api.conf");
    std::fs::write(&path, field!("log_and_messaging.conf")).unwrap();
    for strategy in ["log", "rabbit", "noop"] {
        let layers = Layers::new().file(&path).unwrap().set(&format!("strategy={strategy}"));
        let config = layers.unwrap().build().unwrap();
        assert_eq!((config.destinations().len(), config.strategy()), (1, strategy));
    }
}
