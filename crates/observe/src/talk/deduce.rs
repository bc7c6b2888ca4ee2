//! The packets that a client's calls must have made, where none may be seen.
//!
//! A call that succeeded proves what TCP did for it (RFC 9293, section 3.10): connect a handshake,
//! recv of nothing a FIN. When exactly, and how bytes were cut into segments, nobody tells; what the
//! kernel counts (TCP_INFO) tells whether the peer's FIN came with an acknowledgement of its own, its
//! state who closed first, and whether our socket is gone afterwards what became of our FIN.

use std::net::SocketAddr;
use std::time::Duration;

use super::log::Record;
use crate::history::{Datagram, Event, Flags, Options, Reason, Segment, Side, Unreachable};
use crate::packet::{Frame, Link};

/// Both ends' next sequence numbers while packets are made up, relative as they are.
struct Ends {
    client: SocketAddr,
    server: SocketAddr,
    /// Whether the kernel has no socket of ours any more, in whatever state.
    gone: bool,
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
    /// How much of what came has been read.
    read: u64,
    /// So many recv(2) bring what was drawn already.
    drawn: usize,
    segments: Vec<Segment>,
}

/// The packets of a TCP client's calls, each at the time of its call. `gone` says that the kernel has
/// no socket of ours any more, in whatever state.
pub(crate) fn segments(
    records: &[Record],
    client: SocketAddr,
    server: SocketAddr,
    gone: bool,
) -> Vec<Event> {
    let mut ends = Ends {
        client,
        server,
        gone,
        sent: 0,
        received: 0,
        ended: false,
        they_ended: false,
        end_acked: false,
        reset: false,
        read: 0,
        drawn: 0,
        segments: Vec::new(),
    };
    let ours = records.iter().filter(|record| record.side == Side::Client).cloned();
    let ours: Vec<Record> = ours.collect();
    for (n, record) in ours.iter().enumerate() {
        ends.take(record, &ours[..n], &ours[n + 1..]);
    }
    if let Some(last) = ours.last().filter(|last| gone && last.name == "close") {
        ends.nothing_is_left(last.ended);
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
    fn take(&mut self, record: &Record, before: &[Record], after: &[Record]) {
        // What came, came just before the call returned with it.
        let (began, ended) = (record.began, just_before(record.ended));
        match (record.name, &record.result) {
            ("connect", result) => self.connect(record, result.as_ref().err()),
            ("send", Ok(bytes)) if !self.reset => {
                self.ours(began, Flags::PSH | Flags::ACK, len(*bytes));
                self.carries(&record.data);
            }
            ("recv", Ok(0)) => self.their_end(ended, before, record),
            ("recv", Ok(_)) if self.drawn > 0 => self.drawn -= 1,
            ("recv", Ok(bytes)) => {
                self.their_data(ended, *bytes, &record.data);
                self.ours(ended, Flags::ACK, 0);
            }
            (_, Err(text)) if text.starts_with("ECONNRESET") => {
                self.theirs(ended, Flags::RST | Flags::ACK, 0);
                self.reset = true;
            }
            ("shutdown", Ok(_)) if !self.reset => {
                // A connection that waits in TIME-WAIT counts as closed, too: we were first then.
                let first = |state| state == LAST_ACK || state == CLOSED && self.gone;
                if record.info.is_some_and(|info| first(info.state)) {
                    self.they_were_first(began, record, after);
                }
                self.our_end(began);
            }
            ("close", Ok(_)) if !self.reset => {
                let last = before.last();
                let unread = last.map_or(0, |last| self.unread(last));
                if unread > 0 {
                    self.their_data(began, unread, &[]);
                }
                if unread > 0 || last.is_some_and(|last| last.name == "setsockopt") {
                    self.ours(began, Flags::RST | Flags::ACK, 0);
                    self.reset = true;
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

    fn their_data(&mut self, time: Duration, bytes: u64, data: &[u8]) {
        self.theirs(time, Flags::PSH | Flags::ACK, len(bytes));
        self.carries(data);
        self.read = self.read.saturating_add(bytes);
    }

    /// What the kernel has for us and nobody has read: a close then is a reset (RFC 2525, section 2.17).
    fn unread(&self, last: &Record) -> u64 {
        let Some(info) = last.info else { return 0 };
        // Their FIN counts as a byte.
        let end = u64::from(matches!(info.state, CLOSE_WAIT | LAST_ACK | CLOSING | CLOSED));
        info.bytes_received.saturating_sub(end).saturating_sub(self.read)
    }

    /// By the time of our shutdown(2) their FIN had come, and all before it, which is read only
    /// afterwards. What the kernel counts more than it can have acknowledged with something else were
    /// acknowledgements alone.
    fn they_were_first(&mut self, time: Duration, record: &Record, after: &[Record]) {
        if std::mem::replace(&mut self.they_ended, true) {
            return;
        }
        let mut alone = record.info.map_or(0, |info| {
            let syn_and_fin = 2;
            let out = info.segments_out.saturating_sub(info.data_segments_out);
            out.saturating_sub(syn_and_fin).saturating_sub(self.acknowledgements())
        });
        let mut acknowledge = |ends: &mut Ends| {
            if alone > 0 {
                alone -= 1;
                ends.ours(time, Flags::ACK, 0);
            }
        };
        for record in after.iter().take_while(|record| record.name == "recv") {
            let Ok(bytes @ 1..) = record.result else { break };
            self.their_data(time, bytes, &record.data);
            self.drawn += 1;
            acknowledge(self);
        }
        self.theirs(time, Flags::FIN | Flags::ACK, 0);
        self.received = self.received.wrapping_add(1);
        acknowledge(self);
    }

    /// How many acknowledgements alone were drawn of ours.
    fn acknowledgements(&self) -> u32 {
        let alone = |segment: &&Segment| {
            segment.from == self.client && segment.flags == Flags::ACK && segment.length == 0
        };
        u32::try_from(self.segments.iter().filter(alone).count()).unwrap_or(u32::MAX)
    }

    /// Our socket is gone after our close(2). Who closes second is gone once its FIN is acknowledged; who
    /// closes first would wait in TIME-WAIT or for the peer's FIN, unless data came for the closed
    /// socket, which a reset answers.
    fn nothing_is_left(&mut self, time: Duration) {
        match (self.ended && !self.reset, self.they_ended) {
            (true, true) => self.last_ack(time),
            (true, false) => self.ours(time, Flags::RST, 0),
            (false, _) => {}
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

/// States as TCP_INFO has them (net/tcp_states.h).
const CLOSED: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(1))
}

fn len(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
