//! For tests: a peer that can say anything in a record, with keys that nobody has agreed on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rustls::crypto::cipher::{AeadKey, Iv};
use rustls::{ConnectionTrafficSecrets, Error as TlsError, ExtractedSecrets};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handshake::Established;
use super::protect::{HEADER, Key, MOST};
#[cfg(test)]
use super::protect::{Kind, whole};
use super::records::{Records, Rekey};
use super::stream::TlsStream;
use crate::key::PublicKey;

/// Keys by their number, for each direction.
struct Numbered {
    sent: u8,
    received: u8,
}

/// Directions, seen from the end that is tested.
const SENT: u8 = 0x50;
const RECEIVED: u8 = 0x90;

fn secrets(direction: u8, number: u8) -> (u64, ConnectionTrafficSecrets) {
    let key = AeadKey::from([direction ^ number; 32]);
    (0, ConnectionTrafficSecrets::Aes256Gcm { key, iv: Iv::from([number; 12]) })
}

impl Rekey for Numbered {
    fn next_sent(&mut self) -> Result<(u64, ConnectionTrafficSecrets), TlsError> {
        self.sent = self.sent.wrapping_add(1);
        Ok(secrets(SENT, self.sent))
    }

    fn next_received(&mut self) -> Result<(u64, ConnectionTrafficSecrets), TlsError> {
        self.received = self.received.wrapping_add(1);
        Ok(secrets(RECEIVED, self.received))
    }
}

/// The peer.
pub(super) struct Forge {
    to_them: (u8, Key),
    #[cfg(test)]
    from_them: (u8, Key),
    /// What it said and was not taken yet.
    pub(super) wire: Vec<u8>,
}

impl Forge {
    /// A peer, and the end that it talks to.
    pub(super) fn pair() -> (Forge, Records) {
        let key = |direction| (0, Key::new(secrets(direction, 0)).expect("a key"));
        let all = ExtractedSecrets { tx: secrets(SENT, 0), rx: secrets(RECEIVED, 0) };
        let numbered = Numbered { sent: 0, received: 0 };
        let records = Records::new(all, Box::new(numbered)).expect("keys");
        let forge = Forge {
            to_them: key(RECEIVED),
            #[cfg(test)]
            from_them: key(SENT),
            wire: Vec::new(),
        };
        (forge, records)
    }

    /// Says something in a record: its content, its type and zeros, whatever they are.
    pub(super) fn say(&mut self, kind: u8, content: &[u8], zeros: usize) {
        let start = self.wire.len();
        let length =
            u16::try_from(content.len() + 1 + zeros + 16).expect("short enough").to_be_bytes();
        self.wire.extend([23, 3, 3, length[0], length[1]]);
        self.wire.extend(content);
        self.wire.push(kind);
        self.wire.resize(start + HEADER + content.len() + 1 + zeros, 0);
        self.to_them.1.seal_from(start, &mut self.wire).expect("sealed");
    }

    /// Says that a new key follows, and takes it.
    pub(super) fn renew(&mut self, ask: u8) {
        self.say(22, &[24, 0, 0, 1, ask], 0);
        self.to_them.0 = self.to_them.0.wrapping_add(1);
        self.to_them.1 = Key::new(secrets(RECEIVED, self.to_them.0)).expect("a key");
    }

    /// What the end that is tested says in these bytes.
    #[cfg(test)]
    pub(super) fn hear(&mut self, mut bytes: Vec<u8>) -> Vec<(Kind, Vec<u8>)> {
        let mut heard = Vec::new();
        while let Some(length) = whole(&bytes).unwrap() {
            let rest = bytes.split_off(length);
            let (kind, length) = self.from_them.1.open(&mut bytes, 0).unwrap();
            bytes.truncate(length);
            if kind == Kind::Handshake {
                assert_eq!(bytes, [24, 0, 0, 1, 0], "nothing else is said after a handshake");
                self.from_them.0 = self.from_them.0.wrapping_add(1);
                self.from_them.1 = Key::new(secrets(SENT, self.from_them.0)).unwrap();
            }
            heard.push((kind, bytes));
            bytes = rest;
        }
        assert!(bytes.is_empty(), "half a record");
        heard
    }
}
/// What comes, in pieces of these lengths and then the end; what is said is kept.
pub(super) struct Feed {
    wire: Vec<u8>,
    pieces: Vec<usize>,
    pub(super) said: Vec<u8>,
}

