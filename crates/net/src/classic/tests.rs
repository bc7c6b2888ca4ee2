//! One test for each row of the table, over loopback: `row_` and the first method of the row.

use std::fs;
use std::path::Path;

use sockeye_limits as limits;

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
    let (code, tests) = (include_str!("../classic.rs"), include_str!("tests.rs"));
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

/// E8: socket makes blocking sockets of both kinds, with the system's error.
#[test]
fn row_stream() {
    for domain in [Domain::IPV4, Domain::UNIX] {
        assert!(Socket::stream(domain).unwrap().is_blocking().unwrap());
        assert!(Socket::datagram(domain).unwrap().is_blocking().unwrap());
    }
    fails(Socket::stream(Domain::from(9999)), Errno::AFNOSUPPORT);
}

/// E8: socketpair.
#[test]
fn row_pair() {
    let (a, b) = Socket::pair().unwrap();
    a.send_all(b"x").unwrap();
    assert_eq!(b.recv_bytes(9).unwrap(), b"x");
    assert_eq!(a.peer_name().unwrap(), Address::Unnamed);
}

/// E8: bind, and EADDRINUSE, EINVAL for a second bind, EADDRNOTAVAIL.
#[test]
fn row_bind() {
    let directory = tempfile::tempdir().unwrap();
    for make in [Socket::stream as fn(Domain) -> _, Socket::datagram] {
        for (domain, at) in places(directory.path()) {
            let first = bound(make, domain, &at);
            let name = first.sock_name().unwrap();
            fails(make(domain).unwrap().bind(&name), Errno::ADDRINUSE);
            fails(first.bind(&loopback(0)), Errno::INVAL);
            if let Address::Unix(UnixName::Path(path)) = name {
                fs::remove_file(path).unwrap();
            }
        }
    }
    // TEST-NET-1 (RFC 5737) is nobody's address.
    let elsewhere = Address::Inet("192.0.2.1:0".parse().unwrap());
    fails(Socket::stream(Domain::IPV4).unwrap().bind(&elsewhere), Errno::ADDRNOTAVAIL);
}

/// E8: listen, and EOPNOTSUPP on a datagram socket.
#[test]
fn row_listen() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        let server = bound(Socket::stream, domain, &at);
        let client = Socket::stream(domain).unwrap();
        assert_eq!(client.connect_ex(&server.sock_name().unwrap()), libc::ECONNREFUSED);
        server.listen(u32::MAX).unwrap();
        let client = Socket::stream(domain).unwrap();
        client.connect(&server.sock_name().unwrap()).unwrap();
        fails(Socket::datagram(domain).unwrap().listen(1), Errno::OPNOTSUPP);
    }
}

/// E8: accept gives the peer's address; EAGAIN, EINVAL, and ETIMEDOUT after the timeout.
#[test]
fn row_accept() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        fails(Socket::stream(domain).unwrap().accept(), Errno::INVAL);
        let server = listener(domain, &at);
        server.set_timeout(Some(SHORT)).unwrap();
        fails(server.accept(), Errno::TIMEDOUT);
        server.set_blocking(false).unwrap();
        fails(server.accept(), Errno::AGAIN);
        let client = Socket::stream(domain).unwrap();
        client.connect(&server.sock_name().unwrap()).unwrap();
        wait(&server, PollFlags::IN);
        let (accepted, peer) = server.accept().unwrap();
        assert_eq!(peer, client.sock_name().unwrap());
        assert!(accepted.is_blocking().unwrap());
    }
}

/// E8: connect, and ECONNREFUSED, EISCONN, ENOENT, and ETIMEDOUT after the timeout.
#[test]
fn row_connect() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        let server = listener(domain, &at);
        let name = server.sock_name().unwrap();
        let client = Socket::stream(domain).unwrap();
        client.connect(&name).unwrap();
        fails(client.connect(&name), Errno::ISCONN);
        server.close();
        fails(Socket::stream(domain).unwrap().connect(&name), Errno::CONNREFUSED);
    }
    let nothing = unix(directory.path(), "nothing");
    fails(Socket::stream(Domain::UNIX).unwrap().connect(&nothing), Errno::NOENT);

    let (server, _first) = full_listener();
    let client = Socket::stream(Domain::IPV4).unwrap();
    client.set_timeout(Some(SHORT)).unwrap();
    let error = client.connect(&server.sock_name().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    fails(client.connect(&server.sock_name().unwrap()), Errno::TIMEDOUT);
}

