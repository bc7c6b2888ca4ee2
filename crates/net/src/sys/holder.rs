//! Who holds an address: the kernel's socket tables in /proc/net and what these leave out, and whose
//! descriptors they are.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use super::bound;
use crate::endpoint::{Endpoint, Host, UnixName};

/// One socket that is in the way of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its own address, as a user reads it.
    pub local: String,
    /// Its state by RFC 9293's names; `LISTEN`, `TIME-WAIT`, … or `bound` for datagrams, and `BOUND` for
    /// a stream that neither listens nor is connected.
    pub state: &'static str,
    /// The number of the user who made it, where the table says so.
    pub uid: Option<u32>,
    /// The process that has it open, where we may see that.
    pub owner: Option<Owner>,
    /// True where a process has it open, whether or not we may see which.
    pub open: bool,
    /// How long it stays in TIME-WAIT.
    pub remaining: Option<Duration>,
    /// True where it is bound to the wildcard and the wanted address is a specific one.
    pub covers_more: bool,
}

/// A process with a socket open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its name, from /proc/PID/comm: at most 15 bytes, of foreign origin.
    pub program: String,
}

impl Holder {
    /// True for a socket that receives, or may at any time; false for a connection.
    pub fn is_live(&self) -> bool {
        matches!(self.state, "LISTEN" | "bound" | BOUND)
    }

    /// What it does there.
    pub(crate) fn verb(&self) -> &'static str {
        match self.state {
            "LISTEN" => "listens there",
            BOUND => BOUND_ONLY,
            _ => "has it",
        }
    }

    /// True where it holds another address than the wanted one.
    pub(crate) fn local_differs(&self, wanted: &Endpoint) -> bool {
        wanted.host_port().is_some_and(|at| at.to_string() != self.local)
    }
}

/// A row of /proc/net/tcp, tcp6, udp or udp6.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    waiting: u32,
    /// What is left of the running timer.
    timer: Duration,
    uid: u32,
    inode: u64,
}

/// The sockets that conflict with binding `endpoint`, those that are live first.
pub fn of(endpoint: &Endpoint) -> Vec<Holder> {
    let mut found = match endpoint {
        Endpoint::Tcp(at) | Endpoint::Tls(at) => inet(&at.host, at.port, &["tcp", "tcp6"]),
        Endpoint::Udp(at) => inet(&at.host, at.port, &["udp", "udp6"]),
        Endpoint::Unix(name) | Endpoint::Unixgram(name) => unix(name),
    };
    // A listener is in the way of more than a socket that is only bound.
    found.sort_by_key(|(holder, _)| (!holder.is_live(), holder.state == BOUND));
    found
        .into_iter()
        .map(|(holder, inode)| Holder {
            owner: if inode == 0 { None } else { owner(inode) },
            ..holder
        })
        .collect()
}

/// Completed connections that wait to be accepted on a local TCP listener; `None` where none
/// listens there.
pub fn accept_queue(endpoint: &Endpoint) -> Option<u32> {
    let Endpoint::Tcp(at) = endpoint else { return None };
    let wanted = literal(&at.host);
    rows(&["tcp", "tcp6"])
        .into_iter()
        .find(|row| {
            row.state == LISTEN && row.local.port() == at.port && meets(wanted, row.local.ip())
        })
        .map(|row| row.waiting)
}

/// Bytes that the program at the other end of a connection on this machine has not read yet; `None`
/// where the table does not show its socket. `peer` is the address of that socket.
pub fn unread(peer: SocketAddr) -> Option<u32> {
    // One local port may have several connections; then the busiest stands for all.
    connections_at(peer).map(|row| row.waiting).max()
}

/// Ports that are taken towards a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// How many of the range; those of listeners and of bound sockets count as well.
    pub(crate) ports: u32,
    /// How many of them by connections to that peer in TIME-WAIT.
    pub(crate) time_wait: u32,
}

