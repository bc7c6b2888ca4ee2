//! Sockets made, bound, listened on and connected.

use std::fs;

use super::*;

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
