//! Drives the TLS library through a handshake, record by record, so that what comes behind it is still
//! ours to open.

use std::io;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{CommonState, Error as TlsError, PeerMisbehaved};
use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::config::Spoken;
use super::protect;
use super::records::Records;
use crate::key::PublicKey;

/// Either end of a connection, as the library has them.
pub(super) trait End: Sized {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn state(&self) -> &CommonState;

    /// What goes on without the library.
    fn records(self) -> Result<Records, TlsError>;
}

macro_rules! end {
    ($name:ident, $data:ty) => {
        impl End for $name {
            type Data = $data;

            fn process<'c, 'i>(
                &'c mut self,
                incoming: &'i mut [u8],
            ) -> UnbufferedStatus<'c, 'i, $data> {
                self.process_tls_records(incoming)
            }

            fn state(&self) -> &CommonState {
                self
            }

            fn records(self) -> Result<Records, TlsError> {
                let (secrets, rekey) = self.dangerous_into_kernel_connection()?;
                Records::new(secrets, Box::new(rekey))
            }
        }
    };
}

end!(UnbufferedClientConnection, rustls::client::ClientConnectionData);
end!(UnbufferedServerConnection, rustls::server::ServerConnectionData);

/// A handshake that went well.
pub(super) struct Established {
    pub(super) records: Records,
    /// Encrypted bytes that came behind the handshake.
    pub(super) rest: Vec<u8>,
    /// The key that the peer proved.
    pub(super) peer: Option<PublicKey>,
    pub(super) alpn: Option<Vec<u8>>,
    /// What is spoken, for a person.
    pub(super) spoken: String,
}

/// A handshake that failed: how, and what the peer sent first.
pub(super) struct Failed {
    pub(super) error: io::Error,
    pub(super) first: Vec<u8>,
}

/// What comes next.
enum Next {
    /// Another record, or more of it.
    More,
    Again,
    Done,
}

/// One handshake under way.
struct Handshake<'a, S> {
    io: &'a mut S,
    /// From the first byte on that the library still wants to see.
    incoming: Vec<u8>,
    /// So much of it are whole records that the library has seen.
    seen: usize,
    /// So much of it the library is to see: those, and perhaps the beginning of the next.
    shown: usize,
    /// Records that it has seen and still wants to see: it looks through all of them each time.
    kept: usize,
    outgoing: Vec<u8>,
    first: Vec<u8>,
}

/// Does a handshake over `io`. A peer that makes it fail is told why.
pub(super) async fn shake<E, S>(mut end: E, io: &mut S) -> Result<Established, Failed>
where
    E: End,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (incoming, outgoing, first) = (Vec::new(), Vec::new(), Vec::new());
    let mut handshake = Handshake { io, incoming, seen: 0, shown: 0, kept: 0, outgoing, first };
    match handshake.run(&mut end).await {
        Ok(()) => {}
        Err(error) => return Err(Failed { error, first: handshake.first }),
    }
    let rest = handshake.incoming.split_off(handshake.seen);
    let peer = end.state().peer_certificates().and_then(|certs| certs.first());
    let peer = peer.and_then(|spki| PublicKey::from_spki(spki));
    let alpn = end.state().alpn_protocol().map(<[u8]>::to_vec);
    let spoken = Spoken(end.state()).to_string();
    match end.records() {
        Ok(records) => Ok(Established { records, rest, peer, alpn, spoken }),
        Err(error) => Err(Failed { error: invalid(error), first: handshake.first }),
    }
}

/// Appends what the library has to say.
fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Result<(), TlsError> {
    let start = out.len();
    if let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) {
        out.resize(start + needed.required_size, 0);
        data.encode(&mut out[start..]).map_err(|error| TlsError::General(error.to_string()))?;
    }
    Ok(())
}

fn invalid(error: TlsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Handshake<'_, S> {
    async fn run<E: End>(&mut self, end: &mut E) -> io::Result<()> {
        loop {
            match self.step(end) {
                Ok(Next::Again) => {}
                Ok(Next::More) => self.more().await?,
                Ok(Next::Done) => return self.write().await,
                Err(error) => {
                    self.tell(end).await;
                    return Err(invalid(error));
                }
            }
        }
    }

    /// Lets the library go on with what it is to see.
    fn step<E: End>(&mut self, end: &mut E) -> Result<Next, TlsError> {
        let UnbufferedStatus { discard, state } = end.process(&mut self.incoming[..self.shown]);
        let next = state.and_then(|state| match state {
            ConnectionState::EncodeTlsData(mut data) => {
                encode(&mut data, &mut self.outgoing)?;
                Ok(Next::Again)
            }
            // It is sent before we wait, with what else there is to say until then.
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                Ok(Next::Again)
            }
            ConnectionState::BlockedHandshake => Ok(Next::More),
            ConnectionState::WriteTraffic(_) => Ok(Next::Done),
            _ => Err(TlsError::HandshakeNotComplete),
        });
        if discard > 0 {
            self.kept = 0;
            self.incoming.drain(..discard);
        }
        self.shown -= discard;
        self.seen = self.seen.saturating_sub(discard);
        match next {
            // It could send before the peer has proved itself; we do not.
            Ok(Next::Done) if end.state().is_handshaking() => Ok(Next::More),
            next => next,
        }
    }

    /// Shows the library the next record, or reads more of it. It sees the beginning of a record too, to
    /// refuse what is none; never more than one.
    async fn more(&mut self) -> io::Result<()> {
        if self.whole().is_none() {
            self.write().await?;
            self.read().await?;
        }
        self.shown = self.incoming.len();
        if let Some(end) = self.whole() {
            (self.seen, self.shown) = (end, end);
            self.kept += 1;
        }
        // Records that might be early data are such, and cost a stranger five bytes each.
        if self.kept > limits::TLS_HANDSHAKE_RECORDS {
            return Err(invalid(PeerMisbehaved::TooManyEmptyFragments.into()));
        }
        Ok(())
    }

    /// Where the next record ends, if all of it is there.
    fn whole(&self) -> Option<usize> {
        let end = self.seen + protect::length(&self.incoming[self.seen..])?;
        (end <= self.incoming.len()).then_some(end)
    }

    async fn read(&mut self) -> io::Result<()> {
        let before = self.incoming.len();
        if before >= limits::TLS_HANDSHAKE_BYTES {
            return Err(invalid(TlsError::PeerSentOversizedRecord));
        }
        self.incoming.reserve(limits::TLS_LITTLE_READ);
        if self.io.read_buf(&mut self.incoming).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let room = limits::FIRST_BYTES - self.first.len();
        self.first.extend(self.incoming[before..].iter().take(room));
        Ok(())
    }

    /// Sends what was gathered.
    async fn write(&mut self) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        self.io.write_all(&self.outgoing).await?;
        self.outgoing.clear();
        self.io.flush().await
    }

    /// Sends the alert that the library made of a failure.
    async fn tell<E: End>(&mut self, end: &mut E) {
        while let Ok(Next::Again) = self.step(end) {}
        // The failure itself says more than that its alert could not be sent.
        let _ = self.write().await;
    }
}
