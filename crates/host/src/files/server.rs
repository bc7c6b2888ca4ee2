//! The server's end of a transfer: what was asked for becomes handles, then an engine runs on a
//! thread that may touch them alone.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat};
use sockeye_files::tree::Ground;
use sockeye_files::{Destination, Happening, Observer, Source, Stopped, explained, receive, send};
use sockeye_limits as limits;
use sockeye_net::shown;
use sockeye_wire::files::{FromReceiver, FromSender, Placement, Transfer, Way};
use sockeye_wire::{Failure, FailureKind};
use tokio::io::{AsyncRead, AsyncWrite};

use super::confine::{Reach, confine};
use super::grant::Grant;
use super::pump::{PumpError, pump};
use super::refusal::tell_refusal;
use super::sources::{destination, late_directories, sources};

/// A transfer that may begin.
pub(crate) struct Moving {
    transfer: Transfer,
    end: End,
}

/// What an engine needs.
enum End {
    Receiver(Destination),
    Sender(Vec<Source>),
}

/// What came of it, for the log.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Moved {
    /// Bytes of content, as they are in the files.
    pub(crate) bytes: u64,
    /// What failed.
    pub(crate) failed: u64,
}

impl Moving {
    /// Looks up what was asked for. It waits for the disk.
    ///
    /// # Errors
    /// What is told to the client.
    pub(crate) fn prepare(transfer: Transfer, grant: &Grant) -> Result<Moving, Failure> {
        grant.allows(transfer.way)?;
        let ground = ground(grant)?;
        let end = match transfer.way {
            Way::Push => {
                // A request has one path then.
                let path = local(transfer.paths.first().map_or(&b"."[..], Vec::as_slice));
                let exact = transfer.placement == Placement::Exact;
                let found = destination(&ground, path, exact);
                End::Receiver(found.map_err(|error| not_found(path, &error))?)
            }
            Way::Pull => {
                End::Sender(sources(ground, transfer.paths.iter().map(|path| local(path))))
            }
        };
        Ok(Moving { transfer, end })
    }

    /// Moves the files; what came of it, also where it failed.
    pub(crate) async fn run(
        self,
        stream: (&mut (impl AsyncRead + Unpin), &mut (impl AsyncWrite + Unpin)),
        rest: Vec<u8>,
    ) -> Result<Moved, PumpError> {
        let Moving { transfer, end } = self;
        match end {
            End::Receiver(destination) => {
                pump(stream, rest, None, move |inbox, outbox| {
                    let mut count = Count::default();
                    let received = hold_to_destination(&destination).and_then(|()| {
                        receive(destination, &transfer, &[], inbox, outbox, &mut count)
                    });
                    let tally = received
                        .inspect_err(|stopped| tell_refusal::<FromReceiver>(stopped, outbox))?;
                    Ok(Moved { bytes: count.bytes, failed: tally.failed })
                })
                .await
            }
            End::Sender(sources) => {
                pump(stream, rest, None, move |inbox, outbox| {
                    let mut count = Count::default();
                    let sent = hold_to_sources(&sources)
                        .and_then(|()| send(sources, &transfer, inbox, outbox, &mut count));
                    let sent =
                        sent.inspect_err(|stopped| tell_refusal::<FromSender>(stopped, outbox))?;
                    Ok(Moved { bytes: count.bytes, failed: sent.tally.failed })
                })
                .await
            }
        }
    }
}

/// Counts what moves.
#[derive(Default)]
struct Count {
    bytes: u64,
}

impl Observer for Count {
    fn tell(&mut self, happening: Happening<'_>) {
        if let Happening::Moved { bytes } = happening {
            self.bytes += bytes;
        }
    }
}

