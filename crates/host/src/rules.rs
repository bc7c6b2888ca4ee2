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
    /// Commands may gain privileges (`sudo`): PR_SET_NO_NEW_PRIVS is left out.
    pub privileges: bool,
}

/// What clients may set where nothing else is said: how their terminal speaks.
pub const ACCEPT_ENV: [&str; 4] = ["LANG", "LC_*", "COLORTERM", "NO_COLOR"];

/// What a command finds of the server's own environment; nothing else.
pub(crate) const KEPT_ENV: [&str; 9] =
    ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"];

impl Rules {
    /// True where a client may set this variable.
    pub(crate) fn accepts(&self, name: &[u8]) -> bool {
        self.accept_env.iter().any(|pattern| fits(pattern.as_bytes(), name))
    }
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
