//! Memory for data that the kernel copies much of: it begins where a page begins.
//!
//! Pipes, files and sockets mostly have their data at the start of a page, and a large `Vec` begins 16
//! bytes into one (malloc(3) of glibc). To copy to a place that is 1 to 31 bytes further within its
//! page than the source is runs at a twentieth of the usual speed on some processors (seen on AMD EPYC
//! with `rep movsb`, which the kernel uses).

use std::fmt;
use std::ops::{Deref, DerefMut};

/// What pages are at the least, in bytes.
const PAGE: usize = 4096;

/// Zeroed bytes from the start of a page on. They cost nothing before something is written to them.
#[derive(Default)]
pub struct Pages {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Pages {
    /// So many bytes.
    pub fn new(length: usize) -> Pages {
        Pages::behind(0, length)
    }

    /// So many bytes, and room for a header of `before` bytes in front of the page.
    pub fn behind(before: usize, length: usize) -> Pages {
        let bytes = vec![0; before + PAGE + length];
        let start = before + bytes[before..].as_ptr().align_offset(PAGE).min(PAGE);
        Pages { bytes, start, length }
    }

    /// The header, then the first `length` of the bytes.
    ///
    /// # Panics
    /// Where there is no room for the header, or fewer bytes.
    pub fn with_header(&mut self, header: &[u8], length: usize) -> &[u8] {
        assert!(length <= self.length, "no more than there are");
        let from = self.start - header.len();
        self.bytes[from..self.start].copy_from_slice(header);
        &self.bytes[from..self.start + length]
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pages({})", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P7: the bytes begin at the start of a page, whatever stands before them.
    #[test]
    fn starts() {
        for (before, length) in [(0, 1), (0, 100_000), (5, 64), (5, 300_000), (4096, 0)] {
            let mut pages = Pages::behind(before, length);
            assert_eq!(pages.as_ptr().addr() % PAGE, 0);
            assert_eq!(pages.len(), length);
            pages.fill(7);
            let header = vec![1; before];
            assert_eq!(pages.with_header(&header, length), [header, vec![7; length]].concat());
        }
        assert!(Pages::default().is_empty());
    }
}
