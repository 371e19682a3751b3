//! The translation of `glance-api.conf`: every option, Glance's defaults, errors and warnings.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use glance_notify::config::{ConfigEntry, Layers, glance_conf};
use glance_notify::{Config, ErrorKind, Result};

/// Returns the configured entries of `text`, without the keys in `omitted`.
fn entries(text: &str, omitted: &[&str]) -> Vec<String> {
    let config = glance_conf::from_str(text).unwrap();
    let entries = config.entries();
    let configured = entries.iter().filter(|ConfigEntry { key, origin, .. }| {
        origin != "default" && !omitted.iter().any(|name| key == name)
    });
    configured.map(|entry| format!("{} = {} ({})", entry.key, entry.value, entry.origin)).collect()
}

/// Returns the message of the error for `text`, which must be invalid.
fn error_message(text: &str) -> String {
    let error = glance_conf::from_str(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

/// Reads `lines` below `[DEFAULT]`.
fn default_section(lines: &str) -> Result<Config> {
    glance_conf::from_str(&format!("[DEFAULT]\n{lines}"))
}

/// Glance sends nothing by default, and neither do we.
#[test]
fn an_empty_file_selects_noop() {
    assert_eq!(glance_conf::from_str("").unwrap().strategy(), "noop");
    let config = glance_conf::from_str("[DEFAULT]\ndebug = true\n").unwrap();
    assert_eq!(
        config.warnings(),
        ["glance-api.conf: no notification driver: no notifications are sent: set `driver = \
          messagingv2` below `[oslo_messaging_notifications]` to send them"]
    );
    let config = default_section("notification_driver = noop").unwrap();
    assert!(
        config.warnings()[0].starts_with("`notification_driver` (glance-api.conf, line 2): no ")
    );
}

/// `notifier_strategy` accepts everything that Glance accepts.
#[test]
fn reads_strategies_by_name_alias_and_class() {
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
        error_message("[DEFAULT]\nnotifier_strategy = my.Strategy\n"),
        "`notifier_strategy` (glance-api.conf, line 2): unknown strategy: expected logging, rabbit, \
         qpid, noop, default, or Glance's class for one of them"
    );
}

/// `log_dir` and `log_file` combine as in oslo.log.
#[test]
fn joins_the_log_file_to_its_directory() {
    for (lines, expected) in [
        ("log_file = /a/b.log", "/a/b.log"),
        ("log_dir = /var/log/glance\nlog_file = api.log", "/var/log/glance/api.log"),
        ("logdir = /var/log\nlogfile = api.log", "/var/log/api.log"),
        ("log_dir = /var/log\nlog_file = /a/b.log", "/a/b.log"),
        (
            "project = glance\nlog_dir = /var/log/${project}\nlog_file = $project-api\n",
            "/var/log/glance/glance-api",
        ),
    ] {
        let text = format!("[DEFAULT]\nnotifier_strategy = logging\n{lines}");
        let file = entries(&text, &["strategy", "publisher_id"]);
        assert!(file[0].starts_with(&format!("log.file = \"{expected}\" ")), "{file:?}");
    }
}

/// A file without options reaches the broker that Glance would reach.
#[test]
fn rabbit_has_the_defaults_of_glance() {
    assert_eq!(
        entries("[DEFAULT]\nnotifier_strategy = rabbit\n", &[]),
        [
            "publisher_id = \"image.localhost\" (Glance's default of default_publisher_id)",
            "rabbit.durable = false (Glance's default of amqp_durable_queues)",
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

/// All options of Glance's `rabbit` strategy take effect.
#[test]
fn translates_every_option_of_rabbit() {
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
        entries(text, &["strategy", "publisher_id"]),
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

/// Our configuration asks for TLS by the scheme of the URL only.
#[test]
fn tls_turns_the_address_into_a_url() {
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

/// All options of Glance's `qpid` strategy take effect.
#[test]
fn translates_every_option_of_qpid() {
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
        entries(text, &["strategy", "publisher_id"]),
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

/// The options of newer releases, which moved to oslo.messaging, take effect.
#[test]
fn translates_the_options_of_oslo_messaging() {
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
            "rabbit.url = \"amqps://***@h1:5672,h2:5672/vhost\" (glance-api.conf, line 2)",
            "strategy = \"rabbit\" (glance-api.conf, line 6)",
        ]
    );
}

/// oslo.messaging's driver selects the strategy unless `notifier_strategy` does.
#[test]
fn translates_the_drivers_of_oslo_messaging() {
    for (lines, strategy) in [
        ("[DEFAULT]\nnotification_driver = noop", "noop"),
        ("[DEFAULT]\nnotification_driver = log", "log"),
        ("[DEFAULT]\nnotification_driver = messaging", "rabbit"),
        ("[DEFAULT]\nnotification_driver = messaging\ntransport_url = rabbit://", "rabbit"),
        ("[DEFAULT]\nnotification_driver = messaging\ntransport_url = amqp://h", "qpid"),
        ("[DEFAULT]\nnotifier_strategy = default\nnotification_driver = log", "log"),
        ("[DEFAULT]\nnotifier_strategy = qpid\nnotification_driver = log", "qpid"),
        ("[DEFAULT]\nnotification_driver = noop\nnotification_driver = log", "log"),
        (
            "[DEFAULT]\nnotification_driver = log\n[oslo_messaging_notifications]\ndriver = log",
            "log",
        ),
        ("[oslo_messaging_notifications]\ndriver = messagingv2", "rabbit"),
        ("[oslo_messaging_notifications]\ndriver =", "noop"),
    ] {
        assert_eq!(glance_conf::from_str(lines).unwrap().strategy(), strategy, "{lines}");
    }
}

/// Every Glance that reads `driver` ignores `notifier_strategy`, and the topic that belongs to it.
#[test]
fn a_leftover_strategy_of_glance_is_warned_of() {
    let leftover = "[DEFAULT]\nnotifier_strategy = logging\nrabbit_notification_topic = old\n\
                    transport_url = rabbit://u:p@h/\n";
    let modern = "[oslo_messaging_notifications]\ndriver = messagingv2\ntopics = audit\n";
    let config = glance_conf::from_str(&format!("{leftover}{modern}")).unwrap();
    assert_eq!(config.strategy(), "rabbit");
    let entries = config.entries();
    let topic = entries.iter().find(|entry| entry.key == "rabbit.topic").unwrap();
    assert_eq!(topic.value, "\"audit\"");
    assert_eq!(
        config.warnings(),
        [
            "`notifier_strategy` (glance-api.conf, line 2): ignored, as Glance ignores it since \
             2014.2: `driver` decides: remove it",
            "`rabbit_notification_topic` (glance-api.conf, line 3): ignored, as Glance ignores it \
             since 2014.1: `topics` decides",
        ]
    );
    let config = default_section("notifier_strategy = noop\nnotification_driver = messaging\n");
    assert_eq!(
        config.unwrap().warnings()[0],
        "`notifier_strategy` (glance-api.conf, line 2): overrides `notification_driver`, which decides \
         since Glance 2014.2: remove one"
    );
    let config = default_section(
        "notifier_strategy = noop\nnotification_driver =\n[oslo_messaging_notifications]\ndriver =\n",
    );
    assert_eq!(config.unwrap().warnings().len(), 1);
}

/// A typo in the list is visible, and does not stop the service. Names that Glance sends are no typos.
#[test]
fn warns_of_unknown_disabled_notifications() {
    let text = "disabled_notifications = image.create, task ,image.member,image.uploaded, a b,\n";
    let config = default_section(text).unwrap();
    let entries = config.entries();
    let disabled = entries.iter().find(|entry| entry.key == "disabled_notifications").unwrap();
    assert_eq!(disabled.value, r#"["image.create","task","image.member","image.uploaded"]"#);
    assert_eq!(
        config.warnings()[..1],
        ["`disabled_notifications` (glance-api.conf, line 2): 3 unknown entries have no effect: \
             Glance compares whole event types, and groups such as `image` or `task`"]
    );
    let text = "disabled_notifications = image,task.delete,image.member.create,metadef_tag.create";
    let warnings = default_section(text).unwrap().warnings().to_vec();
    assert!(!warnings.iter().any(|warning| warning.contains("unknown")), "{warnings:?}");
}

/// An ignored option is visible, and does not stop the service.
#[test]
fn warns_of_options_without_effect() {
    let config = default_section(
        "notification_driver = messaging\nqpid_heartbeat = 60\nrabbit_max_retries = 5\n\
         rabbit_notification_topic = audit\nkombu_ssl_ca_certs = /ca\n",
    );
    assert_eq!(
        config.unwrap().warnings(),
        [
            "`rabbit_notification_topic` (glance-api.conf, line 5): ignored, as Glance ignores it \
             since 2014.1: `topics` decides",
            "`kombu_ssl_ca_certs` (glance-api.conf, line 6): ignored: TLS is off: set `ssl = true` to \
             use it",
            "`rabbit_max_retries` (glance-api.conf, line 4): ignored: the worker retries queued \
             messages with growing backoff",
            NO_BROKER,
        ]
    );
}

/// An option without effect that has oslo.messaging's default changes nothing in Glance either.
#[test]
fn defaults_of_options_without_effect_are_not_warned_of() {
    let warnings = |text: &str| {
        let warnings = glance_conf::from_str(text).unwrap().warnings().to_vec();
        let is_ignored = |warning: &&String| warning.contains("): ignored: ");
        warnings.iter().filter(is_ignored).count()
    };
    let rabbit = |retry: &str, ha: &str, heartbeat: &str| {
        warnings(&format!(
            "[DEFAULT]\ntransport_url = rabbit://u:p@h/\n[oslo_messaging_notifications]\n\
             driver = messagingv2\nretry = {retry}\n[oslo_messaging_rabbit]\nrabbit_retry_interval = 1\n\
             rabbit_ha_queues = {ha}\nheartbeat_timeout_threshold = {heartbeat}\nfake_rabbit = no\n"
        ))
    };
    assert_eq!(rabbit("-1", "False", "60"), 0);
    assert_eq!(rabbit("-1", "off", "60"), 0);
    assert_eq!(rabbit("3", "yes", "0"), 3);
    let qpid = |nodelay: &str| {
        warnings(&format!(
            "[DEFAULT]\nnotifier_strategy = qpid\nqpid_reconnect_limit = 0\nqpid_heartbeat = 60\n\
             qpid_tcp_nodelay = {nodelay}\n"
        ))
    };
    assert_eq!((qpid("True"), qpid("False")), (0, 1));
    let log = |syslog: &str| {
        warnings(&format!(
            "[DEFAULT]\nnotifier_strategy = logging\nlog_file = /n.log\nuse_syslog = {syslog}\n\
             default_log_levels = amqp=WARN\n"
        ))
    };
    assert_eq!((log("False"), log("True")), (1, 2));
}

/// A misspelt option in `[DEFAULT]` is visible, with the option that was meant.
#[test]
fn warns_of_misspelt_options_in_the_default_section() {
    let config = default_section(
        "Transport-URL = rabbit://h\ntransport_uri = rabbit://h\ndisabled_notification = task\n\
         default_publisher = p\nRabbit_Host = mq\nControl_Exchange = images\nLog-File = /n.log\n\
         Debug = true\nqpid-hostname = q\n[ DEFAULT ]\ntransport_url = rabbit://h\ndebug = true\n\
         [ oslo_messaging_rabbit]\nssl = true\n\
         [oslo_messaging_notifications]\ndriver = messagingv2\n",
    );
    let config = config.unwrap();
    let texts = config.warnings().iter().map(|warning| {
        let text = warning.replace(" is ignored, as Glance ignores it", "");
        text.replace("glance-api.conf, ", "")
    });
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "`Control_Exchange` (line 7): the option is `control_exchange`",
            "`Rabbit_Host` (line 6): the option is `rabbit_host`",
            "`Transport-URL` (line 2): the option is `transport_url`",
            "`[ default ] transport_url` (line 12): it belongs to `[DEFAULT]`",
            "`[ oslo_messaging_rabbit] ssl` (line 15): it belongs to `[oslo_messaging_rabbit]`",
            "`default_publisher` (line 5): no such option",
            "`disabled_notification` (line 4): no such option",
            NO_BROKER,
            "`transport_uri` (line 3): no such option",
        ]
    );
}

/// The default address is a warning too if no layer names the broker.
#[test]
fn the_default_address_without_tls_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    std::fs::write(&path, "[oslo_messaging_notifications]\ndriver = messagingv2\n").unwrap();
    for (toml, setting, expected) in [
        ("", "queue.max_messages=500", &[NO_BROKER][..]),
        ("", "rabbit.host=mq", &[]),
        ("", "rabbit.url=amqp://u:p@mq", &[]),
        ("rabbit.host = 'mq'", "queue.max_messages=500", &[]),
        ("rabbit.url = 'amqp://u:p@mq'", "queue.max_messages=500", &[]),
    ] {
        let layers = Layers::new().toml("notify.toml", toml).unwrap().file(&path).unwrap();
        let config = layers.set(setting).unwrap().build().unwrap();
        assert_eq!(config.warnings(), expected, "{toml} {setting}");
    }
}

/// The warning about a file that names no broker.
const NO_BROKER: &str = "`rabbit_host` (Glance's default of rabbit_host): no option names the broker, so \
                         Glance connects to localhost:5672, as here: name it in `transport_url`";

/// A file with old and new names works here, and not in current Glance. A file of old names alone is one of
/// an old Glance.
#[test]
fn warns_of_old_names_beside_new_ones() {
    let texts = |text: &str| {
        let config = glance_conf::from_str(text).unwrap();
        let shown = |warning: &String| warning.replace("glance-api.conf, ", "");
        config.warnings().iter().map(shown).collect::<Vec<_>>()
    };
    let old = "[DEFAULT]\nnotification_driver = messagingv2\nnotification_topics = audit\n\
               rabbit_host = mq\nrabbit_use_ssl = true\nkombu_ssl_ca_certs = /ca\n";
    assert_eq!(texts(old), [""; 0]);
    let new = "[oslo_messaging_notifications]\nretry = 3\n[oslo_messaging_rabbit]\nssl = true\n";
    assert_eq!(
        texts(&format!("{old}{new}"))[1..],
        [
            "`notification_driver` (line 2) is read, but oslo.messaging 16 and later ignores it; the \
             option is `[oslo_messaging_notifications] driver`",
            "`notification_topics` (line 3) is read, but oslo.messaging 16 and later ignores it; the \
             option is `[oslo_messaging_notifications] topics`",
            "`kombu_ssl_ca_certs` (line 6) is read, but current oslo.messaging ignores it; the option \
             is `[oslo_messaging_rabbit] ssl_ca_file`",
            "`rabbit_host` (line 4) is read, but current oslo.messaging ignores it; the option is \
             `transport_url`",
        ]
    );
    let text = "[DEFAULT]\nnotification_driver = messaging\ntransport_url = rabbit://u:p@h/\n\
                rabbit_host = mq\n[oslo_messaging_notifications]\ndriver = messaging\n";
    let texts = texts(text);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].starts_with("`notification_driver` (line 2) is read, but "), "{texts:?}");
}

/// A URL without a host leaves the address to options, which current oslo.messaging ignores: it connects to
/// `localhost` then. A URL without a virtual host does so with the virtual host.
#[test]
fn warns_of_old_names_beside_a_url_that_leaves_parts_out() {
    let read = |url: &str, old: &str| {
        let text = format!(
            "[DEFAULT]\ntransport_url = {url}\nrpc_backend = rabbit\n{old}\n\
             [oslo_messaging_notifications]\ndriver = messagingv2\n"
        );
        let entries = entries(&text, &[]).join("\n").replace("glance-api.conf, ", "");
        let config = glance_conf::from_str(&text).unwrap();
        (entries, config.warnings().join("\n").replace("glance-api.conf, ", ""))
    };
    let ignored = |option: &str| {
        format!(
            "`{option}` (line 4) is read, but current oslo.messaging ignores it; the option is \
             `transport_url`"
        )
    };
    let default = "rabbit.host = \"localhost\" (Glance's default of rabbit_host)".to_owned();
    for (url, old, entry, warning) in [
        ("rabbit:", "", default.clone(), NO_BROKER.to_owned()),
        ("rabbit://", "", default.clone(), NO_BROKER.to_owned()),
        ("rabbit:///v", "", default, NO_BROKER.to_owned()),
        (
            "rabbit:///v",
            "rabbit_host = mq",
            "rabbit.virtual_host = \"v\" (line 2)".to_owned(),
            ignored("rabbit_host"),
        ),
        (
            "rabbit://u:p@h",
            "rabbit_virtual_host = v",
            "rabbit.url = \"amqp://***@h:5672/v\" (line 2)".to_owned(),
            ignored("rabbit_virtual_host"),
        ),
        (
            "rabbit://u:p@h/",
            "rabbit_virtual_host = v",
            "rabbit.url = \"amqp://***@h:5672/%2F\" (line 2)".to_owned(),
            String::new(),
        ),
    ] {
        let (entries, warnings) = read(url, old);
        assert!(entries.lines().any(|line| line == entry), "{url} {old}: {entries}");
        assert_eq!(warnings, warning, "{url} {old}");
    }
}

/// The check of host names cannot be turned off, and a file that does so is visible.
#[test]
fn warns_of_an_unchecked_host_name() {
    let warnings = |check: &str, ssl: &str| {
        let text = format!(
            "[DEFAULT]\ntransport_url = rabbit://u:p@h/\n[oslo_messaging_notifications]\n\
             driver = messagingv2\n[oslo_messaging_rabbit]\nssl = {ssl}\n\
             ssl_enforce_hostname_verification = {check}\n"
        );
        glance_conf::from_str(&text).unwrap().warnings().to_vec()
    };
    assert_eq!(
        warnings("false", "true"),
        ["`[oslo_messaging_rabbit] ssl_enforce_hostname_verification` (glance-api.conf, line 7): \
          ignored: host names are always verified"]
    );
    assert_eq!(warnings("true", "true"), [""; 0]);
    assert_eq!(warnings("false", "false"), [""; 0]);
}

/// An option in a misspelt section is visible, with the section that it belongs to. Other options there are not
/// about notifications.
#[test]
fn warns_of_misspelt_sections() {
    let config = glance_conf::from_str(
        "[default]\ntransport_url = rabbit://h\ndebug = true\n\
         [oslo_messaging_notifications]\ndriver = messagingv2\n\
         [oslo_messaging_rabbitmq]\nssl = true\nssl_ca_file = /ca\nsize = 1\n\
         [oslo_messaging_kafka]\nconsumer_group = g\n",
    );
    let warning = |option: &str, line: u32, section: &str| {
        format!(
            "`{option}` (glance-api.conf, line {line}) is ignored, as Glance ignores it: it belongs to \
             `[{section}]`"
        )
    };
    assert_eq!(
        config.unwrap().warnings(),
        [
            warning("[default] transport_url", 2, "DEFAULT"),
            warning("[oslo_messaging_rabbitmq] ssl", 7, "oslo_messaging_rabbit"),
            warning("[oslo_messaging_rabbitmq] ssl_ca_file", 8, "oslo_messaging_rabbit"),
            NO_BROKER.to_owned(),
        ]
    );
}

/// Parameters of the URL override options of the driver's section.
#[test]
fn parameters_of_the_url_are_options() {
    let text = "[DEFAULT]\ntransport_url = rabbit://u:p@h/v?ssl=1&ssl_ca_file=/ca%24x&rabbit_quorum_queue=true\n\
                [oslo_messaging_notifications]\ndriver = messaging\n\
                [oslo_messaging_rabbit]\nssl = false\nssl_ca_file = /other\n";
    assert_eq!(
        entries(text, &["strategy", "publisher_id", "rabbit.exchange", "rabbit.topic"]),
        [
            "rabbit.ca_file = \"/ca$x\" (glance-api.conf, line 2)",
            "rabbit.durable = true (glance-api.conf, line 2)",
            "rabbit.envelope = \"bare\" (glance-api.conf, line 4)",
            "rabbit.queue_type = \"quorum\" (glance-api.conf, line 2)",
            "rabbit.url = \"amqps://***@h:5672/v\" (glance-api.conf, line 2)",
        ]
    );
}

/// A URL for a transport of kombu that reaches RabbitMQ has oslo.messaging's meaning: the port is 5672 with
/// TLS too. Other transports are refused.
#[test]
fn transports_of_kombu_are_rabbit_or_refused() {
    let text =
        |url: &str| format!("[DEFAULT]\nnotification_driver = messaging\ntransport_url = {url}\n");
    for (url, expected) in [
        ("kombu+amqp://u:p@h/v", "amqp://***@h:5672/v"),
        ("kombu+pyamqp://u:p@h/v", "amqp://***@h:5672/v"),
        ("Kombu+Rabbit://u:p@h/v?ssl=1", "amqps://***@h:5672/v"),
        ("kombu+amqps://u:p@h/v?ssl=0", "amqps://***@h:5672/v"),
    ] {
        let expected = format!("rabbit.url = \"{expected}\" (glance-api.conf, line 3)");
        assert!(entries(&text(url), &[]).contains(&expected), "{url}");
    }
    for url in ["kombu+memory://", "kombu+memory://u:hunter2@h", "kombu+redis://hunter2@h/0"] {
        assert_eq!(
            error_message(&text(url)),
            "`transport_url` (glance-api.conf, line 3): unsupported transport of kombu, which reaches no \
             RabbitMQ: expected a URL that begins with rabbit://"
        );
    }
    assert_eq!(
        error_message(&text("kombu+amqp:///v")),
        "`transport_url` (glance-api.conf, line 3): names no host: expected a URL such as \
         rabbit://user:password@host:5672/vhost"
    );
}

/// kombu decodes the virtual host once more, below oslo.messaging's driver for RabbitMQ alone.
#[test]
fn the_virtual_host_of_rabbitmq_is_decoded_twice() {
    let text =
        |url: &str| format!("[DEFAULT]\nnotification_driver = messaging\ntransport_url = {url}\n");
    for (url, expected) in [
        ("rabbit://u:p@h/a%2Fb", "rabbit.url = \"amqp://***@h:5672/a%2Fb\""),
        ("rabbit://u:p@h/a%252Fb", "rabbit.url = \"amqp://***@h:5672/a%2Fb\""),
        ("rabbit://u:p@h/a%2523b", "rabbit.url = \"amqp://***@h:5672/a%23b\""),
        ("amqp://u:p@h/a%252Fb", "qpid.url = \"amqp://***@h:5672/a%252Fb\""),
    ] {
        let expected = format!("{expected} (glance-api.conf, line 3)");
        assert!(entries(&text(url), &[]).contains(&expected), "{url}");
    }
    assert_eq!(
        error_message(&text("rabbit://u:p@h/a%23b")),
        "`transport_url` (glance-api.conf, line 3): oslo.messaging decodes the virtual host twice and \
         cuts it at `?`, `#` and `;`: encode them twice, as `%253F`, `%2523` and `%253B`"
    );
}

/// A certificate logs in without user and password.
#[test]
fn external_login_leaves_out_the_user() {
    let text = "[DEFAULT]\nnotification_driver = messaging\n[oslo_messaging_rabbit]\nssl = true\n\
                rabbit_login_method = EXTERNAL\nssl_cert_file = /c\nssl_key_file = /k\n";
    let entries = entries(text, &[]);
    assert!(
        entries.contains(&"rabbit.sasl_mechanism = \"EXTERNAL\" (glance-api.conf, line 5)".into())
    );
    assert!(
        entries.contains(
            &"rabbit.url = \"amqps://localhost:5672/%2F\" (glance-api.conf, line 4)".into()
        )
    );
}

/// The strategy of a higher layer decides which options of the file count.
#[test]
fn a_higher_layer_can_choose_another_strategy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    std::fs::write(&path, "[DEFAULT]\nrabbit_host = mq\nqpid_port = x\n").unwrap();
    let layers = Layers::new().file(&path).unwrap();
    let config = layers.set("strategy=rabbit").unwrap().build().unwrap();
    assert_eq!(config.warnings(), [""; 0]);
    let entries = config.entries();
    let host = entries.iter().find(|entry| entry.key == "rabbit.host").unwrap();
    assert_eq!(host.value, "\"mq\"");
}

