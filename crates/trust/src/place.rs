//! Where keys and lists are kept by default.

use std::env;
use std::path::PathBuf;

/// The user's home directory, from `HOME`. `None` if that is unset, empty or relative.
pub fn home() -> Option<PathBuf> {
    absolute("HOME")
}

/// `~/.config/sockeye`, or `$XDG_CONFIG_HOME/sockeye` (XDG Base Directory Specification).
pub fn config() -> Option<PathBuf> {
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))?;
    Some(base.join("sockeye"))
}

/// The server's own key, `host_key` in [`config`].
pub fn host_key() -> Option<PathBuf> {
    Some(config()?.join("host_key"))
}

/// The list of servers' keys, `known_hosts` in [`config`].
pub fn known_hosts() -> Option<PathBuf> {
    Some(config()?.join("known_hosts"))
}

/// Who may come in, `~/.ssh/authorized_keys`.
pub fn authorized_keys() -> Option<PathBuf> {
    Some(home()?.join(".ssh/authorized_keys"))
}

/// The identity that `sockeye key new` makes, `id_ed25519` in [`config`].
pub fn identity() -> Option<PathBuf> {
    Some(config()?.join("id_ed25519"))
}

/// The files that a client's identity is looked for in, in order: [`identity`], then
/// `~/.ssh/id_ed25519`.
pub fn identities() -> Vec<PathBuf> {
    let ssh = home().map(|home| home.join(".ssh/id_ed25519"));
    identity().into_iter().chain(ssh).collect()
}

/// A variable that holds an absolute path; others are ignored, as that specification asks.
fn absolute(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(name)?);
    path.is_absolute().then_some(path)
}
