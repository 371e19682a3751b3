//! The table of a strategy, as an operator writes it: the options of the endpoint beside its own.
//!
//! serde reports an unknown key with all known ones only for a struct that holds every key. So a macro adds
//! the keys of [`EndpointOptions`](crate::EndpointOptions) to the struct of each strategy.

/// Declares the table of a strategy: a struct with the given fields and the options of the endpoint.
///
/// The struct implements serde's `Deserialize` and rejects unknown keys. Its method `take_endpoint` returns
/// the [`EndpointOptions`](crate::EndpointOptions). A public struct is for programs that build a configuration
/// too: it also implements `Default` and `Serialize`, and its method `into_values` returns the table with the
/// secrets, which `Serialize` omits. The crate that calls the macro depends on `serde` and on `notify-core`.
///
/// # Examples
///
/// ```
/// use notify_core::config::DriverOptions;
///
/// notify_net::endpoint_table! {
///     /// The table `[bus]`.
///     struct BusTable {
///         topic: Option<String>,
///     }
/// }
///
/// let table = serde_json::json!({ "host": "bus1", "topic": "notifications" });
/// let options = DriverOptions::new("bus", table.as_object().unwrap().clone());
/// let mut table: BusTable = options.parse()?;
/// assert_eq!(table.take_endpoint().resolve("bus")?.hosts[0].to_string(), "bus1:5672");
/// assert_eq!(table.topic.as_deref(), Some("notifications"));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[macro_export]
macro_rules! endpoint_table {
    ($(#[$meta:meta])* struct $name:ident { $($fields:tt)* }) => {
        $crate::endpoint_table! { @struct [] [$(#[$meta])*] $name { $($fields)* } }
    };
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $crate::endpoint_table! {
            @struct [pub]
            [$(#[$meta])* #[derive(Clone, Debug, Default, serde::Serialize)] #[non_exhaustive]]
            $name { $($fields)* }
        }

        impl $name {
            /// Returns the values of the table in the form of a configuration, with the secrets.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Config`](::notify_core::ErrorKind::Config) for a path that is not UTF-8.
            pub fn into_values(
                self,
            ) -> ::notify_core::Result<
                ::notify_core::codec::serde_json::Map<
                    String,
                    ::notify_core::codec::serde_json::Value,
                >,
            > {
                $crate::broker_table_values(&self, self.url.as_ref(), self.password.as_ref())
            }
        }
    };
    (@struct [$($public:tt)?] [$($meta:tt)*] $name:ident { $($fields:tt)* }) => {
        $($meta)*
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $($public)? struct $name {
            /// Hosts, credentials, virtual host and TLS in one.
            #[serde(skip_serializing)]
            $($public)? url: Option<$crate::BrokerUrl>,
            /// One host, instead of a URL.
            $($public)? host: Option<String>,
            /// The port of `host`.
            $($public)? port: Option<u16>,
            /// The user, unless the URL names one.
            $($public)? user: Option<String>,
            /// The password, unless the URL or `password_file` holds one.
            #[serde(skip_serializing)]
            $($public)? password: Option<$crate::Secret>,
            /// The file that holds the password. Every connect reads it anew.
            $($public)? password_file: Option<::std::path::PathBuf>,
            /// The virtual host, unless the URL names one.
            $($public)? virtual_host: Option<String>,
            /// The authorities to trust, as PEM.
            $($public)? ca_file: Option<::std::path::PathBuf>,
            /// The client certificate and its chain, as PEM.
            $($public)? cert_file: Option<::std::path::PathBuf>,
            /// The key of the client certificate, as PEM.
            $($public)? key_file: Option<::std::path::PathBuf>,
            /// The mechanisms of the login, the best first.
            $($public)? sasl_mechanism: Option<$crate::SaslMechanismList>,
            $($fields)*
            /// The longest connect, for all hosts together.
            $($public)? connect_timeout: Option<::notify_core::config::Seconds>,
            /// The interval of heartbeats, in whole seconds.
            $($public)? heartbeat: Option<u16>,
        }

        impl $name {
            /// Takes the options of the endpoint out of the table.
            fn take_endpoint(&mut self) -> $crate::EndpointOptions {
                $crate::EndpointOptions {
                    url: self.url.take(),
                    host: self.host.take(),
                    port: self.port,
                    user: self.user.take(),
                    password: self.password.take(),
                    password_file: self.password_file.take(),
                    virtual_host: self.virtual_host.take(),
                    tls: $crate::TlsFiles {
                        ca_file: self.ca_file.take(),
                        cert_file: self.cert_file.take(),
                        key_file: self.key_file.take(),
                    },
                    sasl_mechanism: self.sasl_mechanism.take(),
                    connect_timeout: self.connect_timeout,
                    heartbeat: self.heartbeat,
                }
            }
        }
    };
}
