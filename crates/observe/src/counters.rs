//! What the kernel counts about sockets in this network namespace: /proc/net/netstat, /proc/net/snmp
//! and snmp6, proc_pid_net(5).

use std::collections::HashMap;
use std::fs;

/// The counters that explain trouble, since the network namespace was made (mostly: the start of the
/// machine). Those that a kernel does not have are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that found the accept queue full (TcpExt ListenOverflows).
    pub listen_overflows: u64,
    /// Connections that a listener dropped for whatever reason (TcpExt ListenDrops).
    pub listen_drops: u64,
    /// SYNs answered with a cookie: handshakes filled the queue (TcpExt SyncookiesSent).
    pub cookies_sent: u64,
    /// Cookies that came back and became connections (TcpExt SyncookiesRecv).
    pub cookies_received: u64,
    /// Cookies that were none, or too old (TcpExt SyncookiesFailed).
    pub cookies_failed: u64,
    /// SYNs dropped because handshakes filled the queue and cookies are off (TcpExt
    /// TCPReqQFullDrop).
    pub request_drops: u64,
    /// Connections that skipped TIME-WAIT, of which there were too many (TcpExt
    /// TCPTimeWaitOverflow).
    pub time_wait_overflows: u64,
    /// TIME-WAITs whose port an outgoing connection took over (TcpExt TWRecycled).
    pub time_wait_reused: u64,
    /// Segments sent again (Tcp RetransSegs).
    pub retransmits: u64,
    /// Datagrams that did not fit the receive buffer (Udp RcvbufErrors, IPv4 and IPv6).
    pub udp_overflows: u64,
    /// Datagrams to a port that nobody has (Udp NoPorts, IPv4 and IPv6).
    pub udp_no_port: u64,
}

impl Counters {
    /// Reads them. What cannot be read counts as 0.
    pub fn read() -> Counters {
        // Of this thread: its network namespace may differ from that of the process.
        let file = |name: &str| {
            fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()
        };
        parse(&file("netstat"), &file("snmp"), &file("snmp6"))
    }
}

fn parse(netstat: &str, snmp: &str, snmp6: &str) -> Counters {
    let mut found = pairs(netstat);
    found.extend(pairs(snmp));
    found.extend(snmp6.lines().filter_map(|line| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        Some((("", name), value.trim().parse().ok()?))
    }));
    let of = |group, name| found.get(&(group, name)).copied().unwrap_or(0);
    let tcp = |name| of("TcpExt", name);
    Counters {
        listen_overflows: tcp("ListenOverflows"),
        listen_drops: tcp("ListenDrops"),
        cookies_sent: tcp("SyncookiesSent"),
        cookies_received: tcp("SyncookiesRecv"),
        cookies_failed: tcp("SyncookiesFailed"),
        request_drops: tcp("TCPReqQFullDrop"),
        time_wait_overflows: tcp("TCPTimeWaitOverflow"),
        time_wait_reused: tcp("TWRecycled"),
        retransmits: of("Tcp", "RetransSegs"),
        udp_overflows: of("Udp", "RcvbufErrors").saturating_add(of("", "Udp6RcvbufErrors")),
        udp_no_port: of("Udp", "NoPorts").saturating_add(of("", "Udp6NoPorts")),
    }
}

/// Lines in pairs: `TcpExt: Name Name …`, then `TcpExt: 1 2 …`.
fn pairs(text: &str) -> HashMap<(&str, &str), u64> {
    let mut found = HashMap::new();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let mut names = names.split_ascii_whitespace();
        let group = names.next().unwrap_or_default().trim_end_matches(':');
        let values = values.split_ascii_whitespace().skip(1);
        let numbers = values.map(|value| value.parse().unwrap_or(0));
        found.extend(names.map(|name| (group, name)).zip(numbers));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// O3: counters are found by name, wherever a kernel has them; both families count together.
    #[test]
    fn by_name() {
        let netstat = "TcpExt: SyncookiesSent New ListenOverflows ListenDrops\nTcpExt: 3 9 4 5\n\
                       IpExt: InNoRoutes\nIpExt: 1\n";
        let snmp = "Tcp: MaxConn RetransSegs\nTcp: -1 7\nUdp: NoPorts RcvbufErrors\nUdp: 1 2\n";
        let snmp6 = "Udp6NoPorts                     \t10\nUdp6RcvbufErrors\t20\n";
        let counters = parse(netstat, snmp, snmp6);
        let expected = Counters {
            listen_overflows: 4,
            listen_drops: 5,
            cookies_sent: 3,
            retransmits: 7,
            udp_overflows: 22,
            udp_no_port: 11,
            ..Counters::default()
        };
        assert_eq!(counters, expected);
        assert_eq!(parse("", "", ""), Counters::default());
    }

    proptest! {
        /// Q4: no text makes it panic.
        #[test]
        fn any_text(text in "[A-Za-z0-9: \n\t-]{0,200}") {
            let _ = parse(&text, &text, &text);
        }
    }
}
