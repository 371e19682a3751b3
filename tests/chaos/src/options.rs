//! What a run is asked to do.

use std::str::FromStr;
use std::time::Duration;

use crate::fault::Fault;

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) length: Length,
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Fault>,
    /// How often a producer is killed, instead of all else.
    pub(crate) kills: Option<u32>,
}

/// How long a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// A second for each fault.
    Short,
    /// The round that has begun by then is the last.
    For(Duration),
}

impl Options {
    /// Reads the arguments of a command.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            length: Length::For(Duration::from_secs(600)),
            seed: fastrand::u64(..),
            faults: Fault::ALL.map(|(fault, _)| fault).to_vec(),
            kills: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("`{name}` needs a value"));
            match name.as_str() {
                "--short" => options.length = Length::Short,
                "--minutes" => {
                    let minutes: u32 = number(&name, &value()?)?;
                    options.length = Length::For(Duration::from_secs(u64::from(minutes) * 60));
                }
                "--seed" => options.seed = number(&name, &value()?)?,
                "--tries" => options.kills = Some(number(&name, &value()?)?),
                "--fault" => options.faults = vec![fault(&value()?)?],
                _ => return Err(format!("unknown argument `{name}`")),
            }
        }
        if options.kills.is_some() && options.faults != [Fault::ProducerKill] {
            return Err("`--tries` goes with `--fault producer-kill`".to_owned());
        }
        Ok(options)
    }
}

fn number<T: FromStr + Default + PartialEq>(name: &str, text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| *number != T::default());
    number.ok_or_else(|| format!("`{name}`: expected a number above 0, found `{text}`"))
}

fn fault(name: &str) -> Result<Fault, String> {
    let known = Fault::ALL.iter().find(|(_, known)| *known == name);
    known.map(|(fault, _)| *fault).ok_or_else(|| {
        let names: Vec<_> = Fault::ALL.iter().map(|(_, name)| *name).collect();
        format!("unknown fault `{name}`: expected one of {}", names.join(", "))
    })
}