/// How many ports of the range no new connection to `peer` can come from: those of connections to it, of
/// listeners, and of sockets that are bound alone.
pub(crate) fn taken(peer: SocketAddr, range: RangeInclusive<u16>) -> Taken {
    let ours = |row: &Row| {
        let listens = row.state == LISTEN;
        range.contains(&row.local.port()) && (listens || is_same(row.remote, peer))
    };
    let found: Vec<Row> = rows(&["tcp", "tcp6"]).into_iter().filter(ours).collect();
    let count = |ports: HashSet<u16>| u32::try_from(ports.len()).unwrap_or(u32::MAX);
    let waiting = found.iter().filter(|row| row.state == TIME_WAIT).map(|row| row.local.port());
    let bound = bound::all().into_iter().map(|bound| bound.local.port());
    let ports = found.iter().map(|row| row.local.port());
    let ports = ports.chain(bound.filter(|port| range.contains(port)));
    Taken { ports: count(ports.collect()), time_wait: count(waiting.collect()) }
}

/// What the kernel's table says of the other end of a connection on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherEnd {
    /// A process has it open.
    Held,
    /// It is there and nobody has it open: its processes have closed it, or were killed.
    Orphan,
    /// It is not in the table.
    Unseen,
}

/// Who has the other end of a TCP connection on this machine: `peer` is the address of that end,
/// `local` that of ours. To our own socket an end that was closed looks like one that was shut down
/// for sending alone; here it has no inode (proc_pid_net(5)).
pub fn other_end(peer: SocketAddr, local: SocketAddr) -> OtherEnd {
    let rows: Vec<Row> = connections_at(peer).collect();
    let held = |row: &Row| row.inode != 0;
    match rows.iter().find(|row| is_same(row.remote, local)) {
        Some(row) if held(row) => OtherEnd::Held,
        Some(_) => OtherEnd::Orphan,
        // Redirected on its way (NAT), it knows us by another address.
        None if rows.iter().any(held) => OtherEnd::Held,
        None => OtherEnd::Unseen,
    }
}

/// The TCP connections of a local address.
fn connections_at(local: SocketAddr) -> impl Iterator<Item = Row> {
    let rows = rows(&["tcp", "tcp6"]).into_iter();
    rows.filter(move |row| row.state != LISTEN && is_same(row.local, local))
}

/// True for one address, written as IPv4 or as IPv4 in IPv6.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

/// True where the kernel's table has a socket that receives at that path, as it was written or from
/// the root.
pub(crate) fn has_unix(path: &Path) -> bool {
    let holders = unix(&UnixName::Path(path.to_owned()));
    holders.iter().any(|(holder, _)| holder.state != BOUND)
}

/// The name of a program by its process number, of foreign origin.
pub fn program(pid: u32) -> String {
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&comm).trim_end().to_owned()
}

/// What is said of a stream that is bound and does nothing.
pub(crate) const BOUND_ONLY: &str = "has it (bound, not listening)";

/// The state of such a stream.
const BOUND: &str = "BOUND";

const LISTEN: u8 = 10;
const TIME_WAIT: u8 = 6;

fn inet(host: &Host, port: u16, tables: &[&str]) -> Vec<(Holder, u64)> {
    let wanted = literal(host);
    let datagram = tables.contains(&"udp");
    let holder = |local: SocketAddr, state, uid, inode: u64, remaining| {
        let covers_more =
            local.ip().is_unspecified() && wanted.is_some_and(|ip| !ip.is_unspecified());
        let (uid, open, local) = (Some(uid), inode != 0, local.to_string());
        (Holder { local, state, uid, owner: None, open, remaining, covers_more }, inode)
    };
    let in_the_way = |local: SocketAddr| local.port() == port && meets(wanted, local.ip());
    let rows = rows(tables).into_iter().filter(|row| in_the_way(row.local)).map(|row| {
        let state = if datagram { "bound" } else { state_name(row.state) };
        let remaining = (!datagram && row.state == TIME_WAIT).then_some(row.timer);
        holder(row.local, state, row.uid, row.inode, remaining)
    });
    let mut found: Vec<_> = rows.collect();
    if !datagram {
        let bound = bound::all().into_iter().filter(|bound| in_the_way(bound.local));
        found.extend(bound.map(|bound| holder(bound.local, BOUND, bound.uid, bound.inode, None)));
    }
    found
}

/// The address itself; a name may mean any.
fn literal(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Name(_) => None,
        Host::V4(ip) => Some((*ip).into()),
        Host::V6(ip, _) => Some((*ip).into()),
    }
}

