//! What TCP knows of a connection: `struct tcp_info` of `linux/tcp.h`, as far as this kernel has it.

use std::time::Duration;

use super::message::{long, word};

/// The inner numbers of a TCP connection. `Option`s are fields that an older kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpInfo {
    /// How long an acknowledgement takes, smoothed.
    pub rtt: Duration,
    /// How much that varies.
    pub rtt_variation: Duration,
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
    /// How long ago data was last sent.
    pub last_sent: Duration,
    /// How long ago data last came.
    pub last_received: Duration,
    /// Bytes that the peer has acknowledged.
    pub bytes_acknowledged: Option<u64>,
    /// Bytes that came.
    pub bytes_received: Option<u64>,
}

/// Reads it; `None` where it is shorter than Linux has had it since 2.6.
pub fn decode(bytes: &[u8]) -> Option<TcpInfo> {
    let micros = |at| word(bytes, at).map(|n| Duration::from_micros(n.into()));
    let millis = |at| word(bytes, at).map(|n| Duration::from_millis(n.into()));
    // TCP_INFINITE_SSTHRESH: no loss has set one.
    let threshold = word(bytes, 76)?;
    Some(TcpInfo {
        retransmit_timeout: micros(8)?,
        mss: word(bytes, 16)?,
        unacknowledged: word(bytes, 24)?,
        lost: word(bytes, 32)?,
        last_sent: millis(44)?,
        last_received: millis(52)?,
        path_mtu: word(bytes, 60)?,
        rtt: micros(68)?,
        rtt_variation: micros(72)?,
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
        assert_eq!(info.rtt, Duration::from_micros(1500));
        assert_eq!((info.slow_start_threshold, info.bytes_received), (None, Some(5)));
        let older = decode(&bytes[..104]).unwrap();
        assert_eq!((older.rtt, older.bytes_received), (info.rtt, None));
        assert_eq!(decode(&bytes[..103]), None);
    }
}