/// Each of several topics is a destination with a topic of its own, which a higher layer cannot change.
#[test]
fn a_topic_of_a_higher_layer_has_no_effect_on_several_topics() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    let conf = "[DEFAULT]\ntransport_url = rabbit://u:p@h/\n[oslo_messaging_notifications]\n\
                driver = messagingv2\ntopics = notifications, audit\n";
    std::fs::write(&path, conf).unwrap();
    let layers = glance_notify::config::Layers::new().file(&path).unwrap();
    let config = layers.set("rabbit.topic=images").unwrap().build().unwrap();
    let warning = "`rabbit.topic` (--set) has no effect because every destination overrides it: ";
    let warnings = config.warnings();
    assert!(warnings.iter().any(|found| found.starts_with(warning)), "{warnings:?}");
}

/// Glance's defaults are below all layers: no operator chose them, so they replace no value.
#[test]
fn the_defaults_of_glance_replace_no_value_of_another_layer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    std::fs::write(&path, "[DEFAULT]\ndisabled_notifications = task\n").unwrap();
    let toml = "strategy = 'rabbit'\npublisher_id = 'image.host1'\n[rabbit]\nhost = 'mq1'\n\
                user = 'u'\npassword_file = '/p'\ndurable = true\nexchange = 'e'\ntopic = 't'\n";
    let layers = Layers::new().toml("notify.toml", toml).unwrap().file(&path).unwrap();
    let entries = layers.build().unwrap().entries();
    let shown = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| format!("{} ({})", entry.value, entry.origin))
    };
    for (key, value) in [
        ("publisher_id", "\"image.host1\""),
        ("rabbit.host", "\"mq1\""),
        ("rabbit.user", "\"u\""),
        ("rabbit.password_file", "\"/p\""),
        ("rabbit.durable", "true"),
        ("rabbit.exchange", "\"e\""),
        ("rabbit.topic", "\"t\""),
    ] {
        assert_eq!(shown(key), Some(format!("{value} (notify.toml)")), "{key}");
    }
    let port = "5672 (Glance's default of rabbit_port)";
    assert_eq!(shown("rabbit.port").as_deref(), Some(port));
    assert_eq!(shown("rabbit.password"), None);
}

