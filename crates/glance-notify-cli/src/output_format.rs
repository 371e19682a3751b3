//! The option `-o`, `--output`: the form of a result on standard output.
//!
//! Every subcommand with a result that scripts read has it, in this one spelling. Flatten
//! [`TextOrJson`] into the arguments of a subcommand with these two forms. A subcommand with more forms
//! declares the option itself, with [`output_formats`] as its parser.

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// The form of a result on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// Text for people: tables, sentences.
    Text,
    /// JSON in ASCII, one object a line.
    Json,
}

/// The option `-o text|json`.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct TextOrJson {
    /// Form of the result on standard output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    #[arg(value_parser = output_formats(&[OutputFormat::Text, OutputFormat::Json]))]
    output: OutputFormat,
}

impl TextOrJson {
    /// Returns whether the result is JSON.
    pub(crate) fn is_json(self) -> bool {
        self.output == OutputFormat::Json
    }
}

impl OutputFormat {
    /// Returns the name of the form as users write it.
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Returns the parser of `-o` for a subcommand that has the forms `formats`.
///
/// Help texts and shell completions list these forms only.
pub(crate) fn output_formats(
    formats: &'static [OutputFormat],
) -> impl TypedValueParser<Value = OutputFormat> {
    PossibleValuesParser::new(formats.iter().map(|format| format.name())).try_map(move |name| {
        let format = formats.iter().find(|format| format.name() == name);
        format.copied().ok_or("unknown form")
    })
}
