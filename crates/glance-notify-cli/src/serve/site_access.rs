//! Access from other machines: [`AccessArgs`].
//!
//! The pages show personal data. An address that other machines reach therefore needs a token, or a proxy that
//! authenticates; without one of them the command does not start.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use glance_notify_cli::web::{AccessRules, AccessToken};

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{display_path, read_error};

/// The options about access.
#[derive(clap::Args)]
pub(super) struct AccessArgs {
    /// File with a token of 16 or more characters, which every request must have: browsers ask for it as a
    /// password. Others on the network can read plain HTTP: put TLS in front.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Listen on an address that other machines reach without a token, because a proxy in front authenticates.
    #[arg(long)]
    behind_proxy: bool,

    /// Name under which browsers reach the pages, beside `localhost` and addresses. Repeat it for more.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
}

impl AccessArgs {
    /// Returns the rules for an address.
    ///
    /// # Errors
    ///
    /// Returns an error if other machines reach the address and nothing authenticates, or if the token cannot be
    /// read.
    pub(super) fn rules(&self, address: SocketAddr) -> Result<AccessRules, CommandError> {
        let error = |message| CommandError::new(ExitStatus::PermanentError, message);
        if !address.ip().is_loopback() && self.token_file.is_none() && !self.behind_proxy {
            return Err(error(format!(
                "other machines reach {address}: require a token with `--token-file FILE`, or say \
                 `--behind-proxy` if a proxy in front authenticates"
            )));
        }
        let mut rules = self.host.iter().fold(AccessRules::default(), |rules, n| rules.host(n));
        if let Some(path) = &self.token_file {
            let name = display_path(path);
            let text = fs::read_to_string(path).map_err(|error| read_error(&name, &error))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let token = AccessToken::new(text);
            rules = rules.token(token.map_err(|expected| error(format!("`{name}`: {expected}")))?);
        }
        Ok(rules)
    }
}
