//! Our resolution of files, in the form in which the Python program reports OpenStack's.

use std::collections::BTreeMap;
use std::path::Path;

use glance_notify::config::{Config, Layers};
use glance_notify::transport::{qpid, rabbit};
use glance_notify::{Error, Result};
use serde_json::{Value, json};

/// A destination, field by field. Absent fields do not apply to the strategy.
pub(crate) type Destination = BTreeMap<String, Value>;

/// Our reading of files: the destination or the refusal, and the warnings.
pub(crate) struct FileReport {
    pub(crate) destination: Result<Destination, Error>,
    pub(crate) warnings: Vec<String>,
}

impl FileReport {
    /// Reads the files as `glance-notify -c FILE -c FILE` does.
    pub(crate) fn of(files: &[&Path]) -> Self {
        let layers = files.iter().try_fold(Layers::new(), Layers::file);
        match layers.and_then(Layers::build) {
            Ok(config) => {
                Self { warnings: config.warnings().to_vec(), destination: destination(&config) }
            }
            Err(error) => Self { warnings: Vec::new(), destination: Err(error) },
        }
    }
}

/// Returns the destination of a configuration that opens.
///
/// Several destinations are one: a broker with all their topics, beside other strategies.
fn destination(config: &Config) -> Result<Destination> {
    let mut destinations =
        config.destinations().into_iter().map(|one| one_destination(one.config()));
    let mut merged = destinations.next().unwrap()?;
    for other in destinations {
        for (field, value) in other? {
            let known = merged.entry(field).or_insert(Value::Null);
            *known = match (known.take(), value) {
                (Value::Null, value) => value,
                (Value::Array(known), Value::Array(more)) if known != more => {
                    known.into_iter().chain(more).collect()
                }
                (known, value) if known == value => known,
                (known, value) => json!([known, value]),
            };
        }
    }
    Ok(merged)
}

/// Returns one destination of a configuration that opens.
fn one_destination(config: &Config) -> Result<Destination> {
    glance_notify::transport::open(config)?;
    let strategy = config.strategy();
    let mut fields = match strategy {
        "rabbit" => rabbit(&rabbit::Config::from_options(config.options("rabbit"))?),
        "qpid" => qpid(&qpid::Config::from_options(config.options("qpid"))?, config),
        "log" => log(config),
        _ => json!({}),
    };
    fields["strategy"] = strategy.into();
    if strategy != "noop" {
        fields["publisher_id"] = config.publisher_id().unwrap_or("the host name").into();
    }
    Ok(serde_json::from_value(fields).unwrap())
}

fn rabbit(config: &rabbit::Config) -> Value {
    let mut fields = endpoint(&config.endpoint);
    fields["exchange"] = config.exchange.as_str().into();
    fields["topics"] = json!([config.topic]);
    fields["envelope"] = json!(config.envelope);
    fields["durable"] = config.durable.into();
    fields["quorum"] = (config.queue_type == rabbit::QueueType::Quorum).into();
    fields
}

fn qpid(config: &qpid::Config, options: &Config) -> Value {
    let mut fields = endpoint(&config.endpoint);
    fields["exchange"] = config.exchange.as_str().into();
    fields["topics"] = json!([config.topic]);
    fields["envelope"] = json!(config.envelope);
    fields["sasl_mechanisms"] = entry(options, "qpid.sasl_mechanism");
    fields
}

fn endpoint(endpoint: &rabbit::Endpoint) -> Value {
    let tls = endpoint.tls.as_ref();
    let mut hosts: Vec<_> = endpoint.hosts.iter().map(ToString::to_string).collect();
    hosts.sort();
    let password = match &endpoint.password {
        Some(rabbit::Password::Inline(secret)) => secret.expose().into(),
        _ => Value::Null,
    };
    json!({
        "hosts": hosts,
        "user": endpoint.user,
        "password": password,
        "virtual_host": endpoint.virtual_host,
        "tls": tls.is_some(),
        "ca_file": tls.and_then(|tls| tls.ca_file.as_ref()),
        "cert_file": tls.and_then(|tls| tls.cert_file.as_ref()),
        "key_file": tls.and_then(|tls| tls.key_file.as_ref()),
    })
}

fn log(config: &Config) -> Value {
    let path = entry(config, "log.file");
    json!({ "log_file": path.as_str().map(|path| std::path::absolute(path).unwrap()) })
}

/// Returns the configured value of a key, or null.
fn entry(config: &Config, key: &str) -> Value {
    let entries = config.entries();
    let entry = entries.iter().find(|entry| entry.key == key && entry.origin != "default");
    entry.map_or(Value::Null, |entry| serde_json::from_str(&entry.value).unwrap())
}
