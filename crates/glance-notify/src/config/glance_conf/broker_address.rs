//! The broker's address, login and TLS: from `transport_url`, and from separate options.

use notify_core::Result;
use serde_json::Value;

use super::conf_files::{ConfFiles, ConfOption, OptionName};
use super::conf_layer::ConfLayer;
use super::options::{BrokerOptions, DURABLE, HOST_NAME_CHECK, QUORUM, RABBIT, WITHOUT_EFFECT};
use super::transport_url::{TransportUrl, broker_url, parse_host_port};

/// Where the broker is and who logs in. Each part has the option that sets it.
pub(super) struct BrokerAddress {
    hosts: Vec<(String, u16)>,
    user: Option<(String, ConfOption)>,
    password: Option<(String, ConfOption)>,
    virtual_host: Option<(String, ConfOption)>,
    tls: bool,
    /// The options that set the host and the port, if they are separate.
    host_options: Option<(ConfOption, ConfOption)>,
    /// The option that is the origin of a URL.
    origin: ConfOption,
}

impl BrokerAddress {
    /// Refuses parameters that are no options of the driver.
    pub(super) fn check_parameters(
        options: &BrokerOptions,
        url: &TransportUrl,
        option: &ConfOption,
    ) -> Result<()> {
        let unsupported = options.unsupported.iter().map(|(names, ..)| *names);
        let ignored = options.ignored.iter().map(|(names, ..)| *names);
        let files = options.tls_files.iter().map(|(_, names)| *names);
        let known = [options.tls, options.sasl_mechanisms, DURABLE, QUORUM].into_iter();
        let known: Vec<_> = known
            .chain(files)
            .chain(unsupported)
            .chain(ignored)
            .flatten()
            .filter(|(section, _)| *section == options.group)
            .map(|(_, name)| *name)
            .chain(WITHOUT_EFFECT.iter().copied())
            .collect();
        match url.parameters.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(_) => Err(option.refuse(
                "unsupported parameter: expected options of the driver, as `ssl` or `ssl_ca_file`",
            )),
        }
    }

    /// Reads the URL, and the separate options for what the URL leaves out.
    pub(super) fn read(
        files: &ConfFiles,
        options: &BrokerOptions,
        url: Option<&(TransportUrl, ConfOption)>,
    ) -> Result<Self> {
        let (tls, tls_option) = tls(files, options.tls)?;
        let url_virtual_host = match url {
            Some((url, option)) if options.group == RABBIT.group => {
                url.rabbit_virtual_host(option)?.map(|name| (name, option.clone()))
            }
            Some((url, option)) => url.virtual_host.clone().map(|name| (name, option.clone())),
            None => None,
        };
        let virtual_host = match url_virtual_host {
            Some((name, option)) => {
                let default = options.default_virtual_host.map(str::to_owned);
                let name = Some(name).filter(|name| !name.is_empty()).or(default);
                name.map(|name| (name, option))
            }
            None => part(files, options.virtual_host, options.default_virtual_host)?,
        };
        let login = |names| part(files, names, options.default_login);
        if let Some((url, option)) = url.filter(|(url, _)| !url.hosts.is_empty()) {
            // oslo.messaging's port with TLS is the same as without.
            let port = |port: Option<u16>| port.unwrap_or(DEFAULT_PORT);
            let hosts = url.hosts.iter().map(|(host, number)| (host.clone(), port(*number)));
            let default = options.default_login.map(|login| (login.to_owned(), option.clone()));
            let (user, password) = match (&url.user, &url.password) {
                // The AMQP 1.0 driver has separate options for the login of a URL without one.
                (None, None) if options.default_login.is_none() => {
                    (login(options.user)?, login(options.password)?)
                }
                (None, None) => (default.clone(), default),
                (user, password) => {
                    let with_option = |text: &Option<String>| Some((text.clone()?, option.clone()));
                    // Where there is a default, an empty password counts as absent.
                    let is_given = |(text, _): &(String, _)| default.is_none() || !text.is_empty();
                    let password = with_option(password).filter(is_given);
                    (with_option(user), password.or(default))
                }
            };
            return Ok(Self {
                hosts: hosts.collect(),
                user,
                password,
                virtual_host,
                tls,
                host_options: None,
                origin: option.clone(),
            });
        }
        let host = part(files, options.host, Some("localhost"))?;
        let port_option = files.first(options.port)?;
        let port = match &port_option {
            Some(option) => option
                .value
                .parse()
                .map_err(|_| option.refuse("expected a whole number from 0 to 65535"))?,
            None => DEFAULT_PORT,
        };
        let default = |names: &[OptionName]| {
            ConfOption::default_of(names.first().map_or("the address", |(_, name)| name))
        };
        let (user, password) = (login(options.user)?, login(options.password)?);
        let mut address = Self {
            hosts: Vec::new(),
            user,
            password,
            virtual_host,
            tls,
            host_options: None,
            origin: tls_option.unwrap_or_else(|| default(options.host)),
        };
        let list = files.first(options.hosts)?.filter(|option| option.list().next().is_some());
        if let Some(option) = list {
            let default_port = if options.group == RABBIT.group { port } else { DEFAULT_PORT };
            for item in option.list() {
                let Some((host, port)) = parse_host_port(item) else {
                    return Err(
                        option.refuse("expected a list of hosts, as `host1:5672,host2:5672`")
                    );
                };
                address.hosts.push((host, port.unwrap_or(default_port)));
            }
            address.origin = option;
        } else if let Some((host, option)) = host {
            address.hosts.push((host, port));
            let port_option = port_option.unwrap_or_else(|| default(options.port));
            address.host_options = Some((option, port_option));
        }
        Ok(address)
    }

    /// Writes the address into `layer`: as a URL where it needs one, and otherwise key by key.
    pub(super) fn put(
        mut self,
        files: &ConfFiles,
        options: &BrokerOptions,
        layer: &mut ConfLayer<'_>,
    ) -> Result<()> {
        self.put_login_method(files, options, layer)?;
        self.put_tls_files(files, options, layer)?;
        let parts = [
            ("user", &self.user),
            ("password", &self.password),
            ("virtual_host", &self.virtual_host),
        ];
        let has_url = self.tls && self.keeps_earlier_url(options, layer);
        match &self.host_options {
            Some((host_option, port_option)) if !self.tls || has_url => {
                self.warn_of_default_host(options, layer);
                for (host, port) in &self.hosts {
                    put(layer, options, "host", host.as_str().into(), host_option);
                    put(layer, options, "port", (*port).into(), port_option);
                }
                for (key, part) in parts {
                    if let Some((text, option)) = part {
                        put(layer, options, key, text.as_str().into(), option);
                    }
                }
            }
            // Our configuration has no key for TLS or for several hosts but the URL.
            _ => {
                let [user, password, virtual_host] =
                    parts.map(|(_, part)| part.as_ref().map(|(text, _)| text.as_str()));
                let url = broker_url(self.tls, &self.hosts, user, password, virtual_host);
                put(layer, options, "url", url.into(), &self.origin);
            }
        }
        Ok(())
    }

    /// Returns whether the URL of an earlier layer stays, because no option names the broker.
    ///
    /// Warns about an earlier URL without TLS, and about TLS to the default address.
    fn keeps_earlier_url(&self, options: &BrokerOptions, layer: &mut ConfLayer<'_>) -> bool {
        let is_default = |(host, _): &&(ConfOption, ConfOption)| host.is_default();
        let default = self.host_options.as_ref().filter(is_default).and(self.hosts.first());
        let Some((host, port)) = default else { return false };
        let key = format!("{}.url", options.strategy);
        // Another driver of the same files has written the same URL.
        let is_ours = |place: &str| place == self.origin.origin();
        let origin = layer.options.origins.get(&key).filter(|origin| !is_ours(&origin.place));
        let is_tls = |url: &Value| url.as_str().is_some_and(|url| url.starts_with("amqps:"));
        let has_tls = origin.and(layer.options.get(&key)).map(is_tls);
        let warning = match has_tls {
            Some(true) => return true,
            Some(false) => format!("ignored: `{key}` decides about TLS"),
            None => format!(
                "no option names the broker, so Glance connects to {host}:{port} with TLS, as here: \
                 name it in `transport_url`"
            ),
        };
        layer.warn_of_value(key, self.origin.describe(&warning));
        has_tls.is_some()
    }

    /// Warns about the default address without TLS, unless an earlier layer names the broker.
    fn warn_of_default_host(&self, options: &BrokerOptions, layer: &mut ConfLayer<'_>) {
        let is_default = self.host_options.as_ref().is_some_and(|(host, _)| host.is_default());
        let key = format!("{}.host", options.strategy);
        if let Some((host, port)) = self.hosts.first()
            && is_default
            && !self.tls
            && !layer.decides(&key)
        {
            let warning = format!(
                "no option names the broker, so Glance connects to {host}:{port}, as here: name it in \
                 `transport_url`"
            );
            layer.warn_of_value(key, self.origin.describe(&warning));
        }
    }

    /// Writes the method of login. `EXTERNAL` makes the user and the password void.
    fn put_login_method(
        &mut self,
        files: &ConfFiles,
        options: &BrokerOptions,
        layer: &mut ConfLayer<'_>,
    ) -> Result<()> {
        let Some(option) = files.first(options.sasl_mechanisms)? else { return Ok(()) };
        let words: Vec<_> =
            option.value.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => {}
            words if options.group != RABBIT.group => {
                put(layer, options, "sasl_mechanism", words.into(), &option);
            }
            // RabbitMQ's mechanisms with a password differ in their form alone.
            ["PLAIN" | "AMQPLAIN"] => {}
            ["EXTERNAL"] => {
                put(layer, options, "sasl_mechanism", "EXTERNAL".into(), &option);
                (self.user, self.password) = (None, None);
            }
            _ => return Err(option.refuse("expected PLAIN, AMQPLAIN or EXTERNAL")),
        }
        Ok(())
    }

    /// Writes the files of TLS, which have no effect without TLS. Warns if a file turns the check of host
    /// names off.
    fn put_tls_files(
        &self,
        files: &ConfFiles,
        options: &BrokerOptions,
        layer: &mut ConfLayer<'_>,
    ) -> Result<()> {
        if self.tls
            && options.group == RABBIT.group
            && let (false, Some(option)) = files.flag(HOST_NAME_CHECK)?
        {
            layer.warn(option.describe("ignored: host names are always verified"));
        }
        for (key, names) in options.tls_files {
            let Some(option) = files.first(names)? else { continue };
            if self.tls {
                put(layer, options, key, option.value.as_str().into(), &option);
            } else {
                layer.warn(option.describe("ignored: TLS is off: set `ssl = true` to use it"));
            }
        }
        Ok(())
    }
}

