//! Completions for shells.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, ValueHint};
use clap_complete::Shell;

use super::write_out;
use crate::cli::usage::Failure;

/// Arguments of `sockeye completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
    shell: Shell,
}

/// Writes completions to stdout.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut command = crate::cli::command();
    // Arguments are defined late; what follows needs them.
    command.build();
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut hinted(command), "sockeye", &mut text);
    write_out(&text)
}

/// What may stand for a value, where that is no matter of its parser, by the value's name in the help.
enum Offer {
    Words(&'static [&'static str]),
    Of(ValueHint),
}

fn offer(value_name: &str) -> Offer {
    match value_name {
        "MODEL" => Offer::Words(&["iterative", "thread", "process", "event"]),
        "HOW" => Offer::Words(&["queue", "refuse", "reset"]),
        "on|off" => Offer::Words(&["on", "off"]),
        "FILE" | "SRC" | "SRC… DST" | "KEY|FILE|-" => Offer::Of(ValueHint::FilePath),
        "DST" => Offer::Of(ValueHint::AnyPath),
        "DIR" => Offer::Of(ValueHint::DirPath),
        "HOST" | "HOST[:PORT]" => Offer::Of(ValueHint::Hostname),
        "ARGV" => Offer::Of(ValueHint::CommandWithArguments),
        // Numbers, times, patterns: file names would only be in the way.
        _ => Offer::Of(ValueHint::Other),
    }
}

/// The same command, each of whose values says what it may be completed with.
fn hinted(command: Command) -> Command {
    command.mut_args(hint).mut_subcommands(hinted)
}

fn hint(arg: Arg) -> Arg {
    let names = arg.get_value_names();
    let name = names.and_then(|names| names.first()).map(|name| name.as_str().to_owned());
    let has_words = !arg.get_possible_values().is_empty();
    if has_words || !arg.get_action().takes_values() {
        return arg;
    }
    match offer(name.as_deref().unwrap_or_default()) {
        Offer::Words(words) => arg.value_parser(PossibleValuesParser::new(words)),
        Offer::Of(hint) => arg.value_hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q5: an option whose values are words offers them, one of files files, and others nothing.
    #[test]
    fn offers() {
        let mut command = crate::cli::command();
        command.build();
        let command = hinted(command);
        let serve = command.find_subcommand("serve").unwrap();
        let of = |id: &str| serve.get_arguments().find(|arg| arg.get_id() == id).unwrap();
        let words = |id: &str| -> Vec<String> {
            let values = of(id).get_possible_values();
            values.iter().map(|value| value.get_name().to_owned()).collect()
        };
        let models = sockeye_serve::Model::ALL.map(|model| model.name().to_owned());
        assert_eq!(words("model"), models);
        assert_eq!(of("host_key").get_value_hint(), ValueHint::FilePath);
        assert_eq!(of("drain").get_value_hint(), ValueHint::Other);
    }
}
