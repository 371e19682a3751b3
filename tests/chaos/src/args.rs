//! The arguments of the command.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::fault::ChaosFault;

/// The arguments of the command.
#[derive(Clone, Debug)]
pub(crate) struct ChaosArgs {
    pub(crate) length: RunLength,
    pub(crate) seed: u64,
    pub(crate) faults: Vec<ChaosFault>,
    /// The number of kills of a producer. If set, the run does nothing else.
    pub(crate) kills: Option<u32>,
    /// The number of notifications for an archive that is killed. If set, the run does nothing else.
    pub(crate) archive_events: Option<u64>,
    /// Whether the run kills only a process that reads, and the broker.
    pub(crate) reader: bool,
    /// The directory for the files of the run, if it is not the system's for temporary files.
    pub(crate) directory: Option<PathBuf>,
}

/// The length of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunLength {
    /// One second for each fault.
    Short,
    /// At least this time. The run finishes the current round.
    For(Duration),
}

impl ChaosArgs {
    /// Parses the arguments of the command.
    ///
    /// # Errors
    ///
    /// A description of the first wrong argument.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            length: RunLength::For(Duration::from_secs(600)),
            seed: fastrand::u64(..),
            faults: ChaosFault::ALL.map(|(fault, _)| fault).to_vec(),
            kills: None,
            archive_events: None,
            reader: false,
            directory: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("`{name}` needs a value"));
            match name.as_str() {
                "--reader" => args.reader = true,
                "--short" => args.length = RunLength::Short,
                "--minutes" => {
                    let minutes: u32 = number(&name, &value()?)?;
                    args.length = RunLength::For(Duration::from_secs(u64::from(minutes) * 60));
                }
                "--seed" => args.seed = number(&name, &value()?)?,
                "--tries" => args.kills = Some(number(&name, &value()?)?),
                "--archive" => args.archive_events = Some(number(&name, &value()?)?),
                "--dir" => args.directory = Some(value()?.into()),
                "--fault" => args.faults = vec![fault(&value()?)?],
                _ => return Err(format!("unknown argument `{name}`")),
            }
        }
        if args.kills.is_some() && args.faults != [ChaosFault::ProducerKill] {
            return Err("`--tries` requires `--fault producer-kill`".to_owned());
        }
        Ok(args)
    }
}

fn number<T: FromStr + Default + PartialEq>(name: &str, text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number != T::default());
    number.ok_or_else(|| format!("`{name}` needs a number above 0, not `{text}`"))
}

fn fault(name: &str) -> Result<ChaosFault, String> {
    let known = ChaosFault::ALL.iter().find(|(_, known)| *known == name);
    known.map(|(fault, _)| *fault).ok_or_else(|| {
        let names: Vec<_> = ChaosFault::ALL.iter().map(|(_, name)| *name).collect();
        format!("unknown fault `{name}`; the faults are {}", names.join(", "))
    })
}
