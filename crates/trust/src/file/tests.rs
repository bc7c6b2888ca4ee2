//! Key files as OpenSSH writes them, and those that are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::pair::Signer;
use crate::testing::{has, key, keygen, nobody};

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k");
    (dir, path)
}

fn fault(path: &Path) -> KeyFileError {
    read_private(path, &mut nobody()).unwrap_err()
}

/// T2: keys of ssh-keygen's are read, encrypted ones with their passphrase.
#[test]
fn from_ssh_keygen() {
    if !has("ssh-keygen") {
        return;
    }
    let (dir, path) = dir();
    keygen(dir.path(), &["-q", "-t", "ed25519", "-N", "", "-C", "who@where", "-f", "k"]);
    let pair = read_private(&path, &mut nobody()).unwrap();
    assert_eq!(pair.comment(), "who@where");
    let line = fs::read_to_string(dir.path().join("k.pub")).unwrap();
    assert_eq!(public_line(&pair) + "\n", line);
    assert!(!is_encrypted(&path).unwrap());

    for cipher in ["aes256-ctr", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        let path = dir.path().join(cipher);
        let file = path.to_str().unwrap();
        keygen(dir.path(), &["-qted25519", "-Nsecret", "-a4", "-Z", cipher, "-f", file]);
        assert!(is_encrypted(&path).unwrap());
        let mut answers = ["wrong", "secret"].into_iter();
        let mut ask = |_: &Path| answers.next().map(|word| Zeroizing::new(word.to_owned()));
        let pair = read_private(&path, &mut ask).unwrap();
        assert_eq!(pair.public(), public_of(&path).unwrap(), "{cipher}");
    }
}

/// T2: keys that we write are ssh-keygen's, encrypted ones too.
#[test]
fn to_ssh_keygen() {
    if !has("ssh-keygen") {
        return;
    }
    for passphrase in [None, Some(""), Some("a secret")] {
        let (dir, path) = dir();
        let pair = KeyPair::generate("some one").unwrap();
        write_private(&path, &pair, passphrase).unwrap();
        let file = path.to_str().unwrap();
        let given = passphrase.unwrap_or_default();
        let line = keygen(dir.path(), &["-y", "-P", given, "-f", file]);
        assert_eq!(line.trim_end(), public_line(&pair));
        assert_eq!(is_encrypted(&path).unwrap(), !given.is_empty());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        let public = fs::read_to_string(dir.path().join("k.pub")).unwrap();
        assert_eq!(public, line);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no litter");
        let mut ask = |_: &Path| Some(Zeroizing::new(given.to_owned()));
        let back = read_private(&path, &mut ask).unwrap();
        assert_eq!((back.public(), back.comment()), (pair.public(), "some one"));
    }
}

/// T2: an existing file is never overwritten, nor is a lonely public key.
#[test]
fn never_over() {
    let (dir, path) = dir();
    write_private(&path, &key(), None).unwrap();
    let before = fs::read(&path).unwrap();
    let again = write_private(&path, &key(), None);
    assert!(matches!(again, Err(KeyFileError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(&path).unwrap();
    let beside = write_private(&path, &key(), None).unwrap_err();
    assert!(beside.to_string().contains("k.pub exists"), "{beside}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// T2, fault 54: readable by others, a link, a directory, a FIFO, somebody else's: each refused in
/// its own words, without waiting.
#[test]
fn places() {
    let (dir, path) = dir();
    write_private(&path, &key(), None).unwrap();
    for mode in [0o640, 0o604, 0o610, 0o601, 0o620] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(matches!(fault(&path), KeyFileError::TooOpen { mode: seen, .. } if seen == mode));
        assert!(matches!(public_of(&path), Err(KeyFileError::TooOpen { .. })));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    read_private(&path, &mut nobody()).unwrap();
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(fault(&link), KeyFileError::Link { .. }));
    assert!(matches!(fault(dir.path()), KeyFileError::Directory { .. }));
    let fifo = dir.path().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
    assert!(matches!(fault(&fifo), KeyFileError::NotAFile { .. }));
    assert!(matches!(fault(&dir.path().join("none")), KeyFileError::Missing { .. }));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(matches!(fault(&path), KeyFileError::Foreign { owner: 65534, .. }));
    } else {
        println!("skipped: a file of another user takes root");
    }
}

fn write_secret(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// T2, fault 54: what is no key, another format, another type, damaged or endless, is told apart.
#[test]
fn contents() {
    let (dir, path) = dir();
    write_secret(&path, b"hello");
    assert!(matches!(fault(&path), KeyFileError::NotAKey { .. }));
    write_secret(&path, b"-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----\n");
    assert!(matches!(fault(&path), KeyFileError::OtherFormat { .. }));
    write_secret(&path, &vec![b'x'; limits::KEY_FILE_BYTES as usize + 1]);
    assert!(matches!(fault(&path), KeyFileError::TooLong { .. }));
    if has("ssh-keygen") {
        for (kind, name) in [("rsa", "ssh-rsa"), ("ecdsa", "ecdsa-sha2-nistp256")] {
            keygen(dir.path(), &["-q", "-t", kind, "-N", "", "-f", kind]);
            let error = fault(&dir.path().join(kind));
            assert!(matches!(&error, KeyFileError::WrongType { name: n, .. } if n == name));
            assert!(error.to_string().contains("only Ed25519"), "{error}");
        }
    }
}

/// T2: a key that is cut short or changed anywhere is damaged: never a panic, never another key.
#[test]
fn damaged() {
    let (_dir, path) = dir();
    let pair = key();
    write_private(&path, &pair, None).unwrap();
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        write_secret(&path, &good[..at]);
        if let Ok(read) = read_private(&path, &mut nobody()) {
            assert_eq!((read.public(), good.len() - at), (pair.public(), 1));
        }
        let mut bad = good.clone();
        bad[at] ^= 2;
        write_secret(&path, &bad);
        if let Ok(read) = read_private(&path, &mut |_| None) {
            assert_eq!(read.public(), pair.public());
        }
    }
}

/// T2: three wrong passphrases, or nobody to ask, and no key.
#[test]
fn passphrases() {
    let (_dir, path) = dir();
    write_private(&path, &key(), Some("right")).unwrap();
    let mut asked = 0;
    let mut ask = |_: &Path| {
        asked += 1;
        Some(Zeroizing::new("wrong".to_owned()))
    };
    let error = read_private(&path, &mut ask).unwrap_err();
    assert!(matches!(error, KeyFileError::WrongPassphrase { .. }));
    assert_eq!(asked, limits::PASSPHRASE_TRIES);
    let error = read_private(&path, &mut |_| None).unwrap_err();
    assert!(matches!(error, KeyFileError::NoPassphrase { .. }));
}

/// T2: servers that start at once end with the same host key, which is whole.
#[test]
fn one_host_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/host_key");
    let keys: Vec<PublicKey> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| crate::host_key(&path).unwrap().public());
        let threads: Vec<_> = (0..8).map(|_| start()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(crate::host_key(&path).unwrap().public(), keys[0]);
    let mode = fs::metadata(path.parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Fault 55: no secret in what is shown of a key.
#[test]
fn nothing_shown() {
    let pair = key();
    let shown = format!("{pair:?}");
    assert_eq!(shown, format!("KeyPair({})", pair.public().fingerprint()));
    let (_dir, path) = dir();
    write_private(&path, &pair, Some("pass-word")).unwrap();
    let error = read_private(&path, &mut |_| Some(Zeroizing::new("other-word".into())));
    let shown = format!("{0:?} {0}", error.unwrap_err());
    assert!(!shown.contains("-word"), "{shown}");
}