/// A default that contradicts a value of another layer is left out. An error would name a key that no file has.
#[test]
fn the_defaults_of_glance_contradict_no_value_of_another_layer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    std::fs::write(&path, "[oslo_messaging_notifications]\ndriver = messagingv2\n").unwrap();
    let keys = |setting: &str| {
        let layers = Layers::new().file(&path).unwrap().set(setting).unwrap();
        let entries = layers.build().unwrap().entries();
        let of_rabbit = |entry: ConfigEntry| {
            let is_configured = entry.origin != "default";
            entry.key.strip_prefix("rabbit.").filter(|_| is_configured).map(str::to_owned)
        };
        entries.into_iter().filter_map(of_rabbit).collect::<Vec<_>>().join(" ")
    };
    for (setting, expected) in [
        ("rabbit.url=amqps://u:p@mq", "durable envelope exchange topic url"),
        (
            "rabbit.password_file=/p",
            "durable envelope exchange host password_file port topic user virtual_host",
        ),
        (
            "rabbit.queue_type=quorum",
            "envelope exchange host password port queue_type topic user virtual_host",
        ),
    ] {
        assert_eq!(keys(setting), expected, "{setting}");
    }
}

/// TLS alone names no broker: you are warned about the default address, and it replaces no value either.
#[test]
fn the_default_address_with_tls_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    let conf = "[oslo_messaging_notifications]\ndriver = messaging\ndriver = messagingv2\n\
                [oslo_messaging_rabbit]\nssl = true\n";
    std::fs::write(&path, conf).unwrap();
    let read = |toml: &str, setting: &str| {
        let layers = Layers::new().toml("notify.toml", toml).unwrap().file(&path).unwrap();
        let config = layers.set(setting).unwrap().build().unwrap();
        let entries = config.entries();
        let url = entries.iter().find(|entry| entry.key.ends_with("rabbit.url")).unwrap();
        let about_tls = |warning: &&String| warning.starts_with("`[oslo_messaging_rabbit] ssl` (");
        let warnings = config.warnings().iter().filter(about_tls);
        let texts = warnings.map(|warning| warning.split_once("): ").unwrap().1.to_owned());
        (url.value.clone(), texts.collect::<Vec<_>>().join("\n"))
    };
    let default = "no option names the broker, so Glance connects to localhost:5672 with TLS, as \
                   here: name it in `transport_url`";
    let ignored = "ignored: `rabbit.url` decides about TLS";
    for (toml, setting, url, warning) in [
        ("", "queue.max_messages=500", "amqps://***@localhost:5672/%2F", default),
        ("", "rabbit.url=amqps://u:p@mq", "amqps://***@mq", ""),
        ("rabbit.url = 'amqps://u:p@mq'", "queue.max_messages=500", "amqps://***@mq", ""),
        ("rabbit.url = 'amqp://u:p@mq'", "queue.max_messages=500", "amqp://***@mq", ignored),
    ] {
        let expected = (format!("\"{url}\""), warning.to_owned());
        assert_eq!(read(toml, setting), expected, "{toml} {setting}");
    }
}