impl AsyncRead for Feed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.pieces.pop().unwrap_or(usize::MAX);
        let count = piece.min(buf.remaining()).min(self.wire.len());
        buf.put_slice(&self.wire[..count]);
        self.wire.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Feed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.said.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Our end, to which a forge said something, in such pieces.
pub(super) fn hears(forge: &mut Forge, records: Records, pieces: &[usize]) -> Heard {
    let established =
        Established { records, rest: Vec::new(), peer: None, alpn: None, spoken: String::new() };
    let wire = std::mem::take(&mut forge.wire);
    let feed = Feed { wire, pieces: pieces.to_vec(), said: Vec::new() };
    TlsStream::new(feed, established, PublicKey::from_bytes([0; 32]))
}

/// Our end.
pub(super) type Heard = TlsStream<Feed>;

/// Reads into rooms of these sizes, over and over, to the end or an error.
pub(super) fn read_all(stream: &mut Heard, rooms: &[usize]) -> (Vec<u8>, io::Result<()>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    for room in rooms.iter().cycle() {
        let mut room = vec![0; *room];
        let mut buf = ReadBuf::new(&mut room);
        let Poll::Ready(read) = Pin::new(&mut *stream).poll_read(&mut cx, &mut buf) else {
            panic!("a feed never makes anybody wait");
        };
        if let Err(error) = read {
            assert!(buf.filled().is_empty(), "data and an error at once");
            return (all, Err(error));
        }
        if buf.filled().is_empty() {
            return (all, Ok(()));
        }
        all.extend(buf.filled());
    }
    unreachable!("a cycle")
}

/// The body of a fuzz target: whatever a peer says behind a handshake, what is read is what it said as
/// data, from the beginning on, and neither how it was cut on its way nor how much is read at once makes a
/// difference.
pub(crate) fn fuzz(data: &[u8]) {
    let Some((&[first, second], data)) = data.split_first_chunk() else { return };
    let reads = [
        (vec![], vec![1 << 20]),
        (vec![], vec![1 + usize::from(first), 70_000]),
        (vec![1 + usize::from(second); 300], vec![4096]),
        (vec![1 + usize::from(second) * 100; 300], vec![200_000, 1 + usize::from(first)]),
    ];
    let mut others: Option<(Vec<u8>, Option<io::ErrorKind>)> = None;
    for (pieces, rooms) in reads {
        let (mut forge, records) = Forge::pair();
        let said = forge.babble(data);
        let (got, end) = read_all(&mut hears(&mut forge, records, &pieces), &rooms);
        assert!(said.starts_with(&got), "what nobody said");
        let result = (got, end.err().map(|error| error.kind()));
        assert!(others.is_none_or(|others| others == result), "it depends on how it is read");
        others = Some(result);
    }
}

impl Forge {
    /// Says what the bytes tell it to; what of that was data.
    fn babble(&mut self, mut data: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        while let [what, length, rest @ ..] = data {
            let (content, rest) = rest.split_at(rest.len().min(usize::from(*length)));
            let zeros = usize::from(*what >> 4);
            match what & 15 {
                0..=4 => self.say(23, content, zeros),
                5 => {
                    let much = content.repeat(64);
                    self.say(23, &much, zeros);
                    said.extend(much);
                }
                6 => self.say(21, content, zeros),
                7 => self.say(22, content, zeros),
                8 => self.renew(length & 1),
                9 => self.wire.extend(content),
                // Without a type the last byte of the content would be it.
                10 => self.say((*length).max(1), content, zeros),
                11 => {
                    self.wire.pop();
                }
                _ => self.say(23, &vec![*length; MOST], zeros),
            }
            match what & 15 {
                0..=4 => said.extend(content),
                10 if *length == 23 => said.extend(content),
                12..=15 => said.extend(vec![*length; MOST]),
                _ => {}
            }
            data = rest;
        }
        said
    }
}
