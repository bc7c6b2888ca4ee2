//! What tells whether a file is still what it was: which one it is, its length, mode and owner, and
//! when it and its content were last changed.

use rustix::fs::{FileType, Stat};
use sockeye_wire::files::Time;

/// A file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) size: u64,
    pub(super) mtime: Time,
    /// When anything of it was changed last: nobody can set it (inode(7)), so what is written under
    /// an old time of change shows here.
    ctime: Time,
    /// Device and inode.
    file: (u64, u64),
    mode: u32,
    owner: (u32, u32),
}

// The types of these fields differ between architectures.
#[allow(clippy::unnecessary_cast)]
impl State {
    pub(super) fn of(stat: &Stat) -> State {
        State {
            size: stat.st_size.max(0) as u64,
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
            file: (stat.st_dev as u64, stat.st_ino as u64),
            mode: stat.st_mode as u32,
            owner: (stat.st_uid, stat.st_gid),
        }
    }

    /// True where what the listing said beside its content holds: it may be another file by now, of
    /// which the receiver must not think the same. With `archive` it was told more than can be
    /// compared.
    pub(super) fn goes_as(&self, listed: &State, archive: bool) -> bool {
        let same = (self.file, self.owner) == (listed.file, listed.owner);
        self.mode == listed.mode && (same || !archive)
    }
}

fn time(seconds: i64, nanoseconds: u64) -> Time {
    // Some file systems have more than a second's nanoseconds on the disk.
    Time { seconds, nanoseconds: nanoseconds.min(999_999_999) as u32 }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
