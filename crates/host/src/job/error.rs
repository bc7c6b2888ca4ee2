//! Why a command did not start.

use std::borrow::Cow;
use std::io;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Why a command did not start. Nothing of it ran.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum StartError {
    /// There is no such program.
    #[error("there is no such program; check its name and the PATH of the command")]
    NotFound,
    /// The program is there, but not the interpreter or loader that it names (`#!`, ELF).
    #[error("the interpreter that the program names is missing; correct its first line")]
    NoInterpreter,
    /// The program must not or cannot be executed.
    #[error("the program cannot be executed ({0}); check its mode and its format")]
    NotExecutable(
        #[source]
        #[serde(with = "errno")]
        io::Error,
    ),
    /// The directory to run in cannot be entered.
    #[error("the directory to run in cannot be entered ({0}); name another one")]
    Directory(
        #[source]
        #[serde(with = "errno")]
        io::Error,
    ),
    /// There are too many processes already: fork(2) failed with `EAGAIN`.
    #[error("the system allows no more processes; end some or try again later")]
    TooManyProcesses,
    /// The arguments and the environment are longer than the kernel takes: `E2BIG`, execve(2).
    #[error("the arguments and the environment are too long together; pass less")]
    TooLong,
    /// The plan makes no command: no argument, or a NUL byte in one.
    #[error("no command can be made of this plan ({0}); correct it")]
    Plan(Cow<'static, str>),
    /// Another call failed.
    #[error("cannot {operation} ({source}); try again")]
    System {
        /// What was being done.
        operation: Cow<'static, str>,
        /// The system's error.
        #[serde(with = "errno")]
        source: io::Error,
    },
}

impl StartError {
    /// For `map_err`: a call failed while `operation` was being done.
    pub(super) fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |error| StartError::System { operation: operation.into(), source: error.into() }
    }

    /// The system's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            StartError::NotFound | StartError::NoInterpreter => Some(Errno::NOENT.raw_os_error()),
            StartError::TooManyProcesses => Some(Errno::AGAIN.raw_os_error()),
            StartError::TooLong => Some(Errno::TOOBIG.raw_os_error()),
            StartError::Plan(_) => None,
            StartError::NotExecutable(source)
            | StartError::Directory(source)
            | StartError::System { source, .. } => source.raw_os_error(),
        }
    }
}

/// A system's error as its number: all that crosses from a keeper to its job.
mod errno {
    use super::{Deserialize, Errno, Serialize, io};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        error: &io::Error,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<io::Error, D::Error> {
        Ok(io::Error::from_raw_os_error(i32::deserialize(deserializer)?))
    }
}
