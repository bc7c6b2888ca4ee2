//! One test for each row of the table, over loopback: `row_` and the first method of the row.

mod connecting;
mod options;
mod transfer;

use std::fmt;
use std::path::Path;

use super::*;

/// Short enough to wait for, long enough for the kernel's ticks.
const SHORT: Duration = Duration::from_millis(20);

fn loopback(port: u16) -> Address {
    Address::Inet(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn unix(directory: &Path, name: &str) -> Address {
    Address::Unix(UnixName::Path(directory.join(name)))
}

/// A family and an address to bind in it, for both kinds of sockets.
fn places(directory: &Path) -> [(Domain, Address); 2] {
    [(Domain::IPV4, loopback(0)), (Domain::UNIX, unix(directory, "first"))]
}

fn bound(make: fn(Domain) -> io::Result<Socket>, domain: Domain, at: &Address) -> Socket {
    let socket = make(domain).unwrap();
    socket.bind(at).unwrap();
    socket
}

fn listener(domain: Domain, at: &Address) -> Socket {
    let socket = bound(Socket::stream, domain, at);
    socket.listen(8).unwrap();
    socket
}

/// A client and the server's side of the same connection.
fn connected(domain: Domain, at: &Address) -> (Socket, Socket) {
    let server = listener(domain, at);
    let client = Socket::stream(domain).unwrap();
    client.connect(&server.sock_name().unwrap()).unwrap();
    (client, server.accept().unwrap().0)
}

/// A TCP listener that answers no further SYN, and the connection that fills it.
pub(super) fn full_listener() -> (Socket, Socket) {
    let server = bound(Socket::stream, Domain::IPV4, &loopback(0));
    server.listen(0).unwrap();
    let first = Socket::stream(Domain::IPV4).unwrap();
    first.connect(&server.sock_name().unwrap()).unwrap();
    (server, first)
}

fn wait(socket: &Socket, flags: PollFlags) {
    let mut fds = [PollFd::new(socket, flags)];
    let longest = sys::timespec(Duration::from_secs(20));
    assert_eq!(again(|| Ok(poll(&mut fds, Some(&longest))?)).unwrap(), 1, "nothing came");
}

#[track_caller]
fn fails<T: fmt::Debug>(result: io::Result<T>, errno: Errno) {
    assert_eq!(result.unwrap_err().raw_os_error(), Some(errno.raw_os_error()));
}

/// The rows of the module's own table: the classic calls and what is here.
fn rows() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("../classic.rs").lines();
    lines
        .filter_map(|line| {
            let mut cells = line.strip_prefix("//! | ")?.split(" | ");
            Some((cells.next()?, cells.next()?))
        })
        .skip(1)
        .collect()
}

/// E8: the page of the docs has every call, and every row of it has a method and a test.
#[test]
fn table_is_whole() {
    let rows = rows();
    let calls = "bind listen accept connect connect_ex recv send sendall recvfrom sendto getpeername \
        getsockname getsockopt setsockopt shutdown close setblocking getblocking settimeout \
        gettimeout fileno makefile";
    for call in calls.split_whitespace() {
        let words = |cell: &str, word: &str| {
            cell.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
        };
        assert!(rows.iter().any(|(classic, _)| words(classic, call)), "{call} has no row");
    }
    let code = concat!(include_str!("../classic.rs"), include_str!("impls.rs"));
    let tests = concat!(
        include_str!("tests/connecting.rs"),
        include_str!("tests/transfer.rs"),
        include_str!("tests/options.rs"),
    );
    for (classic, here) in rows {
        let names: Vec<&str> = here.split('`').skip(1).step_by(2).collect();
        for name in &names {
            let there = match (name.strip_prefix("Socket::"), name.split_once("::")) {
                (Some("from"), _) => code.contains("impl From<OwnedFd> for Socket"),
                (Some(method), _) => code.contains(&format!("    pub fn {method}(")),
                (None, Some((of, "from"))) => code.contains(&format!("From<Socket> for {of}")),
                (None, _) => code.contains(&format!("impl {name} for Socket")),
            };
            assert!(there, "{classic}: {name} does not exist");
        }
        let test = names[0].trim_start_matches("Socket::").to_lowercase().replace("::", "_");
        assert!(tests.contains(&format!("fn row_{test}()")), "{classic}: row_{test} is missing");
    }
}
