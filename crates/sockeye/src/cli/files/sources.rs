//! This machine's side of a transfer: sources and destinations as handles.

use std::io;
use std::os::fd::OwnedFd;

use anyhow::anyhow;
use sockeye_files::tree::Ground;
use sockeye_files::{Destination, Source};
use sockeye_net::shown;
use sockeye_wire::files::{Name, Placement};

use super::place::Place;

/// Paths of this machine count from here.
fn ground() -> io::Result<Ground> {
    Ok(Ground::Open(OwnedFd::from(std::fs::File::open(".")?)))
}

/// What is sent.
///
/// # Errors
/// Where this directory itself cannot be opened; sources that are not there say so themselves.
pub(super) fn sources(places: &[Place]) -> anyhow::Result<Vec<Source>> {
    if places == [Place::Standard] {
        let label = Name::new(b"stdin").expect("five letters are a name");
        return Ok(vec![Source::Stream { input: Box::new(io::stdin()), label }]);
    }
    let ground = ground().map_err(|error| anyhow!("cannot open this directory: {error}"))?;
    let paths = places.iter().filter_map(|place| match place {
        Place::Local(path) => Some(path.as_slice()),
        Place::Standard | Place::Remote { .. } => None,
    });
    Ok(sockeye_host::files::sources(ground, paths))
}

/// Where what comes is written.
///
/// # Errors
/// Where the directory that shall hold it is not there.
pub(super) fn destination(place: &Place, placement: Placement) -> anyhow::Result<Destination> {
    let path = match place {
        Place::Local(path) => path,
        Place::Standard | Place::Remote { .. } => {
            return Ok(Destination::Stream(Box::new(io::stdout())));
        }
    };
    let exact = placement == Placement::Exact;
    let found = ground().and_then(|ground| sockeye_host::files::destination(&ground, path, exact));
    found.map_err(|error| {
        let why = sockeye_files::explained(&error);
        anyhow!("cannot write to {}: {why}. Make its directory first.", shown::bytes(path))
    })
}

/// The name that a server has to give to what was asked for by this path; `None` where the path
/// does not end in one.
pub(super) fn expected(path: &[u8]) -> Option<Name> {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    path[..end].rsplit(|byte| *byte == b'/').next().and_then(Name::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F8: a source has the name that it was asked for by.
    #[test]
    fn names() {
        let name = |text: &str| Name::new(text.as_bytes());
        assert_eq!(expected(b"a"), name("a"));
        assert_eq!(expected(b"/srv/a//"), name("a"));
        assert_eq!(expected(b"/srv/.."), None);
        assert_eq!(expected(b"."), None);
        assert_eq!(expected(b""), None);
        assert_eq!(expected(b"/"), None);
    }
}