/// E8: connect_ex returns 0, ECONNREFUSED, EINVAL for what no call was made for.
#[test]
fn row_connect_ex() {
    let server = listener(Domain::IPV4, &loopback(0));
    let name = server.sock_name().unwrap();
    assert_eq!(Socket::stream(Domain::IPV4).unwrap().connect_ex(&name), 0);
    server.close();
    assert_eq!(Socket::stream(Domain::IPV4).unwrap().connect_ex(&name), libc::ECONNREFUSED);
    let long = unix(Path::new("/"), &"x".repeat(200));
    assert_eq!(Socket::stream(Domain::UNIX).unwrap().connect_ex(&long), libc::EINVAL);
}

/// E8: a non-blocking connect is EINPROGRESS, then EALREADY, and SO_ERROR has its outcome.
#[test]
fn row_take_error() {
    let server = listener(Domain::IPV4, &loopback(0));
    let client = Socket::stream(Domain::IPV4).unwrap();
    client.set_blocking(false).unwrap();
    assert_eq!(client.connect_ex(&server.sock_name().unwrap()), libc::EINPROGRESS);
    wait(&client, PollFlags::OUT);
    assert!(client.take_error().unwrap().is_none());

    let (full, _first) = full_listener();
    let client = Socket::stream(Domain::IPV4).unwrap();
    client.set_blocking(false).unwrap();
    // A timeout does not count on a non-blocking socket and so changes no number.
    client.set_timeout(Some(SHORT)).unwrap();
    assert_eq!(client.connect_ex(&full.sock_name().unwrap()), libc::EINPROGRESS);
    assert_eq!(client.connect_ex(&full.sock_name().unwrap()), libc::EALREADY);

    let refusing = bound(Socket::stream, Domain::IPV4, &loopback(0));
    let client = Socket::stream(Domain::IPV4).unwrap();
    client.set_blocking(false).unwrap();
    assert_eq!(client.connect_ex(&refusing.sock_name().unwrap()), libc::EINPROGRESS);
    wait(&client, PollFlags::OUT);
    let error = client.take_error().unwrap().unwrap();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    assert!(client.take_error().unwrap().is_none());
}

/// E8: recv, its end of the stream, EAGAIN, ENOTCONN, ECONNRESET.
#[test]
fn row_recv() {
    let directory = tempfile::tempdir().unwrap();
    let mut buffer = [0; 16];
    for (domain, at) in places(directory.path()) {
        let (client, server) = connected(domain, &at);
        client.send_all(b"hello").unwrap();
        assert_eq!(server.recv(&mut buffer[..2]).unwrap(), 2);
        assert_eq!(server.recv(&mut buffer[2..]).unwrap(), 3);
        assert_eq!(&buffer[..5], b"hello");
        server.set_blocking(false).unwrap();
        fails(server.recv(&mut buffer), Errno::AGAIN);
        client.close();
        wait(&server, PollFlags::IN);
        assert_eq!(server.recv(&mut buffer).unwrap(), 0);
    }
    fails(Socket::stream(Domain::IPV4).unwrap().recv(&mut buffer), Errno::NOTCONN);

    let (client, server) = connected(Domain::IPV4, &loopback(0));
    client.set("linger=0").unwrap();
    client.close();
    fails(server.recv(&mut buffer), Errno::CONNRESET);
}

/// E8: recv into a new buffer.
#[test]
fn row_recv_bytes() {
    let (client, server) = connected(Domain::IPV4, &loopback(0));
    client.send_all(b"hello").unwrap();
    assert_eq!(server.recv_bytes(2).unwrap(), b"he");
    assert_eq!(server.recv_bytes(100).unwrap(), b"llo");
    client.close();
    assert_eq!(server.recv_bytes(100).unwrap(), b"");
}

