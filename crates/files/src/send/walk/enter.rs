//! How a walk gets into a source or a directory.

use std::fs::File;
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags, fstat, openat};
use sockeye_limits as limits;
use sockeye_wire::files::{Entry, Meta, Time};

use super::super::listing::REGULAR;
use super::super::source::label;
use super::*;
use crate::tree::Ground;

impl Walk {
    /// Begins a source.
    pub(super) fn source(
        &mut self,
        index: u32,
        source: Source,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        match source {
            Source::Missing { shown, why } => {
                self.begin(&label(&shown), shown);
                self.trouble_at(Vec::new(), why, ends)
            }
            Source::Stream { .. } if self.part.0 > 0 => Ok(()),
            Source::Stream { input, label } => stream(index, input, label, ends),
            Source::Late { ground, path } => self.late(index, ground, path, ends),
            Source::Directory { handle, label, shown } => {
                self.begin(&label, shown);
                self.root(index, (&handle, b"."), &label, None, ends)
            }
            Source::At { directory, name, label, shown } => {
                self.begin(&label, shown);
                let place = Place::shared(Arc::clone(&directory));
                self.at(index, (&directory, place), (name, label), None, ends)
            }
        }
    }

    /// Takes note of what the next source is called, and was asked for by.
    fn begin(&mut self, label: &Name, asked: Vec<u8>) {
        (self.shown, self.asked) = (Arc::from(label.as_bytes()), asked);
    }

    /// A source that is looked up only now. No descriptor of it is held for its files, which may be
    /// wanted much later: its place is looked up again for them.
    fn late(
        &mut self,
        index: u32,
        ground: Arc<Ground>,
        path: Vec<u8>,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        let within = Place::late(Arc::clone(&ground), [&path, &b"/."[..]].concat());
        match Source::find(&ground, &path) {
            Source::Directory { handle, label, shown } => {
                self.begin(&label, shown);
                self.root(index, (&handle, b"."), &label, Some(within), ends)
            }
            Source::At { directory, name, label, shown } => {
                self.begin(&label, shown);
                let place = Place::late(ground, path);
                ends.handles.keep(&place, &directory);
                self.at(index, (&directory, place), (name, label), Some(within), ends)
            }
            other => self.source(index, other, ends),
        }
    }

    /// A source in a directory, at this place; `within` is its own place, should it be a directory
    /// and that be known.
    fn at(
        &mut self,
        index: u32,
        (directory, place): (&Arc<OwnedFd>, Place),
        (name, label): (Name, Name),
        within: Option<Place>,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        let stat = match statat(&**directory, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => {
                return self.trouble_at(Vec::new(), because("cannot be read", error), ends);
            }
        };
        let is_directory = state::kind(&stat) == FileType::Directory;
        if self.names_count && self.filters.excludes_source(&name, is_directory) {
            return Ok(());
        }
        if is_directory {
            return self.root(index, (directory, name.as_bytes()), &label, within, ends);
        }
        self.single(index, (directory, place), (name, label), &stat, ends)
    }

    /// A source that is no directory.
    fn single(
        &mut self,
        index: u32,
        (directory, place): (&OwnedFd, Place),
        (name, label): (Name, Name),
        stat: &Stat,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        if !self.is_ours_to_send(&name, stat) {
            return Ok(());
        }
        match self.listing.file(directory, &name, stat) {
            Ok(mut made) => {
                made.entry.name = label;
                self.list(made, place, name, stat, Some(index), ends)
            }
            Err(text) => self.trouble_at(Vec::new(), text, ends),
        }
    }

    /// A source that is a directory. It is opened anew, because where its reading stands belongs to
    /// the handle, which others may hold too.
    fn root(
        &mut self,
        index: u32,
        (directory, name): (&OwnedFd, &[u8]),
        label: &Name,
        within: Option<Place>,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        let kind = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(directory, name, kind | OFlags::RDONLY, Mode::empty());
        let (stat, handle) = match opened.and_then(|handle| Ok((fstat(&handle)?, handle))) {
            Ok((stat, handle)) => (stat, Arc::new(handle)),
            Err(error) => {
                return self.trouble_at(Vec::new(), because("cannot be opened", error), ends);
            }
        };
        let place = within.unwrap_or_else(|| Place::shared(Arc::clone(&handle)));
        let made = self.listing.directory(&handle, label, &stat);
        self.list(made, place.clone(), label.clone(), &stat, Some(index), ends)?;
        self.open((place, handle), 0, Vec::new(), None, ends)
    }

