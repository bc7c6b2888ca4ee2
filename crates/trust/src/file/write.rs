//! Writing key files: whole under their name or not at all, and never over an existing one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::{KeyFileError, format};
use crate::pair::{KeyPair, SignError, Signer};
use crate::strict::show;

/// Writes a private key as `ssh-keygen` does: mode 0600, encrypted if there is a passphrase that
/// is not empty, and its public line beside it in PATH.pub (0644). Directories that are missing
/// are made for their owner alone.
///
/// # Errors
/// [`KeyFileError::Exists`] if either file exists; then nothing is written. [`KeyFileError::Io`]:
/// a private key that is there is whole.
pub fn write_private(
    path: &Path,
    pair: &KeyPair,
    passphrase: Option<&str>,
) -> Result<(), KeyFileError> {
    write(path, pair, passphrase, Beside::Refuse)
}

/// What to do about a public key file without its private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Somebody may still need it: refuse.
    Refuse,
    /// It is ours, and of a key that is gone: replace it.
    Replace,
}

/// The public line of a key, as PATH.pub holds it, without a newline.
pub fn public_line(pair: &KeyPair) -> String {
    let comment: String =
        pair.comment().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{} {comment}", pair.public()).trim_end().to_owned()
}

pub(crate) fn write(
    path: &Path,
    pair: &KeyPair,
    passphrase: Option<&str>,
    beside: Beside,
) -> Result<(), KeyFileError> {
    let io = |operation| move |error| KeyFileError::io(operation, path, error);
    let public = public_path(path);
    for taken in [path, &public] {
        let ours = taken == path || beside == Beside::Refuse;
        if ours && taken.symlink_metadata().is_ok() {
            return Err(KeyFileError::Exists { path: show(taken) });
        }
    }
    make_directory(path).map_err(io("make the directory of"))?;
    let text = format::encode(pair, passphrase).map_err(|_| SignError::Crypto)?;
    let temporary = Temporary::write(path, 0o600, text.as_bytes()).map_err(io("write"))?;
    temporary.publish(path, RenameFlags::NOREPLACE).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: show(path) },
        _ => KeyFileError::io("write", path, error),
    })?;
    let line = public_line(pair) + "\n";
    let io = |error| KeyFileError::io("write", &public, error);
    let temporary = Temporary::write(&public, 0o644, line.as_bytes()).map_err(io)?;
    temporary.publish(&public, RenameFlags::empty()).map_err(io)
}

/// PATH.pub.
fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Makes the directory that a file stands in, for its owner alone.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)
        }
        _ => Ok(()),
    }
}

/// A file under a temporary name beside its later one; gone when it is not published.
pub(crate) struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// Writes it whole, and to the disk.
    pub(crate) fn write(target: &Path, mode: u32, bytes: &[u8]) -> io::Result<Temporary> {
        let mut tag = [0; 8];
        aws_lc_rs::rand::fill(&mut tag).map_err(|_| io::Error::other("no randomness"))?;
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        name.push(format!(".{:016x}", u64::from_be_bytes(tag)));
        let path = target.with_file_name(name);
        let mut file: File =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        let temporary = Temporary { path };
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(temporary)
    }

    /// Gives it its name.
    pub(crate) fn publish(self, target: &Path, how: RenameFlags) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, &self.path, CWD, target, how) {
            // Some file systems cannot rename without replacing; a link never replaces.
            Err(Errno::INVAL | Errno::NOSYS) if how == RenameFlags::NOREPLACE => {
                std::fs::hard_link(&self.path, target)
            }
            done => Ok(done?),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