/// E8: recv with MSG_PEEK leaves the bytes.
#[test]
fn row_peek() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        let (client, server) = connected(domain, &at);
        client.send_all(b"hello").unwrap();
        let mut buffer = [0; 3];
        assert_eq!(server.peek(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer, b"hel");
        assert_eq!(server.recv_bytes(9).unwrap(), b"hello");
        server.set_blocking(false).unwrap();
        fails(server.peek(&mut buffer), Errno::AGAIN);
    }
}

/// E8: send, and EPIPE, ENOTCONN, EAGAIN when there is no room.
#[test]
fn row_send() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        let (client, server) = connected(domain, &at);
        assert_eq!(client.send(b"x").unwrap(), 1);
        client.set_blocking(false).unwrap();
        let full = loop {
            if let Err(error) = client.send(&[0; 65_536]) {
                break error;
            }
        };
        fails(Err::<(), _>(full), Errno::AGAIN);
        client.shutdown(Shutdown::Write).unwrap();
        fails(client.send(b"x"), Errno::PIPE);
        drop(server);
    }
    let (a, b) = Socket::pair().unwrap();
    b.close();
    fails(a.send(b"x"), Errno::PIPE);
    fails(Socket::stream(Domain::UNIX).unwrap().send(b"x"), Errno::NOTCONN);
}

/// E8: send-all sends all, and says how many bytes it sent when it cannot.
#[test]
fn row_send_all() {
    let directory = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|i| (i % 251) as u8).collect();
    for (domain, at) in places(directory.path()) {
        let (client, server) = connected(domain, &at);
        let got = std::thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                let mut got = Vec::new();
                (&server).read_to_end(&mut got).unwrap();
                got
            });
            client.send_all(&bytes).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            receiving.join().unwrap()
        });
        assert!(got == bytes);

        server.set_timeout(Some(SHORT)).unwrap();
        let error = server.send_all(&vec![0; 64 << 20]).unwrap_err();
        assert!(error.sent > 0 && error.sent < 64 << 20, "{error}");
        assert!(error.to_string().ends_with(&format!("after {} bytes were sent", error.sent)));
        // Just so many and no more are on their way.
        drop(server);
        assert_eq!(io::copy(&mut &client, &mut io::sink()).unwrap(), error.sent as u64);
        fails(Err::<(), _>(error.into()), Errno::TIMEDOUT);
    }
    // Nothing to send is an empty datagram all the same.
    let server = bound(Socket::datagram, Domain::IPV4, &loopback(0));
    let client = Socket::datagram(Domain::IPV4).unwrap();
    client.connect(&server.sock_name().unwrap()).unwrap();
    client.send_all(b"").unwrap();
    assert_eq!(server.recv(&mut [0; 4]).unwrap(), 0);
}

/// E8: recvfrom gives the sender, cuts a datagram off, and EAGAIN.
#[test]
fn row_recv_from() {
    let directory = tempfile::tempdir().unwrap();
    let others = [loopback(0), unix(directory.path(), "second")];
    for ((domain, at), other) in places(directory.path()).into_iter().zip(others) {
        let server = bound(Socket::datagram, domain, &at);
        let client = bound(Socket::datagram, domain, &other);
        client.send_to(b"hello", &server.sock_name().unwrap()).unwrap();
        client.send_to(b"you", &server.sock_name().unwrap()).unwrap();
        let mut buffer = [0; 4];
        let from = Some(client.sock_name().unwrap());
        assert_eq!(server.recv_from(&mut buffer).unwrap(), (4, from.clone()));
        assert_eq!(&buffer, b"hell");
        assert_eq!(server.recv_from(&mut buffer).unwrap(), (3, from));
        server.set_blocking(false).unwrap();
        fails(server.recv_from(&mut buffer), Errno::AGAIN);
    }
    let server = bound(Socket::datagram, Domain::UNIX, &unix(directory.path(), "third"));
    let name = server.sock_name().unwrap();
    Socket::datagram(Domain::UNIX).unwrap().send_to(b"", &name).unwrap();
    assert_eq!(server.recv_from(&mut [0; 4]).unwrap(), (0, None));
    let client = Socket::datagram(Domain::UNIX).unwrap();
    client.bind(&Address::Unnamed).unwrap();
    client.send_to(b"x", &name).unwrap();
    let (_, from) = server.recv_from(&mut [0; 4]).unwrap();
    assert!(matches!(from, Some(Address::Unix(UnixName::Abstract(_)))), "{from:?}");
    assert_eq!(from, client.sock_name().ok());
    let (client, server) = connected(Domain::IPV4, &loopback(0));
    client.send_all(b"x").unwrap();
    assert_eq!(server.recv_from(&mut [0; 4]).unwrap(), (1, None));
}

