//! What a key may do with files: all that the server's user may, a tree alone, or nothing.

use std::path::{Path, PathBuf};

use sockeye_wire::files::Way;
use sockeye_wire::{Failure, FailureKind};

use crate::gate::Pass;
use crate::rules::Rules;

/// Files that may be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The trees that are granted, each within the one before it; none where the system's own
    /// permissions are all that counts.
    pub(crate) roots: Vec<PathBuf>,
    /// Nothing may be written.
    pub(crate) read_only: bool,
}

impl Grant {
    /// What the owner's rules and the key leave.
    ///
    /// # Errors
    /// What is told to the client where that is nothing.
    pub(crate) fn of(pass: &Pass, rules: &Rules) -> Result<Grant, Failure> {
        let mut grant =
            Grant { roots: rules.root.iter().cloned().collect(), read_only: rules.read_only };
        if let Some(line) = &pass.forced {
            let forced = Forced::read(line).ok_or_else(|| {
                refused("this key has a command of its own, which moves no files".into())
            })?;
            grant.roots.extend(forced.root);
            grant.read_only |= forced.read_only;
        }
        Ok(grant)
    }

    /// Whether files may go this way.
    ///
    /// # Errors
    /// What is told to the client where they may not.
    pub(crate) fn allows(&self, way: Way) -> Result<(), Failure> {
        match way {
            Way::Push if self.read_only => {
                Err(refused("nothing may be written here: it is read-only".into()))
            }
            Way::Push | Way::Pull => Ok(()),
        }
    }

    /// True for a key that is for files alone: `command="sockeye files …"`.
    pub(crate) fn is_for_files(line: &str) -> bool {
        Forced::read(line).is_some()
    }
}

pub(super) fn refused(text: String) -> Failure {
    Failure { kind: FailureKind::Refused, text }
}

/// The forced command `sockeye files [--root DIR] [--read-only]` of a key.
#[derive(Debug, PartialEq, Eq)]
struct Forced {
    root: Option<PathBuf>,
    read_only: bool,
}

impl Forced {
    /// `None` where it is another command, or has a word that we do not know: what is understood
    /// by half would grant too much.
    fn read(line: &str) -> Option<Forced> {
        let words = shlex::split(line)?;
        let (program, rest) = words.split_first()?;
        let (what, rest) = rest.split_first()?;
        if Path::new(program).file_name()? != "sockeye" || what != "files" {
            return None;
        }
        let mut forced = Forced { root: None, read_only: false };
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            match (word.as_str(), word.strip_prefix("--root=")) {
                ("--read-only", _) => forced.read_only = true,
                ("--root", _) => forced.root = Some(root(rest.next()?)?),
                (_, Some(path)) => forced.root = Some(root(path)?),
                _ => return None,
            }
        }
        Some(forced)
    }
}

/// A tree that is granted: an absolute path.
fn root(word: &str) -> Option<PathBuf> {
    Some(PathBuf::from(word)).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F8: a key for files alone is understood whole or not at all.
    #[test]
    fn forced() {
        let read = |line| Forced::read(line);
        let root = |path: &str| Some(PathBuf::from(path));
        assert_eq!(read("sockeye files"), Some(Forced { root: None, read_only: false }));
        assert_eq!(
            read("/usr/bin/sockeye files --root '/srv/my files' --read-only"),
            Some(Forced { root: root("/srv/my files"), read_only: true })
        );
        assert_eq!(
            read("sockeye files --root=/srv"),
            Some(Forced { root: root("/srv"), read_only: false })
        );
        for other in [
            "",
            "sockeye",
            "sockeye files --root",
            "sockeye files --root srv",
            "sockeye files --rot /srv",
            "sockeye files; sh",
            "sockeye files --read-only /x",
            "sh -c 'sockeye files'",
            "sockeye files 'x",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
