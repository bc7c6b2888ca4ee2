//! What a command finds of the environment: the server's own usual variables, and what the system knows
//! of its user where a server was started without them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a command finds of the server's own environment; nothing else.
pub(crate) const KEPT_ENV: [&str; 9] =
    ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Where programs are found by a server that was started without a PATH.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The environment that every command starts from.
pub(crate) fn environment() -> Vec<(OsString, OsString)> {
    let account =
        || account(&std::fs::read("/etc/passwd").ok()?, rustix::process::geteuid().as_raw());
    from(|name| std::env::var_os(name), account)
}

fn from(
    own: impl Fn(&str) -> Option<OsString>,
    account: impl FnOnce() -> Option<Account>,
) -> Vec<(OsString, OsString)> {
    let present = |name: &&str| Some((OsString::from(name), own(name)?));
    let mut kept: Vec<_> = KEPT_ENV.iter().filter_map(present).collect();
    let is_missing = |name: &str| own(name).is_none();
    if is_missing("PATH") {
        kept.push(("PATH".into(), USUAL_PATH.into()));
    }
    if ["USER", "LOGNAME", "SHELL"].into_iter().any(is_missing)
        && let Some(account) = account()
    {
        let known =
            [("USER", &account.name), ("LOGNAME", &account.name), ("SHELL", &account.shell)];
        let known = known.into_iter().filter(|(name, value)| is_missing(name) && !value.is_empty());
        kept.extend(known.map(|(name, value)| (name.into(), value.clone())));
    }
    kept
}

/// A user as passwd(5) has it.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    name: OsString,
    shell: OsString,
}

/// The first line of a user's number. Who is known to a directory service alone is not in the file.
fn account(passwd: &[u8], uid: u32) -> Option<Account> {
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [name, _, number, _, _, _, shell] = fields[..] else { return None };
        let text = |field| OsStr::from_bytes(field).to_owned();
        (str::from_utf8(number).ok()?.parse() == Ok(uid))
            .then(|| Account { name: text(name), shell: text(shell) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X2: a user's line is found by its number; broken lines and others' are passed over.
    #[test]
    fn lines() {
        let file =
            b"root:x:0:0:root:/root:/bin/bash\nbroken:x:7\n:::::\nme:x:7:7:,,:/home/me:/bin/zsh\n";
        let me = Account { name: "me".into(), shell: "/bin/zsh".into() };
        assert_eq!(account(file, 7), Some(me));
        assert_eq!(account(file, 8), None);
        assert_eq!(account(b"", 0), None);
    }

    /// X2: what the server has stays; what is missing comes from the account; PATH is never missing.
    #[test]
    fn missing() {
        let me = || Some(Account { name: "me".into(), shell: "".into() });
        let own = |name: &str| (name == "USER").then(|| "other".into());
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let expected = [pair("USER", "other"), pair("PATH", USUAL_PATH), pair("LOGNAME", "me")];
        assert_eq!(from(own, me), expected);
        let all = from(|name| Some(name.into()), || panic!("nothing is missing"));
        assert_eq!(all.len(), KEPT_ENV.len());
    }
}