/// Where paths are looked up: within the last of the trees that are granted, or from the home
/// directory.
fn ground(grant: &Grant) -> Result<Ground, Failure> {
    let failed = |path: &Path, error: io::Error| {
        let path = shown::bytes(path.as_os_str().as_bytes());
        system(format!("cannot enter {path}: {error}"))
    };
    let Some((first, rest)) = grant.roots.split_first() else {
        let home = sockeye_trust::place::home().unwrap_or_else(|| "/".into());
        let handle = directory(&home).map_err(|error| failed(&home, error))?;
        return Ok(Ground::Open(handle));
    };
    let mut handle = directory(first).map_err(|error| failed(first, error))?;
    for root in rest {
        handle = within(handle, root).map_err(|error| failed(root, error))?;
    }
    Ok(Ground::Within(handle))
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::RDONLY);

fn directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, DIRECTORY, Mode::empty())?)
}

/// A tree of a tree: its path counts from that.
fn within(handle: OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let (parent, name) = Ground::Within(handle).locate(path.as_os_str().as_bytes())?;
    Ok(match name {
        None => parent,
        Some(name) => {
            let flags = DIRECTORY | OFlags::NOFOLLOW;
            openat(&parent, OsStr::from_bytes(name.as_bytes()), flags, Mode::empty())?
        }
    })
}

/// `~/` is the home directory, where relative paths count from.
fn local(path: &[u8]) -> &[u8] {
    match path.strip_prefix(b"~/") {
        Some(b"") => b".",
        Some(rest) => rest,
        None if path == b"~" => b".",
        None => path,
    }
}

fn not_found(path: &[u8], error: &io::Error) -> Failure {
    let (kind, remedy) = match error.kind() {
        io::ErrorKind::NotFound => (FailureKind::NotFound, "Make its directory first."),
        io::ErrorKind::CrossesDevices => (FailureKind::Refused, "Name a place within it."),
        _ => (FailureKind::System, "Name another place."),
    };
    let why = explained(error);
    Failure { kind, text: format!("{}: {why}. {remedy}", shown::bytes(path)) }
}

fn system(text: String) -> Failure {
    Failure { kind: FailureKind::System, text }
}

/// A directory that is held anyway, or was opened for this.
enum Tree<'s> {
    Held(BorrowedFd<'s>),
    Opened(OwnedFd),
}

impl AsFd for Tree<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Tree::Held(held) => *held,
            Tree::Opened(opened) => opened.as_fd(),
        }
    }
}

fn refused(error: impl std::fmt::Display) -> Stopped {
    Stopped::Refused(format!(
        "cannot confine the transfer to what was asked for: {error}. Raise `ulimit -n`, or try again."
    ))
}

/// This thread may write beneath the destination's directory alone.
pub(super) fn hold_to_destination(destination: &Destination) -> Result<(), Stopped> {
    let trees = match destination {
        Destination::At { directory, .. } => vec![(directory.as_fd(), Reach::Write)],
        Destination::Stream(_) => Vec::new(),
    };
    confine(trees).map_err(refused)
}

/// This thread may read the sources alone.
pub(super) fn hold_to_sources(sources: &[Source]) -> Result<(), Stopped> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut opened: Vec<File> = Vec::new();
    let mut trees = Vec::new();
    for source in sources {
        match source {
            Source::At { directory, name, .. } if sources.len() <= limits::CONFINED_SOURCES => {
                let path = OsStr::from_bytes(name.as_bytes());
                // What is not there cannot be read either.
                opened.extend(openat(directory, path, flags, Mode::empty()).map(File::from));
            }
            Source::At { directory, .. } => trees.push((directory.as_fd(), Reach::Read)),
            Source::Directory { handle, .. } => trees.push((handle.as_fd(), Reach::Read)),
            Source::Late { .. } | Source::Stream { .. } | Source::Missing { .. } => {}
        }
    }
    trees.extend(opened.iter().map(|file| (file.as_fd(), Reach::Read)));
    let trees = trees.into_iter().map(|(tree, reach)| (Tree::Held(tree), reach));
    let late = late_directories(sources).map(|tree| (Tree::Opened(tree), Reach::Read));
    confine(trees.chain(late)).map_err(refused)
}
