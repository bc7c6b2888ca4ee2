//! Answers to listed files: what is here and equal, what is wanted whole, what is here in part.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{FromReceiver, Hash, Meta, Name, Note, Resume};

use super::Receiver;
use super::content::Awaited;
use super::folder::Id;
use super::journal::Version;
use super::meta::{Changes, Unset, mtime, named};
use super::remove::left;
use super::root::kind;
use super::temporary::Temporary;
use super::words::cannot;
use crate::chunk::{Chunks, chunk};
use crate::engine::{Happening, Stopped};

/// A listed file without an answer; `None` for one that is not wanted, whatever is here.
pub(super) struct Listed(Option<Awaited>);

/// What is here in the place of a file.
enum Here {
    /// Nothing that is of use.
    Nothing,
    /// A directory, which may be removed.
    Directory(Stat),
    /// A file that looks the same.
    Equal(Stat),
    /// An older version.
    Older(Stat),
}

impl Receiver<'_> {
    pub(super) fn list_file(
        &mut self,
        folder: Id,
        name: Name,
        size: Option<u64>,
        group: Option<u32>,
        meta: Meta,
    ) -> Result<(), Stopped> {
        self.begin_group(group)?;
        self.talk.tell(Happening::Listed { bytes: size.unwrap_or(0) });
        self.folders.hold(folder);
        let (partial, basis, weight) = (None, None, 0);
        let (looks_equal, absent, told, given_up) = (false, false, false, false);
        let awaited = Awaited {
            folder,
            name,
            size,
            group,
            meta,
            partial,
            basis,
            looks_equal,
            absent,
            told,
            given_up,
            weight,
        };
        self.unanswered.push_back(Listed(Some(awaited)));
        Ok(())
    }

    pub(super) fn list_unwanted(&mut self) -> Result<(), Stopped> {
        self.unanswered.push_back(Listed(None));
        Ok(())
    }

    /// Answers as many files as may be: those that hold something open are few at a time.
    pub(super) fn answer_next(&mut self) -> Result<(), Stopped> {
        while self.held < limits::FILES_HELD {
            match self.unanswered.pop_front() {
                Some(Listed(Some(file))) => self.answer(file)?,
                Some(Listed(None)) => self.talk.answer(false)?,
                None => break,
            }
        }
        Ok(())
    }

    /// None of those that have no answer is wanted any more.
    pub(super) fn skip_all(&mut self) -> Result<(), Stopped> {
        while let Some(Listed(file)) = self.unanswered.pop_front() {
            self.talk.answer(false)?;
            if let Some(file) = file {
                self.settle(&file, false)?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, file: Awaited) -> Result<(), Stopped> {
        let (place, fresh) = {
            let folder = self.folders.at(file.folder);
            (folder.place.clone(), folder.fresh)
        };
        if fresh {
            return self.want(file, None, Here::Nothing);
        }
        let looked = self.handles.open(&place).and_then(|at| {
            let here = self.look(&at, &file)?;
            Ok((at, here))
        });
        match looked {
            Ok((at, Here::Equal(stat))) if self.has_to_part(&at, &file, &stat) => {
                self.want(file, Some(&at), Here::Nothing)
            }
            Ok((at, Here::Equal(stat))) if !self.options.checksum || stat.st_size == 0 => {
                self.keep(&at, &file, &stat)
            }
            Ok((at, here)) => self.want(file, Some(&at), here),
            Err(error) => {
                self.talk.answer(false)?;
                let text = self.in_the_way(file.folder, &error, "what is here cannot be seen");
                self.fail(&file, text)
            }
        }
    }

    fn look(&self, at: &OwnedFd, file: &Awaited) -> io::Result<Here> {
        let stat = match statat(at, file.name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Here::Nothing),
            Err(error) => return Err(error.into()),
        };
        match kind(&stat) {
            FileType::Directory if !self.may_make_room(file.folder) => Err(Errno::ISDIR.into()),
            FileType::Directory => Ok(Here::Directory(stat)),
            FileType::RegularFile => {
                let same_length = file.size == u64::try_from(stat.st_size).ok();
                let equal = same_length && mtime(&stat) == file.meta.mtime;
                Ok(if equal { Here::Equal(stat) } else { Here::Older(stat) })
            }
            _ => Ok(Here::Nothing),
        }
    }

    /// What is here stays; its mode and owner become what they should be.
    fn keep(&mut self, at: &OwnedFd, file: &Awaited, stat: &Stat) -> Result<(), Stopped> {
        self.talk.answer(false)?;
        if !self.options.checksum {
            self.talk.tally.compared += 1;
        }
        self.unchanged(at, file, stat, file.size.unwrap_or(0))
    }

    /// It is here and equal; so many bytes of it need no more to move.
    pub(super) fn unchanged(
        &mut self,
        at: &OwnedFd,
        file: &Awaited,
        stat: &Stat,
        bytes: u64,
    ) -> Result<(), Stopped> {
        self.talk.tally.skipped += 1;
        self.talk.tell(Happening::Skipped { bytes });
        let text = match self.touch(at, file, stat) {
            Ok(None) => None,
            Ok(Some(unset)) => {
                let path = self.folders.at(file.folder).path(Some(&file.name));
                self.changed(path, unset)?
            }
            Err(error) => Some(cannot("its mode or owner cannot be set", &error)),
        };
        if let Some(text) = text {
            self.trouble(file.folder, Some(&file.name), text)?;
        }
        self.settle(file, true)
    }

    /// True for one of several names of a file that at the source is a file of its own, and has something
    /// else there: what the others are names of is not its to change, and it is stored anew.
    fn has_to_part(&self, at: &OwnedFd, file: &Awaited, stat: &Stat) -> bool {
        let has_others = self.options.archive && file.group.is_none() && stat.st_nlink > 1;
        has_others && matches!(self.beside(at, file, stat), Ok(Some(_)))
    }

    /// Changes what a file has beside its content; `None` where all is so.
    fn touch(&self, at: &OwnedFd, file: &Awaited, stat: &Stat) -> io::Result<Option<Unset>> {
        let Some((handle, now, changes)) = self.beside(at, file, stat)? else { return Ok(None) };
        if self.options.dry_run {
            return Ok(Some(Unset::default()));
        }
        let (meta, handle) = (&file.meta, handle.as_fd());
        Ok(Some(self.rights.change(changes, handle, meta, meta.mtime, Some(&now))))
    }

    /// What of that is not so yet, of the file that is open then; `None` where all is.
    fn beside(
        &self,
        at: &OwnedFd,
        file: &Awaited,
        stat: &Stat,
    ) -> io::Result<Option<(OwnedFd, Stat, Changes)>> {
        let Awaited { meta, name, .. } = file;
        let same_mode = stat.st_mode & 0o7777 == self.rights.mode(meta).as_raw_mode();
        let attributes = meta.whole || !meta.xattrs.is_empty();
        if same_mode && !attributes && !self.rights.owner_differs(meta, stat) {
            return Ok(None);
        }
        let handle = match openat(at, name.as_bytes(), READ, Mode::empty()) {
            // Its owner may change what he may not read.
            Err(Errno::ACCESS) => named(at, name.as_bytes())?.0,
            opened => opened?,
        };
        let now = fstat(&handle)?;
        if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
            return Err(io::Error::other("it was replaced at the same time"));
        }
        let changes = self.rights.changes(handle.as_fd(), meta, meta.mtime, &now);
        Ok(changes.any().then_some((handle, now, changes)))
    }

    fn want(
        &mut self,
        mut file: Awaited,
        at: Option<&Arc<OwnedFd>>,
        here: Here,
    ) -> Result<(), Stopped> {
        let size = file.size.unwrap_or(0);
        if let Some(at) = at
            && !self.options.dry_run
        {
            file.partial = self.find_partial(at, &file);
        }
        // Only its content shows whether it is equal.
        let looks_equal = matches!(here, Here::Equal(_)) && file.partial.is_none();
        let old = match at {
            Some(at) if file.partial.is_none() && (looks_equal || !self.options.dry_run) => {
                self.basis(at, &file, &here)
            }
            _ => None,
        };
        file.looks_equal = looks_equal && old.is_some();
        file.absent = matches!(here, Here::Nothing);
        if self.options.dry_run && !file.looks_equal {
            let path = self.folders.at(file.folder).path(Some(&file.name));
            self.talk.answer(false)?;
            if let Here::Directory(found) = &here
                && let Err(error) = self.make_room(file.folder, &file.name, Some(found))
            {
                let text = self.in_the_way(file.folder, &error, "it could not be stored");
                return self.fail(&file, text);
            }
            self.talk.note(Note::WouldStore, path)?;
            return self.settle(&file, true);
        }
        if let Some((_, marks)) = &file.partial {
            file.weight = weight(marks.len(), limits::MARKS_OF_ONE);
            self.talk.say(&FromReceiver::Resume(Resume { marks: marks.clone(), basis: false }))?;
            self.held += file.weight;
        } else if let Some(old) = old {
            file.weight = weight(self.tell_basis(&old, size)?, limits::CHUNKS_OF_ONE);
            file.basis = Some(old);
            self.held += file.weight;
        } else {
            self.talk.answer(true)?;
        }
        self.awaited.push_back(file);
        Ok(())
    }

    /// What an interrupted transfer left of a file. What was left of other versions of it goes.
    fn find_partial(
        &mut self,
        at: &Arc<OwnedFd>,
        file: &Awaited,
    ) -> Option<(Temporary, Vec<Hash>)> {
        let folder = self.folders.at(file.folder);
        // Of a directory that cannot be read nothing is known, and nothing is resumed.
        let left = folder.left.get_or_insert_with(|| left(at).unwrap_or_default());
        let version = Version { size: file.size.unwrap_or(0), mtime: file.meta.mtime };
        Temporary::find(at, left, &file.name, version)
    }

    /// The older version, where it is worth to tell its chunks.
    fn basis(&self, at: &OwnedFd, file: &Awaited, here: &Here) -> Option<File> {
        let size = file.size.filter(|size| *size > 0)?;
        match here {
            // Its chunks are much shorter.
            Here::Equal(_) => {}
            Here::Older(old) if size.min(old.st_size as u64) >= limits::DELTA_LEAST => {}
            Here::Older(_) | Here::Directory(_) | Here::Nothing => return None,
        }
        let handle = openat(at, file.name.as_bytes(), READ, Mode::empty()).ok()?;
        let stat = fstat(&handle).ok()?;
        (kind(&stat) == FileType::RegularFile).then(|| File::from(handle))
    }

    /// How many chunks were told.
    fn tell_basis(&mut self, old: &File, size: u64) -> Result<usize, Stopped> {
        self.talk.say(&FromReceiver::Resume(Resume { marks: Vec::new(), basis: true }))?;
        let length = old.metadata().map_or(0, |meta| meta.len());
        let mut source = Chunks::new(old.take(length), size);
        let (mut chunks, mut told) = (Vec::new(), 0);
        while told + chunks.len() < limits::BASIS_ALL {
            // What cannot be read is no basis; what was read before is one.
            let Ok(Some(bytes)) = source.next() else { break };
            chunks.push(chunk(bytes));
            if chunks.len() == limits::BASIS_CHUNKS {
                told += chunks.len();
                let chunks = std::mem::take(&mut chunks);
                self.talk.say(&FromReceiver::Basis { chunks, last: false })?;
            }
        }
        told += chunks.len();
        self.talk.say(&FromReceiver::Basis { chunks, last: true })?;
        Ok(told)
    }
}

/// What a file counts for while it is held open: what was told of it waits at the sender, which may
/// be busy sending, and must find room there.
fn weight(told: usize, of_one: usize) -> usize {
    1 + told / of_one
}

const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
