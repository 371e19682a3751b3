//! A broker's endpoint: where it is, who logs in, and how long that may take.
//!
//! Both AMQP crates log in by this one type, to send and to receive. This module checks values; it
//! connects to nothing.

use std::time::Duration;

use notify_core::Result;
use notify_core::config::Seconds;

use crate::blocking::read_in_time;
use crate::host::Host;
use crate::sasl::SaslMechanism;
use crate::secret::{Password, Secret};
use crate::tls::files::TlsFiles;
use crate::url::invalid;

/// A broker's endpoint: the combination of all [`EndpointOptions`](crate::EndpointOptions).
///
/// The default is an anonymous login at port 5672 of this machine.
///
/// # Examples
///
/// ```
/// use notify_net::{Endpoint, Host, Password, SaslMechanism, Secret};
///
/// let mut endpoint = Endpoint::default();
/// endpoint.hosts = vec![Host { name: "rabbit1.example.org".into(), port: 5672 }];
/// endpoint.user = Some("glance".into());
/// endpoint.password = Some(Password::Inline(Secret::new("hunter2")));
/// endpoint.sasl_mechanism = vec![SaslMechanism::Plain];
/// endpoint.check("rabbit")?;
/// assert!(!format!("{endpoint:?}").contains("hunter2"));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// `url`, or `host` and `port`: the broker's hosts. Never empty; default `localhost:5672`.
    ///
    /// Every connect tries all addresses of all hosts in a new random order, so clients spread over
    /// the nodes of a cluster. A cluster needs no load balancer in front of it.
    pub hosts: Vec<Host>,
    /// `user`: the user's name. Default `None`.
    pub user: Option<String>,
    /// `password` or `password_file`: the user's password. Default `None`.
    pub password: Option<Password>,
    /// `virtual_host`: the virtual host. Default `None`: the broker's default virtual host.
    pub virtual_host: Option<String>,
    /// `ca_file`, `cert_file` and `key_file`: the files for TLS. `Some` if the URL begins with
    /// `amqps://`. Default `None`: plain text.
    ///
    /// TLS always verifies the broker's certificate and host name, and requires version 1.2 or later.
    pub tls: Option<TlsFiles>,
    /// `sasl_mechanism`: the methods of login, the best first. Never empty.
    pub sasl_mechanism: Vec<SaslMechanism>,
    /// `connect_timeout`: the time to connect and log in to any of the hosts. Default 10 s.
    /// The password file and the TLS files have the same time each.
    ///
    /// Each address gets an equal share of the time that is left.
    pub connect_timeout: Duration,
    /// `heartbeat`: the interval of heartbeats in seconds, 1 to 3600. Default 10.
    pub heartbeat: u16,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            hosts: vec![Host::default()],
            user: None,
            password: None,
            virtual_host: None,
            tls: None,
            sasl_mechanism: vec![SaslMechanism::Anonymous],
            connect_timeout: Duration::from_secs(10),
            heartbeat: 10,
        }
    }
}