/// A value of another layer replaces the default topic of several destinations too.
#[test]
fn the_default_topic_of_several_destinations_is_below_all_layers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    let conf = "[DEFAULT]\nlog_file = /n.log\n[oslo_messaging_notifications]\ndriver = log\n\
                driver = messaging\n";
    std::fs::write(&path, conf).unwrap();
    let layers = Layers::new().toml("notify.toml", "rabbit.topic = 'audit'").unwrap();
    let entries = layers.file(&path).unwrap().build().unwrap().entries();
    let topic = entries.iter().find(|entry| entry.key == "destination[1].rabbit.topic").unwrap();
    assert_eq!((topic.value.as_str(), topic.origin.as_str()), ("\"audit\"", "notify.toml"));
}

/// The error of a missing `log_file` names the option of the file, which has neither `log.file` nor tables of
/// destinations.
#[test]
#[cfg(feature = "log")]
fn a_missing_log_file_is_named_as_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    for (drivers, index) in [("driver = log\n", 0), ("driver = messagingv2\ndriver = log\n", 1)] {
        let url = "transport_url = rabbit://u:p@h/?ssl=1";
        let conf = format!("[DEFAULT]\n{url}\n[oslo_messaging_notifications]\n{drivers}");
        std::fs::write(&path, conf).unwrap();
        let layers = Layers::new().file(&path).unwrap();
        let open = |layers: Layers| {
            let config = layers.build().unwrap();
            let destination = config.destinations()[index];
            glance_notify::transport::open(destination.config()).map(drop)
        };
        let place = path.display();
        assert_eq!(
            open(layers.clone()).unwrap_err().to_string(),
            format!("`[DEFAULT] log_file` ({place}) is missing: name the file to append to")
        );
        for setting in ["log.file=/n.log", "log_file=/n.log", "log.target=stdout"] {
            open(layers.clone().set(setting).unwrap()).unwrap();
        }
    }
}