/// E8: sendto, and EMSGSIZE, ECONNREFUSED; send without an address is EDESTADDRREQ.
#[test]
fn row_send_to() {
    let directory = tempfile::tempdir().unwrap();
    let server = bound(Socket::datagram, Domain::IPV4, &loopback(0));
    let name = server.sock_name().unwrap();
    let client = bound(Socket::datagram, Domain::IPV4, &loopback(0));
    assert_eq!(client.send_to(b"hello", &name).unwrap(), 5);
    assert_eq!(server.recv_bytes(9).unwrap(), b"hello");
    fails(client.send_to(&[0; limits::DATAGRAM_MAX + 1], &name), Errno::MSGSIZE);
    fails(client.send(b"x"), Errno::DESTADDRREQ);
    // Connected elsewhere, the server takes nothing from this client, which the kernel answers.
    let elsewhere = bound(Socket::datagram, Domain::IPV4, &loopback(0));
    server.connect(&elsewhere.sock_name().unwrap()).unwrap();
    client.connect(&name).unwrap();
    client.send(b"x").unwrap();
    fails(client.recv(&mut [0; 4]), Errno::CONNREFUSED);

    let path = unix(directory.path(), "first");
    let server = bound(Socket::datagram, Domain::UNIX, &path);
    let client = Socket::datagram(Domain::UNIX).unwrap();
    assert_eq!(client.send_to(b"hello", &path).unwrap(), 5);
    assert_eq!(server.recv_bytes(9).unwrap(), b"hello");
    server.close();
    fails(client.send_to(b"x", &path), Errno::CONNREFUSED);
}

/// E8: getpeername, and ENOTCONN.
#[test]
fn row_peer_name() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        let (client, server) = connected(domain, &at);
        assert_eq!(client.peer_name().unwrap(), server.sock_name().unwrap());
        assert_eq!(server.peer_name().unwrap(), client.sock_name().unwrap());
        fails(Socket::stream(domain).unwrap().peer_name(), Errno::NOTCONN);
        fails(Socket::datagram(domain).unwrap().peer_name(), Errno::NOTCONN);
    }
}

/// E8: getsockname, before and after bind.
#[test]
fn row_sock_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = unix(directory.path(), "first");
    assert_eq!(bound(Socket::stream, Domain::UNIX, &path).sock_name().unwrap(), path);
    assert_eq!(Socket::stream(Domain::UNIX).unwrap().sock_name().unwrap(), Address::Unnamed);
    for make in [Socket::stream as fn(Domain) -> _, Socket::datagram] {
        let name = bound(make, Domain::IPV4, &loopback(0)).sock_name().unwrap();
        assert_ne!(name.inet().unwrap().port(), 0);
    }
}

/// E8: getsockopt by name, and ENOPROTOOPT.
#[test]
fn row_get() {
    let socket = Socket::stream(Domain::IPV4).unwrap();
    assert_eq!(socket.get("nodelay").unwrap(), "off");
    assert_eq!(socket.get("linger").unwrap(), "off");
    assert!(socket.get("rcvbuf").unwrap().parse::<u64>().unwrap() > 0);
    let error = socket.get("nosuch").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("nodelay"), "{error}");
    fails(Socket::stream(Domain::UNIX).unwrap().get("nodelay"), Errno::NOPROTOOPT);
    fails(Socket::datagram(Domain::IPV4).unwrap().get("nodelay"), Errno::NOPROTOOPT);
}

