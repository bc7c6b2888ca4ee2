//! What a service is to a driver: bytes in, bytes out, no I/O.

/// A pure service of one connection: it is given what came and says what to answer.
///
/// A driver calls [`open`](Responder::open) once, then [`respond`](Responder::respond) for each
/// piece that arrives, however the network cut it, and [`finish`](Responder::finish) after the
/// peer's end. On datagrams it calls [`datagram`](Responder::datagram) for each one, with one
/// responder for all sources.
pub trait Responder: Send {
    /// The connection is there; nothing was read yet.
    fn open(&mut self, reply: &mut Reply) -> Flow {
        let _ = reply;
        Flow::Continue
    }

    /// A piece of input came, at least one byte. It may be changed in place and sent back with
    /// [`Reply::in_place`], which costs no copy.
    fn respond(&mut self, input: &mut [u8], reply: &mut Reply) -> Flow;

    /// What [`Flow::Again`] asked for: the last reply is written, go on. Input that arrives between
    /// such calls is thrown away.
    fn resume(&mut self, reply: &mut Reply) -> Flow {
        let _ = reply;
        Flow::Close
    }

    /// The peer has ended its side; the reply is the last.
    fn finish(&mut self, reply: &mut Reply) {
        let _ = reply;
    }

    /// One datagram came, perhaps an empty one. An answer that is longer than `input` is not sent:
    /// a datagram service must not amplify.
    fn datagram(&mut self, input: &mut [u8], reply: &mut Reply) {
        let _ = self.respond(input, reply);
    }
}

/// What a driver does after the reply is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Read on.
    Continue,
    /// Call [`Responder::resume`] without waiting for input.
    Again,
    /// Close: our end first.
    Close,
}

/// What to answer: first a part of the input as it now is, then bytes of one's own.
#[derive(Debug, Default)]
pub struct Reply {
    in_place: Option<usize>,
    own: Vec<u8>,
    bounce: bool,
}

impl Reply {
    /// Answers with the first `len` bytes of the input, as they are when the call returns. They go
    /// before the bytes of [`Reply::push`]. An empty answer to a datagram is an empty datagram.
    pub fn in_place(&mut self, len: usize) {
        self.in_place = Some(len);
    }

    /// Adds bytes to the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// Says that the answer equals the question. Two datagram services could answer each other so for
    /// ever; such answers have a rate even where others have none.
    pub fn bounce(&mut self) {
        self.bounce = true;
    }

    pub(crate) fn bounces(&self) -> bool {
        self.bounce
    }

    /// The bytes of [`Reply::push`].
    pub fn own(&self) -> &[u8] {
        &self.own
    }

    /// The whole answer to `input` as it now is, and empties it: for a driver of one's own.
    pub fn take(&mut self, input: &[u8]) -> Vec<u8> {
        let mut answer = input[..self.in_place_len().min(input.len())].to_vec();
        answer.extend_from_slice(&self.own);
        self.clear();
        answer
    }

    /// How many bytes of the input go first.
    pub(crate) fn in_place_len(&self) -> usize {
        self.in_place.unwrap_or(0)
    }

    /// True where there is an answer, if only an empty one.
    pub(crate) fn answers(&self) -> bool {
        self.in_place.is_some() || !self.own.is_empty()
    }

    /// Empties it for the next call; the memory stays.
    pub(crate) fn clear(&mut self) {
        self.in_place = None;
        self.own.clear();
        self.bounce = false;
    }
}
