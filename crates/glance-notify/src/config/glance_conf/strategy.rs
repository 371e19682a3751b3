//! The choice of the strategy: Glance's `notifier_strategy`, oslo.messaging's drivers, and the protocol of
//! the broker.

use notify_core::Result;

use super::conf_files::{ConfFiles, ConfOption};
use super::options::{
    AMQP, BrokerOptions, DRIVER, NOTIFICATION_URL, NOTIFIER_STRATEGY, QPID, RABBIT, RPC_BACKEND,
    TRANSPORT_URL,
};
use super::transport_url::TransportUrl;
use crate::strategies;

/// The strategy that files select.
pub(super) struct StrategyChoice {
    pub(super) strategy: &'static str,
    /// The option that selects it, or `None` if no option does.
    pub(super) option: Option<ConfOption>,
    /// The envelope of oslo.messaging's driver.
    pub(super) envelope: Option<&'static str>,
    /// Whether `notifier_strategy` selects it.
    pub(super) by_glance: bool,
}

/// The broker that files name: its protocol, and the URL if there is one.
pub(super) struct BrokerChoice {
    pub(super) options: &'static BrokerOptions,
    pub(super) url: Option<(TransportUrl, ConfOption)>,
}

impl StrategyChoice {
    /// Reads `notifier_strategy`, and oslo.messaging's drivers if it is absent or `default`. Returns at least
    /// one choice, and several for several drivers.
    ///
    /// Every Glance that reads `driver` ignores `notifier_strategy`. Adds a warning if a file has both.
    ///
    /// `rabbit` stands for every broker until [`BrokerChoice`] is known.
    pub(super) fn read_all(files: &ConfFiles, warnings: &mut Vec<String>) -> Result<Vec<Self>> {
        let glance = files.first(NOTIFIER_STRATEGY)?.filter(|option| option.value != "default");
        let has_driver = |names| -> Result<bool> {
            Ok(files.all(names)?.iter().any(|option| !option.value.is_empty()))
        };
        if let Some(option) = &glance
            && has_driver(&DRIVER[..1])?
        {
            warnings.push(option.describe(
                "ignored, as Glance ignores it since 2014.2: `driver` decides: remove it",
            ));
        } else if let Some(option) = glance {
            if has_driver(&DRIVER[1..])? {
                warnings.push(option.describe(
                    "overrides `notification_driver`, which decides since Glance 2014.2: remove one",
                ));
            }
            let class = CLASSES.iter().find(|(class, _)| *class == option.value);
            let name = class.map_or(option.value.as_str(), |(_, name)| name);
            let Some(strategy) = strategies::canonical_name(name) else {
                return Err(option.refuse(
                    "unknown strategy: expected logging, rabbit, qpid, noop, default, or Glance's \
                     class for one of them",
                ));
            };
            let option = Some(option);
            return Ok(vec![Self { strategy, option, envelope: None, by_glance: true }]);
        }
        let mut choices: Vec<Self> = Vec::new();
        for option in files.all(DRIVER)? {
            let (strategy, envelope) = match option.value.as_str() {
                "" => continue,
                "noop" | "noops" => ("noop", None),
                "log" => ("log", None),
                "messaging" => ("rabbit", Some("bare")),
                "messagingv2" => ("rabbit", Some("oslo-2.0")),
                _ => {
                    return Err(option.refuse(
                        "unsupported driver: expected messaging, messagingv2, log or noop, and \
                         nothing behind it",
                    ));
                }
            };
            // `noop` beside another driver has no effect, and a driver counts once.
            let is_known = |it: &Self| (it.strategy, it.envelope) == (strategy, envelope);
            if strategy == "noop" && !choices.is_empty() || choices.iter().any(is_known) {
                continue;
            }
            choices.retain(|choice| choice.strategy != "noop");
            choices.push(Self { strategy, option: Some(option), envelope, by_glance: false });
        }
        if choices.is_empty() {
            choices.push(Self { strategy: "noop", option: None, envelope: None, by_glance: false });
        }
        Ok(choices)
    }
}

impl BrokerChoice {
    /// Reads the URL of the broker. Without one, `rpc_backend` decides, unless Glance's own strategy
    /// names the protocol.
    pub(super) fn read(files: &ConfFiles, choice: &StrategyChoice) -> Result<Self> {
        let url = match files.first(NOTIFICATION_URL)? {
            Some(option) => Some(option),
            None => files.first(TRANSPORT_URL)?,
        };
        if let Some(option) = url {
            let mut url = TransportUrl::parse(&option)?;
            let options = url_protocol(&mut url, &option)?;
            return Ok(Self { options, url: Some((url, option)) });
        }
        let options = match files.first(RPC_BACKEND)? {
            _ if choice.by_glance && choice.strategy == "qpid" => &QPID,
            Some(option) if !choice.by_glance => {
                // Long names are modules: `glance.openstack.common.rpc.impl_kombu`.
                let name = option.value.rsplit('.').next().unwrap_or_default();
                let Some(options) = protocol(name.strip_prefix("impl_").unwrap_or(name)) else {
                    return Err(
                        option.refuse("unsupported protocol: expected rabbit, qpid or amqp")
                    );
                };
                options
            }
            _ => &RABBIT,
        };
        Ok(Self { options, url: None })
    }
}

/// Returns the options for the protocol of a strategy.
pub(super) fn of_strategy(strategy: &str) -> &'static BrokerOptions {
    if strategy == QPID.strategy { &QPID } else { &RABBIT }
}

/// Returns the options for the scheme of a URL.
///
/// A scheme such as `kombu+amqp` names a transport of kombu, the library below oslo.messaging's driver for
/// RabbitMQ.
fn url_protocol(url: &mut TransportUrl, option: &ConfOption) -> Result<&'static BrokerOptions> {
    let Some(transport) = url.scheme.strip_prefix("kombu+") else {
        return protocol(&url.scheme).ok_or_else(|| {
            option.refuse(
                "unsupported scheme: expected a URL that begins with rabbit://, qpid:// or amqp://",
            )
        });
    };
    let is_tls = transport == "amqps";
    if !is_tls && !matches!(transport, "amqp" | "pyamqp" | "rabbit") {
        return Err(option.refuse(
            "unsupported transport of kombu, which reaches no RabbitMQ: expected a URL that begins with \
             rabbit://",
        ));
    }
    // Without a host, oslo.messaging takes the virtual host for the host.
    if url.hosts.is_empty() {
        return Err(option.refuse(
            "names no host: expected a URL such as rabbit://user:password@host:5672/vhost",
        ));
    }
    if is_tls {
        // kombu turns TLS on for this transport, whatever the options say.
        url.parameters.push(("ssl".to_owned(), "true".to_owned()));
    }
    Ok(&RABBIT)
}

/// Returns the options for the name of a protocol, in a URL or in `rpc_backend`.
fn protocol(name: &str) -> Option<&'static BrokerOptions> {
    match name {
        "rabbit" | "kombu" => Some(&RABBIT),
        "qpid" => Some(&QPID),
        "amqp" => Some(&AMQP),
        _ => None,
    }
}

/// Glance's notifier classes, which `notifier_strategy` may name, and our strategies for them.
const CLASSES: &[(&str, &str)] = &[
    ("glance.notifier.notify_log.LoggingStrategy", "log"),
    ("glance.notifier.notify_kombu.RabbitStrategy", "rabbit"),
    ("glance.notifier.notify_qpid.QpidStrategy", "qpid"),
    ("glance.notifier.notify_noop.NoopStrategy", "noop"),
];
