//! Sends the content of one wanted file: small ones in one message, others in pieces.

use std::fs::File;
use std::io::{self, Read};

use rustix::fs::{FileType, Mode, SeekFrom, fstat, openat, seek};
use sockeye_limits as limits;
use sockeye_net::Pages;
use sockeye_wire::files::{Chunk, FromSender, Hash, Name, Options};

use super::flow::{Flow, Start};
use super::link::Link;
use super::listing::{REGULAR, because};
use super::pack::Packer;
use super::state::{self, State};
use super::walk::errno;
use super::{Listed, Wanted, What, delta, large};
use crate::engine::{Happening, Stopped};
use crate::tree::{Handles, Place};

pub(super) struct Contents {
    options: Options,
    scratch: Pages,
    packer: Packer,
}

/// A file whose content is to be sent.
pub(super) struct Job<'w> {
    pub(super) file: u32,
    place: &'w Place,
    name: &'w Name,
    /// As it was listed.
    pub(super) listed: State,
    pub(super) marks: &'w [Hash],
    pub(super) basis: Option<&'w [Chunk]>,
}

/// What came of sending a content once.
pub(super) enum Outcome {
    /// All of it went.
    Sent(u64),
    /// The receiver has it already, as it found by its chunks.
    Same,
    /// It changed meanwhile.
    Changed,
    /// The receiver wants no more of it, and has told why.
    Enough,
    /// It cannot be read, and why.
    Failed(String),
}

/// Below this a content that would go compressed is not worth more than one message.
const PACKED_LEAST: u64 = 2 * 1024;

impl Contents {
    pub(super) fn new(options: Options) -> Contents {
        Contents { options, scratch: Pages::new(limits::FILE_SMALL + 1), packer: Packer::new() }
    }

    /// Sends this one, or says why not.
    pub(super) fn send(
        &mut self,
        wanted: Wanted,
        link: &mut Link<'_>,
        handles: &mut Handles,
    ) -> Result<(), Stopped> {
        let Wanted { file, listed, marks, basis } = wanted;
        let path = listed.path();
        let outcome = match listed {
            Listed { what: What::Stream { input, mtime, .. }, .. } => {
                let start = Start { file, mtime, size: None, marks: &[] };
                self.stream(start, input, link)?
            }
            Listed { what: What::File { place, name, state: listed, .. }, .. } => {
                let (place, name, basis) = (&place, &name, basis.as_deref());
                let job = Job { file, place, name, listed, marks: &marks, basis };
                match self.try_file(&job, link, handles)? {
                    Outcome::Changed => {
                        link.say(&void(file, true, String::new()))?;
                        // What the receiver has of it proves nothing any more.
                        self.try_file(&Job { marks: &[], ..job }, link, handles)?
                    }
                    outcome => outcome,
                }
            }
        };
        let text = match outcome {
            // A receiver compares then, and stores nothing.
            Outcome::Sent(_) if self.options.dry_run => return Ok(()),
            Outcome::Sent(bytes) => {
                link.tell(Happening::Stored { path: &path, bytes });
                return Ok(());
            }
            Outcome::Same => {
                // Its bytes have been told.
                link.tell(Happening::Skipped { bytes: 0 });
                return Ok(());
            }
            Outcome::Enough => return link.say(&void(file, false, String::new())),
            Outcome::Failed(text) => text,
            Outcome::Changed => {
                "changed while it was read, twice. Copy it when nothing writes to it.".to_owned()
            }
        };
        link.failed(&path, &text);
        link.say(&void(file, false, text))
    }

    /// The receiver wants no more contents: of this one nothing goes.
    pub(super) fn give_up(wanted: &Wanted, link: &mut Link<'_>) -> Result<(), Stopped> {
        link.say(&void(wanted.file, false, String::new()))
    }

