//! The fields of a payload: numbers in network order, and bytes behind their length.

/// The payload ended in the middle of a field; or a count is larger than what could follow.
#[derive(Debug)]
pub(crate) struct Short;

/// Takes fields from the front of a payload. Nothing is allocated for what is not there.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Reader<'a> {
        Reader { rest: payload }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Short> {
        let (front, rest) = self.rest.split_at_checked(length).ok_or(Short)?;
        self.rest = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (front, rest) = self.rest.split_first_chunk().ok_or(Short)?;
        self.rest = rest;
        Ok(*front)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Short> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_be_bytes)
    }

    /// A length of four bytes and as many bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Short> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| Short)?)
    }

    /// How many things follow that take at least `each` bytes: no more than there is room for.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, Short> {
        let count = usize::try_from(self.u32()?).map_err(|_| Short)?;
        if count > self.rest.len() / each { Err(Short) } else { Ok(count) }
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Appends bytes behind their length. What is too long for four bytes is refused before, by the
/// bounds of the whole frame.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends a count or a length.
pub(crate) fn put_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}
