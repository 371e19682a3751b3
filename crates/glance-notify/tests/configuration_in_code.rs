//! A configuration that a program builds: every option, and the same checks as for a file.

#![cfg(all(
    feature = "listen",
    feature = "log",
    feature = "qpid",
    feature = "rabbit",
    feature = "spool"
))]
#![expect(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "a test may panic, and the helpers return what the fields take"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use glance_notify::Config;
use glance_notify::codec::PayloadStyle;
use glance_notify::config::{
    CompatPreset, ConfigKey, ConfigTable, DestinationTable, Layers, Redact, Seconds,
};
use glance_notify::event::Priority;
use glance_notify::listen::{
    LineForm, RabbitSourceConfig, SourceConfig, SourceQueue, StreamPosition, StreamStart,
};
use glance_notify::pipeline::Overflow;
use glance_notify::transport::log::{LineEnvelope, LogTable, LogTarget};
use glance_notify::transport::qpid::{self, Dialect, Node, QpidTable};
use glance_notify::transport::rabbit::{
    self, DeclareMode, Envelope, MismatchPolicy, QueueType, RabbitTable, SaslMechanism,
    SaslMechanismList, Secret,
};
use glance_notify::transport::spool::{CorruptSlotPolicy, FullSpoolPolicy, SpoolTable};

/// An option of a destination: its key, its value in a file, and how a program sets it.
type OptionCase = (&'static str, &'static str, fn(&mut ConfigTable));

/// A source: the keys that a table sets, the table, and the same source in code.
type SourceCase = (&'static [&'static str], &'static str, fn() -> SourceConfig);

/// Every documented option can be set in code, and has the effect that it has in a file.
#[test]
fn every_documented_option_can_be_set_in_code() {
    let mut tested = BTreeSet::new();
    for (name, value, set) in OPTIONS {
        let mut table = ConfigTable::default();
        set(&mut table);
        let in_code = table.build();
        let from_text = Layers::new().toml("the program", &text(name, value)).unwrap().build();
        let key = name.replace("destination.", "destination[0].").replace("log_file", "log.file");
        let in_code = in_code.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(effective(&in_code).contains(&format!("{key} from the program")), "{name}");
        assert_eq!(effective(&in_code), effective(&from_text.unwrap()), "{name}");
        tested.insert(*name);
    }
    for (names, toml, in_code) in SOURCES {
        let config: Config = format!("[[source]]\n{toml}").parse().unwrap();
        assert_eq!(
            format!("{:?}", config.sources().unwrap()),
            format!("{:?}", [in_code()]),
            "{toml}"
        );
        tested.extend(*names);
    }
    let documented: BTreeSet<_> = ConfigKey::all().map(|key| key.name).collect();
    assert_eq!(tested, documented);
}

/// A mistake in code has the words that it has in a file.
#[test]
fn mistakes_have_the_words_of_a_file() {
    let mut table = ConfigTable::from(RabbitTable::default());
    table.delivery.queue.max_age = Some(Duration::ZERO.into());
    assert_eq!(
        table.build().unwrap_err().to_string(),
        "`queue.max_age` (the program): expected a number of seconds above 0 and at most 31622400, \
         found a number out of range"
    );
    let mut rabbit = RabbitTable::default();
    (rabbit.window, rabbit.password) = (Some(0), Some(Secret::new("hunter2")));
    let config = ConfigTable::from(rabbit).build().unwrap();
    let error = glance_notify::start(&config).unwrap_err();
    let error = format!("{error:#} {error:?}");
    assert!(error.contains("no user: set `rabbit.user`") && !error.contains("hunter2"), "{error}");
    let mut table = ConfigTable::from(LogTable::default());
    table.destinations.push(DestinationTable::new("a", LogTable::default()));
    assert_eq!(
        table.build().unwrap_err().to_string(),
        "`strategy` (the program) and `[[destination]]` contradict each other: remove one of them"
    );
}

