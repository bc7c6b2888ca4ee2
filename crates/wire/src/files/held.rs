//! What both ends hold of files that are listed and not settled, and how much that may be (clause
//! P-X17).

use std::collections::{HashMap, VecDeque};

use sockeye_limits as limits;

use super::message::Entry;

/// The sums of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Held {
    /// Marks and chunks that the receiver told of files whose content is to come.
    pub(super) marks: u64,
    pub(super) chunks: usize,
    /// Extended attributes of files.
    attributes: usize,
    /// The groups whose file is not settled, and how many other names each has so far.
    groups: HashMap<u32, usize>,
    /// All these names.
    links: usize,
    ignores: Ignores,
}

/// Texts of `.gitignore` files, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Ignores {
    /// Of directories that are open: how deep each is.
    open: Vec<(usize, usize)>,
    /// Of those that are left: the number behind the last file that was listed then. Where all before
    /// it are settled, nobody holds anything of the directory any more.
    left: VecDeque<(u32, usize)>,
    open_sum: usize,
    sum: usize,
}

/// What one listed file adds to the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    attributes: usize,
    group: Option<u32>,
}

impl Held {
    /// True where more may be listed, whatever it is.
    pub(super) fn has_room(&self) -> bool {
        self.attributes < limits::ATTRIBUTES_AHEAD
            && self.links < limits::LINKS_AHEAD
            && self.ignores.sum < limits::IGNORE_AHEAD
    }

    /// A directory at this depth has a `.gitignore` of so many bytes.
    ///
    /// # Errors
    /// Where there is too much of them.
    pub(super) fn ignore(&mut self, depth: usize, length: usize) -> Result<(), &'static str> {
        let Ignores { open, open_sum, sum, .. } = &mut self.ignores;
        if *open_sum + length > limits::IGNORE_OPEN || *sum >= limits::IGNORE_AHEAD {
            return Err("more of .gitignore files at a time than is allowed");
        }
        open.push((depth, length));
        *open_sum += length;
        *sum += length;
        Ok(())
    }

    /// The directory at this depth has nothing more; so many files were listed up to now.
    pub(super) fn leave(&mut self, depth: usize, files: u32) {
        let Ignores { open, left, open_sum, .. } = &mut self.ignores;
        if let Some((_, length)) = open.pop_if(|(at, _)| *at == depth) {
            *open_sum -= length;
            left.push_back((files, length));
        }
    }

    /// All files before this number are settled.
    pub(super) fn settled_before(&mut self, file: u32) {
        let Ignores { left, sum, .. } = &mut self.ignores;
        while let Some((behind, length)) = left.front()
            && *behind <= file
        {
            *sum -= length;
            left.pop_front();
        }
    }

    /// A file is listed: what it adds.
    ///
    /// # Errors
    /// What there is too much of.
    pub(super) fn list(&mut self, entry: &Entry, group: Option<u32>) -> Result<Load, &'static str> {
        let cost =
            |(name, value): &(Vec<u8>, Vec<u8>)| limits::ATTRIBUTE_COST + name.len() + value.len();
        let attributes: usize = entry.meta.xattrs.iter().map(cost).sum();
        if attributes > 0 && self.attributes >= limits::ATTRIBUTES_AHEAD {
            return Err("more extended attributes at a time than are allowed");
        }
        if let Some(group) = group {
            if self.groups.contains_key(&group) {
                return Err("a group of hard links for the second time");
            }
            self.groups.insert(group, 0);
        }
        self.attributes += attributes;
        Ok(Load { attributes, group })
    }

    /// One more name is listed of a file that may be settled, or not.
    ///
    /// # Errors
    /// Where there are too many.
    pub(super) fn link(&mut self, group: u32) -> Result<(), &'static str> {
        let Some(names) = self.groups.get_mut(&group) else { return Ok(()) };
        if self.links >= limits::LINKS_AHEAD {
            return Err("more names of files at a time than are allowed");
        }
        *names += 1;
        self.links += 1;
        Ok(())
    }

    /// A file is settled: nobody holds anything of it any more.
    pub(super) fn settle(&mut self, load: Load) {
        self.attributes -= load.attributes;
        if let Some(names) = load.group.and_then(|group| self.groups.remove(&group)) {
            self.links -= names;
        }
    }
}