/// True where a socket on `held` is in the way of one on `wanted`: equal, or one is the wildcard
/// of a family that takes the other in (`[::]` takes IPv4 too).
fn meets(wanted: Option<IpAddr>, held: IpAddr) -> bool {
    let Some(wanted) = wanted else { return true };
    if wanted == held {
        return true;
    }
    let covers = |wild: IpAddr, other: IpAddr| match wild {
        IpAddr::V4(ip) => ip.is_unspecified() && other.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    covers(wanted, held) || covers(held, wanted)
}

fn rows(tables: &[&str]) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in tables {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        rows.extend(text.lines().skip(1).filter_map(row));
    }
    rows
}

fn row(line: &str) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace();
    let local = address(fields.nth(1)?)?;
    let remote = address(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let (_, waiting) = fields.next()?.split_once(':')?;
    let waiting = u32::from_str_radix(waiting, 16).ok()?;
    let (_, ticks) = fields.next()?.split_once(':')?;
    // In ticks of a hundredth of a second (USER_HZ), whatever the kernel's own are.
    let timer = Duration::from_millis(u64::from_str_radix(ticks, 16).ok()?.saturating_mul(10));
    let uid = fields.nth(1)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Row { local, remote, state, waiting, timer, uid, inode })
}

/// `0100007F:2328`: the address as the kernel's 32-bit words in the machine's byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| {
        let hex = ip.get(i * 8..i * 8 + 8)?;
        u32::from_str_radix(hex, 16).ok().map(u32::to_ne_bytes)
    };
    if ip.len() == 8 {
        return Some(SocketAddr::new(Ipv4Addr::from(word(0)?).into(), port));
    }
    let mut bytes = [0; 16];
    for i in 0..4 {
        bytes[i * 4..i * 4 + 4].copy_from_slice(&word(i)?);
    }
    Some(SocketAddr::new(Ipv6Addr::from(bytes).into(), port))
}

/// The kernel's numbers of TCP states by the names of RFC 9293, section 3.3.2.
fn state_name(state: u8) -> &'static str {
    match state {
        1 => "ESTABLISHED",
        2 => "SYN-SENT",
        3 | 12 => "SYN-RECEIVED",
        4 => "FIN-WAIT-1",
        5 => "FIN-WAIT-2",
        TIME_WAIT => "TIME-WAIT",
        8 => "CLOSE-WAIT",
        9 => "LAST-ACK",
        LISTEN => "LISTEN",
        11 => "CLOSING",
        _ => "CLOSED",
    }
}

fn unix(name: &UnixName) -> Vec<(Holder, u64)> {
    let spellings = match name {
        UnixName::Path(path) => {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            vec![path.as_os_str().as_bytes().to_vec(), absolute.into_os_string().into_vec()]
        }
        UnixName::Abstract(name) => vec![[b"@", name.as_slice()].concat()],
    };
    let text = fs::read("/proc/net/unix").unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .skip(1)
        .filter_map(|line| {
            spellings.iter().find_map(|wanted| Some((wanted, unix_row(line, wanted)?)))
        })
        .map(|(wanted, (state, inode))| {
            let local = String::from_utf8_lossy(wanted).into_owned();
            let (owner, remaining) = (None, None);
            let open = inode != 0;
            (Holder { local, state, uid: None, owner, open, remaining, covers_more: false }, inode)
        })
        .collect()
}

/// State and inode of the row with that name: `Num RefCount Protocol Flags Type St Inode Path`. None
/// for a connection: it bears its listener's name and does not hold it.
fn unix_row(line: &[u8], wanted: &[u8]) -> Option<(&'static str, u64)> {
    let before = line.strip_suffix(wanted)?.strip_suffix(b" ")?;
    let before = std::str::from_utf8(before).ok()?;
    let fields: Vec<&str> = before.split_ascii_whitespace().collect();
    let [_, _, _, flags, kind, state, inode] = fields[..] else { return None };
    // __SO_ACCEPTCON: a listening stream.
    let listens = u32::from_str_radix(flags, 16).ok()? & 0x10000 != 0;
    let state = match (listens, kind, state) {
        (true, _, _) => "LISTEN",
        (false, "0002", _) => "bound",
        // SS_UNCONNECTED.
        (false, _, "01") => BOUND,
        _ => return None,
    };
    Some((state, inode.parse().ok()?))
}

