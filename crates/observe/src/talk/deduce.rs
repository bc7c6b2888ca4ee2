//! The packets that a client's calls must have made, where none may be seen.
//!
//! A call that succeeded proves what TCP did for it (RFC 9293, section 3.10): connect a handshake,
//! recv of nothing a FIN. When exactly, and how bytes were cut into segments, nobody tells; what the
//! kernel counts (TCP_INFO) tells whether the peer's FIN came with an acknowledgement of its own.

use std::net::SocketAddr;
use std::time::Duration;

use super::log::Record;
use crate::history::{Datagram, Event, Flags, Options, Reason, Segment, Side, Unreachable};
use crate::packet::{Frame, Link};

/// Both ends' next sequence numbers while packets are made up, relative as they are.
struct Ends {
    client: SocketAddr,
    server: SocketAddr,
    sent: u32,
    received: u32,
    /// Whether our FIN has left.
    ended: bool,
    /// Whether theirs has come. Each further recv(2) says so again.
    they_ended: bool,
    /// Whether they have acknowledged our FIN, by a packet of its own or by theirs.
    end_acked: bool,
    /// Whether the connection was reset.
    reset: bool,
    segments: Vec<Segment>,
}

/// The packets of a TCP client's calls, each at the time of its call.
pub(crate) fn segments(records: &[Record], client: SocketAddr, server: SocketAddr) -> Vec<Event> {
    let mut ends = Ends {
        client,
        server,
        sent: 0,
        received: 0,
        ended: false,
        they_ended: false,
        end_acked: false,
        reset: false,
        segments: Vec::new(),
    };
    for (n, record) in records.iter().enumerate() {
        if record.side == Side::Client {
            ends.take(record, &records[..n]);
        }
    }
    ends.segments.into_iter().map(Event::Segment).collect()
}

/// The datagrams of a UDP client's calls: each is one call's, and a refusal is what ICMP brought
/// (udp(7)).
pub(crate) fn datagrams(records: &[Record], client: SocketAddr, server: SocketAddr) -> Vec<Event> {
    let told = |record: &Record| {
        let came = just_before(record.ended);
        let datagram = |time, from, to, bytes: u64| {
            let (payload, frame) = (record.data.clone(), Frame::new(Link::Ip, &[], 0));
            let length = usize::try_from(bytes).unwrap_or(usize::MAX);
            Event::Datagram(Datagram { time, from, to, payload, length, frame })
        };
        match (record.name, &record.result) {
            ("send", Ok(bytes)) => Some(datagram(record.began, client, server, *bytes)),
            ("recv", Ok(bytes)) => Some(datagram(came, server, client, *bytes)),
            ("send" | "recv", Err(text)) if text.starts_with("ECONNREFUSED") => {
                Some(Event::Unreachable(Unreachable {
                    time: came,
                    from: server.ip(),
                    about_from: client,
                    about_to: server,
                    reason: Reason::Port,
                    frame: Frame::new(Link::Ip, &[], 0),
                }))
            }
            _ => None,
        }
    };
    records.iter().filter(|record| record.side == Side::Client).filter_map(told).collect()
}

