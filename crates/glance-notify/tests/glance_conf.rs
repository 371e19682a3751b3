//! `glance-api.conf` as a configuration of ours: every option that is mapped, Glance's defaults, and
//! what is refused or warned of.

#![expect(clippy::unwrap_used, reason = "a test may fail as it likes")]

use glance_notify::config::{Entry, glance_conf};
use glance_notify::{Config, ErrorKind, Result};

/// The entries that are set, but for those that `without` names.
fn entries(text: &str, without: &[&str]) -> Vec<String> {
    let config = glance_conf::from_str(text).unwrap();
    let entries = config.entries();
    let set = entries.iter().filter(|Entry { key, origin, .. }| {
        origin != "default" && !without.iter().any(|name| key == name)
    });
    set.map(|entry| format!("{} = {} ({})", entry.key, entry.value, entry.origin)).collect()
}

fn refusal(text: &str) -> String {
    let error = glance_conf::from_str(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

fn default_section(lines: &str) -> Result<Config> {
    glance_conf::from_str(&format!("[DEFAULT]\n{lines}"))
}

#[test]
fn an_empty_file_is_noop_as_in_glance() {
    assert_eq!(glance_conf::from_str("").unwrap().strategy(), "noop");
    assert!(entries("[DEFAULT]\ndebug = true\n", &[]).is_empty());
}

#[test]
fn strategies_go_by_name_alias_and_class() {
    for (name, strategy) in [
        ("noop", "noop"),
        ("default", "noop"),
        ("logging", "log"),
        ("rabbit", "rabbit"),
        ("qpid", "qpid"),
        ("glance.notifier.notify_noop.NoopStrategy", "noop"),
        ("glance.notifier.notify_log.LoggingStrategy", "log"),
        ("glance.notifier.notify_kombu.RabbitStrategy", "rabbit"),
        ("glance.notifier.notify_qpid.QpidStrategy", "qpid"),
    ] {
        let config = default_section(&format!("notifier_strategy = {name}")).unwrap();
        assert_eq!(config.strategy(), strategy, "{name}");
    }
    assert_eq!(
        refusal("[DEFAULT]\nnotifier_strategy = my.Strategy\n"),
        "`notifier_strategy` (glance-api.conf, line 2): unknown: expected logging, rabbit, qpid, noop, \
         default or the class that Glance has for one of them"
    );
}

#[test]
fn the_log_file_is_joined_to_its_directory() {
    for (lines, expected) in [
        ("log_file = /a/b.log", "/a/b.log"),
        ("log_dir = /var/log/glance\nlog_file = api.log", "/var/log/glance/api.log"),
        ("logdir = /var/log\nlogfile = api.log", "/var/log/api.log"),
        ("log_dir = /var/log\nlog_file = /a/b.log", "/a/b.log"),
        (
            "who = glance\nlog_dir = /var/log/${who}\nlog_file = $who-api\n",
            "/var/log/glance/glance-api",
        ),
    ] {
        let text = format!("[DEFAULT]\nnotifier_strategy = logging\n{lines}");
        let file = entries(&text, &["strategy"]);
        assert!(file[0].starts_with(&format!("log.file = \"{expected}\" ")), "{file:?}");
    }
}

#[test]
fn rabbit_has_glances_defaults() {
    assert_eq!(
        entries("[DEFAULT]\nnotifier_strategy = rabbit\n", &[]),
        [
            "rabbit.durable = false (Glance's default of rabbit_durable_queues)",
            "rabbit.exchange = \"glance\" (Glance's default of rabbit_notification_exchange)",
            "rabbit.host = \"localhost\" (Glance's default of rabbit_host)",
            "rabbit.password = \"***\" (Glance's default of rabbit_password)",
            "rabbit.port = 5672 (Glance's default of rabbit_port)",
            "rabbit.topic = \"notifications\" (Glance's default of rabbit_notification_topic)",
            "rabbit.user = \"guest\" (Glance's default of rabbit_userid)",
            "rabbit.virtual_host = \"/\" (Glance's default of rabbit_virtual_host)",
            "strategy = \"rabbit\" (glance-api.conf, line 2)",
        ]
    );
}

#[test]
fn every_option_of_rabbit_is_mapped() {
    let text = "\
[DEFAULT]
notifier_strategy = rabbit
rabbit_host = mq.example
rabbit_port = 5673
rabbit_use_ssl = False
rabbit_userid = glance
rabbit_password = hunter2
rabbit_virtual_host = /glance
rabbit_notification_exchange = images
rabbit_notification_topic = audit
rabbit_durable_queues = True
";
    assert_eq!(
        entries(text, &["strategy"]),
        [
            "rabbit.durable = true (glance-api.conf, line 11)",
            "rabbit.exchange = \"images\" (glance-api.conf, line 9)",
            "rabbit.host = \"mq.example\" (glance-api.conf, line 3)",
            "rabbit.password = \"***\" (glance-api.conf, line 7)",
            "rabbit.port = 5673 (glance-api.conf, line 4)",
            "rabbit.topic = \"audit\" (glance-api.conf, line 10)",
            "rabbit.user = \"glance\" (glance-api.conf, line 6)",
            "rabbit.virtual_host = \"/glance\" (glance-api.conf, line 8)",
        ]
    );
}

#[test]
fn tls_makes_it_a_url() {
    let text = "[DEFAULT]\nnotifier_strategy = rabbit\nrabbit_use_ssl = yes\nrabbit_host = 2001:db8::1\n\
                rabbit_password = p@ss/w:rd\nrabbit_virtual_host = /\n";
    let url = entries(text, &["strategy"]).pop().unwrap();
    assert_eq!(
        url,
        "rabbit.url = \"amqps://***@[2001:db8::1]:5672/%2F\" (glance-api.conf, line 3)"
    );
    let text = "[DEFAULT]\nnotifier_strategy = qpid\nqpid_protocol = ssl\nqpid_hostname = q\n";
    let url = entries(text, &["strategy"]).pop().unwrap();
    assert_eq!(url, "qpid.url = \"amqps://q:5672\" (glance-api.conf, line 3)");
}

#[test]
fn every_option_of_qpid_is_mapped() {
    let text = "\
[DEFAULT]
notifier_strategy = qpid
qpid_hostname = qpid.example
qpid_port = 5673
qpid_username = glance
qpid_password = hunter2
qpid_sasl_mechanisms = PLAIN ANONYMOUS
qpid_protocol = tcp
qpid_notification_exchange = images
qpid_notification_topic = audit
";
    assert_eq!(
        entries(text, &["strategy"]),
        [
            "qpid.exchange = \"images\" (glance-api.conf, line 9)",
            "qpid.host = \"qpid.example\" (glance-api.conf, line 3)",
            "qpid.node = \"topic\" (Glance's default of the address)",
            "qpid.password = \"***\" (glance-api.conf, line 6)",
            "qpid.port = 5673 (glance-api.conf, line 4)",
            "qpid.sasl_mechanism = [\"PLAIN\",\"ANONYMOUS\"] (glance-api.conf, line 7)",
            "qpid.topic = \"audit\" (glance-api.conf, line 10)",
            "qpid.user = \"glance\" (glance-api.conf, line 5)",
        ]
    );
}

#[test]
fn the_options_of_oslo_messaging_are_mapped() {
    let text = "\
[DEFAULT]
transport_url = rabbit://u:hunter2@h1:5672,u:hunter2@h2:5672/vhost?ssl=1
default_publisher_id = image.host1
control_exchange = images
[oslo_messaging_notifications]
driver = messagingv2
topics = audit
[oslo_messaging_rabbit]
rabbit_quorum_queue = true
ssl_ca_file = /etc/ca.pem
ssl_cert_file = /etc/cert.pem
ssl_key_file = /etc/key.pem
";
    assert_eq!(
        entries(text, &[]),
        [
            "publisher_id = \"image.host1\" (glance-api.conf, line 3)",
            "rabbit.ca_file = \"/etc/ca.pem\" (glance-api.conf, line 10)",
            "rabbit.cert_file = \"/etc/cert.pem\" (glance-api.conf, line 11)",
            "rabbit.durable = true (glance-api.conf, line 9)",
            "rabbit.envelope = \"oslo-2.0\" (glance-api.conf, line 6)",
            "rabbit.exchange = \"images\" (glance-api.conf, line 4)",
            "rabbit.key_file = \"/etc/key.pem\" (glance-api.conf, line 12)",
            "rabbit.queue_type = \"quorum\" (glance-api.conf, line 9)",
            "rabbit.topic = \"audit\" (glance-api.conf, line 7)",
            "rabbit.url = \"amqps://***@h2:5672/vhost\" (glance-api.conf, line 2)",
            "strategy = \"rabbit\" (glance-api.conf, line 6)",
        ]
    );
}

#[test]
fn drivers_of_oslo_messaging_are_strategies() {
    for (lines, strategy) in [
        ("[DEFAULT]\nnotification_driver = noop", "noop"),
        ("[DEFAULT]\nnotification_driver = log", "log"),
        ("[DEFAULT]\nnotification_driver = messaging", "rabbit"),
        ("[DEFAULT]\nnotification_driver = messaging\ntransport_url = rabbit://", "rabbit"),
        ("[DEFAULT]\nnotification_driver = messaging\ntransport_url = amqp://h", "qpid"),
        ("[DEFAULT]\nnotifier_strategy = default\nnotification_driver = log", "log"),
        ("[DEFAULT]\nnotifier_strategy = qpid\nnotification_driver = log", "qpid"),
        ("[oslo_messaging_notifications]\ndriver = messagingv2", "rabbit"),
        ("[oslo_messaging_notifications]\ndriver =", "noop"),
    ] {
        assert_eq!(glance_conf::from_str(lines).unwrap().strategy(), strategy, "{lines}");
    }
}

#[test]
fn what_is_disabled_is_disabled_and_what_was_never_one_is_warned_of() {
    let config =
        default_section("disabled_notifications = image.create, task ,image.member,\n").unwrap();
    let entries = config.entries();
    let disabled = entries.iter().find(|entry| entry.key == "disabled_notifications").unwrap();
    assert_eq!(disabled.value, r#"["image.create","task"]"#);
    assert_eq!(
        config.warnings(),
        [
            "`disabled_notifications` (glance-api.conf, line 2): 1 of its entries disable nothing: they \
             are neither one of the eleven event types nor `image` or `task`"
        ]
    );
}

#[test]
fn what_only_tunes_is_warned_of() {
    let config = default_section("qpid_heartbeat = 60\nrabbit_max_retries = 0\n").unwrap();
    assert_eq!(
        config.warnings(),
        [
            "`rabbit_max_retries` (glance-api.conf, line 3) is not used: what is not delivered is tried \
             again, with growing pauses, as long as it is queued",
            "`qpid_heartbeat` (glance-api.conf, line 2) is not used: a frozen broker is noticed within \
             seconds by other means",
        ]
    );
}

#[test]
fn what_has_no_counterpart_or_a_wrong_value_is_refused_and_not_repeated() {
    for (text, expected) in [
        (
            "[DEFAULT]\nrabbit_port = hunter2",
            "`rabbit_port` (glance-api.conf, line 2): expected a whole number from 0 to 65535",
        ),
        (
            "[DEFAULT]\nrabbit_durable_queues = hunter2",
            "`rabbit_durable_queues` (glance-api.conf, line 2): expected true or false",
        ),
        (
            "[DEFAULT]\nqpid_protocol = hunter2",
            "`qpid_protocol` (glance-api.conf, line 2): is none of its values",
        ),
        (
            "[DEFAULT]\nrabbit_password = a$hunter2",
            "glance-api.conf, line 2: a `$` names an option that this file does not set; `$$` is a \
             dollar sign",
        ),
        ("[DEFAULT]\nhunter2", "glance-api.conf, line 2: expected `key = value`"),
        (
            "[DEFAULT]\nnotification_driver = log\nnotification_driver = messaging",
            "`notification_driver` (glance-api.conf, line 3): is a second driver: keep one",
        ),
        (
            "[oslo_messaging_notifications]\ndriver = routing",
            "`[oslo_messaging_notifications] driver` (glance-api.conf, line 2): has no counterpart \
             here: expected messaging, messagingv2, log or noop",
        ),
        (
            "[oslo_messaging_notifications]\ntopics = a,b",
            "`[oslo_messaging_notifications] topics` (glance-api.conf, line 2): names several: keep \
             one",
        ),
        (
            "[DEFAULT]\ntransport_url = kafka://u:hunter2@h",
            "`transport_url` (glance-api.conf, line 2): has no counterpart here: expected a URL that \
             begins with rabbit://, qpid:// or amqp://",
        ),
        (
            "[DEFAULT]\ntransport_url = hunter2",
            "`transport_url` (glance-api.conf, line 2): expected a URL that begins with rabbit://",
        ),
        (
            "[DEFAULT]\ntransport_url = rabbit://u:hunter2@h/?heartbeat=1",
            "`transport_url` (glance-api.conf, line 2): has parameters other than `ssl`: set the \
             options of their names instead",
        ),
    ] {
        assert_eq!(refusal(text), expected);
    }
}
