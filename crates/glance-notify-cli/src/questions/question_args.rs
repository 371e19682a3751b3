//! The options that all questions share: [`QuestionArgs`].

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use notify_archive::question::{Calendar, EventFilter, ProjectNames};

use super::selection_args::SelectionArgs;
use crate::exit_status::CommandError;

/// The options of every question.
#[derive(clap::Args)]
pub(crate) struct QuestionArgs {
    /// File of notifications or directory of an archive; `-` is standard input. Repeat it for more.
    /// Without it, the command reads standard input.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) from: Vec<PathBuf>,

    #[command(flatten)]
    selection: SelectionArgs,

    /// Form of the answer. `raw` prints the notifications themselves, one a line.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(super) output: AnswerFormat,
}

/// The form of an answer on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AnswerFormat {
    /// Tables for people.
    Text,
    /// One object of JSON, with exact numbers and times in UTC.
    Json,
    /// Comma-separated values, with the names of the columns in the first line.
    Csv,
    /// The notifications behind the answer as JSON lines.
    Raw,
}

impl AnswerFormat {
    /// Hides `raw` from the help and the completions of `-o`, for a report, which consists of numbers.
    ///
    /// The parser still reads the word, so that the error can name `search -o raw`.
    pub(super) fn without_raw(output: clap::Arg) -> clap::Arg {
        let formats = Self::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let formats = formats.map(|format| {
            let is_raw = format.get_name() == "raw";
            format.hide(is_raw)
        });
        let parser = PossibleValuesParser::new(formats);
        let parser = parser.try_map(|name| <Self as ValueEnum>::from_str(&name, false));
        output.help("Form of the answer").value_parser(parser)
    }

    /// Returns whether the answer on standard output holds its notes and its coverage.
    pub(super) fn has_notes(self) -> bool {
        matches!(self, Self::Text | Self::Json)
    }
}

/// The values of the options, checked and read.
pub(crate) struct Question {
    pub(crate) filter: EventFilter,
    pub(crate) calendar: Calendar,
    pub(crate) names: ProjectNames,
    pub(crate) format: AnswerFormat,
}

impl Question {
    /// Returns the calendar of the times in the answer: UTC for JSON, whatever `--tz` says.
    pub(crate) fn answer_calendar(&self) -> Calendar {
        match self.format {
            AnswerFormat::Json => Calendar::utc(),
            _ => self.calendar.clone(),
        }
    }
}

impl QuestionArgs {
    /// Reads the files that the options name, and checks the times.
    ///
    /// # Errors
    ///
    /// Returns an error with the option to change.
    pub(crate) fn question(&self) -> Result<Question, CommandError> {
        let (filter, calendar, names) = self.selection.read()?;
        Ok(Question { filter, calendar, names, format: self.output })
    }
}