/// Writes a value at a key of the broker's table, with `option` as its origin.
fn put(
    layer: &mut ConfLayer<'_>,
    options: &BrokerOptions,
    key: &str,
    value: Value,
    option: &ConfOption,
) {
    layer.put(&format!("{}.{key}", options.strategy), value, option);
}

/// Returns whether an option asks for TLS, with the option if it does.
fn tls(files: &ConfFiles, names: &[OptionName]) -> Result<(bool, Option<ConfOption>)> {
    let Some(option) = files.first(names)? else { return Ok((false, None)) };
    let tls = match option.value.as_str() {
        "ssl" => true,
        "tcp" => false,
        _ => option.flag().map_err(|_| option.refuse("expected ssl, tcp, true or false"))?,
    };
    Ok((tls, Some(option).filter(|_| tls)))
}

/// Returns the value of an option or its default, with the option.
fn part(
    files: &ConfFiles,
    names: &[OptionName],
    default: Option<&str>,
) -> Result<Option<(String, ConfOption)>> {
    if let Some(option) = files.first(names)? {
        return Ok(Some((option.value.clone(), option)));
    }
    let name = names.first().map_or("the address", |(_, name)| name);
    Ok(default.map(|value| (value.to_owned(), ConfOption::default_of(name))))
}

/// The port of every broker, with and without TLS.
const DEFAULT_PORT: u16 = 5672;