    fn try_file(
        &mut self,
        job: &Job<'_>,
        link: &mut Link<'_>,
        handles: &mut Handles,
    ) -> Result<Outcome, Stopped> {
        let directory = match handles.open(job.place) {
            Ok(directory) => directory,
            Err(error) => return Ok(failed("cannot be opened", &error)),
        };
        let opened = openat(&*directory, job.name.as_bytes(), REGULAR, Mode::empty());
        let opened = opened.and_then(|file| Ok((fstat(&file)?, File::from(file))));
        let (stat, file) = match opened {
            Ok((stat, file)) => (stat, file),
            Err(error) => return Ok(Outcome::Failed(because("cannot be opened", error))),
        };
        if state::kind(&stat) != FileType::RegularFile {
            let text = "is not the regular file any more that was listed. Try again.";
            return Ok(Outcome::Failed(text.to_owned()));
        }
        let now = State::of(&stat);
        if !now.goes_as(&job.listed, self.options.archive) {
            let text = "was replaced since it was listed, or has another mode or owner. Try again.";
            return Ok(Outcome::Failed(text.to_owned()));
        }
        if now.size <= limits::FILE_SMALL as u64 && job.marks.is_empty() && job.basis.is_none() {
            return self.small(job.file, &file, now, link);
        }
        let marks = large::known(job, &file, now, self.options.checksum);
        let start = Start { file: job.file, mtime: now.mtime, size: Some(now.size), marks };
        let flow = Flow::begin(start, link, &mut self.packer)?;
        if seek(&file, SeekFrom::Start(flow.at())).is_err() {
            return Ok(Outcome::Changed);
        }
        match job.basis {
            Some(basis) => delta::send(job, basis, &file, now, flow, self.options.checksum),
            None => large::send(&file, &stat, now, flow),
        }
    }

    /// The whole content in one message, or packed where that pays.
    fn small(
        &mut self,
        file: u32,
        mut input: &File,
        before: State,
        link: &mut Link<'_>,
    ) -> Result<Outcome, Stopped> {
        let length = before.size as usize;
        let mut filled = 0;
        // What has no length may have content all the same, as in /proc: it is looked at once.
        let mut look = length == 0;
        while filled < length || std::mem::take(&mut look) {
            match input.read(&mut self.scratch[filled..=length]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(failed("cannot be read", &error)),
            }
        }
        if filled != length || !is_still(input, before) {
            return Ok(Outcome::Changed);
        }
        let data = &self.scratch[..length];
        let (mtime, hash) = (before.mtime, *blake3::hash(data).as_bytes());
        let packs = before.size >= PACKED_LEAST && self.packer.is_wanted(link.waited());
        if let Some(bytes) = packs.then(|| self.packer.pack(data)).flatten() {
            link.say(&FromSender::Begin { file, mtime, size: Some(before.size), from: 0 })?;
            // At most 128 KiB.
            let packed = FromSender::Packed { length: length as u32, bytes };
            link.say(&packed)?;
            if let FromSender::Packed { bytes, .. } = packed {
                self.packer.reuse(bytes);
            }
            link.tell(Happening::Moved { bytes: before.size });
            link.say(&FromSender::Close { hash })?;
            return Ok(Outcome::Sent(before.size));
        }
        FromSender::put_small(file, mtime, &hash, length, link.out());
        link.out().extend_from_slice(data);
        link.said(&FromSender::Small { file, mtime, hash, data: Vec::new() })?;
        link.tell(Happening::Moved { bytes: before.size });
        Ok(Outcome::Sent(before.size))
    }

    /// A stream up to its end. It is read once, so nothing can be tried again.
    fn stream(
        &mut self,
        start: Start<'_>,
        mut input: Box<dyn Read + Send>,
        link: &mut Link<'_>,
    ) -> Result<Outcome, Stopped> {
        let mut flow = Flow::begin(start, link, &mut self.packer)?;
        loop {
            // The other side need not wait for what comes next.
            flow.flush()?;
            if flow.is_enough()? {
                return Ok(Outcome::Enough);
            }
            match input.read(&mut self.scratch) {
                Ok(0) => break,
                Ok(count) => flow.data(&self.scratch[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(failed("cannot be read", &error)),
            }
        }
        flow.close().map(Outcome::Sent)
    }
}

/// True where the file is what it was.
pub(super) fn is_still(file: &File, before: State) -> bool {
    fstat(file).is_ok_and(|stat| State::of(&stat) == before)
}

pub(super) fn failed(what: &str, error: &io::Error) -> Outcome {
    Outcome::Failed(because(what, errno(error)))
}

fn void(file: u32, again: bool, text: String) -> FromSender {
    FromSender::Void { file, again, text }
}