/// E8: setsockopt by name, and ENOPROTOOPT.
#[test]
fn row_set() {
    let socket = Socket::stream(Domain::IPV4).unwrap();
    assert_eq!(socket.set("nodelay=on").unwrap().got, "on");
    assert_eq!(socket.get("nodelay").unwrap(), "on");
    let parsed: SocketOption = "nodelay=off".parse().unwrap();
    assert_eq!(socket.set_option(parsed).unwrap().got, "off");
    let clamped = socket.set("rcvbuf=1").unwrap();
    assert_eq!(clamped.got, socket.get("rcvbuf").unwrap());
    assert_ne!(clamped.asked, clamped.got);
    assert_eq!(socket.set("nodelay=maybe").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    fails(Socket::datagram(Domain::IPV4).unwrap().set("nodelay=on"), Errno::NOPROTOOPT);
}

/// E8: shutdown of each direction, and ENOTCONN.
#[test]
fn row_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        let (client, server) = connected(domain, &at);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.recv(&mut [0; 4]).unwrap(), 0);
        server.send_all(b"answer").unwrap();
        assert_eq!(client.recv_bytes(9).unwrap(), b"answer");
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(client.recv(&mut [0; 4]).unwrap(), 0);
    }
    fails(Socket::stream(Domain::IPV4).unwrap().shutdown(Shutdown::Both), Errno::NOTCONN);
}

/// E8: close ends the connection with its last descriptor and frees the address.
#[test]
fn row_close() {
    let (client, server) = connected(Domain::IPV4, &loopback(0));
    let second = client.try_clone().unwrap();
    client.close();
    second.send_all(b"x").unwrap();
    second.close();
    assert_eq!(server.recv_bytes(9).unwrap(), b"x");
    assert_eq!(server.recv_bytes(9).unwrap(), b"");
    let socket = bound(Socket::datagram, Domain::IPV4, &loopback(0));
    let name = socket.sock_name().unwrap();
    socket.close();
    bound(Socket::datagram, Domain::IPV4, &name);
}

/// E8: non-blocking calls are EAGAIN.
#[test]
fn row_set_blocking() {
    let (a, _b) = Socket::pair().unwrap();
    a.set_blocking(false).unwrap();
    fails(a.recv(&mut [0; 4]), Errno::AGAIN);
    let udp = bound(Socket::datagram, Domain::IPV4, &loopback(0));
    udp.set_blocking(false).unwrap();
    fails(udp.recv(&mut [0; 4]), Errno::AGAIN);
    udp.set_blocking(true).unwrap();
    udp.send_to(b"x", &udp.sock_name().unwrap()).unwrap();
    assert_eq!(udp.recv(&mut [0; 4]).unwrap(), 1);
}

/// E8: blocking is read back, and is the socket's, not the descriptor's.
#[test]
fn row_is_blocking() {
    let socket = Socket::datagram(Domain::IPV4).unwrap();
    let second = socket.try_clone().unwrap();
    assert!(socket.is_blocking().unwrap());
    second.set_blocking(false).unwrap();
    assert!(!socket.is_blocking().unwrap());
}

