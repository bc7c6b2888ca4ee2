//! The states of sockets: RFC 9293's for TCP, and what the kernel makes of them for datagrams.

use std::fmt;
use std::str::FromStr;

use super::Protocol;

/// The state of a socket, in the order of a connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Waits for connections.
    Listen,
    /// Has an address and no peer: a datagram socket, or TCP before listen(2) or connect(2).
    Bound,
    /// Sent its SYN.
    SynSent,
    /// Has got a SYN and answered it.
    SynReceived,
    /// Connected; of a datagram socket: it has a peer.
    Established,
    /// Closed first; its FIN is not acknowledged.
    FinWait1,
    /// Closed first; its FIN is acknowledged, the peer's has not come.
    FinWait2,
    /// The peer has closed; this program has not.
    CloseWait,
    /// Both closed at once.
    Closing,
    /// Closed second; its FIN is not acknowledged.
    LastAck,
    /// Closed first, and waits until no old packet can come.
    TimeWait,
    /// Closed, or a state that this program does not know.
    Closed,
}

impl State {
    /// All of them.
    pub const ALL: [State; 12] = [
        State::Listen,
        State::Bound,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
        State::Closed,
    ];

    /// Its name by RFC 9293, section 3.3.2; `BOUND` is ours.
    pub fn name(self) -> &'static str {
        match self {
            State::Listen => "LISTEN",
            State::Bound => "BOUND",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
            State::Closed => "CLOSED",
        }
    }

    /// The kernel's number of it (`include/net/tcp_states.h`), as sock_diag gives it.
    pub(crate) fn from_number(protocol: Protocol, number: u8) -> State {
        match (protocol, number) {
            (_, 1) => State::Established,
            // TCP_CLOSE: of TCP only those are in the table that have an address (Linux 6.8).
            (_, 7) => State::Bound,
            (Protocol::Udp, _) => State::Closed,
            (Protocol::Tcp, 2) => State::SynSent,
            (Protocol::Tcp, 3 | 12) => State::SynReceived,
            (Protocol::Tcp, 4) => State::FinWait1,
            (Protocol::Tcp, 5) => State::FinWait2,
            (Protocol::Tcp, 6) => State::TimeWait,
            (Protocol::Tcp, 8) => State::CloseWait,
            (Protocol::Tcp, 9) => State::LastAck,
            (Protocol::Tcp, 10) => State::Listen,
            (Protocol::Tcp, 11) => State::Closing,
            (Protocol::Tcp, _) => State::Closed,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = String;

    /// RFC 9293's names in any case, with or without their hyphens, and those of ss(8).
    fn from_str(text: &str) -> Result<State, String> {
        let bare = |name: &str| -> String {
            name.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_uppercase()
        };
        let wanted = match bare(text).as_str() {
            "ESTAB" => "ESTABLISHED".to_owned(),
            "SYNRECV" => "SYNRECEIVED".to_owned(),
            "UNCONN" => "BOUND".to_owned(),
            "LISTENING" => "LISTEN".to_owned(),
            other => other.to_owned(),
        };
        State::ALL.into_iter().find(|state| bare(state.name()) == wanted).ok_or_else(|| {
            let names: Vec<String> =
                State::ALL.iter().map(|state| state.name().to_lowercase()).collect();
            format!("no such state; it is one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O3: names are read as RFC 9293 and ss(8) write them, and a wrong one lists the right ones.
    #[test]
    fn names() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
            assert_eq!(state.name().to_lowercase().replace('-', "").parse(), Ok(state));
        }
        assert_eq!("time-wait".parse(), Ok(State::TimeWait));
        assert_eq!("estab".parse(), Ok(State::Established));
        assert!("open".parse::<State>().unwrap_err().contains("fin-wait-1"));
    }
}
