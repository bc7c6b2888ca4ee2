//! What temporary files are called: `.sockeye-`, and in hexadecimal digits whose they are (8), a random
//! number (16), for which file (8), and a check of all that (8). Behind a journal's name stands `~`.

use std::io;

use sockeye_net::sys::random::random;
use sockeye_wire::files::Name;

const BEGINNING: &str = ".sockeye-";
const DIGITS: usize = 8 + 16 + 8 + 8;

/// True for the names of temporary files and of their journals, whoever made them: no file of a
/// transfer has such. What merely looks similar is a file like any other.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    digits(name).is_some()
}

/// True where this user's transfers made it.
pub(in crate::receive) fn is_of_us(name: &[u8]) -> bool {
    digits(name).is_some_and(|digits| digits[..8] == *owner().as_bytes())
}

/// True where a transfer of a file of this name made it, of whatever user. Another file may have the
/// same digits: the journal knows.
pub(in crate::receive) fn is_for(name: &[u8], file: &Name) -> bool {
    digits(name).is_some_and(|digits| digits[24..32] == *hash(file.as_bytes()).as_bytes())
}

/// A new one for this file.
///
/// # Errors
/// Without randomness.
pub(crate) fn new(file: &Name) -> io::Result<String> {
    let number = u64::from_be_bytes(random()?);
    let name = format!("{BEGINNING}{}{number:016x}{}", owner(), hash(file.as_bytes()));
    let check = hash(name.as_bytes());
    Ok(name + &check)
}

/// The journal's.
pub(in crate::receive) fn journal(of: &str) -> String {
    format!("{of}~")
}

fn digits(name: &[u8]) -> Option<&[u8]> {
    let name = name.strip_suffix(b"~").unwrap_or(name);
    let digits = name.strip_prefix(BEGINNING.as_bytes())?;
    let (said, check) = name.split_at_checked(name.len().checked_sub(8)?)?;
    (digits.len() == DIGITS && *check == *hash(said).as_bytes()).then_some(digits)
}

fn owner() -> String {
    format!("{:08x}", rustix::process::geteuid().as_raw())
}

/// The first digits of the hash.
fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F8, fault 69: ours are known from other users', and both from what only looks similar.
    #[test]
    fn names_are_known() {
        let file = Name::new(b"f").unwrap();
        let ours = new(&file).unwrap();
        assert_eq!(ours.len(), 49);
        assert_ne!(ours, new(&file).unwrap());
        for name in [ours.clone(), journal(&ours)] {
            assert!(is_temporary(name.as_bytes()) && is_of_us(name.as_bytes()));
            assert!(is_for(name.as_bytes(), &file));
            assert!(!is_for(name.as_bytes(), &Name::new(b"g").unwrap()));
        }
        let user = rustix::process::geteuid().as_raw().wrapping_add(1);
        let said = format!("{BEGINNING}{user:08x}{}", &ours[17..41]);
        let theirs = format!("{said}{}", hash(said.as_bytes()));
        assert!(is_temporary(theirs.as_bytes()) && !is_of_us(theirs.as_bytes()));
        let digits = &ours[BEGINNING.len()..];
        for name in [
            String::new(),
            BEGINNING.to_owned(),
            ours[..48].to_owned(),
            format!("{ours}0"),
            format!("{ours}~~"),
            format!("{BEGINNING}{}", digits.to_uppercase().replace(char::is_numeric, "A")),
            format!("{said}00000000"),
            ".sockeye-0123456789abcdef0123".to_owned(),
            format!("x{}", &ours[1..]),
        ] {
            assert!(!is_temporary(name.as_bytes()) && !is_of_us(name.as_bytes()), "{name}");
        }
    }
}