    /// Goes into a directory of the one that is open.
    pub(super) fn enter(&mut self, name: &Name, ends: &mut Ends<'_, '_>) -> Result<(), Stopped> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let place = level.place.child(name.clone());
        if self.levels.len() >= limits::TREE_DEPTH {
            let text = "has more directories above it than a transfer can have. Copy it by itself.";
            return self.trouble(name, text.to_owned(), ends);
        }
        let opened = ends.handles.open(&place).map_err(|error| errno(&error));
        let opened = opened.and_then(|handle| Ok((fstat(&*handle)?, handle)));
        match opened {
            Ok((stat, handle)) => {
                let (hash, ignored) = (hashed(level.hash, name.as_bytes()), level.ignored.clone());
                let path = self.path_in(name);
                let made = self.listing.directory(&handle, name, &stat);
                let parent = level.place.clone();
                self.list(made, parent, name.clone(), &stat, None, ends)?;
                self.open((place, handle), hash, path, ignored, ends)
            }
            // It vanished before we had said a word of it.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => self.trouble(name, because("cannot be opened", error), ends),
        }
    }

    fn path_in(&self, name: &Name) -> Vec<u8> {
        let needed = self.gitignore || !self.filters.is_empty();
        match self.levels.last() {
            Some(level) if needed => joined(&level.path, name.as_bytes()),
            _ => Vec::new(),
        }
    }

    /// Begins a directory that was listed. Where its `.gitignore` cannot be read nothing in it is:
    /// what that names would be sent.
    fn open(
        &mut self,
        (place, handle): (Place, Arc<OwnedFd>),
        hash: u64,
        path: Vec<u8>,
        above: Option<Ignored>,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        let found =
            if self.gitignore { ignore_file(&handle, &path, above.as_ref()) } else { Ok(None) };
        let is_known = found.is_ok();
        let ignored = match found {
            Ok(None) => above,
            Ok(Some((ignored, text))) => {
                if self.delete {
                    ends.link.say(&FromSender::Ignore(text))?;
                }
                Some(ignored)
            }
            Err(why) => {
                let name = Name::new(IGNORE_NAME).expect("ten letters are a name");
                self.trouble_at(place.path(Some(&name)), why, ends)?;
                above
            }
        };
        self.levels.push(Level {
            place,
            handle: Some(handle),
            reading: is_known,
            found: Vec::new(),
            met: HashSet::new(),
            below: Names::default(),
            complete: is_known,
            ignored,
            path,
            hash,
        });
        Ok(())
    }
}

const IGNORE_NAME: &[u8] = b".gitignore";

/// What the `.gitignore` of a directory leaves out, with those above it, and its text; `None` where
/// it has none, or that is no file, or names nothing.
fn ignore_file(
    directory: &OwnedFd,
    path: &[u8],
    above: Option<&Ignored>,
) -> Result<Option<(Ignored, Vec<u8>)>, String> {
    let why = |error| because("cannot be read, so that nothing in its directory is sent", error);
    let file = match openat(directory, IGNORE_NAME, REGULAR, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {
            let what = "is a symbolic link, which does not count";
            return Err(format!(
                "{what}, so that nothing in its directory is sent. Put a file in its place."
            ));
        }
        Err(error) => return Err(why(error)),
    };
    if state::kind(&fstat(&file).map_err(why)?) != FileType::RegularFile {
        return Ok(None);
    }
    let (most, mut text) = (limits::IGNORE_FILE as u64 + 1, Vec::new());
    let read = File::from(file).take(most).read_to_end(&mut text);
    read.map_err(|error| why(errno(&error)))?;
    match Ignored::add(above, path, &text) {
        Ok(ignored) => Ok(ignored.map(|ignored| (ignored, text))),
        Err(what) => Err(format!(
            "{what}, so that nothing in its directory is sent. Make it shorter, or use --exclude."
        )),
    }
}

/// Lists a stream: its length is unknown, and it is as old as this moment.
fn stream(
    index: u32,
    input: Box<dyn Read + Send>,
    name: Name,
    ends: &mut Ends<'_, '_>,
) -> Result<(), Stopped> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mtime = Time { seconds: now.as_secs() as i64, nanoseconds: now.subsec_nanos() };
    ends.listed
        .push_back(Listed { what: What::Stream { input, shown: name.clone(), mtime }, size: None });
    ends.link.tell(Happening::Listed { bytes: 0 });
    let meta = Meta { mode: 0o644, mtime, ..Meta::default() };
    let entry = Entry { name, node: Node::File { size: None, group: None }, meta };
    // No file has this identity but by chance.
    ends.link.say(&FromSender::Root { index, identity: [0; 16], entry })
}