/// oslo.config reads variables over files. You are warned about those that would decide, by name alone.
#[test]
fn variables_of_oslo_config_are_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("glance-api.conf");
    std::fs::write(&path, "[DEFAULT]\nnotification_driver = noop\n").unwrap();
    let variables = [
        ("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER", "messagingv2"),
        ("OS_DEFAULT__TRANSPORT_URL", "rabbit://u:hunter2@h"),
        ("OS_DEFAULT__DEBUG", "true"),
        ("OS_USERNAME", "admin"),
        ("OS_default__transport_url", "rabbit://h"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let layers = Layers::new().variables(variables).unwrap();
    assert_eq!(layers.clone().build().unwrap().warnings(), [""; 0]);
    let config = layers.file(&path).unwrap().build().unwrap();
    let warning = |variable: &str, option: &str| {
        format!(
            "the environment variable {variable} is ignored, though oslo.config reads such variables \
             over the files: set `{option}` in a file"
        )
    };
    assert_eq!(
        config.warnings()[1..],
        [
            warning(
                "OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER",
                "[oslo_messaging_notifications] driver"
            ),
            warning("OS_DEFAULT__TRANSPORT_URL", "transport_url"),
        ]
    );
}

/// Unsupported and invalid options are errors that never repeat the value.
#[test]
fn rejects_invalid_and_unsupported_values_without_repeating_them() {
    for (text, expected) in [
        (
            "[DEFAULT]\nnotifier_strategy = rabbit\nrabbit_port = hunter2",
            "`rabbit_port` (glance-api.conf, line 3): expected a whole number from 0 to 65535",
        ),
        (
            "[DEFAULT]\nnotifier_strategy = rabbit\nrabbit_durable_queues = hunter2",
            "`rabbit_durable_queues` (glance-api.conf, line 3): expected true or false",
        ),
        (
            "[DEFAULT]\nnotifier_strategy = qpid\nqpid_protocol = hunter2",
            "`qpid_protocol` (glance-api.conf, line 3): expected ssl, tcp, true or false",
        ),
        (
            "[DEFAULT]\nnotifier_strategy = rabbit\nrabbit_password = a$hunter2",
            "glance-api.conf, line 3: a `$` references an option that this file does not set: set it, \
             or write `$$` for a dollar sign",
        ),
        ("[DEFAULT]\nhunter2", "glance-api.conf, line 2: expected `key = value`"),
        (
            "[oslo_messaging_notifications]\ndriver = routing",
            "`[oslo_messaging_notifications] driver` (glance-api.conf, line 2): unsupported driver: \
             expected messaging, messagingv2, log or noop, and nothing behind it",
        ),
        (
            "[DEFAULT]\nnotifier_strategy = rabbit\ntransport_url = kafka://u:hunter2@h",
            "`transport_url` (glance-api.conf, line 3): unsupported scheme: expected a URL that \
             begins with rabbit://, qpid:// or amqp://",
        ),
        (
            "[DEFAULT]\nnotifier_strategy = rabbit\ntransport_url = hunter2",
            "`transport_url` (glance-api.conf, line 3): expected a URL that begins with rabbit://",
        ),
        (
            "[DEFAULT]\nnotifier_strategy = rabbit\ntransport_url = rabbit://u:hunter2@h/?heartbeat=1",
            "`transport_url` (glance-api.conf, line 3): unsupported parameter: expected options of \
             the driver, as `ssl` or `ssl_ca_file`",
        ),
    ] {
        assert_eq!(error_message(text), expected);
    }
}
