//! The same as NDJSON: a line a socket and a summary, or with --watch a line a snapshot.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sockeye_net::shown;
use sockeye_observe::counters::Counters;
use sockeye_observe::owners::Owner;
use sockeye_observe::snapshot::{Owned, Snapshot, TimeWaits};
use sockeye_observe::sockets::{Socket, State, TcpInfo, UnixSocket, UnixState};

/// One object a line.
pub(super) fn lines(seen: &Snapshot) -> String {
    let all = objects(seen).chain(std::iter::once(summary(seen)));
    all.map(|object| shown::json(&object.to_string()) + "\n").collect()
}

/// All of it in one line, with the time.
pub(super) fn snapshot(seen: &Snapshot) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let object = json!({
        "kind": "snapshot",
        "time_ms": millis(since),
        "sockets": objects(seen).collect::<Vec<_>>(),
        "summary": summary(seen),
    });
    shown::json(&object.to_string()) + "\n"
}

fn objects(seen: &Snapshot) -> impl Iterator<Item = Value> {
    seen.sockets.iter().map(inet).chain(seen.unix.iter().map(unix))
}

fn inet(found: &Owned<Socket>) -> Value {
    let socket = &found.socket;
    let mut object = json!({
        "kind": socket.protocol.name(),
        "state": socket.state.name(),
        "local": socket.local.to_string(),
        "peer": socket.peer.map(|peer| peer.to_string()),
        "uid": socket.uid,
        "inode": socket.inode,
        "owners": owners(&found.owners),
        "owner_count": found.owner_count,
        "dropped": socket.drops,
        "timer": socket.timer.map(|timer| json!({
            "kind": timer.kind.name(),
            "remaining_ms": millis(timer.remaining),
            "retries": timer.retries,
        })),
    });
    let more = if socket.state == State::Listen {
        queue(socket.receive_queue, Some(socket.send_queue))
    } else {
        json!({ "receive_queue": socket.receive_queue, "send_queue": socket.send_queue })
    };
    merge(&mut object, more);
    if let Some(info) = &socket.info {
        merge(&mut object, json!({ "tcp": tcp(info) }));
    }
    object
}

/// The accept queue of a listener. It is full with one connection more than its backlog.
fn queue(waiting: u32, backlog: Option<u32>) -> Value {
    json!({
        "accept_queue": waiting,
        "backlog": backlog,
        "full": backlog.is_some_and(|backlog| waiting > backlog),
    })
}

fn tcp(info: &TcpInfo) -> Value {
    json!({
        "rtt_us": info.rtt.map(micros),
        "rtt_variation_us": info.rtt_variation.map(micros),
        "retransmit_timeout_us": micros(info.retransmit_timeout),
        "mss": info.mss,
        "congestion_window": info.congestion_window,
        "slow_start_threshold": info.slow_start_threshold,
        "unacknowledged": info.unacknowledged,
        "lost": info.lost,
        "retransmits": info.retransmits,
        "path_mtu": info.path_mtu,
        "last_sent_ms": info.last_sent.map(millis),
        "last_received_ms": info.last_received.map(millis),
        "bytes_acknowledged": info.bytes_acknowledged,
        "bytes_received": info.bytes_received,
    })
}

fn unix(found: &Owned<UnixSocket>) -> Value {
    let socket = &found.socket;
    let name = socket.name.as_deref().map(|name| match name {
        [0, name @ ..] => format!("@{}", shown::bytes(name)),
        path => shown::bytes(path),
    });
    let mut object = json!({
        "kind": "unix",
        "type": socket.kind.name(),
        "state": socket.state.name(),
        "path": name,
        "peer_inode": socket.peer,
        "uid": socket.uid,
        "inode": socket.inode,
        "owners": owners(&found.owners),
        "owner_count": found.owner_count,
    });
    let more = if socket.state == UnixState::Listen {
        queue(socket.receive_queue.unwrap_or(0), socket.send_queue)
    } else {
        json!({ "receive_queue": socket.receive_queue, "send_queue": socket.send_queue })
    };
    merge(&mut object, more);
    object
}

fn owners(owners: &[Owner]) -> Vec<Value> {
    let object =
        |owner: &Owner| json!({ "pid": owner.pid, "program": shown::line(&owner.program) });
    owners.iter().map(object).collect()
}

fn summary(seen: &Snapshot) -> Value {
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    let inet = seen.sockets.iter().map(|found| found.socket.state.name());
    for state in inet.chain(seen.unix.iter().map(|found| found.socket.state.name())) {
        *states.entry(state).or_default() += 1;
    }
    json!({
        "kind": "summary",
        "states": states,
        "time_wait": time_waits(&seen.time_waits),
        "owners_hidden": seen.owners_hidden,
        "counters": counters(&seen.counters),
    })
}

fn time_waits(waits: &TimeWaits) -> Value {
    let held = |(port, count): &(u16, usize)| json!({ "port": port, "count": count });
    let towards =
        |(peer, count): &(SocketAddr, usize)| json!({ "peer": peer.to_string(), "count": count });
    json!({
        "count": waits.count,
        "ports": waits.held.iter().map(held).collect::<Vec<_>>(),
        "towards": waits.towards.iter().map(towards).collect::<Vec<_>>(),
        "longest_ms": millis(waits.longest),
    })
}

/// The kernel's counters by their names here.
pub(super) fn counters(counters: &Counters) -> Value {
    json!({
        "listen_overflows": counters.listen_overflows,
        "listen_drops": counters.listen_drops,
        "syn_cookies_sent": counters.cookies_sent,
        "syn_cookies_received": counters.cookies_received,
        "syn_cookies_failed": counters.cookies_failed,
        "syn_drops": counters.request_drops,
        "time_wait_overflows": counters.time_wait_overflows,
        "time_wait_reused": counters.time_wait_reused,
        "retransmits": counters.retransmits,
        "udp_overflows": counters.udp_overflows,
        "udp_no_port": counters.udp_no_port,
    })
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
