//! Names, options, ends, descriptors and lines.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use sockeye_limits as limits;

use super::*;

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
