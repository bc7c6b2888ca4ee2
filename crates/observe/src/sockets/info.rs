//! What TCP knows of a connection: `struct tcp_info` of `linux/tcp.h`, as far as this kernel has it.

use std::time::Duration;

use super::message::{long, word};

/// The inner numbers of a TCP connection. `Option`s are fields that an older kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpInfo {
    /// How long an acknowledgement takes, smoothed; `None` before the first.
    pub rtt: Option<Duration>,
    /// How much that varies; `None` before the first.
    pub rtt_variation: Option<Duration>,
    /// How long an acknowledgement is waited for before sending again.
    pub retransmit_timeout: Duration,
    /// The longest segment that is sent, in bytes.
    pub mss: u32,
    /// The congestion window, in segments.
    pub congestion_window: u32,
    /// The slow start threshold in segments; `None` before the first loss.
    pub slow_start_threshold: Option<u32>,
    /// Segments that are not acknowledged.
    pub unacknowledged: u32,
    /// Segments that are taken for lost.
    pub lost: u32,
    /// Segments that were sent again since the connection began.
    pub retransmits: u32,
    /// The path's largest packet, in bytes.
    pub path_mtu: u32,
    /// How long ago data was last sent; `None` where none was.
    pub last_sent: Option<Duration>,
    /// How long ago data last came; `None` where none did.
    pub last_received: Option<Duration>,
    /// Bytes that the peer has acknowledged.
    pub bytes_acknowledged: Option<u64>,
    /// Bytes that came.
    pub bytes_received: Option<u64>,
}

/// Reads it; `None` where it is shorter than Linux has had it since 2.6.
pub fn decode(bytes: &[u8]) -> Option<TcpInfo> {
    let micros = |at| word(bytes, at).map(|n| Duration::from_micros(n.into()));
    let millis = |at| word(bytes, at).map(|n| Duration::from_millis(n.into()));
    // Where there was none the kernel counts from the handshake, or from its own start. It counts
    // segments with data since Linux 4.6.
    let (rtt, some) = (micros(68)?, |at| word(bytes, at) != Some(0));
    let measured = !rtt.is_zero();
    // TCP_INFINITE_SSTHRESH: no loss has set one.
    let threshold = word(bytes, 76)?;
    Some(TcpInfo {
        retransmit_timeout: micros(8)?,
        mss: word(bytes, 16)?,
        unacknowledged: word(bytes, 24)?,
        lost: word(bytes, 32)?,
        last_sent: Some(millis(44)?).filter(|_| some(156)),
        last_received: Some(millis(52)?).filter(|_| some(152)),
        path_mtu: word(bytes, 60)?,
        rtt: measured.then_some(rtt),
        rtt_variation: Some(micros(72)?).filter(|_| measured),
        slow_start_threshold: (threshold < 0x7fff_ffff).then_some(threshold),
        congestion_window: word(bytes, 80)?,
        retransmits: word(bytes, 100)?,
        bytes_acknowledged: long(bytes, 120),
        bytes_received: long(bytes, 128),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O3: an older kernel's shorter structure is read as far as it goes.
    #[test]
    fn lengths() {
        let mut bytes = vec![0; 136];
        bytes[68..72].copy_from_slice(&1500u32.to_ne_bytes());
        bytes[76..80].copy_from_slice(&0x7fff_ffffu32.to_ne_bytes());
        bytes[128..136].copy_from_slice(&5u64.to_ne_bytes());
        let info = decode(&bytes).unwrap();
        assert_eq!(info.rtt, Some(Duration::from_micros(1500)));
        assert_eq!((info.slow_start_threshold, info.bytes_received), (None, Some(5)));
        let older = decode(&bytes[..104]).unwrap();
        assert_eq!((older.rtt, older.bytes_received), (info.rtt, None));
        assert_eq!(decode(&bytes[..103]), None);
    }

    /// O3: before anything was measured, sent or received there are no times of it.
    #[test]
    fn nothing_yet() {
        let mut bytes = vec![0; 160];
        bytes[44..48].copy_from_slice(&5u32.to_ne_bytes());
        bytes[52..56].copy_from_slice(&6u32.to_ne_bytes());
        bytes[72..76].copy_from_slice(&250_000u32.to_ne_bytes());
        let info = decode(&bytes).unwrap();
        assert_eq!((info.rtt, info.rtt_variation), (None, None));
        assert_eq!((info.last_sent, info.last_received), (None, None));
        bytes[156..160].copy_from_slice(&1u32.to_ne_bytes());
        let info = decode(&bytes).unwrap();
        assert_eq!((info.last_sent, info.last_received), (Some(Duration::from_millis(5)), None));
    }
}
