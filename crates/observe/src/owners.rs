//! Whose sockets they are: one walk over /proc/PID/fd, proc_pid_fd(5).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use sockeye_limits as limits;
use sockeye_net::sys::holder;

pub use sockeye_net::sys::holder::Owner;

/// The processes that have sockets open, as far as we may see them.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    by_inode: HashMap<u64, Vec<u32>>,
    programs: HashMap<u32, String>,
    hidden: bool,
}

impl Owners {
    /// Looks at all processes once. Those that come and go meanwhile may be missed.
    pub fn scan() -> Owners {
        let mut owners = Owners::default();
        let Ok(processes) = fs::read_dir("/proc") else {
            return Owners { hidden: true, ..owners };
        };
        for process in processes.flatten() {
            let name = process.file_name();
            if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
                owners.look_at(pid, &process.path());
            }
        }
        owners
    }

    fn look_at(&mut self, pid: u32, process: &Path) {
        let descriptors = match fs::read_dir(process.join("fd")) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                // Else it has just ended.
                self.hidden |= error.kind() == io::ErrorKind::PermissionDenied;
                return;
            }
        };
        let mut inodes: Vec<u64> =
            descriptors.flatten().filter_map(|fd| inode(&fd.path())).collect();
        inodes.sort_unstable();
        inodes.dedup();
        if !inodes.is_empty() {
            self.programs.insert(pid, holder::program(pid));
        }
        for inode in inodes {
            self.by_inode.entry(inode).or_default().push(pid);
        }
    }

    /// The processes that have this socket open, the oldest numbers first; no more than
    /// [`limits::SOCKET_OWNERS`].
    pub fn of(&self, inode: u64) -> Vec<Owner> {
        let Some(pids) = self.by_inode.get(&inode) else { return Vec::new() };
        let mut pids = pids.clone();
        pids.sort_unstable();
        let name = |pid| self.programs.get(&pid).cloned().unwrap_or_default();
        let some = pids.into_iter().take(limits::SOCKET_OWNERS);
        some.map(|pid| Owner { pid, program: name(pid) }).collect()
    }

    /// How many processes have this socket open.
    pub fn count(&self, inode: u64) -> usize {
        self.by_inode.get(&inode).map_or(0, Vec::len)
    }

    /// True where some process does not let us look: a socket without an owner may be its.
    pub fn hidden(&self) -> bool {
        self.hidden
    }
}

/// The inode of the socket that a descriptor's link names: `socket:[4711]`.
fn inode(link: &Path) -> Option<u64> {
    let to = fs::read_link(link).ok()?;
    to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;

    /// O3: a socket of ours is ours, by number and name; one that nobody has is nobody's.
    #[test]
    fn own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let again = listener.try_clone().unwrap();
        let path = format!("/proc/self/fd/{}", again.as_raw_fd());
        let inode = inode(Path::new(&path)).unwrap();
        let owners = Owners::scan();
        let ours = Owner { pid: std::process::id(), program: holder::program(std::process::id()) };
        assert!(!ours.program.is_empty());
        assert_eq!((owners.of(inode), owners.count(inode)), (vec![ours], 1));
        assert_eq!(owners.of(u64::MAX), []);
    }
}