/// E8: timeouts, with ETIMEDOUT on a blocking socket and EAGAIN on another.
#[test]
fn row_set_timeout() {
    let (a, _b) = Socket::pair().unwrap();
    a.set_timeout(Some(SHORT)).unwrap();
    let error = a.recv(&mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    fails(Err::<(), _>(error), Errno::TIMEDOUT);
    a.set_blocking(false).unwrap();
    fails(a.recv(&mut [0; 4]), Errno::AGAIN);

    let udp = bound(Socket::datagram, Domain::IPV4, &loopback(0));
    udp.set_timeout(Some(Duration::from_nanos(1))).unwrap();
    fails(udp.recv_from(&mut [0; 4]), Errno::TIMEDOUT);
    let error = udp.set_timeout(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

/// E8: the timeout is read back.
#[test]
fn row_timeout() {
    let socket = Socket::stream(Domain::IPV4).unwrap();
    assert_eq!(socket.timeout().unwrap(), None);
    socket.set_timeout(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(socket.timeout().unwrap(), Some(Duration::from_secs(3)));
    socket.set_timeout(None).unwrap();
    assert_eq!(socket.timeout().unwrap(), None);
}

/// E8: the descriptor is lent.
#[test]
fn row_asfd() {
    let (a, b) = Socket::pair().unwrap();
    assert_eq!(a.as_fd().as_raw_fd(), a.as_raw_fd());
    rustix::io::write(a.as_fd(), b"x").unwrap();
    assert_eq!(b.recv_bytes(9).unwrap(), b"x");
}

/// E8: the descriptor is given away and taken.
#[test]
fn row_ownedfd_from() {
    let (a, b) = Socket::pair().unwrap();
    let number = a.as_raw_fd();
    let fd = OwnedFd::from(a);
    assert_eq!(fd.as_raw_fd(), number);
    Socket::from(fd).close();
    assert_eq!(b.recv(&mut [0; 4]).unwrap(), 0);
}

/// E8: dup, close-on-exec.
#[test]
fn row_try_clone() {
    let (a, b) = Socket::pair().unwrap();
    let second = a.try_clone().unwrap();
    assert_ne!(second.as_raw_fd(), a.as_raw_fd());
    assert!(rustix::io::fcntl_getfd(&second).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    second.send_all(b"x").unwrap();
    assert_eq!(b.recv_bytes(9).unwrap(), b"x");
}

/// E8: lines, with their ends, a last one without, a bound, and none lost to EAGAIN.
#[test]
fn row_lines() {
    let directory = tempfile::tempdir().unwrap();
    for (domain, at) in places(directory.path()) {
        let (client, server) = connected(domain, &at);
        client.send_all(b"one\n\r\ntwo\r\nthr").unwrap();
        let mut lines = server.lines();
        assert_eq!(lines.next_line().unwrap().unwrap(), b"one\n");
        assert_eq!(lines.next().unwrap().unwrap(), b"");
        assert_eq!(lines.next().unwrap().unwrap(), b"two");
        server.set_blocking(false).unwrap();
        fails(lines.next_line(), Errno::AGAIN);
        client.send_all(b"ee\nfour").unwrap();
        client.close();
        server.set_blocking(true).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), b"three");
        assert_eq!(lines.next().unwrap().unwrap(), b"four");
        assert!(lines.next().is_none());
        assert_eq!(lines.next_line().unwrap(), None);
    }

    let (a, b) = Socket::pair().unwrap();
    a.send_all(b"1234\n12345\n").unwrap();
    let mut lines = b.lines().max_line(5);
    assert_eq!(lines.next_line().unwrap().unwrap(), b"1234\n");
    assert_eq!(lines.next_line().unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(lines.next().unwrap().is_err());
    assert!(lines.next().is_none());
}

/// E8: a line of LINE_MAX bytes is taken, and a longer one is refused without its end.
#[test]
fn longest_line() {
    for (more, taken) in [(0, true), (1, false)] {
        let (a, b) = Socket::pair().unwrap();
        std::thread::scope(|scope| {
            let line = move || {
                let _ = a.send_all(&vec![b'x'; limits::LINE_MAX - 1 + more]);
                let _ = a.send_all(b"\n");
            };
            scope.spawn(line);
            let line = b.lines().next_line();
            assert_eq!(line.is_ok(), taken);
            if let Ok(line) = line {
                assert_eq!(line.unwrap().len(), limits::LINE_MAX);
            }
            b.close();
        });
    }
}

/// E8: the writer sends whole lines at once and the rest when flushed.
#[test]
fn row_line_writer() {
    let (a, b) = Socket::pair().unwrap();
    let mut writer = a.line_writer();
    b.set_blocking(false).unwrap();
    write!(writer, "one").unwrap();
    fails(b.recv(&mut [0; 4]), Errno::AGAIN);
    writeln!(writer, " line").unwrap();
    assert_eq!(b.recv_bytes(99).unwrap(), b"one line\n");
    write!(writer, "rest").unwrap();
    writer.flush().unwrap();
    assert_eq!(b.recv_bytes(99).unwrap(), b"rest");
    b.close();
    fails(writeln!(writer, "x"), Errno::PIPE);
}
