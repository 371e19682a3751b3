//! `docs/rabbitmq.md` and `docs/brokers.md` agree with the code: every key, default and example.

use std::collections::BTreeMap;

use glance_notify::Config;
use glance_notify::transport::{open, qpid, rabbit};
use notify_net::BrokerAnswer;

/// The tables list the keys that the strategies accept, and no others.
#[test]
fn the_tables_list_every_key() {
    for page in [RABBIT, QPID] {
        let BrokerPage { strategy, .. } = page;
        let config = format!("strategy = '{strategy}'\n{strategy}.zzz = 1").parse().unwrap();
        let error = open(&config).unwrap_err().to_string();
        let (_, keys) = error.split_once("unknown option, expected ").unwrap();
        let mut keys: Vec<_> = keys.split('"').skip(1).step_by(2).collect();
        keys.sort_unstable();
        assert_eq!(page.defaults().into_keys().collect::<Vec<_>>(), keys);
    }
}

/// The table shows the defaults of the code.
#[test]
fn the_table_shows_every_default_of_rabbit() {
    let default = rabbit::Config::default();
    RABBIT.assert_defaults(&[
        ("host", default.endpoint.hosts[0].name.clone()),
        ("port", default.endpoint.hosts[0].port.to_string()),
        ("virtual_host", default.endpoint.virtual_host.clone().unwrap_or("/".into())),
        ("sasl_mechanism", format!("{:?}", default.endpoint.sasl_mechanism[0])),
        ("exchange", default.exchange.clone()),
        ("topic", default.topic.clone()),
        ("durable", default.durable.to_string()),
        ("queue_type", format!("{:?}", default.queue_type)),
        ("declare", format!("{:?}", default.declare)),
        ("on_mismatch", format!("{:?}", default.on_mismatch)),
        ("envelope", format!("{:?}", default.envelope)),
        ("window", default.window.to_string()),
        ("connect_timeout", default.endpoint.connect_timeout.as_secs().to_string()),
        ("confirm_timeout", default.confirm_timeout.as_secs().to_string()),
        ("heartbeat", default.endpoint.heartbeat.to_string()),
        ("refuse_unroutable_after", default.refuse_unroutable_after.as_secs().to_string()),
        ("backlog_warning", default.backlog_warning.to_string()),
    ]);
    assert!(RABBIT.defaults()["user"].contains(default.endpoint.user.as_deref().unwrap()));
}

/// The table shows the defaults of the code.
#[test]
fn the_table_shows_every_default_of_qpid() {
    let default = qpid::Config::default();
    QPID.assert_defaults(&[
        ("host", default.endpoint.hosts[0].name.clone()),
        ("port", default.endpoint.hosts[0].port.to_string()),
        ("exchange", default.exchange.clone()),
        ("topic", default.topic.clone()),
        ("node", format!("{:?}", default.node)),
        ("dialect", format!("{:?}", default.dialect)),
        ("envelope", format!("{:?}", default.envelope)),
        ("window", default.window.to_string()),
        ("connect_timeout", default.endpoint.connect_timeout.as_secs().to_string()),
        ("confirm_timeout", default.confirm_timeout.as_secs().to_string()),
        ("heartbeat", default.endpoint.heartbeat.to_string()),
        ("refuse_unroutable_after", default.refuse_unroutable_after.as_secs().to_string()),
    ]);
}

/// The table of verdicts in `docs/reliability.md` is that of the code.
#[test]
fn the_table_of_verdicts_is_that_of_the_code() {
    let text = include_str!("../../../docs/reliability.md");
    let (_, table) = text.split_once("## Verdicts").unwrap();
    let rows: Vec<[&str; 2]> = table
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            [cells.next().unwrap(), cells.next().unwrap()]
        })
        .collect();
    assert_eq!(rows, BrokerAnswer::ALL.map(BrokerAnswer::row));
}

/// Each word in the row of `qpid.dialect` selects a dialect.
#[test]
fn the_table_lists_accepted_dialects() {
    let row = QPID.text.lines().find(|line| line.starts_with("| `qpid.dialect`")).unwrap();
    let words: Vec<_> =
        row.split("`\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(words.len() >= 6, "{words:?}");
    for word in words {
        let config: Config = format!("strategy = 'qpid'\nqpid.dialect = '{word}'").parse().unwrap();
        let opened = open(&config);
        assert!(opened.is_ok(), "{word}: {opened:?}");
    }
}

/// Each example opens its strategy.
#[test]
fn every_example_opens_the_strategy() {
    for (page, count) in [(RABBIT, 4), (QPID, 1)] {
        let examples: Vec<_> = page.text.split("```toml\n").skip(1).collect();
        assert_eq!(examples.len(), count, "{}", page.strategy);
        for example in examples {
            let config: Config = example.split("```").next().unwrap().parse().unwrap();
            assert_eq!(open(&config).unwrap().name(), page.strategy);
        }
    }
}

/// The reference page of a strategy.
#[derive(Clone, Copy)]
struct BrokerPage {
    strategy: &'static str,
    text: &'static str,
}

impl BrokerPage {
    /// Returns the table of options: each key with its default.
    fn defaults(self) -> BTreeMap<&'static str, &'static str> {
        let start = format!("| `{}.", self.strategy);
        let rows = self.text.lines().filter_map(|line| {
            let cells: Vec<_> = line.strip_prefix(&start)?.splitn(4, " | ").collect();
            Some((cells[0].strip_suffix('`')?, cells[2].trim_matches(['`', '"'])))
        });
        rows.collect()
    }

    /// Panics unless the table shows these defaults. Words may differ in case from the variants that
    /// `Debug` prints.
    fn assert_defaults(self, expected: &[(&str, String)]) {
        let defaults = self.defaults();
        for (key, value) in expected {
            assert_eq!(defaults[key].to_lowercase(), value.to_lowercase(), "{key}");
        }
    }
}

const RABBIT: BrokerPage =
    BrokerPage { strategy: "rabbit", text: include_str!("../../../docs/rabbitmq.md") };
const QPID: BrokerPage =
    BrokerPage { strategy: "qpid", text: include_str!("../../../docs/brokers.md") };
