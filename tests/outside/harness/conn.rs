//! Clients: one type for streams over TCP and Unix, one for datagrams over UDP and Unix.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::DEADLINE;
use super::bytes::{Random, answer, assert_same, odd_sizes};

/// One stream connection. Reads and writes that take longer than the deadline fail.
pub(crate) enum Conn {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The address in `tcp://127.0.0.1:9000`.
pub(crate) fn inet(endpoint: &str) -> SocketAddr {
    let (_, address) = endpoint.split_once("://").expect("an endpoint with a port");
    address.parse().unwrap_or_else(|_| panic!("{endpoint} has no address"))
}

fn unix_path(endpoint: &str) -> &str {
    endpoint.split_once(':').expect("an endpoint with a path").1
}

impl Conn {
    pub(crate) fn dial(endpoint: &str) -> io::Result<Conn> {
        let conn = if endpoint.starts_with("unix:") {
            Conn::Unix(UnixStream::connect(unix_path(endpoint))?)
        } else {
            let stream = TcpStream::connect_timeout(&inet(endpoint), DEADLINE)?;
            stream.set_nodelay(true)?;
            Conn::Tcp(stream)
        };
        conn.set_timeout(DEADLINE);
        Ok(conn)
    }

    /// Over TCP, from a source address of our own.
    pub(crate) fn dial_from(source: IpAddr, endpoint: &str) -> io::Result<Conn> {
        let socket = Socket::new(Domain::for_address(inet(endpoint)), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&inet(endpoint).into(), DEADLINE)?;
        let conn = Conn::Tcp(socket.into());
        conn.set_timeout(DEADLINE);
        Ok(conn)
    }

    /// How long a read or write may take.
    pub(crate) fn set_timeout(&self, limit: Duration) {
        let socket = self.socket();
        socket.set_read_timeout(Some(limit)).expect("a read timeout");
        socket.set_write_timeout(Some(limit)).expect("a write timeout");
    }

    pub(crate) fn socket(&self) -> SockRef<'_> {
        match self {
            Conn::Tcp(stream) => SockRef::from(stream),
            Conn::Unix(stream) => SockRef::from(stream),
        }
    }

    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self, Conn::Tcp(_))
    }

    /// Our address, which the server's events show as `peer`; of TCP only.
    pub(crate) fn local(&self) -> SocketAddr {
        match self {
            Conn::Tcp(stream) => stream.local_addr().expect("a local address"),
            Conn::Unix(_) => panic!("a Unix client has no address"),
        }
    }

    pub(crate) fn try_clone(&self) -> Conn {
        match self {
            Conn::Tcp(stream) => Conn::Tcp(stream.try_clone().expect("a second handle")),
            Conn::Unix(stream) => Conn::Unix(stream.try_clone().expect("a second handle")),
        }
    }

    /// Sends our FIN.
    pub(crate) fn finish(&self) {
        self.socket().shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Goes away without a word: RST on TCP, close with unread data on Unix.
    pub(crate) fn reset(self) {
        if self.is_tcp() {
            self.socket().set_linger(Some(Duration::ZERO)).expect("linger");
        }
    }

    /// Writes `request` and reads exactly `len` bytes of answer.
    pub(crate) fn ask(&mut self, request: &[u8], len: usize) -> Vec<u8> {
        self.write_all(request).expect("the request is taken");
        self.take_exact(len)
    }

    pub(crate) fn take_exact(&mut self, len: usize) -> Vec<u8> {
        let mut got = vec![0; len];
        self.read_exact(&mut got).expect("the answer comes whole");
        got
    }

    /// Everything up to the peer's FIN; a reset is a failure.
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        self.read_to_end(&mut got).expect("the answer ends with FIN, not with a reset");
        got
    }

    /// The peer ended it, by FIN or by RST, and sent nothing more.
    pub(crate) fn assert_ended(&mut self) {
        match self.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => panic!("the peer sent a byte instead of its end"),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the peer did not end the connection: {error}"),
        }
    }

    /// Nothing has come and the connection is still open, as far as can be seen now.
    pub(crate) fn assert_quiet(&self) {
        let socket = self.socket();
        socket.set_nonblocking(true).expect("non-blocking");
        let got = socket.peek(&mut [std::mem::MaybeUninit::uninit()]);
        socket.set_nonblocking(false).expect("blocking");
        match got {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => panic!("expected silence, got {other:?}"),
        }
    }

    /// Sends `total` random bytes in odd chunks while reading on another thread, ends with FIN, and
    /// compares every byte of the answer up to the peer's FIN.
    pub(crate) fn pump(self, service: &str, total: u64, seed: u64) {
        let writer = self.try_clone();
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || send_random(writer, total, seed));
            let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                compare_random(self, service, total, seed);
            }));
            let sent = sent.join();
            if let Err(panic) = compared.and(sent) {
                std::panic::resume_unwind(panic);
            }
        });
    }
}

