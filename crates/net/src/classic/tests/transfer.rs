//! Sending and receiving.

use std::io::Read;

use sockeye_limits as limits;

use super::*;

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
