//! `glance-notify check`: the effective configuration, and whether its destination would work.

use std::io::Write;
use std::time::Duration;

use glance_notify::config::{ConfigEntry, Redact};
use glance_notify::pipeline::NotifierBuilder;
use glance_notify::transport::{Finding, FindingState, Transport, printable};
use glance_notify::{Config, Error, ErrorKind};

use crate::exit::{Exit, Failure, print};

/// Show the effective configuration and check its destination, without sending anything.
///
/// Exit 0 when it would work, 2 when the configuration or the destination has to be changed for it,
/// 3 when the destination cannot be reached now.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, config: &Config) -> Result<Exit, Failure> {
    // Building a notifier tells what only that does: `disabled_notifications`, bounds, and warnings.
    let opened = glance_notify::builder(config)
        .and_then(NotifierBuilder::build)
        .and_then(|_| glance_notify::transport::open(config));
    print(|out| show(out, &config.entries(), opened.is_ok()))?;
    let findings = examine(opened?)?;
    #[cfg(feature = "spool")]
    let findings = [findings, examine_spool(config)?].concat();
    print(|out| findings.iter().try_for_each(|finding| tell(out, finding)))?;
    let bad = findings.iter().filter_map(|finding| match &finding.state {
        FindingState::Bad(error) => Some(Failure::from(error.clone()).exit),
        _ => None,
    });
    let exits: Vec<_> = bad.collect();
    Ok(match exits.as_slice() {
        [] => Exit::Done,
        exits if exits.contains(&Exit::Permanent) => Exit::Permanent,
        _ => Exit::Undelivered,
    })
}

/// Looks at the spool before the destination, where there is to be one.
#[cfg(feature = "spool")]
fn examine_spool(config: &Config) -> Result<Vec<Finding>, Failure> {
    let Some(spool) = config.spool()? else { return Ok(Vec::new()) };
    let (spool, _) = glance_notify::transport::spool::Spool::open(
        spool,
        glance_notify::transport::open(config)?,
    )?;
    examine(Box::new(spool))
}

/// Looks at the destination, within a deadline.
fn examine(mut transport: Box<dyn Transport>) -> Result<Vec<Finding>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::Undelivered, format!("cannot start a runtime: {error}"))
    })?;
    let findings = runtime.block_on(async {
        let checked = tokio::time::timeout(DEADLINE, transport.check()).await;
        // What a check opened is closed as politely as time allows; there is no more to say of it.
        drop(tokio::time::timeout(CLOSE, transport.close()).await);
        checked.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("no answer within {} s", DEADLINE.as_secs()),
            ))
        })
    });
    runtime.shutdown_background();
    Ok(findings?)
}

/// Shows each key and its origin; its value only if all of them are what they should be: a wrong one
/// may be a password that stands in the wrong place.
fn show(out: &mut dyn Write, entries: &[ConfigEntry], accepted: bool) -> std::io::Result<()> {
    for ConfigEntry { key, value, origin, .. } in entries {
        let value = if accepted || origin == "default" { value } else { "…" };
        let key = Redact::Secrets.text(key);
        let setting = format!("{} = {}", printable(&key, CHARS), printable(value, CHARS));
        writeln!(out, "{setting:<40} # {}", printable(origin, CHARS))?;
    }
    Ok(())
}

fn tell(out: &mut dyn Write, finding: &Finding) -> std::io::Result<()> {
    let subject = printable(&finding.subject, CHARS);
    match &finding.state {
        FindingState::Good(seen) => writeln!(out, "good     {subject}: {}", printable(seen, CHARS)),
        FindingState::Warning(cost) => {
            writeln!(out, "warning  {subject}: {}", printable(cost, CHARS))
        }
        FindingState::Bad(error) => {
            let error = format!("{error:#}");
            writeln!(out, "bad      {subject}: {}", printable(&error, usize::MAX))
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(60);
const CLOSE: Duration = Duration::from_secs(5);
const CHARS: usize = 1024;
