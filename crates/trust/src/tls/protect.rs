//! Record protection of TLS 1.3 (RFC 8446, section 5.2), in place: a record is sealed where it is sent
//! from and opened where it is read to.
//!
//! The TLS library does the handshake and makes every key; its own records cost three copies on the way
//! in. The cipher is ring's.

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use rustls::crypto::cipher::{Iv, Nonce as RecordNonce};
use rustls::{ConnectionTrafficSecrets, Error as TlsError, InvalidMessage};

/// What stands before each record: type, version, length.
pub(super) const HEADER: usize = 5;
/// The most plaintext that a record holds.
pub(super) const MOST: usize = 1 << 14;
/// What follows a record's plaintext: its true type and the tag.
const TAIL: usize = 1 + TAG;
const TAG: usize = 16;
/// The longest ciphertext that is allowed: plaintext, type, padding and tag.
const MOST_SEALED: usize = MOST + 256;

/// What a record holds. On the wire every one says that it is application data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Alert = 21,
    Handshake = 22,
    Data = 23,
}

/// The length of the record that begins here, once all of it is there.
///
/// # Errors
/// [`TlsError`] as soon as it can be no record of a connection after its handshake.
pub(super) fn whole(bytes: &[u8]) -> Result<Option<usize>, TlsError> {
    match bytes {
        // The library's own message for what is no TLS at all.
        [kind, ..] if *kind != Kind::Data as u8 => {
            Err(TlsError::InvalidMessage(InvalidMessage::InvalidContentType))
        }
        [_, 3, 3, high, low, rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            match length {
                ..TAIL => Err(TlsError::DecryptError),
                TAIL..=MOST_SEALED => Ok((rest.len() >= length).then_some(HEADER + length)),
                _ => Err(TlsError::PeerSentOversizedRecord),
            }
        }
        [_, _, _, _, _, ..] => {
            Err(TlsError::InvalidMessage(InvalidMessage::UnknownProtocolVersion))
        }
        _ => Ok(None),
    }
}

/// How long the record is that begins here, by its header; none where that is not all there.
pub(super) fn length(begun: &[u8]) -> Option<usize> {
    let [_, _, _, high, low, ..] = begun else { return None };
    Some(HEADER + usize::from(u16::from_be_bytes([*high, *low])))
}

/// One direction's key, and how many records it has seen.
pub(super) struct Key {
    key: LessSafeKey,
    iv: Iv,
    sequence: u64,
}

impl Key {
    /// A key as the library derived it, and the number of its next record.
    pub(super) fn new(
        (sequence, secrets): (u64, ConnectionTrafficSecrets),
    ) -> Result<Key, TlsError> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(TlsError::General("no cipher that this program knows".into())),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| TlsError::EncryptError)?;
        Ok(Key { key: LessSafeKey::new(key), iv, sequence })
    }

    /// How many records this key has protected.
    pub(super) fn used(&self) -> u64 {
        self.sequence
    }

    /// The nonce of the next record. None is ever used twice: the number only grows.
    fn nonce(&mut self) -> Result<Nonce, TlsError> {
        let nonce = Nonce::assume_unique_for_key(RecordNonce::new(&self.iv, self.sequence).0);
        self.sequence = self.sequence.checked_add(1).ok_or(TlsError::EncryptError)?;
        Ok(nonce)
    }

    /// Appends a record with this plaintext, of at most [`MOST`] bytes.
    pub(super) fn seal(
        &mut self,
        kind: Kind,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        let start = out.len();
        out.extend_from_slice(&header(plaintext.len() + TAIL));
        out.extend_from_slice(plaintext);
        out.push(kind as u8);
        self.seal_from(start, out)
    }

    /// Seals what lies behind the header at `start`.
    pub(super) fn seal_from(&mut self, start: usize, out: &mut Vec<u8>) -> Result<(), TlsError> {
        let (header, body) = out[start..].split_at_mut(HEADER);
        let sealed = self.nonce().and_then(|nonce| {
            let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(header), body);
            tag.map_err(|_| TlsError::EncryptError)
        });
        match sealed {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            // Never leaves a plaintext where ciphertext is sent from.
            Err(_) => out.truncate(start),
        }
        sealed.map(drop)
    }

    /// Opens the record that ends with `bytes` and begins `from` bytes into it. Its plaintext is moved to
    /// the start of `bytes`: what it held, and how long that is.
    pub(super) fn open(
        &mut self,
        bytes: &mut [u8],
        from: usize,
    ) -> Result<(Kind, usize), TlsError> {
        let header = header(bytes.len() - from - HEADER);
        let nonce = self.nonce()?;
        let opened = self.key.open_within(nonce, Aad::from(header), bytes, from + HEADER..);
        let inner = opened.map_err(|_| TlsError::DecryptError)?;
        if inner.len() > MOST + 1 {
            return Err(TlsError::PeerSentOversizedRecord);
        }
        // Behind the type there may be zeros, as many as the peer likes (section 5.4).
        let end = inner.iter().rposition(|byte| *byte != 0);
        let kind = match end.map(|end| inner[end]) {
            Some(21) => Kind::Alert,
            Some(22) => Kind::Handshake,
            Some(23) => Kind::Data,
            _ => return Err(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)),
        };
        Ok((kind, end.unwrap_or_default()))
    }
}

/// A record's header, which is also what is authenticated beside its content. What stands on the wire
/// was compared with all of this by [`whole`].
fn header(length: usize) -> [u8; HEADER] {
    rustls::crypto::cipher::make_tls13_aad(length)
}
