//! Small files, which come whole in one message: proved and stored by two threads, the receiver's own
//! and one that helps it. Most of their cost is the file system's.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver as Results, SyncSender};
use std::thread::{Builder, JoinHandle};

use rustix::fs::{Mode, Stat, fchmod, fstat, fsync};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_net::sys::close::flush;
use sockeye_wire::files::{Hash, Meta, Name, Time};

use super::Receiver;
use super::content::{Awaited, PRIVATE};
use super::meta::{Rights, Unset};
use super::temporary::Temporary;
use super::unnamed::Unnamed;
use super::words::{UNPROVED, UNSTORED, UNWRITTEN, cannot};
use crate::engine::{Happening, Stopped};

/// How a file is finished that is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish {
    rights: Rights,
    fsync: bool,
}

impl Finish {
    /// All but its name; `made` is what it was like when we made it. Until it has its name we can read
    /// it, see [`Temporary::make`].
    pub(super) fn dress(
        self,
        file: &File,
        made: Option<&Stat>,
        meta: &Meta,
        mtime: Time,
    ) -> io::Result<Unset> {
        let readable =
            self.is_barred(meta).then(|| Meta { mode: meta.mode | 0o400, ..meta.clone() });
        let meta = readable.as_ref().unwrap_or(meta);
        let unset = self.rights.apply(file.as_fd(), meta, mtime, made);
        if self.fsync {
            fsync(file)?;
        }
        // What a file system tells of writing when a file is closed alone, it tells here.
        flush(file)?;
        Ok(unset)
    }

    /// Behind its name: where its owner may not read it, nobody may.
    pub(super) fn bar(self, file: &File, meta: &Meta, unset: &mut Unset) {
        if self.is_barred(meta) {
            let mode = fstat(file).map(|stat| Mode::from_raw_mode(stat.st_mode));
            unset.note("mode", mode.and_then(|mode| fchmod(file, mode - Mode::RUSR)));
        }
    }

    fn is_barred(self, meta: &Meta) -> bool {
        !self.rights.mode(meta).contains(Mode::RUSR)
    }
}

/// A small file, and all that storing it takes.
struct Job {
    file: Awaited,
    mtime: Time,
    hash: Hash,
    data: Vec<u8>,
    at: Arc<OwnedFd>,
    finish: Finish,
}

/// What came of it.
enum Outcome {
    Stored(Unset),
    Unproved,
    /// What cannot be done, and why.
    Failed(&'static str, io::Error),
}

impl Job {
    fn done(self: Box<Self>) -> (Box<Job>, Outcome) {
        let outcome = self.outcome();
        (self, outcome)
    }

    fn outcome(&self) -> Outcome {
        if blake3::hash(&self.data) != self.hash {
            return Outcome::Unproved;
        }
        let unnamed = self.file.absent.then(|| self.store_unnamed()).flatten();
        unnamed.unwrap_or_else(|| self.store_aside())
    }

    /// Stores it without any name until it is whole. `None` where that cannot be, or something has its
    /// name meanwhile: there is another way then, which also tells what is wrong.
    fn store_unnamed(&self) -> Option<Outcome> {
        let Job { file, mtime, data, at, finish, .. } = self;
        let unnamed = Unnamed::make(at, mode(finish.rights, &file.meta)).ok()?;
        if let Err(error) = unnamed.file().write_all_at(data, 0) {
            return Some(Outcome::Failed(UNWRITTEN, error));
        }
        let dressed = finish.dress(unnamed.file(), Some(unnamed.made()), &file.meta, *mtime);
        let mut unset = match dressed {
            Ok(unset) => unset,
            Err(error) => return Some(Outcome::Failed(UNSTORED, error)),
        };
        unnamed.name(at, &file.name).ok()?;
        finish.bar(unnamed.file(), &file.meta, &mut unset);
        Some(Outcome::Stored(unset))
    }

    /// Stores it under a name of its own, which becomes the right one.
    fn store_aside(&self) -> Outcome {
        let Job { file, mtime, data, at, finish, .. } = self;
        let mut aside = match write(at, &file.name, mode(finish.rights, &file.meta), data) {
            Ok(aside) => aside,
            Err(error) => return Outcome::Failed(UNWRITTEN, error),
        };
        // Dropped without a name, it is removed.
        let dressed = finish.dress(aside.file(), aside.made(), &file.meta, *mtime);
        let named = dressed.and_then(|mut unset| {
            aside.rename(&file.name)?;
            finish.bar(aside.file(), &file.meta, &mut unset);
            Ok(unset)
        });
        named.map_or_else(|error| Outcome::Failed(UNSTORED, error), Outcome::Stored)
    }
}

fn write(at: &Arc<OwnedFd>, name: &Name, mode: Mode, data: &[u8]) -> io::Result<Temporary> {
    let aside = Temporary::make(at, name, mode)?;
    aside.file().write_all_at(data, 0)?;
    Ok(aside)
}

/// The mode of a file that is soon whole, and would not be resumed.
fn mode(rights: Rights, meta: &Meta) -> Mode {
    match meta.owner {
        None => rights.mode(meta) & Mode::from_raw_mode(0o777),
        // With an owner to come, it is nobody's to read before.
        Some(_) => PRIVATE,
    }
}

/// The thread that helps. It holds at most [`limits::SMALL_AHEAD`] files and one more, and never
/// waits for the receiver's: results have room for all of them.
pub(super) struct Helper {
    jobs: Option<SyncSender<Box<Job>>>,
    results: Results<(Box<Job>, Outcome)>,
    thread: Option<JoinHandle<()>>,
    /// Jobs whose results were not taken.
    outstanding: usize,
}

impl Helper {
    /// It may touch what this thread may (Landlock domains are inherited).
    fn start() -> io::Result<Helper> {
        let (jobs, taken) = mpsc::sync_channel::<Box<Job>>(limits::SMALL_AHEAD);
        let (done, results) = mpsc::channel();
        let work = move || taken.into_iter().map(Job::done).try_for_each(|job| done.send(job));
        let work = move || {
            // Nobody takes results any more where a transfer was stopped.
            let _ = work();
        };
        let thread = Some(Builder::new().name("small files".into()).spawn(work)?);
        Ok(Helper { jobs: Some(jobs), results, thread, outstanding: 0 })
    }

