//! Address in use: who is in the way, by the kernel's tables, and what to do about it.

use std::time::Duration;

use super::{Explained, reach};
use crate::endpoint::Endpoint;
use crate::shown;
use crate::sys::holder::{self, Holder, Owner};

/// What is in the way of a bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InTheWay {
    /// This very process.
    Ourselves { verb: &'static str, place: Place },
    /// A live socket of a process that we may look into.
    Live { owner: Owner, verb: &'static str, place: Place },
    /// A live socket of one that we may not.
    Hidden { uid: Option<u32>, verb: &'static str, place: Place },
    /// A connection that a process still has open.
    Connection { owner: Option<Owner>, state: &'static str },
    /// Closed connections; the longest of them that are in TIME-WAIT has so long to go.
    Closed { count: usize, time_wait: Option<Duration>, state: &'static str },
    /// Port 0, and the range of ports that the system chooses from has none left.
    NoPort,
    /// Nothing that the tables show.
    Unseen,
}

/// Where the other one is, beside the address that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Same,
    /// It has the wildcard, we want one address.
    Covers(String),
    /// It has one address, we want the wildcard.
    Covered(String),
}

pub(super) fn explain(endpoint: Option<&Endpoint>) -> Explained {
    let Some(endpoint) = endpoint else {
        return ("the address is in use".into(), "Choose another port or path".into());
    };
    let elsewhere = if endpoint.unix_name().is_some() {
        "choose another path"
    } else {
        "choose another port (0 asks the system for a free one)"
    };
    look(endpoint).explained(elsewhere)
}

fn look(endpoint: &Endpoint) -> InTheWay {
    if endpoint.host_port().is_some_and(|at| at.port == 0) {
        return InTheWay::NoPort;
    }
    let holders = holder::of(endpoint);
    let Some(first) = holders.iter().find(|h| h.is_live()).or(holders.first()) else {
        return InTheWay::Unseen;
    };
    if first.is_live() {
        return live(first, endpoint);
    }
    if let Some(open) = holders.iter().find(|holder| holder.open) {
        return InTheWay::Connection { owner: open.owner.clone(), state: open.state };
    }
    let longest = holders.iter().filter(|holder| holder.remaining.is_some());
    let longest = longest.max_by_key(|holder| holder.remaining);
    let shown = longest.unwrap_or(first);
    let count = holders.iter().filter(|holder| holder.state == shown.state).count();
    InTheWay::Closed { count, time_wait: shown.remaining, state: shown.state }
}

fn live(holder: &Holder, endpoint: &Endpoint) -> InTheWay {
    let place = if holder.covers_more {
        Place::Covers(holder.local.clone())
    } else if holder.local_differs(endpoint) {
        Place::Covered(holder.local.clone())
    } else {
        Place::Same
    };
    let verb = holder.verb();
    match holder.owner.clone() {
        Some(owner) if owner.pid == std::process::id() => InTheWay::Ourselves { verb, place },
        Some(owner) => InTheWay::Live { owner, verb, place },
        None => InTheWay::Hidden { uid: holder.uid, verb, place },
    }
}

impl InTheWay {
    pub(super) fn explained(&self, elsewhere: &str) -> Explained {
        let cause = match self {
            InTheWay::Ourselves { verb, place } => format!("this same program {verb}{place}"),
            InTheWay::Live { owner, verb, place } => {
                format!("{} (pid {}) {verb}{place}", shown::line(&owner.program), owner.pid)
            }
            InTheWay::Hidden { uid, verb, place } => {
                let uid = uid.map(|uid| format!(" (user {uid})")).unwrap_or_default();
                format!("a process that we may not look into{uid} {verb}{place}")
            }
            InTheWay::Connection { owner: Some(owner), state } => format!(
                "a connection of {} (pid {}) uses that port ({state})",
                shown::line(&owner.program),
                owner.pid
            ),
            InTheWay::Connection { owner: None, state } => format!(
                "a connection of a process that we may not look into uses that port ({state})"
            ),
            InTheWay::Closed { count, time_wait, state } => closed(*count, *time_wait, state),
            InTheWay::NoPort => return reach::no_port_to_bind(),
            InTheWay::Unseen => "a socket has it that the system does not show us: it has gone by \
                                 now, or it is bound and does not listen, which Linux shows since 6.8"
                .into(),
        };
        let remedy = match self {
            InTheWay::Ourselves { .. } => "Name each endpoint once".into(),
            // It holds the sockets of others, and is not to be stopped for one.
            InTheWay::Live { owner, .. } if owner.program == "systemd" => {
                format!("Find its unit with `systemctl list-sockets` and stop that, or {elsewhere}")
            }
            InTheWay::Live { owner, .. } => {
                format!("Stop it with `kill {}`, or {elsewhere}", owner.pid)
            }
            InTheWay::Connection { owner: Some(_), .. } => {
                format!("Wait until it is closed, or {elsewhere}")
            }
            InTheWay::Closed { time_wait, .. } => {
                let wait = match time_wait {
                    Some(left) => format!("Wait {} s", seconds(*left)),
                    None => "Wait until they are over".into(),
                };
                format!("{wait}, set SO_REUSEADDR in the earlier program too, or {elsewhere}")
            }
            _ => format!("Find it as root with `sockeye ports` or `ss -anp`, or {elsewhere}"),
        };
        (format!("the address is in use: {cause}"), remedy)
    }
}

/// Both sockets are named: to set SO_REUSEADDR on the new one alone is the usual mistake.
fn closed(count: usize, time_wait: Option<Duration>, state: &str) -> String {
    let them = if count == 1 {
        "a closed connection".to_owned()
    } else {
        format!("{count} closed connections")
    };
    let until = match time_wait {
        Some(left) => format!("in {state} for {} s more", seconds(left)),
        None => format!("in {state}"),
    };
    format!(
        "{them} of an earlier program without SO_REUSEADDR ({until}) held it; both the old and the \
         new socket need that option"
    )
}

/// Whole seconds, not too few.
fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Same => Ok(()),
            Place::Covers(at) => write!(f, " on {at}, which covers this address"),
            Place::Covered(at) => write!(f, " on {at}, which this address would cover"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// O4, fault 22: a connection that is open holds its port against who lacks SO_REUSEADDR; it is
    /// told from one that is closed, which says how long it waits yet.
    #[test]
    fn open_and_closed_connections() {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        listener.listen(8).unwrap();
        let at = listener.local_addr().unwrap().as_socket().unwrap();
        let near = TcpStream::connect(at).unwrap();
        let (far, _) = listener.accept().unwrap();
        drop(listener);
        let endpoint = Endpoint::loopback(at.port());
        let found = look(&endpoint);
        let InTheWay::Connection { owner: Some(owner), state: "ESTABLISHED" } = &found else {
            panic!("{found:?}");
        };
        assert_eq!(owner.pid, std::process::id());
        drop(far);
        drop(near);
        let end = std::time::Instant::now() + Duration::from_secs(20);
        let left = loop {
            match look(&endpoint) {
                InTheWay::Closed { count: 1, time_wait: Some(left), state: "TIME-WAIT" } => {
                    break left;
                }
                other => assert!(std::time::Instant::now() < end, "{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!((30..=60).contains(&seconds(left)), "{left:?}");
        let (cause, remedy) = explain(Some(&endpoint));
        assert!(cause.contains("both the old and the new socket"), "{cause}");
        assert!(remedy.starts_with("Wait ") && remedy.contains(" s, set SO_REUSEADDR"), "{remedy}");
    }

    /// O4: nobody is told to kill the process that holds the sockets of all units.
    #[test]
    fn socket_units() {
        let told = |program: &str| {
            let owner = Owner { pid: 1, program: program.into() };
            let way = InTheWay::Live { owner, verb: "listens there", place: Place::Same };
            way.explained("choose another port").1
        };
        assert!(
            told("systemd").contains("systemctl list-sockets") && !told("systemd").contains("kill")
        );
        assert!(told("nginx").contains("kill 1"));
    }
}
