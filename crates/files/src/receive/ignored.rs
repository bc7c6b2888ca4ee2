//! What the sender leaves out is not removed here either: the patterns of the request, and those of
//! `.gitignore` files, which the sender tells. Files of that name that are here do not count: they may
//! be others, or none.

use sockeye_wire::files::Name;

use super::{Open, Receiver, wrong};
use crate::engine::Stopped;
use crate::send::{Filters, Ignored};
use crate::tree::Place;

/// What stays in a folder.
pub(super) struct Kept<'r> {
    pub(super) filters: &'r Filters,
    pub(super) ignored: Option<Ignored>,
    /// How deep the source is: paths count from there.
    pub(super) source: usize,
}

impl Kept<'_> {
    /// True for what is left out; of a directory that means all in it as well.
    pub(super) fn keeps(&self, place: &Place, name: &Name, is_directory: bool) -> bool {
        let path = below(self.source, &place.path(Some(name)));
        self.filters.excludes(&path, is_directory)
            || self.ignored.as_ref().is_some_and(|ignored| ignored.excludes(&path, is_directory))
    }
}

impl Receiver<'_> {
    /// The `.gitignore` of the directory that was opened last says this.
    pub(super) fn ignore(&mut self, text: &[u8]) -> Result<(), Stopped> {
        if !(self.options.gitignore && self.options.delete) {
            return wrong("patterns that were not asked for");
        }
        let Some(Open::Folder(id)) = self.open.last() else { return Ok(()) };
        let folder = self.folders.at(*id);
        let path = below(folder.source, &folder.place.path(None));
        match Ignored::add(folder.ignored.as_ref(), &path, text) {
            Ok(Some(ignored)) => folder.ignored = Some(ignored),
            Ok(None) => {}
            Err(_) => return wrong("patterns that cannot be read"),
        }
        Ok(())
    }
}

/// A path as patterns see it: from its source, which is so deep.
pub(super) fn below(source: usize, path: &[u8]) -> Vec<u8> {
    let mut parts = path.splitn(source + 1, |b| *b == b'/');
    parts.nth(source).unwrap_or_default().to_vec()
}
