//! What is worth saying of one socket, beside its addresses and its owner.

use std::time::Duration;

use sockeye_net::shown;
use sockeye_observe::snapshot::Owned;
use sockeye_observe::sockets::{
    Protocol, Socket, State, TcpInfo, Timer, TimerKind, UnixSocket, UnixState,
};

use super::paint::Ink;

/// A piece of the second line.
pub(super) type Detail = (Ink, String);

/// What holds a socket up, and with `verbose` what TCP knows of it.
pub(super) fn of(socket: &Socket, verbose: bool) -> Vec<Detail> {
    let mut all = Vec::new();
    if socket.state == State::Listen {
        all.extend(accept_queue(socket));
    } else {
        let bytes =
            |count: u32, what: &str| (count > 0).then(|| (Ink::Plain, format!("{count} B {what}")));
        let (unread, unsent) = queues(socket);
        all.extend(bytes(unread, "unread"));
        match (socket.protocol, socket.state) {
            (_, State::SynSent) => all.push((Ink::Changed, "its SYN is not answered".into())),
            (Protocol::Tcp, _) => all.extend(bytes(unsent, "unacknowledged")),
            (Protocol::Udp, _) => all.extend(bytes(unsent, "unsent")),
        }
        let what = if socket.protocol == Protocol::Tcp { "segment" } else { "datagram" };
        let drops = socket.drops.filter(|drops| *drops > 0);
        all.extend(drops.map(|n| (Ink::Bad, format!("{} dropped", counted(n, what)))));
    }
    // A probe that is due some time is no news.
    let quiet = |timer: &&Timer| timer.kind == TimerKind::Keepalive && timer.retries == 0;
    all.extend(socket.timer.as_ref().filter(|timer| verbose || !quiet(timer)).map(timer));
    if let Some(info) = &socket.info {
        all.extend((info.retransmits > 0).then(|| {
            (Ink::Changed, format!("{} sent again", counted(info.retransmits, "segment")))
        }));
        all.extend(verbose.then(|| inner(info)).into_iter().flatten());
    }
    all
}

/// Bytes in both directions: what the kernel counts as one more is a SYN or FIN.
fn queues(socket: &Socket) -> (u32, u32) {
    let (unread, unsent) = (socket.receive_queue, socket.send_queue);
    match socket.state {
        State::CloseWait | State::TimeWait => (unread.saturating_sub(1), unsent),
        State::FinWait1 => (unread, unsent.saturating_sub(1)),
        State::LastAck | State::Closing => (unread.saturating_sub(1), unsent.saturating_sub(1)),
        _ => (unread, unsent),
    }
}

fn accept_queue(socket: &Socket) -> Vec<Detail> {
    let (waiting, limit) = (socket.receive_queue, socket.send_queue);
    let drops = socket.drops.filter(|drops| *drops > 0);
    let mut all = Vec::new();
    if socket.is_full() {
        all.push((Ink::Bad, format!("accept queue full: {waiting} wait, backlog {limit}")));
    } else if waiting > 0 || drops.is_some() {
        all.push((Ink::Changed, format!("accept queue: {waiting} wait, backlog {limit}")));
    }
    all.extend(drops.map(|n| (Ink::Bad, format!("{} dropped", counted(n, "connection attempt")))));
    all
}

/// `1 segment`, `2 segments`.
fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn timer(timer: &Timer) -> Detail {
    let left = match timer.remaining {
        left if left < Duration::from_millis(1) => "less than 1 ms".into(),
        left => span(left),
    };
    let (ink, what) = match timer.kind {
        TimerKind::Retransmit => (Ink::Changed, "sends again in"),
        TimerKind::Keepalive => (Ink::Faint, "keepalive in"),
        TimerKind::TimeWait => (Ink::Faint, "over in"),
        TimerKind::ZeroWindow => (Ink::Changed, "peer's window is shut, asks in"),
        TimerKind::Other(_) => (Ink::Faint, "timer in"),
    };
    let tries = match timer.retries {
        0 => String::new(),
        n => format!(" (tried {n}×)"),
    };
    (ink, format!("{what} {left}{tries}"))
}

fn inner(info: &TcpInfo) -> Vec<Detail> {
    let measured = info.rtt.zip(info.rtt_variation);
    let measured = measured.map(|(rtt, by)| format!("rtt {} ± {}", span(rtt), span(by)));
    let mut all: Vec<String> = measured.into_iter().collect();
    all.push(format!("window {} × {} B", info.congestion_window, info.mss));
    all.extend(info.bytes_received.map(|bytes| format!("{bytes} B in")));
    all.extend(info.bytes_acknowledged.map(|bytes| format!("{bytes} B out")));
    all.extend((info.lost > 0).then(|| format!("{} lost", info.lost)));
    all.push(format!("path MTU {}", info.path_mtu));
    all.into_iter().map(|text| (Ink::Faint, text)).collect()
}

/// The same of a Unix socket.
pub(super) fn of_unix(socket: &UnixSocket) -> Vec<Detail> {
    let waiting = socket.receive_queue.unwrap_or(0);
    match (socket.state, socket.send_queue) {
        _ if waiting == 0 => Vec::new(),
        (UnixState::Listen, Some(limit)) if waiting > limit => {
            vec![(Ink::Bad, format!("accept queue full: {waiting} wait, backlog {limit}"))]
        }
        (UnixState::Listen, limit) => {
            let backlog = limit.map(|limit| format!(", backlog {limit}")).unwrap_or_default();
            vec![(Ink::Changed, format!("accept queue: {waiting} wait{backlog}"))]
        }
        _ => vec![(Ink::Plain, format!("{waiting} B unread"))],
    }
}

/// Who has it, or why nobody does.
pub(super) fn owner(found: &Owned<Socket>) -> Detail {
    if let Some(text) = named(found) {
        return (Ink::Plain, text);
    }
    let socket = &found.socket;
    match (socket.inode, socket.state) {
        (Some(_), _) => (Ink::Faint, format!("uid {}", socket.uid)),
        (None, State::TimeWait) => (Ink::Faint, String::new()),
        // An end that its program has closed is in none of these states any more.
        (None, State::Established | State::CloseWait | State::SynReceived) => {
            (Ink::Changed, "not accepted yet".into())
        }
        (None, _) => (Ink::Faint, "closed by its program".into()),
    }
}

/// The same of a Unix socket.
pub(super) fn owner_unix(found: &Owned<UnixSocket>) -> Detail {
    let uid = || found.socket.uid.map(|uid| format!("uid {uid}")).unwrap_or_default();
    named(found).map_or_else(|| (Ink::Faint, uid()), |text| (Ink::Plain, text))
}

/// `sockeye (4711)`, and how many more.
fn named<T>(found: &Owned<T>) -> Option<String> {
    let first = found.owners.first()?;
    let more = match found.owner_count {
        0 | 1 => String::new(),
        count => format!(" +{}", count - 1),
    };
    Some(format!("{} ({}){more}", shown::line(&first.program), first.pid))
}

/// A span as people read it.
pub(super) fn span(span: Duration) -> String {
    match span {
        s if s >= Duration::from_secs(120) => format!("{} min", s.as_secs() / 60),
        s if s >= Duration::from_secs(10) => format!("{} s", s.as_secs()),
        s if s >= Duration::from_secs(1) => format!("{:.1} s", s.as_secs_f64()),
        s if s >= Duration::from_millis(10) => format!("{} ms", s.as_millis()),
        s => format!("{:.2} ms", s.as_secs_f64() * 1000.0),
    }
}
