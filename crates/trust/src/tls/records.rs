//! What records mean once the handshake is over: data, alerts and new keys (RFC 8446, sections 4.6.3, 5
//! and 6). No I/O here.

use rustls::kernel::KernelConnection;
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, Error as TlsError, ExtractedSecrets,
    InvalidMessage, PeerMisbehaved,
};
use sockeye_limits as limits;

use super::protect::{Key, Kind};

const KEY_UPDATE: u8 = 24;
const NEW_SESSION_TICKET: u8 = 4;

/// Where the keys come from that follow the first: the TLS library, at either end.
pub(super) trait Rekey: Send + Sync {
    fn next_sent(&mut self) -> Result<(u64, ConnectionTrafficSecrets), TlsError>;
    fn next_received(&mut self) -> Result<(u64, ConnectionTrafficSecrets), TlsError>;
}

impl<Data: Send + Sync> Rekey for KernelConnection<Data> {
    fn next_sent(&mut self) -> Result<(u64, ConnectionTrafficSecrets), TlsError> {
        self.update_tx_secret()
    }

    fn next_received(&mut self) -> Result<(u64, ConnectionTrafficSecrets), TlsError> {
        self.update_rx_secret()
    }
}

/// How the other side's half of a connection ended.
#[derive(Debug, Clone)]
pub(super) enum Over {
    /// It said so: close_notify.
    Closed,
    /// It broke the protocol, somebody changed a record, or it ended everything with an alert.
    Failed(TlsError),
}

/// Both directions of a connection.
pub(super) struct Records {
    sent: Key,
    received: Key,
    rekey: Box<dyn Rekey>,
    over: Option<Over>,
    /// Nothing is sent any more: close_notify was, or an alert that ends everything.
    closed: bool,
    /// Records in a row that held no data.
    empty: u32,
    /// The peer wants a new key of ours too. It comes before what we say next.
    asked: bool,
    /// Records to be sent with one key.
    renew_after: u64,
}

impl Records {
    pub(super) fn new(
        secrets: ExtractedSecrets,
        rekey: Box<dyn Rekey>,
    ) -> Result<Records, TlsError> {
        Ok(Records {
            sent: Key::new(secrets.tx)?,
            received: Key::new(secrets.rx)?,
            rekey,
            over: None,
            closed: false,
            empty: 0,
            asked: false,
            renew_after: limits::TLS_KEY_RECORDS,
        })
    }

    /// How the other side ended, if it did.
    pub(super) fn over(&self) -> Option<&Over> {
        self.over.as_ref()
    }

    /// True once nothing may be sent any more.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// Opens the record that begins `from` bytes into `bytes` and ends with them; its data is moved to
    /// the start of `bytes`. Returns how much that is: none for what says something else, and for what
    /// ends the connection (see [`Records::over`]). What has to be told to the peer goes to `out`.
    pub(super) fn open(&mut self, bytes: &mut [u8], from: usize, out: &mut Vec<u8>) -> usize {
        let opened = self.received.open(bytes, from).and_then(|(kind, length)| match kind {
            Kind::Data if length > 0 => {
                self.empty = 0;
                Ok(length)
            }
            kind => self.control(kind, &bytes[..length]).map(|()| 0),
        });
        opened.unwrap_or_else(|error| {
            self.fail(error, out);
            0
        })
    }

    /// The connection is over because of this, and the peer is told why.
    pub(super) fn fail(&mut self, error: TlsError, out: &mut Vec<u8>) {
        if !self.closed && !matches!(error, TlsError::AlertReceived(_)) {
            // Where even this cannot be said, the end of the stream says it.
            let _ = self.sent.seal(Kind::Alert, &[2, u8::from(alert(&error))], out);
        }
        self.closed = true;
        self.over = Some(Over::Failed(error));
    }

    fn control(&mut self, kind: Kind, said: &[u8]) -> Result<(), TlsError> {
        self.empty += 1;
        if self.empty > limits::TLS_EMPTY_RECORDS {
            return Err(PeerMisbehaved::TooManyEmptyFragments.into());
        }
        match kind {
            Kind::Data => Ok(()),
            Kind::Alert => self.alerted(said),
            Kind::Handshake => self.handshake(said),
        }
    }

    fn alerted(&mut self, said: &[u8]) -> Result<(), TlsError> {
        let [_, description] = said else {
            return Err(InvalidMessage::MessageTooShort.into());
        };
        match AlertDescription::from(*description) {
            AlertDescription::CloseNotify => self.over = Some(Over::Closed),
            // What follows it is a close_notify (section 6.1).
            AlertDescription::UserCanceled => {}
            // All others end the connection, whatever level they claim (section 6.2).
            other => return Err(TlsError::AlertReceived(other)),
        }
        Ok(())
    }

    /// Messages of the handshake after the handshake: each whole, and a new key is the last of its record
    /// (section 5.1). Tickets are for a resumption that there is none of here.
    fn handshake(&mut self, mut said: &[u8]) -> Result<(), TlsError> {
        if said.is_empty() {
            return Err(InvalidMessage::MessageTooShort.into());
        }
        while let [kind, a, b, c, rest @ ..] = said {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let (body, rest) = rest.split_at_checked(length).ok_or_else(unexpected)?;
            match (*kind, body, rest) {
                (KEY_UPDATE, [asked @ (0 | 1)], []) => {
                    self.received = Key::new(self.rekey.next_received()?)?;
                    self.asked |= *asked == 1;
                }
                (NEW_SESSION_TICKET, ..) => {}
                _ => return Err(unexpected()),
            }
            said = rest;
        }
        if said.is_empty() { Ok(()) } else { Err(unexpected()) }
    }

    /// Appends a record with this data, of at most [`super::protect::MOST`] bytes, behind what has to go
    /// first.
    pub(super) fn data(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
        if self.asked || self.sent.used() >= self.renew_after {
            self.renew(out)?;
        }
        self.sent.seal(Kind::Data, plaintext, out)
    }

    /// Appends our last word, once.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) -> Result<(), TlsError> {
        if self.closed {
            return Ok(());
        }
        self.closed = true;
        self.sent.seal(Kind::Alert, &[1, u8::from(AlertDescription::CloseNotify)], out)
    }

    /// Tells the peer that a new key follows, and takes it. The peer is not asked for one in return: it
    /// counts for itself.
    fn renew(&mut self, out: &mut Vec<u8>) -> Result<(), TlsError> {
        self.sent.seal(Kind::Handshake, &[KEY_UPDATE, 0, 0, 1, 0], out)?;
        self.sent = Key::new(self.rekey.next_sent()?)?;
        self.asked = false;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn renew_after(&mut self, records: u64) {
        self.renew_after = records;
    }
}

fn unexpected() -> TlsError {
    InvalidMessage::UnexpectedMessage("a handshake message after the handshake").into()
}

/// What a peer is told (section 6.2).
fn alert(error: &TlsError) -> AlertDescription {
    match error {
        TlsError::DecryptError => AlertDescription::BadRecordMac,
        TlsError::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
        TlsError::InvalidMessage(InvalidMessage::MessageTooShort) => AlertDescription::DecodeError,
        TlsError::InvalidMessage(_) | TlsError::PeerMisbehaved(_) => {
            AlertDescription::UnexpectedMessage
        }
        _ => AlertDescription::InternalError,
    }
}
