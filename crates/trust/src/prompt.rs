//! Asking for passphrases on the terminal, unseen.

use std::path::Path;

use zeroize::Zeroizing;

use crate::strict::show;

/// Asks for a passphrase on the process's terminal (/dev/tty); `None` if there is none, or the
/// user ended it. This is what [`crate::file::read_private`] wants as `ask`.
pub fn passphrase(path: &Path) -> Option<Zeroizing<String>> {
    ask(&format!("Passphrase for {}: ", show(path)))
}

/// Asks for a new passphrase, twice, until both are the same. `None` as in [`passphrase`]; the
/// empty passphrase means none.
pub fn new_passphrase(path: &Path) -> Option<Zeroizing<String>> {
    let mut question = format!("New passphrase for {} (empty for none): ", show(path));
    loop {
        let first = ask(&question)?;
        if *ask("The same passphrase again: ")? == *first {
            return Some(first);
        }
        question = "They differ. New passphrase (empty for none): ".into();
    }
}

/// True if there is a terminal to ask on.
pub fn is_possible() -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok()
}

fn ask(question: &str) -> Option<Zeroizing<String>> {
    rpassword::prompt_password(question).ok().map(Zeroizing::new)
}