/// An operator overrides the defaults that a program builds.
#[test]
fn a_file_overrides_a_configuration_in_code() {
    let mut table = ConfigTable::from(RabbitTable::default());
    table.delivery.queue.max_messages = Some(7);
    let layers = Layers::new().table("defaults", table.into_values().unwrap()).unwrap();
    let config = layers.toml("a.toml", "strategy = 'log'\nlog_file = 'x'").unwrap().build();
    let config = config.unwrap();
    assert_eq!(config.strategy(), "log");
    assert!(effective(&config).contains(&"queue.max_messages from defaults".to_owned()));
}

/// No secret leaves by `Debug` or `Serialize`.
#[test]
fn tables_show_no_secret() {
    let mut rabbit = RabbitTable::default();
    rabbit.url = Some("amqp://u:hunter2@h".parse().unwrap());
    rabbit.password = Some(Secret::new("hunter2"));
    let mut qpid = QpidTable::default();
    (qpid.url, qpid.password) = (rabbit.url.clone(), rabbit.password.clone());
    let json = serde_json::to_string(&(&rabbit, &qpid)).unwrap();
    let table = ConfigTable::from(rabbit);
    let shown = format!("{json} {qpid:?} {table:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// Returns a file with one option, and what that option needs around it.
fn text(name: &str, value: &str) -> String {
    let (table, key) = name.split_once('.').unwrap_or(("", name));
    match table {
        "" if key == "log_file" => format!("strategy = 'log'\n{key} = {value}"),
        "" => format!("{key} = {value}"),
        "log" | "rabbit" | "qpid" => format!("strategy = '{table}'\n{table}.{key} = {value}"),
        "destination" => {
            let around = ["name = 'a'\n", "strategy = 'log'\n"];
            let around = around.into_iter().filter(|line| !line.starts_with(key));
            format!("[[destination]]\n{}{key} = {value}", around.collect::<String>())
        }
        _ => format!("{name} = {value}"),
    }
}

/// Returns everything that a configuration sets: its keys, its warnings, and the options of its transport
/// with their secrets.
fn effective(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in config.entries() {
        lines.push(format!("{} = {}", entry.key, entry.value));
        if entry.origin != "default" {
            lines.push(format!("{} from {}", entry.key, entry.origin));
        }
    }
    lines.extend(config.warnings().iter().cloned());
    let rabbit = rabbit::Config::from_options(config.options("rabbit"));
    let qpid = qpid::Config::from_options(config.options("qpid"));
    let rabbit = rabbit.map(|config| (format!("{config:?}"), config.endpoint.password));
    let qpid = qpid.map(|config| (format!("{config:?}"), config.endpoint.password));
    for options in [rabbit, qpid] {
        lines.push(match options {
            Ok((shown, Some(rabbit::Password::Inline(secret)))) => {
                format!("{shown} with {}", secret.expose())
            }
            Ok((shown, _)) => shown,
            Err(error) => error.to_string(),
        });
    }
    lines.extend([
        format!("{:?}", config.spool().map_err(|error| error.to_string())),
        format!("{:?}", config.archive_dir()),
        format!("{:?}", glance_notify::listen::dead_letters(config)),
        format!("{:?}", glance_notify::listen::listener_config(config)),
    ]);
    lines
}

/// Selects `log` and returns its table.
fn log(table: &mut ConfigTable) -> &mut LogTable {
    table.delivery.strategy = Some("log".to_owned());
    table.delivery.log.get_or_insert_default()
}

/// Selects `rabbit` and returns its table.
fn rabbit(table: &mut ConfigTable) -> &mut RabbitTable {
    table.delivery.strategy = Some("rabbit".to_owned());
    table.delivery.rabbit.get_or_insert_default()
}

/// Selects `qpid` and returns its table.
fn qpid(table: &mut ConfigTable) -> &mut QpidTable {
    table.delivery.strategy = Some("qpid".to_owned());
    table.delivery.qpid.get_or_insert_default()
}

/// Returns the table of the spool.
fn spool(table: &mut ConfigTable) -> &mut SpoolTable {
    table.delivery.spool.get_or_insert_default()
}

/// Returns the only destination, called `a`.
fn destination(table: &mut ConfigTable) -> &mut DestinationTable {
    let mut delivery = glance_notify::config::DeliveryTable::default();
    delivery.strategy = Some("log".to_owned());
    table.destinations = vec![DestinationTable::new("a", delivery)];
    table.destinations.last_mut().unwrap()
}

/// Returns the only mechanism `PLAIN`.
fn plain() -> Option<SaslMechanismList> {
    Some(SaslMechanismList(vec![SaslMechanism::Plain]))
}

/// Returns a text.
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Returns a duration of seconds.
fn secs(seconds: u64) -> Option<Seconds> {
    Some(Seconds::new(seconds))
}

/// Returns a source on the broker of `url`.
fn broker(change: impl FnOnce(&mut RabbitSourceConfig)) -> SourceConfig {
    let mut config = RabbitSourceConfig::default();
    change(&mut config);
    SourceConfig::rabbit(config)
}

/// Every option that a destination has, or all destinations together.
const OPTIONS: &[OptionCase] = &[
    ("strategy", "'log'", |t| t.delivery.strategy = some("log")),
    ("publisher_id", "'a'", |t| t.publisher_id = some("a")),
    ("disabled_notifications", "['task']", |t| {
        t.delivery.disabled_notifications = Some(vec!["task".into()]);
    }),
    ("payloads", "'glance'", |t| t.delivery.payloads = Some(PayloadStyle::Glance)),
    ("redact", "'strict'", |t| t.delivery.redact = Some(Redact::Strict)),
    ("compat", "'openstack'", |t| t.delivery.compat = Some(CompatPreset::Openstack)),
    ("log_file", "'/x'", |t| log(t).file = some("/x")),
    ("queue.max_messages", "7", |t| t.delivery.queue.max_messages = Some(7)),
    ("queue.max_bytes", "7000000", |t| t.delivery.queue.max_bytes = Some(7_000_000)),
    ("queue.overflow", "'drop_oldest'", |t| {
        t.delivery.queue.overflow = Some(Overflow::DropOldest);
    }),
    ("queue.max_age", "7", |t| t.delivery.queue.max_age = secs(7)),
    ("queue.batch_messages", "7", |t| t.delivery.queue.batch_messages = Some(7)),
    ("queue.batch_bytes", "7", |t| t.delivery.queue.batch_bytes = Some(7)),
    ("queue.attempt_timeout", "7", |t| t.delivery.queue.attempt_timeout = secs(7)),
    ("queue.send_timeout", "7", |t| t.delivery.queue.send_timeout = secs(7)),
    ("queue.drain_timeout", "0.5", |t| {
        t.delivery.queue.drain_timeout = Some(Duration::from_millis(500).into());
    }),
    ("spool.dir", "'/x'", |t| spool(t).dir = some("/x")),
    ("spool.max_bytes", "7000000", |t| spool(t).max_bytes = Some(7_000_000)),
    ("spool.max_messages", "7", |t| spool(t).max_messages = Some(7)),
    ("spool.when_full", "'refuse'", |t| spool(t).when_full = Some(FullSpoolPolicy::Refuse)),
    ("spool.on_corrupt", "'quarantine'", |t| {
        spool(t).on_corrupt = Some(CorruptSlotPolicy::Quarantine);
    }),
    ("log.file", "'/x'", |t| log(t).file = some("/x")),
    ("log.target", "'tracing'", |t| log(t).target = Some(LogTarget::Tracing)),
    ("log.sync", "false", |t| log(t).sync = Some(false)),
    ("log.envelope", "'cloudevents'", |t| {
        log(t).envelope = Some(LineEnvelope::CloudEvents);
    }),
    ("rabbit.url", "'amqps://u:p%2F@a,[::1]:7/v%20w?heartbeat=5'", |t| {
        rabbit(t).url = "amqps://u:p%2F@a,[::1]:7/v%20w?heartbeat=5".parse().ok();
    }),
    ("rabbit.host", "'h'", |t| rabbit(t).host = some("h")),
    ("rabbit.port", "7", |t| rabbit(t).port = Some(7)),
    ("rabbit.user", "'u'", |t| rabbit(t).user = some("u")),
    ("rabbit.password", "'p'", |t| rabbit(t).password = Some(Secret::new("p"))),
    ("rabbit.password_file", "'/p'", |t| rabbit(t).password_file = Some("/p".into())),
    ("rabbit.virtual_host", "'v'", |t| rabbit(t).virtual_host = some("v")),
    ("rabbit.ca_file", "'/c'", |t| rabbit(t).ca_file = Some("/c".into())),
    ("rabbit.cert_file", "'/c'", |t| rabbit(t).cert_file = Some("/c".into())),
    ("rabbit.key_file", "'/k'", |t| rabbit(t).key_file = Some("/k".into())),
    ("rabbit.sasl_mechanism", "['PLAIN']", |t| rabbit(t).sasl_mechanism = plain()),
    ("rabbit.exchange", "'e'", |t| rabbit(t).exchange = some("e")),
    ("rabbit.topic", "'t'", |t| rabbit(t).topic = some("t")),
    ("rabbit.durable", "false", |t| rabbit(t).durable = Some(false)),
    ("rabbit.queue_type", "'quorum'", |t| rabbit(t).queue_type = Some(QueueType::Quorum)),
    ("rabbit.declare", "'no'", |t| rabbit(t).declare = Some(DeclareMode::No)),
    ("rabbit.on_mismatch", "'refuse'", |t| {
        rabbit(t).on_mismatch = Some(MismatchPolicy::Refuse);
    }),
    ("rabbit.envelope", "'oslo-2.0'", |t| rabbit(t).envelope = Some(Envelope::Oslo2)),
    ("rabbit.window", "7", |t| rabbit(t).window = Some(7)),
    ("rabbit.connect_timeout", "7", |t| rabbit(t).connect_timeout = secs(7)),
    ("rabbit.refuse_unroutable_after", "7", |t| rabbit(t).refuse_unroutable_after = secs(7)),
    ("rabbit.confirm_timeout", "7", |t| rabbit(t).confirm_timeout = secs(7)),
    ("rabbit.heartbeat", "7", |t| rabbit(t).heartbeat = Some(7)),
    ("rabbit.backlog_warning", "7", |t| rabbit(t).backlog_warning = Some(7)),
    ("qpid.url", "'amqp://u:p@a'", |t| qpid(t).url = "amqp://u:p@a".parse().ok()),
    ("qpid.host", "'h'", |t| qpid(t).host = some("h")),
    ("qpid.port", "7", |t| qpid(t).port = Some(7)),
    ("qpid.user", "'u'", |t| qpid(t).user = some("u")),
    ("qpid.password", "'p'", |t| qpid(t).password = Some(Secret::new("p"))),
    ("qpid.password_file", "'/p'", |t| qpid(t).password_file = Some("/p".into())),
    ("qpid.virtual_host", "'v'", |t| qpid(t).virtual_host = some("v")),
    ("qpid.ca_file", "'/c'", |t| qpid(t).ca_file = Some("/c".into())),
    ("qpid.cert_file", "'/c'", |t| qpid(t).cert_file = Some("/c".into())),
    ("qpid.key_file", "'/k'", |t| qpid(t).key_file = Some("/k".into())),
    ("qpid.sasl_mechanism", "['PLAIN']", |t| qpid(t).sasl_mechanism = plain()),
    ("qpid.node", "'topic'", |t| qpid(t).node = Some(Node::Topic)),
    ("qpid.dialect", "'plain'", |t| qpid(t).dialect = Some(Dialect::Plain)),
    ("qpid.address", "'{topic}/{priority}'", |t| {
        qpid(t).address = "{topic}/{priority}".parse().ok();
    }),
    ("qpid.exchange", "'e'", |t| qpid(t).exchange = some("e")),
    ("qpid.topic", "'t'", |t| qpid(t).topic = some("t")),
    ("qpid.envelope", "'oslo-2.0'", |t| qpid(t).envelope = Some(Envelope::Oslo2)),
    ("qpid.window", "7", |t| qpid(t).window = Some(7)),
    ("qpid.connect_timeout", "7", |t| qpid(t).connect_timeout = secs(7)),
    ("qpid.refuse_unroutable_after", "7", |t| qpid(t).refuse_unroutable_after = secs(7)),
    ("qpid.confirm_timeout", "7", |t| qpid(t).confirm_timeout = secs(7)),
    ("qpid.heartbeat", "7", |t| qpid(t).heartbeat = Some(7)),
    ("destination.name", "'b'", |t| destination(t).name = "b".into()),
    ("destination.strategy", "'noop'", |t| destination(t).delivery.strategy = some("noop")),
    ("destination.required", "false", |t| destination(t).required = Some(false)),
    ("destination.events", "['image.*']", |t| {
        destination(t).events = vec!["image.*".parse().unwrap()];
    }),
    ("destination.priorities", "['error']", |t| {
        destination(t).priorities = vec![Priority::Error];
    }),
    ("listener.prefetch", "7", |t| t.listener.prefetch = Some(7)),
    ("listener.attempts", "7", |t| t.listener.attempts = Some(7)),
    ("listener.max_message_bytes", "7", |t| t.listener.max_message_bytes = Some(7)),
    ("listener.dead_letters", "'/d'", |t| t.listener.dead_letters = Some("/d".into())),
    ("listener.max_dead_letter_bytes", "7", |t| t.listener.max_dead_letter_bytes = Some(7)),
    ("archive.dir", "'/a'", |t| t.archive.dir = Some("/a".into())),
];

/// Sources that have every key together.
const SOURCES: &[SourceCase] = &[
    (
        &[
            "source.name",
            "source.region",
            "source.file",
            "source.checkpoint",
            "source.start",
            "source.form",
        ],
        "name = 'n'\nregion = 'r'\nfile = '/f'\ncheckpoint = '/c'\nstart = 'end'\nform = 'json'",
        || {
            let source = SourceConfig::file("/f").named("n").in_region("r").checkpoint("/c");
            source.from_end(true).form(LineForm::Json)
        },
    ),
    (
        &["source.url", "source.exchanges", "source.topics", "source.max_queue_bytes"],
        "url = 'amqp://localhost/v'\nexchanges = ['e']\ntopics = ['t']\nmax_queue_bytes = 7",
        || {
            broker(|config| {
                config.endpoint.virtual_host = some("v");
                config.exchanges = vec!["e".to_owned()];
                config.topics = vec!["t".to_owned()];
                config.max_queue_bytes = Some(7);
            })
        },
    ),
    (
        &["source.queue", "source.queue_type", "source.max_age", "source.start"],
        "host = 'localhost'\nqueue = 'q'\nqueue_type = 'stream'\nmax_age = 60\nstart = 'first'",
        || {
            let position = StreamPosition { start: StreamStart::First, checkpoint: None };
            broker(|config| {
                let (name, max_age) = ("q".to_owned(), Duration::from_secs(60));
                config.queue = SourceQueue::Stream { name, max_age, position };
            })
        },
    ),
    (&["source.pool", "source.durable"], "host = 'localhost'\npool = 'p'\ndurable = false", || {
        broker(|config| {
            let (name, queue_type) = ("p".to_owned(), QueueType::Classic);
            config.queue = SourceQueue::Pool { name, queue_type, durable: false };
        })
    }),
    (
        &["source.management_url"],
        "host = 'localhost'\nmanagement_url = 'https://u:p@localhost'",
        || broker(|config| config.management_url = Some(Secret::new("https://u:p@localhost"))),
    ),
    (&["source.consume"], "host = 'localhost'\nconsume = ['q']", || {
        broker(|config| config.queue = SourceQueue::Shared { queues: vec!["q".to_owned()] })
    }),
];
