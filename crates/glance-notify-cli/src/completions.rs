//! `glance-notify completions`: what a shell needs to complete the command's arguments.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::exit::{Exit, Failure, print};

/// Print a script that makes a shell complete this command's arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    // clap_complete panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "glance-notify", &mut script);
    print(|out| out.write_all(&script))?;
    Ok(Exit::Done)
}
