//! What the kernel knows of a TCP connection of our own: TCP_INFO, tcp(7).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::sockopt::{TcpInfoBytes, getsockopt};

/// The state of a TCP socket and its counts since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// The state by the kernel's number: 1 is ESTABLISHED, 7 CLOSE (net/tcp_states.h).
    pub state: u8,
    /// Segments that were sent, retransmissions and bare acknowledgements included.
    pub segments_out: u32,
    /// Segments that came.
    pub segments_in: u32,
    /// Those that were sent and carried data.
    pub data_segments_out: u32,
    /// Those that came and carried data.
    pub data_segments_in: u32,
    /// Segments that were sent and are not acknowledged.
    pub unacknowledged: u32,
    /// Segments that were sent again.
    pub retransmitted: u32,
    /// Bytes that the peer has acknowledged, its part of the handshake included.
    pub bytes_acked: u64,
    /// Bytes that came in order.
    pub bytes_received: u64,
    /// The smoothed round-trip time.
    pub round_trip: Duration,
    /// The longest segment that we send, in bytes.
    pub send_mss: u32,
    /// The longest packet that the path takes, as far as is known, in bytes.
    pub path_mtu: u32,
}

impl TcpInfo {
    /// Asks the kernel about a TCP socket. What an older kernel does not know is 0.
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn of(socket: &impl AsFd) -> io::Result<TcpInfo> {
        let found: TcpInfoBytes = getsockopt(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_INFO)?;
        Ok(TcpInfo::read(&found))
    }

    /// The fields where linux/tcp.h has them.
    fn read(bytes: &TcpInfoBytes) -> TcpInfo {
        let word = |at: usize| {
            let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            u32::from_ne_bytes(four)
        };
        let long = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(eight)
        };
        TcpInfo {
            state: bytes[0],
            send_mss: word(16),
            unacknowledged: word(24),
            path_mtu: word(60),
            round_trip: Duration::from_micros(word(68).into()),
            retransmitted: word(100),
            bytes_acked: long(120),
            bytes_received: long(128),
            segments_out: word(136),
            segments_in: word(140),
            data_segments_in: word(152),
            data_segments_out: word(156),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// O2: the kernel counts our own segments and bytes, and says the state.
    #[test]
    fn counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        server.write_all(b"HELLO, WORLD").unwrap();
        client.read_exact(&mut [0; 12]).unwrap();
        let info = TcpInfo::of(&client).unwrap();
        assert_eq!(info.state, 1, "{info:?}");
        assert_eq!(info.bytes_received, 12, "{info:?}");
        assert_eq!((info.data_segments_out, info.data_segments_in), (1, 1), "{info:?}");
        // SYN, the last of the handshake, the data, and its answer's acknowledgement (if not late).
        assert!((3..=4).contains(&info.segments_out), "{info:?}");
        assert!(info.segments_in >= 2 && info.retransmitted == 0, "{info:?}");
        drop(server);
        client.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(TcpInfo::of(&client).unwrap().state, 8, "CLOSE_WAIT");
    }
}
