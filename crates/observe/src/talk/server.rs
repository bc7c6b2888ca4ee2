//! A server of our own for a traced conversation: one connection, its calls written down too.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use sockeye_limits as limits;
use sockeye_net::sys;

use super::log::{Log, sent};
use crate::history::Side;

/// What a server of our own answers: a service of one connection.
pub trait Answer: Send {
    /// The connection is there. What it says first, and whether it then closes.
    fn open(&mut self) -> (Vec<u8>, Then);

    /// Some bytes came. What it answers, and whether it then closes.
    fn answer(&mut self, input: &mut [u8]) -> (Vec<u8>, Then);

    /// A datagram came. What it answers; an answer that is longer than `input` is not sent.
    fn datagram(&mut self, input: &mut [u8]) -> Vec<u8>;

    /// The client has ended its side: the last words.
    fn finish(&mut self) -> Vec<u8>;
}

/// What a service does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Waits for more.
    Wait,
    /// Closes first.
    Close,
}

/// A server that listens.
pub(crate) struct Server {
    /// Where.
    pub(crate) at: SocketAddr,
    socket: Arc<Socket>,
    log: Arc<Log>,
    patience: Duration,
    over: Arc<AtomicBool>,
}

/// A server that serves, on a thread of its own. It waits for its client as long as that may come,
/// however short the client's own patience is: to watch packets takes time before the first.
pub(crate) struct Serving {
    socket: Arc<Socket>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// The client is done. One that has `connected` is served to its end; for another nobody waits.
    pub(crate) fn end(mut self, connected: bool) {
        self.finish(connected);
    }

    fn finish(&mut self, connected: bool) {
        let Some(thread) = self.thread.take() else { return };
        if !connected {
            self.over.store(true, Ordering::Release);
            // Wakes whoever waits at the socket; what it returns does not matter (ENOTCONN of UDP).
            let _ = self.socket.shutdown(Shutdown::Both);
        }
        // A server that panicked has said so.
        let _ = thread.join();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.finish(false);
    }
}

impl Server {
    /// Binds and listens on loopback, at `port` or any.
    pub(crate) fn listen(
        log: &Arc<Log>,
        stream: bool,
        port: u16,
        patience: Duration,
    ) -> io::Result<Server> {
        let (kind, name) = match stream {
            true => (Type::STREAM, "AF_INET, SOCK_STREAM"),
            false => (Type::DGRAM, "AF_INET, SOCK_DGRAM"),
        };
        let side = Side::Server;
        let made = log.call(side, "socket", name, |_| 0, || Socket::new(Domain::IPV4, kind, None));
        let socket = made?;
        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        log.call(side, "bind", at.to_string(), |()| 0, || socket.bind(&at.into()))?;
        if stream {
            log.call(side, "listen", "backlog 128", |()| 0, || socket.listen(128))?;
        }
        let bound = socket.local_addr()?.as_socket();
        let at = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
        // A client that gives up closes, and that ends its server; this is for nothing else.
        let patience = patience.max(limits::CONNECT_TIMEOUT);
        let (socket, over) = (Arc::new(socket), Arc::default());
        Ok(Server { at, socket, log: Arc::clone(log), patience, over })
    }

    /// Serves one connection (or datagrams until the client ends) on a thread of its own.
    pub(crate) fn serve(self, mut service: Box<dyn Answer>) -> io::Result<Serving> {
        let stream = self.socket.r#type()? == Type::STREAM;
        let (socket, over) = (Arc::clone(&self.socket), Arc::clone(&self.over));
        let thread = std::thread::Builder::new().name("server".into()).spawn(move || {
            // What goes wrong here is in the log, and the client sees it as well.
            let _ = match stream {
                true => self.stream(service.as_mut()),
                false => self.datagrams(service.as_mut()),
            };
        })?;
        Ok(Serving { socket, over, thread: Some(thread) })
    }

    /// Waits until somebody comes; false where nobody will.
    fn wait(&self) -> io::Result<bool> {
        sys::wait_readable(&*self.socket, None)?;
        Ok(!self.over.load(Ordering::Acquire))
    }

