//! What is worth a thought: said only where the kernel's counters or its sockets show a need.

use super::range::{PortRange, crowded};
use crate::counters::Counters;
use crate::sockets::Socket;

/// A need that shows, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// What was seen.
    pub evidence: String,
    /// What helps.
    pub remedy: String,
}

/// The needs that show. Counters count since the network namespace was made.
pub fn hints(counters: &Counters, sockets: &[Socket], range: Option<PortRange>) -> Vec<Hint> {
    let mut hints = Vec::new();
    hints.extend(accept_queue(counters, sockets));
    hints.extend(handshakes(counters));
    hints.extend(range.and_then(|range| ports(sockets, range)));
    hints.extend((counters.time_wait_overflows > 0).then(|| Hint {
        evidence: format!("{} connections skipped TIME-WAIT", counters.time_wait_overflows),
        remedy: "Raise net.ipv4.tcp_max_tw_buckets, or let clients close first".into(),
    }));
    hints.extend((counters.udp_overflows > 0).then(|| {
        Hint {
            evidence: format!("{} datagrams did not fit a receive buffer", counters.udp_overflows),
            remedy: "Read faster, or give the socket a larger buffer (--set rcvbuf=4M, up to \
                 net.core.rmem_max)"
                .into(),
        }
    }));
    hints
}

fn accept_queue(counters: &Counters, sockets: &[Socket]) -> Option<Hint> {
    let overflows = counters.listen_overflows;
    let full = sockets.iter().find(|socket| socket.is_full());
    let evidence = match (overflows, full) {
        (0, None) => return None,
        (_, None) => format!("accept queues were full {overflows} times"),
        (_, Some(full)) => format!(
            "the accept queue of {} is full; such queues were full {overflows} times",
            full.local
        ),
    };
    let remedy = "Accept faster (more workers), or listen with a larger backlog, up to \
                  net.core.somaxconn"
        .into();
    Some(Hint { evidence, remedy })
}

fn handshakes(counters: &Counters) -> Option<Hint> {
    let (sent, back) = (counters.cookies_sent, counters.cookies_received);
    if counters.request_drops > 0 {
        return Some(Hint {
            evidence: format!(
                "{} SYNs were dropped: too many handshakes were open and cookies are off",
                counters.request_drops
            ),
            remedy: "Set net.ipv4.tcp_syncookies to 1".into(),
        });
    }
    (sent > 0).then(|| Hint {
        evidence: format!(
            "{sent} SYNs were answered with cookies, {back} came back: handshakes filled a queue"
        ),
        remedy:
            "Where few came back it was a flood, and the cookies did their work; where many did, \
                 raise the server's backlog"
                .into(),
    })
}

/// From four fifths on: what is left may be gone within a second.
fn ports(sockets: &[Socket], range: PortRange) -> Option<Hint> {
    let most = crowded(sockets, range)?;
    (most.taken.saturating_mul(5) >= range.count().saturating_mul(4)).then(|| Hint {
        evidence: format!(
            "{} of {} ports are taken towards {}, {} of them in TIME-WAIT",
            most.taken,
            range.count(),
            most.peer,
            most.time_wait
        ),
        remedy: "Keep connections open instead of making new ones, let the server close first, or \
                 widen net.ipv4.ip_local_port_range"
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::range::tests::waiting;

    /// O5: without a need nothing is said; each need is said once, with its evidence.
    #[test]
    fn needs() {
        let range = Some(PortRange { low: 40_000, high: 40_009 });
        assert_eq!(hints(&Counters::default(), &[], range), []);
        let counters = Counters { udp_overflows: 7, listen_overflows: 3, ..Counters::default() };
        let found = hints(&counters, &[], range);
        assert!(found[0].evidence.contains("3 times") && found[1].evidence.starts_with("7 "));
        let sockets: Vec<_> = (40_000..40_008).map(|port| waiting(port, "127.0.0.1:80")).collect();
        let found = hints(&Counters::default(), &sockets, range);
        assert_eq!(found.len(), 1);
        assert!(found[0].evidence.starts_with("8 of 10 ports"), "{found:?}");
        assert_eq!(hints(&Counters::default(), &sockets[1..], range), []);
    }
}