impl Endpoint {
    /// Checks that user, password, certificate and mechanisms fit each other, and the ranges of the
    /// heartbeat and of `connect_timeout`. Error messages call the options `strategy.user` and so on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) that names the options to change.
    pub fn check(&self, strategy: &str) -> Result<()> {
        if let Some(files) = &self.tls {
            files.check(strategy)?;
        }
        let allows = |mechanism| self.sasl_mechanism.contains(&mechanism);
        match (&self.user, &self.password) {
            (Some(_), None) => {
                return Err(invalid(format!(
                    "no password: set `{strategy}.password` or `{strategy}.password_file`"
                )));
            }
            (None, Some(_)) => {
                return Err(invalid(format!(
                    "no user: set `{strategy}.user`, or name the user in `{strategy}.url`"
                )));
            }
            (None, None) if allows(SaslMechanism::Plain) => {
                return Err(invalid(format!(
                    "PLAIN in `{strategy}.sasl_mechanism` needs `{strategy}.user` and a password"
                )));
            }
            (Some(_), Some(_)) if !allows(SaslMechanism::Plain) => {
                return Err(invalid(format!(
                    "only PLAIN uses a password: add PLAIN to `{strategy}.sasl_mechanism`, or \
                     remove the user and the password"
                )));
            }
            _ => {}
        }
        if self.sasl_mechanism.is_empty() {
            return Err(invalid(format!(
                "`{strategy}.sasl_mechanism`: expected at least one of PLAIN, ANONYMOUS and EXTERNAL"
            )));
        }
        if allows(SaslMechanism::External) && !self.has_certificate() {
            return Err(invalid(format!(
                "EXTERNAL in `{strategy}.sasl_mechanism` needs TLS with `{strategy}.cert_file` and \
                 `{strategy}.key_file`"
            )));
        }
        if self.heartbeat == 0 || self.heartbeat > MAX_HEARTBEAT {
            return Err(invalid(format!(
                "`{strategy}.heartbeat`: expected a number of seconds from 1 to {MAX_HEARTBEAT}"
            )));
        }
        check_timeout(strategy, "connect_timeout", self.connect_timeout)
    }

    /// Returns whether a client certificate is configured.
    pub fn has_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|files| files.cert_file.is_some())
    }

    /// Returns whether the login sends a password.
    pub fn uses_password(&self) -> bool {
        self.password.is_some() && self.sasl_mechanism.contains(&SaslMechanism::Plain)
    }

    /// Reads the password, or returns an empty one if the login uses none.
    ///
    /// # Errors
    ///
    /// Those of [`Password::read`], and [`ErrorKind::Unavailable`](notify_core::ErrorKind::Unavailable) after
    /// `connect_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future discards the result.
    pub async fn read_password(&self) -> Result<Secret> {
        match &self.password {
            Some(password) if self.uses_password() => {
                let file = match password {
                    Password::File(path) => Some(("password_file", path.as_path())),
                    Password::Inline(_) => None,
                };
                read_in_time(self.connect_timeout, file.as_slice(), password.read()).await
            }
            _ => Ok(Secret::new("")),
        }
    }
}

/// Checks the range of a timeout, which the API does not bound as configurations do.
///
/// # Errors
///
/// [`ErrorKind::Config`](notify_core::ErrorKind::Config) that names the option.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let error = notify_net::check_timeout("qpid", "confirm_timeout", Duration::MAX).unwrap_err();
/// assert!(error.to_string().starts_with("`qpid.confirm_timeout`: expected"));
/// ```
pub fn check_timeout(strategy: &str, option: &str, timeout: Duration) -> Result<()> {
    let most = Duration::from(Seconds::MAX);
    if timeout.is_zero() || timeout > most {
        return Err(invalid(format!(
            "`{strategy}.{option}`: expected a number of seconds above 0 and at most {}",
            most.as_secs()
        )));
    }
    Ok(())
}

/// Checks the range of `strategy.window`, the number of messages in flight.
///
/// # Errors
///
/// [`ErrorKind::Config`](notify_core::ErrorKind::Config) that names the option.
///
/// # Examples
///
/// ```
/// assert!(notify_net::check_window("rabbit", 1024).is_ok());
/// let error = notify_net::check_window("rabbit", 0).unwrap_err();
/// assert_eq!(error.to_string(), "`rabbit.window`: expected a number from 1 to 65536");
/// ```
pub fn check_window(strategy: &str, window: usize) -> Result<()> {
    if window == 0 || window > MAX_WINDOW {
        return Err(invalid(format!(
            "`{strategy}.window`: expected a number from 1 to {MAX_WINDOW}"
        )));
    }
    Ok(())
}

/// The largest window. Windows beyond a few hundred messages are hardly faster, and each message of a window is a
/// possible duplicate.
const MAX_WINDOW: usize = 65_536;
/// The longest interval of heartbeats, in seconds. A longer one would hardly detect a lost broker.
const MAX_HEARTBEAT: u16 = 3600;