    fn stream(&self, service: &mut dyn Answer) -> io::Result<()> {
        if !self.wait()? {
            return Ok(());
        }
        let accept = || self.socket.accept();
        let (connection, _) = self.log.call(Side::Server, "accept", "", |_| 0, accept)?;
        connection.set_read_timeout(Some(self.patience))?;
        connection.set_write_timeout(Some(self.patience))?;
        let done = self.converse(&connection, service);
        let close = || {
            drop(connection);
            Ok(())
        };
        self.log.call(Side::Server, "close", "", |()| 0, close)?;
        done
    }

    fn converse(&self, connection: &Socket, service: &mut dyn Answer) -> io::Result<()> {
        let (first, mut then) = service.open();
        self.send(connection, &first)?;
        let mut buffer = vec![0; limits::TRACE_READ];
        while then == Then::Wait {
            let recv = || super::client::sys_recv(connection, &mut buffer);
            let n = self.log.call(Side::Server, "recv", "", |n| *n, recv)?;
            if n == 0 {
                let last = service.finish();
                return self.send(connection, &last);
            }
            let (answer, next) = service.answer(&mut buffer[..n]);
            self.send(connection, &answer)?;
            then = next;
        }
        self.see_off(connection, &mut buffer)
    }

    /// Ends our side first and reads the client's end, so that no answer is lost to a reset.
    fn see_off(&self, connection: &Socket, buffer: &mut [u8]) -> io::Result<()> {
        let shutdown = || connection.shutdown(Shutdown::Write);
        self.log.call(Side::Server, "shutdown", "SHUT_WR", |()| 0, shutdown)?;
        let deadline = Instant::now() + self.patience;
        while Instant::now() < deadline {
            let recv = || super::client::sys_recv(connection, buffer);
            if self.log.call(Side::Server, "recv", "", |n| *n, recv)? == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn send(&self, connection: &Socket, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let text = sent(rest);
            let send = || connection.send(rest);
            rest = &rest[self.log.call(Side::Server, "send", text, |n| *n, send)?..];
        }
        Ok(())
    }

    /// Answers datagrams until the client is done.
    fn datagrams(&self, service: &mut dyn Answer) -> io::Result<()> {
        let mut buffer = vec![0; limits::TRACE_READ];
        while self.wait()? {
            let mut from = None;
            let recv = || {
                let (n, _, source) = rustix::net::recvfrom(
                    &*self.socket,
                    &mut buffer[..],
                    rustix::net::RecvFlags::empty(),
                )?;
                from = source;
                Ok(n)
            };
            let n = self.log.call(Side::Server, "recvfrom", "", |n| *n, recv)?;
            let answer = service.datagram(&mut buffer[..n]);
            let Some(to) = from.and_then(|any| SocketAddr::try_from(any).ok()) else { continue };
            if answer.is_empty() || answer.len() > n {
                continue;
            }
            let text = format!("{}, {to}", sent(&answer));
            let send = || self.socket.send_to(&answer, &to.into());
            self.log.call(Side::Server, "sendto", text, |n| *n, send)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpStream, UdpSocket};

    use super::*;

    /// Says back what it hears.
    struct Echo;

    impl Answer for Echo {
        fn open(&mut self) -> (Vec<u8>, Then) {
            (Vec::new(), Then::Wait)
        }

        fn answer(&mut self, input: &mut [u8]) -> (Vec<u8>, Then) {
            (input.to_vec(), Then::Wait)
        }

        fn datagram(&mut self, input: &mut [u8]) -> Vec<u8> {
            input.to_vec()
        }

        fn finish(&mut self) -> Vec<u8> {
            Vec::new()
        }
    }

    fn serving(stream: bool) -> (SocketAddr, Serving) {
        let server = Server::listen(&Arc::new(Log::start()), stream, 0, Duration::ZERO).unwrap();
        (server.at, server.serve(Box::new(Echo)).unwrap())
    }

    /// O2: a client without any patience finds the server all the same, and the server ends with it.
    #[test]
    fn waits_for_its_client() {
        let (at, server) = serving(true);
        let mut client = TcpStream::connect(at).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        drop(client);
        server.end(true);
        let (at, server) = serving(false);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(at).unwrap();
        client.send(b"hello").unwrap();
        assert_eq!(client.recv(&mut [0; 9]).unwrap(), 5);
        server.end(false);
    }

    /// O2: where no client comes it ends when that is said, or when nobody holds it any more.
    #[test]
    fn nobody_comes() {
        for stream in [true, false] {
            serving(stream).1.end(false);
            drop(serving(stream));
        }
    }
}
