//! A command whose arguments are defined when it is asked for, not before: a call of one command does
//! not pay for the definitions of all the others.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// The arguments of a command, defined late.
#[derive(Debug)]
pub(crate) struct Later<T>(pub(crate) T);

/// Defines the arguments, and keeps what the command was said to be about.
fn define<T: Args>(command: Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    T::augment_args(command).about(about).long_about(None)
}

impl<T: Args> Args for Later<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(define::<T>)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Args> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Later<T>, Error> {
        T::from_arg_matches(matches).map(Later)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
