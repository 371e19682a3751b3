//! Access from other machines: [`AccessArgs`].
//!
//! The pages show personal data. An address that other machines reach therefore needs a token, or a proxy that
//! authenticates; without one of them the command does not start.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use glance_notify_cli::web::{AccessRules, AccessToken};

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{display_path, read_error};
use crate::terminal::print_warning;

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
    /// Returns the rules for an address. Warns if every user of the machine can read the token.
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
            let (text, mode) = read(path).map_err(|error| read_error(&name, &error))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let token = AccessToken::new(text);
            rules = rules.token(token.map_err(|expected| error(format!("`{name}`: {expected}")))?);
            if mode & READABLE_BY_ALL != 0 {
                print_warning(format_args!(
                    "`{name}` holds a token, and every user can read the file: run `chmod o-r` on \
                     it"
                ));
            }
        }
        Ok(rules)
    }
}

/// Returns the text of the file at `path`, and the permission bits of the file.
fn read(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("the file is larger than 64 KiB"));
    }
    Ok((text, mode))
}

/// The permission bit that lets every user read a file.
const READABLE_BY_ALL: u32 = 0o004;
/// The largest token file, in bytes: a bound on memory if the path names something else.
const MAX_BYTES: u64 = 64 * 1024;
