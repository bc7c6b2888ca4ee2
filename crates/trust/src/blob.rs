//! SSH's wire encoding (RFC 4251, section 5), as far as keys and the agent need it.

/// Takes fields off the front of a message; `None` where the message is too short for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// One byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A `uint32`.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }

    /// A `string`: its length, then its bytes.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let mut rest = *self;
        let len = usize::try_from(rest.number()?).ok()?;
        let (string, rest) = rest.0.split_at_checked(len)?;
        self.0 = rest;
        Some(string)
    }

    /// True when nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a `string`.
pub(crate) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    let len = u32::try_from(string.len()).expect("callers write keys and transcripts, not 4 GiB");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(string);
}
