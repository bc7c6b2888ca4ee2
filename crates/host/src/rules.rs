//! What the owner of a server allows: whose keys, which environment, which audit file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The rules of a server of remote commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Whose keys may come in: a file as OpenSSH's `authorized_keys`.
    pub authorized: PathBuf,
    /// The server's own key.
    pub host_key: PathBuf,
    /// Names of environment variables that a client may set; `*` and `?` stand for others.
    pub accept_env: Vec<String>,
    /// Where each command is written down before it runs.
    pub audit: Option<PathBuf>,
    /// Files are served beneath this directory alone, and no commands are run.
    pub root: Option<PathBuf>,
    /// Files are only read, and no commands are run.
    pub read_only: bool,
    /// Commands may gain privileges (`sudo`): PR_SET_NO_NEW_PRIVS is left out.
    pub privileges: bool,
}

/// What clients may set where nothing else is said: how their terminal speaks.
pub const ACCEPT_ENV: [&str; 4] = ["LANG", "LC_*", "COLORTERM", "NO_COLOR"];

/// What shells, loaders and the programs that scripts call obey: never a client's where the command
/// is the key's own. A pattern beside each, as in `--accept-env`.
const STEERING: [&str; 22] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "IFS",
    "ENV",
    "BASH_*",
    "BASHOPTS",
    "SHELLOPTS",
    "PS4",
    "CDPATH",
    "GLOBIGNORE",
    "PROMPT_COMMAND",
    "ZDOTDIR",
    "FPATH",
    "LD_*",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "MALLOC_*",
    "SSH_*",
    "TMPDIR",
];

impl Rules {
    /// True where files are all that is served: a tree that commands could leave is no tree.
    pub(crate) fn is_for_files(&self) -> bool {
        self.root.is_some() || self.read_only
    }

    /// True where a client may set this variable.
    pub(crate) fn accepts(&self, name: &[u8]) -> bool {
        self.accept_env.iter().any(|pattern| fits(pattern.as_bytes(), name))
    }

    /// True where a client may set it beside the command of a key (`command=`): only what the usual
    /// list has or the owner has named letter for letter, and nothing that would make another
    /// command of it. A pattern such as `*` says nothing about such keys.
    pub(crate) fn accepts_beside(&self, name: &[u8]) -> bool {
        let one_of = |patterns: &[&str]| patterns.iter().any(|it| fits(it.as_bytes(), name));
        let named = self.accept_env.iter().any(|word| word.as_bytes() == name && !is_pattern(word));
        self.accepts(name) && (named || one_of(&ACCEPT_ENV)) && !one_of(&STEERING)
    }
}

fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?'])
}

/// Whether a pattern with `*` and `?` covers a whole name.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // The last `*`, and how far what it stands for reaches, to come back to.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T3, X6: beside the command of a key a client sets what is named or usual, and never what
    /// would make another command of it.
    #[test]
    fn beside_a_command() {
        let rules = |words: &[&str]| Rules {
            authorized: PathBuf::new(),
            host_key: PathBuf::new(),
            accept_env: words.iter().map(ToString::to_string).collect(),
            audit: None,
            root: None,
            read_only: false,
            privileges: false,
        };
        let all = rules(&["*", "GIT_PROTOCOL", "LD_PRELOAD", "SHELL"]);
        for good in ["GIT_PROTOCOL", "LANG", "LC_TIME"] {
            assert!(all.accepts_beside(good.as_bytes()), "{good}");
        }
        let bad = ["FOO", "SHELL", "PATH", "LD_PRELOAD", "BASH_ENV", "BASH_FUNC_ls%%", "IFS", "*"];
        for bad in bad {
            assert!(all.accepts(bad.as_bytes()) && !all.accepts_beside(bad.as_bytes()), "{bad}");
        }
        assert!(!rules(&["FOO"]).accepts_beside(b"LANG"), "the owner has said so");
    }

    /// X6: which variables a client may set is a list of patterns.
    #[test]
    fn patterns() {
        let cases = [
            ("LC_*", "LC_TIME", true),
            ("LC_*", "LC_", true),
            ("LC_*", "LC", false),
            ("*", "", true),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("*_X_*", "A_X_X_B", true),
            ("LANG", "LANGUAGE", false),
            ("LD_*A", "LD_AAAB", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
