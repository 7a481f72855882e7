//! The command line, from clap's description of it.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};
use imgbuild::command::Cli;

pub(crate) fn page() -> String {
    let mut command = Cli::command();
    command.build();
    let mut text =
        "# Command line\n\nMade from the program. Exit codes: 0 done, 1 work failed, 2 wrong command \
                    line or settings, 130 and 143 ended\nby SIGINT and by SIGTERM. Results go to standard output, everything else to standard error.\n"
            .to_owned();
    let _ = write!(text, "\n## Options of every command\n\n{}", table(&command, Arg::is_global_set));
    for subcommand in command.get_subcommands_mut() {
        section(subcommand, "imgbuild", &mut text);
    }
    text
}

/// A command and those below it.
fn section(command: &mut Command, above: &str, text: &mut String) {
    let path = format!("{above} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.render_usage().to_string().replace("Usage: ", "");
    let _ = write!(text, "\n## {path}\n\n{about}.\n\n    {usage}\n");
    let own = table(command, |arg| !arg.is_global_set() && arg.get_id() != "help");
    if !own.is_empty() {
        let _ = write!(text, "\n{own}");
    }
    for subcommand in command.get_subcommands_mut() {
        section(subcommand, &path, text);
    }
}

fn table(command: &Command, is_wanted: impl Fn(&Arg) -> bool) -> String {
    let rows: Vec<String> = command.get_arguments().filter(|arg| is_wanted(arg)).map(row).collect();
    if rows.is_empty() { String::new() } else { format!("| | |\n|---|---|\n{}", rows.concat()) }
}

fn row(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .map(|names| names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" "));
    let flags =
        [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    let name = [flags.join(", "), value.unwrap_or_default()].join(" ");
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        let _ = write!(help, "; one of {}", values.join(", "));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let _ = write!(help, "; default `{}`", defaults.join(" "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(help, "; also from `{}`", variable.to_string_lossy());
    }
    format!("| `{}` | {} |\n", name.trim(), help.replace('|', "\\|"))
}
