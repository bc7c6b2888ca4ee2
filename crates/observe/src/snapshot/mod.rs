//! One look at the sockets of this network namespace: tables, owners and counters together.

mod summary;
mod wanted;

use std::io;

use crate::counters::Counters;
use crate::owners::{Owner, Owners};
use crate::sockets::{self, Socket, UnixSocket};

pub use summary::TimeWaits;
pub use wanted::{Subject, Target, Wanted};

/// A socket with the processes that have it open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned<T> {
    /// The socket.
    pub socket: T,
    /// Who has it open, as far as we may see; no more than `limits::SOCKET_OWNERS`.
    pub owners: Vec<Owner>,
    /// How many processes have it open.
    pub owner_count: usize,
}

/// What there was at one moment, or nearly: the tables are read one after another.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// TCP and UDP sockets, by state, then address.
    pub sockets: Vec<Owned<Socket>>,
    /// Unix sockets, by state, then name; empty unless they were asked for.
    pub unix: Vec<Owned<UnixSocket>>,
    /// The connections in TIME-WAIT among those of the target, whatever states were asked for.
    pub time_waits: TimeWaits,
    /// What the target turned out to be; `None` where there is none.
    pub subject: Option<Subject>,
    /// The kernel's counters.
    pub counters: Counters,
    /// True where some process did not let us look at its descriptors.
    pub owners_hidden: bool,
}

impl Snapshot {
    /// Looks once.
    ///
    /// # Errors
    /// Those of [`sockets::list`].
    pub fn take(wanted: &Wanted) -> io::Result<Snapshot> {
        let inet = sockets::list(&wanted.protocols)?;
        let unix = if wanted.unix { sockets::unix()? } else { Vec::new() };
        // After the tables, so that a socket's owner has had time to be there.
        let owners = Owners::scan();
        let counters = Counters::read();
        Ok(Snapshot::of(wanted, inet, unix, &owners, counters))
    }

    fn of(
        wanted: &Wanted,
        inet: Vec<Socket>,
        unix: Vec<UnixSocket>,
        owners: &Owners,
        counters: Counters,
    ) -> Snapshot {
        let owned = |inode: Option<u64>| {
            inode.map_or((Vec::new(), 0), |inode| (owners.of(inode), owners.count(inode)))
        };
        let mut inet: Vec<Owned<Socket>> = inet
            .into_iter()
            .map(|socket| {
                let (owners, owner_count) = owned(socket.inode);
                Owned { socket, owners, owner_count }
            })
            .collect();
        let unix = unix.into_iter().map(|socket| {
            let (owners, owner_count) = owned(Some(socket.inode));
            Owned { socket, owners, owner_count }
        });
        let subject = wanted.subject(&inet);
        inet.retain(|found| wanted::concerns(subject, found));
        let time_waits = TimeWaits::count(inet.iter().map(|found| &found.socket));
        inet.retain(|found| wanted.shows(&found.socket));
        inet.sort_by_key(|found| {
            (found.socket.state, found.socket.protocol, found.socket.local, found.socket.peer)
        });
        let mut unix: Vec<Owned<UnixSocket>> =
            unix.filter(|found| wanted.shows_unix(subject, found)).collect();
        unix.sort_by(|a, b| {
            let key = |found: &Owned<UnixSocket>| (found.socket.state, found.socket.name.clone());
            key(a).cmp(&key(b))
        });
        let owners_hidden = owners.hidden();
        Snapshot { sockets: inet, unix, time_waits, subject, counters, owners_hidden }
    }

    /// True where a socket is shown whose owner we may not see.
    pub fn misses_owners(&self) -> bool {
        let hidden =
            |socket: &Owned<Socket>| socket.socket.inode.is_some() && socket.owners.is_empty();
        let unix = |socket: &Owned<UnixSocket>| socket.owners.is_empty();
        self.owners_hidden && (self.sockets.iter().any(hidden) || self.unix.iter().any(unix))
    }
}
