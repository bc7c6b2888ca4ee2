//! Paths become sources and destinations: handles of directories, and names in them.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, statat};
use sockeye_files::tree::Ground;
use sockeye_files::{Destination, Source};
use sockeye_limits as limits;
use sockeye_wire::files::Name;

/// The destination that a path names. A link to a directory is that directory, as somebody says who
/// names it; any other link is replaced like a file. What is made `exact`ly this need not be there, also
/// where a slash behind it says that it is a directory: only the one that holds it.
///
/// # Errors
/// Where the directory that shall hold it is not there.
pub fn destination(ground: &Ground, path: &[u8], exact: bool) -> io::Result<Destination> {
    let (directory, name) = match ground.locate(path) {
        Err(error) if exact && error.kind() == io::ErrorKind::NotFound => {
            let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
            if end == path.len() {
                return Err(error);
            }
            ground.locate(&path[..end])?
        }
        located => located?,
    };
    if let Some(name) = &name
        && let Ok(stat) = statat(&directory, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
        && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
        && let Ok((directory, None)) = ground.locate(&[path, b"/."].concat())
    {
        return Ok(Destination::At { directory, name: None });
    }
    Ok(Destination::At { directory, name })
}

/// The sources that these paths name; one that cannot be found is a source that says so. The first
/// are held open, and those in one directory share its handle; where there are more than
/// [`limits::CONFINED_SOURCES`], the rest is looked up when its turn comes.
pub fn sources<'a>(ground: Ground, paths: impl IntoIterator<Item = &'a [u8]>) -> Vec<Source> {
    let ground = Arc::new(ground);
    let mut last: Option<(&[u8], Arc<OwnedFd>)> = None;
    let mut found = Vec::new();
    for path in paths {
        if found.len() >= limits::CONFINED_SOURCES {
            found.push(Source::Late { ground: Arc::clone(&ground), path: path.to_vec() });
            continue;
        }
        let (parent, tail) = split(path);
        if let (Some((known, directory)), Some(name)) = (&last, Name::new(tail))
            && *known == parent
        {
            let (directory, label, shown) = (Arc::clone(directory), name.clone(), path.to_vec());
            found.push(Source::At { directory, name, label, shown });
            continue;
        }
        let source = Source::find(&ground, path);
        if let Source::At { directory, .. } = &source {
            last = Some((parent, Arc::clone(directory)));
        }
        found.push(source);
    }
    found
}

/// The directories that hold these sources, each opened for this alone; those that cannot be found
/// have none.
pub(super) fn late_directories(sources: &[Source]) -> impl Iterator<Item = OwnedFd> {
    let mut last = None;
    sources.iter().filter_map(move |source| {
        let Source::Late { ground, path } = source else { return None };
        // Where it has no name it is a directory itself.
        let (parent, tail) = split(path);
        if last == Some(parent) && Name::new(tail).is_some() {
            return None;
        }
        let directory = ground.locate(path).ok()?.0;
        last = Some(parent);
        Some(directory)
    })
}

/// What a path says of its directory, up to the last slash, and what is behind.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1))
}
