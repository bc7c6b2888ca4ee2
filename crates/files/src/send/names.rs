//! Names of files: many in little memory, and how paths are put together.

use sockeye_wire::files::Name;

/// A stack of names, one byte more than they are long: a directory may have a million
/// subdirectories.
#[derive(Default)]
pub(super) struct Names(Vec<u8>);

impl Names {
    pub(super) fn push(&mut self, name: &Name) {
        let bytes = name.as_bytes();
        self.0.extend_from_slice(bytes);
        // A name has at most 255 bytes.
        self.0.push(bytes.len() as u8);
    }

    pub(super) fn pop(&mut self) -> Option<Name> {
        let length = usize::from(self.0.pop()?);
        let start = self.0.len().checked_sub(length)?;
        let name = Name::new(&self.0[start..]);
        self.0.truncate(start);
        name
    }
}

/// `below` in `above`, as a path for people; either may be empty.
pub(crate) fn joined(above: &[u8], below: &[u8]) -> Vec<u8> {
    let slash = !(above.is_empty() || above.ends_with(b"/") || below.is_empty());
    [above, if slash { b"/" } else { b"" }, below].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack() {
        let mut names = Names::default();
        let long = Name::new(&[b'x'; 255]).unwrap();
        let short = Name::new(b"\xff\n").unwrap();
        names.push(&long);
        names.push(&short);
        assert_eq!(names.pop(), Some(short));
        assert_eq!(names.pop(), Some(long));
        assert_eq!(names.pop(), None);
    }
}
