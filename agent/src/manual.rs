//! `elkhound completions SHELL` and `elkhound man [COMMAND]`: written from the definition of the command line, so that they can't differ from it.

use std::io::{Write, stdout};

use anyhow::{Result, bail};
use clap::CommandFactory;
use clap_complete::shells;
use clap_mangen::Man;
use elkhound_config::suggest;

use crate::cli::{Cli, Shell};

/// Prints what a shell reads to complete command lines.
///
/// # Errors
/// A standard output that is closed.
pub(crate) fn completions(shell: Shell) -> Result<()> {
    let (mut command, mut text) = (Cli::command(), Vec::new());
    match shell {
        Shell::Bash => clap_complete::generate(shells::Bash, &mut command, "elkhound", &mut text),
        Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, "elkhound", &mut text),
        Shell::Fish => clap_complete::generate(shells::Fish, &mut command, "elkhound", &mut text),
    }
    Ok(stdout().write_all(&text)?)
}

/// Prints the manual page of elkhound, or of one of its commands.
///
/// # Errors
/// A command that there is none, and a standard output that is closed.
pub(crate) fn page(of: Option<&str>) -> Result<()> {
    let mut command = Cli::command();
    command.build();
    let page = match of {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            // It is called elkhound-setup(1) then, as git's are.
            Some(found) => found.clone(),
            None => bail!("there is no command `{name}`{}", remedy(name, &command)),
        },
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text)?;
    Ok(stdout().write_all(&text)?)
}

fn remedy(name: &str, command: &clap::Command) -> String {
    match suggest::near(name, command.get_subcommands().map(clap::Command::get_name)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; `elkhound --help` lists them".into(),
    }
}
