//! The command line: the options of every subcommand, and the subcommands.
//!
//! clap derives the parser, the help texts, the completions and the man pages from the types here and from
//! the argument types of the subcommands. The documentation of each field is the help of its option.

use std::sync::LazyLock;

use clap::{CommandFactory, Parser, Subcommand};

use crate::console::{ColorChoice, ConsoleSettings, LogFormat};
use crate::exit_status::{CommandError, ExitStatus};
#[cfg(feature = "archive")]
use crate::questions;
use crate::settings::ConfigArgs;
use crate::terminal::print_warning;
use crate::{check, completions, config_command, emit, help, logging, man, schema, validate};

/// Emit, read, archive and examine notifications of an image service.
#[derive(Parser)]
#[command(name = "glance-notify", version = VERSION.as_str(), arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    pub(crate) console: ConsoleArgs,

    #[command(subcommand)]
    command: CliCommand,
}

/// The options for messages on standard error, of every subcommand.
#[derive(clap::Args)]
pub(crate) struct ConsoleArgs {
    /// Log more to standard error: -v for state changes, -vv and -vvv for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Print errors only: no summary, no warnings, no progress.
    #[arg(short, long, global = true)]
    quiet: bool,

    /// Colours of states and priorities: auto, always or never.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    #[arg(hide_possible_values = true)]
    color: ColorChoice,

    /// Form of messages and of the log on standard error: text or json.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    #[arg(hide_possible_values = true)]
    log_format: LogFormat,
}

// The help of each subcommand is the documentation of its argument type.
#[derive(Subcommand)]
enum CliCommand {
    Emit(emit::args::EmitArgs),
    Validate(validate::ValidateArgs),
    Schema(schema::SchemaArgs),
    #[cfg(feature = "listen")]
    Listen(Box<crate::listen::ListenArgs>),
    #[cfg(feature = "listen")]
    Replay(Box<crate::replay::ReplayArgs>),
    #[cfg(feature = "listen")]
    Dead(crate::dead::DeadArgs),
    #[cfg(feature = "listen")]
    Doctor(crate::doctor::DoctorArgs),
    Check(check::CheckArgs),
    Config(config_command::ConfigCommandArgs),
    #[cfg(feature = "spool")]
    Spool(crate::spool::SpoolArgs),
    #[cfg(feature = "archive")]
    Archive(crate::archive::ArchiveArgs),
    #[cfg(feature = "archive")]
    Demo(crate::demo::DemoArgs),
    #[cfg(feature = "archive")]
    Timeline(questions::timeline::TimelineArgs),
    #[cfg(feature = "archive")]
    Search(questions::search::SearchArgs),
    #[cfg(feature = "archive")]
    Who(questions::who::WhoArgs),
    #[cfg(feature = "archive")]
    Report(questions::report::ReportArgs),
    #[cfg(feature = "serve")]
    Serve(crate::serve::ServeArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Cli {
    /// Returns the parser of the command line, whose `--help` shows examples and exit codes.
    pub(crate) fn parser() -> clap::Command {
        help::with_examples(without_configuration(Self::command()))
    }

    /// Runs the subcommand, which has this name.
    ///
    /// Only the subcommands that need a configuration load it, so that `validate`,
    /// `schema` and `completions` also work where the configuration is broken.
    pub(crate) fn run(&self, name: &str) -> Result<ExitStatus, CommandError> {
        let config = &self.config;
        if !self.command.reads_configuration(name) {
            config.refuse()?;
        }
        match &self.command {
            CliCommand::Emit(args) => emit::run(args, &config.load_for_delivery()?),
            CliCommand::Validate(args) => validate::run(args),
            CliCommand::Schema(args) => schema::run(args),
            #[cfg(feature = "listen")]
            CliCommand::Listen(args) => crate::listen::run(args, config),
            #[cfg(feature = "listen")]
            CliCommand::Replay(args) => crate::replay::run(args, config),
            #[cfg(feature = "listen")]
            CliCommand::Dead(args) => crate::dead::run(args, config),
            #[cfg(feature = "listen")]
            CliCommand::Doctor(args) => crate::doctor::run(args, config),
            CliCommand::Check(args) => check::run(args, &config.load()?),
            CliCommand::Config(args) => config_command::run(args),
            #[cfg(feature = "spool")]
            CliCommand::Spool(args) => crate::spool::run(args, config),
            #[cfg(feature = "archive")]
            CliCommand::Archive(args) => crate::archive::run(args, config),
            #[cfg(feature = "archive")]
            CliCommand::Demo(_) => crate::demo::run(),
            #[cfg(feature = "archive")]
            CliCommand::Timeline(args) => questions::timeline::run(args),
            #[cfg(feature = "archive")]
            CliCommand::Search(args) => questions::search::run(args),
            #[cfg(feature = "archive")]
            CliCommand::Who(args) => questions::who::run(args),
            #[cfg(feature = "archive")]
            CliCommand::Report(args) => questions::report::run(args),
            #[cfg(feature = "serve")]
            CliCommand::Serve(args) => crate::serve::run(args, config),
            CliCommand::Completions(args) => completions::run(args, &mut Self::parser()),
            CliCommand::Man(args) => man::run(args, Self::parser()),
        }
    }
}

impl CliCommand {
    /// Returns whether the subcommand of this name reads the configuration.
    fn reads_configuration(&self, name: &str) -> bool {
        match self {
            #[cfg(feature = "archive")]
            Self::Archive(args) => args.is_service(),
            _ => !WITHOUT_CONFIGURATION.contains(&name),
        }
    }
}

impl ConsoleArgs {
    /// Makes the options take effect for the whole process.
    pub(crate) fn apply(&self) {
        let Self { verbose, quiet, color, log_format } = *self;
        ConsoleSettings { color, quiet, log_format }.install();
        let rust_log = std::env::var("RUST_LOG").ok();
        if !logging::init(verbose, quiet, rust_log.as_deref(), log_format) {
            print_warning(format_args!(
                "the environment variable RUST_LOG is ignored: expected a level such as `debug`, or \
                 TARGET=LEVEL,…"
            ));
        }
    }
}

/// Hides `-c` and `--set` from the help of the subcommands that read no configuration. They still parse them, so that
/// the error can say which to leave out.
fn without_configuration(command: clap::Command) -> clap::Command {
    let is_option = |arg: &&clap::Arg| ["config", "settings"].contains(&arg.get_id().as_str());
    let options = command.get_arguments().filter(is_option);
    let hidden: Vec<_> = options.map(|option| option.clone().hide(true)).collect();
    command.mut_subcommands(|subcommand| {
        if subcommand.get_name() == "archive" {
            // Without a subcommand, the service reads it.
            return subcommand
                .mut_subcommands(|subcommand| subcommand.args(hidden.iter().cloned()));
        }
        if WITHOUT_CONFIGURATION.contains(&subcommand.get_name()) {
            return subcommand.args(hidden.iter().cloned());
        }
        subcommand
    })
}

/// The names of the subcommands that read no configuration, beside those of `archive`.
const WITHOUT_CONFIGURATION: [&str; 10] = [
    "completions",
    "config",
    "demo",
    "man",
    "report",
    "schema",
    "search",
    "timeline",
    "validate",
    "who",
];

/// The text of `--version`: the version, and the features that the build includes.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = glance_notify::transport::FEATURES.join(", ");
    format!("{} (compiled in: {features})", env!("CARGO_PKG_VERSION"))
});