/// Writes `total` random bytes in odd chunks, then FIN.
pub(crate) fn send_random(mut conn: Conn, total: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut left = total;
    for size in odd_sizes() {
        if left == 0 {
            break;
        }
        let chunk = random.bytes(size.min(usize::try_from(left).unwrap_or(size)));
        conn.write_all(&chunk).expect("the server takes what is sent");
        left -= chunk.len() as u64;
    }
    conn.finish();
}

fn compare_random(mut conn: Conn, service: &str, total: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut got = vec![0; 100_003];
    let mut offset = 0;
    loop {
        let n = conn.read(&mut got).unwrap_or_else(|error| {
            // Unblocks the writing thread, which would otherwise wait for its own deadline.
            let _ = conn.socket().shutdown(Shutdown::Both);
            panic!("the answer broke off after {offset} bytes: {error}");
        });
        if n == 0 {
            break;
        }
        let expected = answer(service, &random.bytes(n));
        assert_same(&got[..n], &expected, offset);
        offset += n as u64;
    }
    assert_eq!(offset, total, "bytes of answer before the FIN");
}

impl Read for Conn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Conn::Tcp(stream) => stream.read(buffer),
            Conn::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Conn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Conn::Tcp(stream) => stream.write(bytes),
            Conn::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A datagram socket with one server as its peer.
pub(crate) enum Gram {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Gram {
    /// Connects; a Unix client binds a path in `dir`, or it could not be answered.
    pub(crate) fn dial(endpoint: &str, dir: &Path) -> io::Result<Gram> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let gram = if endpoint.starts_with("unixgram:") {
            let name = format!("client{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            let socket = UnixDatagram::bind(dir.join(name))?;
            socket.connect(unix_path(endpoint))?;
            Gram::Unix(socket)
        } else {
            let socket = UdpSocket::bind(SocketAddr::new(inet(endpoint).ip(), 0))?;
            socket.connect(inet(endpoint))?;
            Gram::Udp(socket)
        };
        gram.set_timeout(DEADLINE);
        Ok(gram)
    }

    pub(crate) fn set_timeout(&self, limit: Duration) {
        let socket = self.socket();
        socket.set_read_timeout(Some(limit)).expect("a read timeout");
        socket.set_write_timeout(Some(limit)).expect("a write timeout");
    }

    pub(crate) fn socket(&self) -> SockRef<'_> {
        match self {
            Gram::Udp(socket) => SockRef::from(socket),
            Gram::Unix(socket) => SockRef::from(socket),
        }
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        let sent = match self {
            Gram::Udp(socket) => socket.send(datagram),
            Gram::Unix(socket) => socket.send(datagram),
        };
        assert_eq!(sent.expect("the datagram is sent"), datagram.len());
    }

    pub(crate) fn try_receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 70_000];
        let n = match self {
            Gram::Udp(socket) => socket.recv(&mut buffer)?,
            Gram::Unix(socket) => socket.recv(&mut buffer)?,
        };
        buffer.truncate(n);
        Ok(buffer)
    }

    pub(crate) fn receive(&self) -> Vec<u8> {
        self.try_receive().expect("an answer comes")
    }

    pub(crate) fn ask(&self, datagram: &[u8]) -> Vec<u8> {
        self.send(datagram);
        self.receive()
    }

    /// All that has come and was not read yet, without waiting. A refusal by a server that has
    /// ended is no datagram.
    pub(crate) fn pending(&self) -> Vec<Vec<u8>> {
        self.socket().set_nonblocking(true).expect("non-blocking");
        let mut all = Vec::new();
        loop {
            match self.try_receive() {
                Ok(datagram) => all.push(datagram),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => break,
            }
        }
        self.socket().set_nonblocking(false).expect("blocking");
        all
    }
}
