//! What is to be run: the program, where, with which environment, and what it is connected to.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// A program and its arguments, of which the first is the program itself. A name without a
    /// slash is looked up on the `PATH` of the plan's environment, as execvp(3) does.
    Arguments(Vec<OsString>),
    /// A line for the shell that the plan's environment names: `$SHELL -c LINE`, or `/bin/sh`.
    Line(OsString),
    /// That shell as a login shell: its name begins with a hyphen.
    Login,
}

/// What a command's standard input, output and error are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// A pipe each.
    Pipes {
        /// Whether standard input is a pipe; otherwise it is /dev/null.
        stdin: bool,
    },
    /// Standard output and error are one pipe, standard input is /dev/null: the plain form.
    Merged,
    /// A terminal of the command's own.
    Terminal {
        /// The kind of terminal, for `TERM`; where empty, the plan's environment decides.
        name: OsString,
        /// How large it is.
        size: WindowSize,
    },
    /// A detached command: all three are /dev/null, and it may outlive this process.
    Null,
}

/// The size of a terminal, as tty_ioctl(4) has it (TIOCSWINSZ).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
    /// Pixels a line, or 0.
    pub width: u16,
    /// Lines of pixels, or 0.
    pub height: u16,
}

/// What a command may not do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// No program that it runs gets privileges that it has not: PR_SET_NO_NEW_PRIVS, prctl(2).
    pub no_new_privileges: bool,
    /// It sends no signals to processes outside its own tree, traces none of them and reaches none
    /// of their abstract Unix sockets: Landlock scopes, landlock(7), Linux 6.12. Without
    /// privileges the kernel wants `no_new_privileges` for that, which is then set as well.
    pub scoped: bool,
}

/// One command, whole: nothing of this process is inherited but its user, limits and umask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is to be run.
    pub program: Program,
    /// Where; the directory of this process when `None`.
    #[serde(with = "path")]
    pub directory: Option<PathBuf>,
    /// The whole environment. The last value of a name counts.
    pub environment: Vec<(OsString, OsString)>,
    /// What it is connected to.
    pub stdio: Stdio,
    /// What it may not do.
    pub confinement: Confinement,
}

impl Plan {
    /// The value of an environment variable of the command.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.environment.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// The shell that the environment names.
    pub(super) fn shell(&self) -> &OsStr {
        self.variable("SHELL").filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh".as_ref())
    }

    /// True for a command that may outlive this process.
    pub(super) fn is_detached(&self) -> bool {
        self.stdio == Stdio::Null
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this status.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// Linux's number of the signal.
        number: u8,
        /// Whether a core was dumped.
        core: bool,
    },
}

/// A path as bytes: the serialisation of `PathBuf` itself knows only UTF-8.
mod path {
    use super::{Deserialize, OsString, PathBuf, Serialize};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        path: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_ref().map(|path| path.as_os_str().to_owned()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<OsString>::deserialize(deserializer)?.map(PathBuf::from))
    }
}
