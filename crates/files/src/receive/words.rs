//! What a failure is called, for people: one sentence of cause, one of remedy.

use std::io;

use rustix::io::Errno;

/// What went wrong with a file at the destination.
pub(super) fn cannot(what: &str, error: &io::Error) -> String {
    let remedy = match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => "Make room at the destination, and try again.",
        Some(Errno::ACCESS | Errno::PERM) => "Check the rights at the destination.",
        Some(Errno::ROFS) => "Choose a destination that can be written.",
        Some(Errno::FBIG) => "The file is too long for the destination's file system.",
        Some(Errno::NAMETOOLONG) => "The destination's file system takes shorter names only.",
        Some(Errno::OPNOTSUPP) => "The destination's file system does not have such.",
        _ => "Check the destination, and try again.",
    };
    format!("{what}: {}. {remedy}", plain(error))
}

/// The system's own words, without the number that the standard library puts behind.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

pub(super) const DIRECTORY_HERE: &str =
    "a directory is here and stays. Remove it, or use sync with --delete.";
pub(super) const DESTINATION_HERE: &str = "the destination is a directory and the source is none: it \
    stays, with --delete too. Put a slash behind the source if that is a link to a directory, or remove \
    the destination.";
pub(super) const TEMPORARY_NAME: &str =
    "only temporary files of a transfer have such names: it is not stored. Choose another name.";
pub(super) const FILE_HERE: &str = "what is here is no directory, and stays with all that should \
    be in it left out. Remove it, or use sync with --delete.";
pub(super) const UNPROVED: &str =
    "its content is not what its proof says, and was thrown away. Try again.";
/// What [`cannot`] be done with a file that came.
pub(super) const UNWRITTEN: &str = "it cannot be written";
pub(super) const UNSTORED: &str = "it cannot be stored";