    /// Gives the job back where there is enough to do.
    fn give(&mut self, job: Box<Job>) -> Result<(), Box<Job>> {
        let Some(jobs) = &self.jobs else { return Err(job) };
        jobs.try_send(job).map_err(|error| match error {
            mpsc::TrySendError::Full(job) | mpsc::TrySendError::Disconnected(job) => job,
        })?;
        self.outstanding += 1;
        Ok(())
    }

    /// A result that is there; with `wait` the next one, as long as any is to come.
    fn result(&mut self, wait: bool) -> Option<(Box<Job>, Outcome)> {
        if self.outstanding == 0 {
            return None;
        }
        let result = if wait {
            self.results.recv().map_err(|_| mpsc::TryRecvError::Disconnected)
        } else {
            self.results.try_recv()
        };
        match result {
            Ok(result) => {
                self.outstanding -= 1;
                Some(result)
            }
            Err(mpsc::TryRecvError::Empty) => None,
            // It ends before its jobs only by a panic, which is then this thread's too.
            Err(mpsc::TryRecvError::Disconnected) => {
                let ended = self.thread.take().map(JoinHandle::join);
                ended.and_then(Result::err).map(|panic| resume_unwind(panic))
            }
        }
    }
}

impl Drop for Helper {
    /// Its last files are stored, or gone, before the transfer is over.
    fn drop(&mut self) {
        self.jobs = None;
        // A panic was told when a result was missed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Receiver<'_> {
    pub(super) fn finishing(&self) -> Finish {
        Finish { rights: self.rights, fsync: self.options.fsync }
    }

    /// A small file came.
    pub(super) fn small(&mut self, mtime: Time, hash: &Hash, data: Vec<u8>) -> Result<(), Stopped> {
        let mut file = self.next_awaited()?;
        if self.has_enough() {
            self.talk.tally.data += data.len() as u64;
            return self.settle(&file, false);
        }
        file.partial = None;
        if file.looks_equal {
            if blake3::hash(&data) != *hash {
                return self.fail(&file, UNPROVED.to_owned());
            }
            if self.is_small_here(&file, &data)? {
                self.came(data.len() as u64);
                return Ok(());
            }
        }
        let at = match self.handles.open(&self.folders.at(file.folder).place) {
            Ok(at) => at,
            Err(error) => return self.fail_for(&file, UNWRITTEN, &error),
        };
        let finish = self.finishing();
        let job = Box::new(Job { file, mtime, hash: *hash, data, at, finish });
        // The last one is stored at once: nothing is gained by waiting for another thread.
        let alone = self.awaited.is_empty();
        if !alone && self.helper.is_none() {
            // Without a thread it takes longer.
            self.helper = Helper::start().ok();
        }
        let left = match &mut self.helper {
            Some(helper) if !alone => helper.give(job).err(),
            _ => Some(job),
        };
        match left {
            Some(job) => {
                let (job, outcome) = job.done();
                self.take_result(job, outcome)
            }
            None => Ok(()),
        }
    }

    /// Takes note of what the helper has done; with `wait`, of all that was given to it.
    pub(super) fn take_results(&mut self, wait: bool) -> Result<(), Stopped> {
        while let Some((job, outcome)) = self.helper.as_mut().and_then(|helper| helper.result(wait))
        {
            self.take_result(job, outcome)?;
        }
        Ok(())
    }

    fn take_result(&mut self, job: Box<Job>, outcome: Outcome) -> Result<(), Stopped> {
        let Job { file, mtime, data, at, .. } = *job;
        let bytes = data.len() as u64;
        if !matches!(outcome, Outcome::Unproved) {
            self.came(bytes);
        }
        match outcome {
            Outcome::Stored(unset) => self.stored(&file, unset, bytes),
            Outcome::Unproved => self.fail(&file, UNPROVED.to_owned()),
            // A directory is in the way, for which there are rules.
            Outcome::Failed(_, error) if Errno::from_io_error(&error) == Some(Errno::ISDIR) => {
                match write(&at, &file.name, mode(self.rights, &file.meta), &data) {
                    Ok(aside) => self.store(&file, aside, mtime, bytes),
                    Err(error) => self.fail_for(&file, UNWRITTEN, &error),
                }
            }
            Outcome::Failed(what, error) => self.fail_for(&file, what, &error),
        }
    }

    fn fail_for(&mut self, file: &Awaited, what: &str, error: &io::Error) -> Result<(), Stopped> {
        self.missed(error);
        self.fail(file, cannot(what, error))
    }

    /// So many bytes of content came and are proved.
    fn came(&mut self, bytes: u64) {
        self.talk.count(|tally| &mut tally.data, bytes);
        self.talk.tell(Happening::Moved { bytes });
    }
}