/// The first process that has the socket of that inode open.
fn owner(inode: u64) -> Option<Owner> {
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if has_open(&process.path(), &wanted) {
            return Some(Owner { pid, program: program(pid) });
        }
    }
    None
}

fn has_open(process: &Path, wanted: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors
        .flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// O4: rows of both families are read as the kernel writes them.
    #[test]
    fn table_rows() {
        let line = "   0: 0100007F:2328 00000000:0000 0A 00000000:00000003 00:00000000 00000000  \
                    1000        0 31337 1 0000000000000000 100 0 0 10 0";
        let expected = Row {
            local: "127.0.0.1:9000".parse().unwrap(),
            remote: "0.0.0.0:0".parse().unwrap(),
            state: LISTEN,
            waiting: 3,
            timer: Duration::ZERO,
            uid: 1000,
            inode: 31337,
        };
        assert_eq!(row(line), Some(expected));
        let v6 = address("00000000000000000000000001000000:0050").unwrap();
        assert_eq!(v6, "[::1]:80".parse().unwrap());
        assert_eq!(row("nonsense"), None);
        assert_eq!(address("01:0050"), None);
    }

    /// O4: a Unix row is found by its whole path, which may hold spaces.
    #[test]
    fn unix_rows() {
        let line = b"0000000000000000: 00000002 00000000 00010000 0001 01 4711 /tmp/a b";
        assert_eq!(unix_row(line, b"/tmp/a b"), Some(("LISTEN", 4711)));
        let row = |rest: &str| unix_row(format!("0: 2 0 00000000 {rest} 7 @a").as_bytes(), b"@a");
        assert_eq!([row("0001 01"), row("0002 01")], [Some((BOUND, 7)), Some(("bound", 7))]);
        assert_eq!(row("0001 03"), None);
        assert_eq!(unix_row(line, b"b"), None);
        assert_eq!(unix_row(line, b"/tmp/c"), None);
    }

    /// O4, fault 22: the wildcards of both families meet specific addresses.
    #[test]
    fn wildcards() {
        let meets = |a: &str, b: &str| meets(Some(a.parse().unwrap()), b.parse().unwrap());
        assert!(meets("127.0.0.1", "127.0.0.1"));
        assert!(meets("0.0.0.0", "127.0.0.1"));
        assert!(meets("127.0.0.1", "::"));
        assert!(meets("::", "127.0.0.1"));
        assert!(!meets("127.0.0.1", "127.0.0.2"));
        assert!(!meets("0.0.0.0", "::1"));
    }

    /// O4: a live listener is found with its accept queue.
    #[test]
    fn live_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::loopback(listener.local_addr().unwrap().port());
        let holders = of(&endpoint);
        assert_eq!(holders.len(), 1);
        assert!(holders[0].is_live());
        assert_eq!(accept_queue(&endpoint), Some(0));
        let _waiting = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(accept_queue(&endpoint), Some(1));
    }

    /// X1: what a program on this machine has not read yet is seen, and so is that it has.
    #[test]
    fn unread_bytes() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, peer) = listener.accept().unwrap();
        assert_eq!(unread(peer), Some(0));
        far.write_all(b"12345").unwrap();
        assert_eq!(unread(peer), Some(5));
        near.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(unread(peer), Some(0));
        let gone = near.local_addr().unwrap();
        far.shutdown(std::net::Shutdown::Both).unwrap();
        drop((near, far));
        assert!(unread(gone).is_none_or(|bytes| bytes == 0));
    }

    /// X5, fault 38: an end that was closed is told from one that was shut down for sending alone.
    #[test]
    fn other_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let near = std::net::TcpStream::connect(local).unwrap();
        let (far, peer) = listener.accept().unwrap();
        assert_eq!(other_end(peer, local), OtherEnd::Held);
        near.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(other_end(peer, local), OtherEnd::Held);
        drop(near);
        assert_eq!(other_end(peer, local), OtherEnd::Orphan);
        drop(far);
        assert_ne!(other_end(peer, local), OtherEnd::Held);
        assert_eq!(other_end("127.0.0.1:1".parse().unwrap(), local), OtherEnd::Unseen);
    }
}