impl Ends {
    fn take(&mut self, record: &Record, before: &[Record]) {
        // What came, came just before the call returned with it.
        let (began, ended) = (record.began, just_before(record.ended));
        match (record.name, &record.result) {
            ("connect", result) => self.connect(record, result.as_ref().err()),
            ("send", Ok(bytes)) if !self.reset => {
                self.ours(began, Flags::PSH | Flags::ACK, len(*bytes));
                self.carries(&record.data);
            }
            ("recv", Ok(0)) => self.their_end(ended, before, record),
            ("recv", Ok(bytes)) => {
                self.theirs(ended, Flags::PSH | Flags::ACK, len(*bytes));
                self.carries(&record.data);
                self.ours(ended, Flags::ACK, 0);
            }
            (_, Err(text)) if text.starts_with("ECONNRESET") => {
                self.theirs(ended, Flags::RST | Flags::ACK, 0);
                self.reset = true;
            }
            ("shutdown", Ok(_)) if !self.reset => self.our_end(began),
            ("close", Ok(_)) if !self.reset => {
                let lingers = before.last().is_some_and(|last| last.name == "setsockopt");
                if lingers {
                    self.ours(began, Flags::RST | Flags::ACK, 0);
                } else {
                    self.our_end(began);
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, record: &Record, failed: Option<&String>) {
        let failed = failed.map(String::as_str).unwrap_or_default();
        // What never had a route has sent nothing.
        if ["EADDRNOTAVAIL", "ENETUNREACH", "EACCES", "EPERM", "EINVAL"]
            .iter()
            .any(|name| failed.starts_with(name))
        {
            return;
        }
        let ended = just_before(record.ended);
        self.ours(record.began, Flags::SYN, 0);
        self.sent = 1;
        match failed {
            "" => {
                self.theirs(ended, Flags::SYN | Flags::ACK, 0);
                self.received = 1;
                self.ours(ended, Flags::ACK, 0);
            }
            refused if refused.starts_with("ECONNREFUSED") => {
                self.theirs(ended, Flags::RST | Flags::ACK, 0);
            }
            _ => {
                let again = record.info.map_or(0, |info| info.retransmitted).min(16);
                self.sent = 0;
                for n in 1..=again {
                    // Nobody tells when; so they stand apart evenly.
                    let after = record.ended.saturating_sub(record.began) * n / (again + 1);
                    self.ours(record.began + after, Flags::SYN, 0);
                }
            }
        }
    }

    /// The peer's FIN, and before it the acknowledgement of ours where the kernel counted one more
    /// packet.
    fn their_end(&mut self, time: Duration, before: &[Record], record: &Record) {
        if std::mem::replace(&mut self.they_ended, true) {
            return self.last_ack(time);
        }
        let ours = before.iter().rposition(|earlier| earlier.name == "shutdown");
        let came = |record: &Record| record.info.map(|info| info.segments_in);
        let until = ours.and_then(|at| came(before.get(at.checked_sub(1)?)?));
        if let (Some(until), Some(now)) = (until, came(record)) {
            let data = before[ours.unwrap_or(0)..].iter().filter(|r| r.name == "recv").count();
            if now.wrapping_sub(until) as usize > data + 1 {
                self.theirs(time, Flags::ACK, 0);
            }
        }
        self.theirs(time, Flags::FIN | Flags::ACK, 0);
        self.received = self.received.wrapping_add(1);
        self.end_acked = self.ended;
        if self.ended || acknowledged_alone(before, record) {
            self.ours(time, Flags::ACK, 0);
        }
    }

    /// They ended first, and then we did: the last packet is their acknowledgement.
    fn last_ack(&mut self, time: Duration) {
        if self.ended && !std::mem::replace(&mut self.end_acked, true) {
            self.theirs(time, Flags::ACK, 0);
        }
    }

    fn our_end(&mut self, time: Duration) {
        if !self.ended {
            self.ended = true;
            self.ours(time, Flags::FIN | Flags::ACK, 0);
            self.sent = self.sent.wrapping_add(1);
        }
    }

    /// What the last packet carried.
    fn carries(&mut self, data: &[u8]) {
        if let Some(last) = self.segments.last_mut() {
            last.payload = data.to_vec();
        }
    }

    fn ours(&mut self, time: Duration, flags: Flags, length: u32) {
        let (seq, ack) = (self.sent, self.received);
        self.add(time, Side::Client, flags, seq, ack, length);
        self.sent = self.sent.wrapping_add(length);
    }

    fn theirs(&mut self, time: Duration, flags: Flags, length: u32) {
        let (seq, ack) = (self.received, self.sent);
        self.add(time, Side::Server, flags, seq, ack, length);
        self.received = self.received.wrapping_add(length);
    }

    fn add(&mut self, time: Duration, by: Side, flags: Flags, seq: u32, ack: u32, length: u32) {
        let (from, to) = match by {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        self.segments.push(Segment {
            time,
            from,
            to,
            flags,
            seq,
            ack: if flags.has(Flags::ACK) { ack } else { 0 },
            // Unknown; but not closed, or nothing would have come.
            window: u16::MAX,
            options: Options::default(),
            ident: None,
            payload: Vec::new(),
            length: length as usize,
            frame: Frame::new(Link::Ip, &[], 0),
        });
    }
}

/// Whether our acknowledgement of their FIN left by itself, before our own FIN could carry it: then the
/// kernel had counted one packet more by the time that the call returned. Where it counts none, so it
/// is drawn.
fn acknowledged_alone(before: &[Record], record: &Record) -> bool {
    let sent = |record: &Record| record.info.map(|info| info.segments_out);
    match (before.last().and_then(sent), sent(record)) {
        (Some(until), Some(now)) => now != until,
        _ => true,
    }
}

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(1))
}

fn len(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use sockeye_net::sys::tcp_info::TcpInfo;

    use super::*;

    fn record(name: &'static str, result: Result<u64, &str>) -> Record {
        Record {
            began: Duration::ZERO,
            ended: Duration::from_millis(1),
            side: Side::Client,
            name,
            text: String::new(),
            result: result.map_err(str::to_owned),
            info: None,
            data: Vec::new(),
        }
    }

    fn drawn(records: &[Record]) -> Vec<String> {
        let (client, server) = ("127.0.0.1:5".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
        let told = segments(records, client, server);
        let line = |event: &Event| {
            let Event::Segment(s) = event else { panic!("only segments: {event:?}") };
            let by = if s.from == client { '>' } else { '<' };
            format!("{by} {} {}/{} {}", s.flags, s.seq, s.ack, s.length)
        };
        told.iter().map(line).collect()
    }

    /// O2: a conversation's calls, as the packets that they prove.
    #[test]
    fn conversation() {
        let records = [
            record("socket", Ok(0)),
            record("connect", Ok(0)),
            record("send", Ok(5)),
            record("recv", Ok(5)),
            record("shutdown", Ok(0)),
            record("recv", Ok(0)),
            record("close", Ok(0)),
        ];
        assert_eq!(
            drawn(&records),
            [
                "> SYN 0/0 0",
                "< SYN,ACK 0/1 0",
                "> ACK 1/1 0",
                "> PSH,ACK 1/1 5",
                "< PSH,ACK 1/6 5",
                "> ACK 6/6 0",
                "> FIN,ACK 6/6 0",
                "< FIN,ACK 6/7 0",
                "> ACK 7/7 0",
            ]
        );
    }

    /// O2: a server that ends first: its FIN is one, however often recv(2) says so, and our own is
    /// acknowledged at last.
    #[test]
    fn server_first() {
        let mut records = vec![
            record("connect", Ok(0)),
            record("recv", Ok(5)),
            record("recv", Ok(0)),
            record("shutdown", Ok(0)),
            record("recv", Ok(0)),
            record("recv", Ok(0)),
            record("close", Ok(0)),
        ];
        let end = ["< FIN,ACK 6/1 0", "> ACK 1/7 0", "> FIN,ACK 1/7 0", "< ACK 7/2 0"];
        assert_eq!(drawn(&records)[5..], end);
        // Where the kernel counts no packet for it, the acknowledgement rides with our FIN.
        records.iter_mut().for_each(|record| record.info = Some(TcpInfo::default()));
        let end = ["< FIN,ACK 6/1 0", "> FIN,ACK 1/7 0", "< ACK 7/2 0"];
        assert_eq!(drawn(&records)[5..], end);
    }

    /// O2, C4: of datagrams each call is one; a refusal is what ICMP said of the port.
    #[test]
    fn datagrams_of_calls() {
        let (client, server) = ("127.0.0.1:5".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
        let records = [
            record("socket", Ok(0)),
            record("send", Ok(3)),
            record("recv", Ok(0)),
            record("recv", Err("ECONNREFUSED: Connection refused")),
        ];
        let told = datagrams(&records, client, server);
        let [Event::Datagram(sent), Event::Datagram(came), Event::Unreachable(error)] = &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((sent.from, sent.length, came.from, came.length), (client, 3, server, 0));
        assert_eq!((error.about_to, error.reason), (server, Reason::Port));
    }

    /// O2: a refusal is a RST; a reset in the middle ends everything.
    #[test]
    fn failures() {
        let refused = [record("connect", Err("ECONNREFUSED: Connection refused"))];
        assert_eq!(drawn(&refused), ["> SYN 0/0 0", "< RST,ACK 0/1 0"]);
        assert!(drawn(&[record("connect", Err("ENETUNREACH: no"))]).is_empty());
        let reset = [
            record("connect", Ok(0)),
            record("recv", Err("ECONNRESET: Connection reset by peer")),
            record("close", Ok(0)),
        ];
        assert_eq!(drawn(&reset).last().unwrap(), "< RST,ACK 1/1 0");
    }
}
