//! Extended attributes (xattr(7)) of what is open. Of a handle that only names something (`O_PATH`), as
//! one of a link or a pipe is, they are reached by its name in proc(5).

use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{
    XattrFlags, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, fremovexattr, fsetxattr,
    getxattr, getxattr_query, listxattr, listxattr_query, removexattr, setxattr,
};
use rustix::io::Errno;

/// Name and value.
pub(crate) type Attribute = (Vec<u8>, Vec<u8>);

/// What leads to a handle that is nothing to read or write.
pub(crate) fn by_name(file: impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// All names that we may see.
pub(crate) fn names(file: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let (length, path) = match flistxattr_query(&file) {
        Err(Errno::BADF) => {
            let path = by_name(&file);
            (listxattr_query(&path)?, Some(path))
        }
        length => (length?, None),
    };
    if length == 0 {
        return Ok(Vec::new());
    }
    let mut buffer = vec![0; length];
    let length = match path {
        Some(path) => listxattr(path, &mut buffer[..])?,
        None => flistxattr(&file, &mut buffer[..])?,
    };
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

/// The value of one.
pub(crate) fn value(file: impl AsFd, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let (length, path) = match fgetxattr_query(&file, name) {
        Err(Errno::BADF) => {
            let path = by_name(&file);
            (getxattr_query(&path, name)?, Some(path))
        }
        length => (length?, None),
    };
    let mut value = vec![0; length];
    let length = match path {
        Some(path) => getxattr(path, name, &mut value[..])?,
        None => fgetxattr(&file, name, &mut value[..])?,
    };
    value.truncate(length);
    Ok(value)
}

/// Sets one.
pub(crate) fn set(file: impl AsFd, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    match fsetxattr(&file, name, value, XattrFlags::empty()) {
        Err(Errno::BADF) => setxattr(by_name(&file), name, value, XattrFlags::empty()),
        done => done,
    }
}

/// Removes one; that it is gone already is as well.
pub(crate) fn remove(file: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    let done = match fremovexattr(&file, name) {
        Err(Errno::BADF) => removexattr(by_name(&file), name),
        done => done,
    };
    match done {
        Err(Errno::NODATA) => Ok(()),
        done => done,
    }
}

/// True for one that everybody sees who may see the file, and that no system gives by itself: of these
/// a list can be whole.
pub(crate) fn is_everybodys(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == b"security.capability"
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use rustix::fs::{Mode, OFlags, open};

    use super::*;

    fn named(path: &Path) -> OwnedFd {
        open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    /// F5: a handle that only names a file leads to its attributes; of a link, to the link's own.
    #[test]
    fn by_handles_that_only_name() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("f");
        std::fs::write(&file, "x").unwrap();
        for handle in [std::fs::File::open(&file).unwrap().into(), named(&file)] {
            set(&handle, b"user.a", b"1").unwrap();
            assert_eq!(value(&handle, b"user.a").unwrap(), b"1");
            assert_eq!(names(&handle).unwrap(), [b"user.a"]);
            remove(&handle, b"user.a").unwrap();
            remove(&handle, b"user.a").unwrap();
            assert_eq!(names(&handle).unwrap(), [b""; 0]);
        }
        let link = home.path().join("l");
        symlink("f", &link).unwrap();
        let handle = named(&link);
        // Links have none of users' (xattr(7)), and others are root's to give.
        assert_eq!(set(&handle, b"user.a", b"1"), Err(Errno::PERM));
        if rustix::process::geteuid().is_root() {
            set(&handle, b"trusted.a", b"1").unwrap();
            assert_eq!(value(&handle, b"trusted.a").unwrap(), b"1");
            assert_eq!(names(named(&file)).unwrap(), [b""; 0]);
        }
    }
}
