//! Somebody in between: carries a connection and cuts it, or meddles with one of its TLS records.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;
use sockeye_trust::Signer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::hostile::{key_of, runtime};
use crate::harness::remote::Host;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// What is done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    /// One bit of its payload is another: the first byte, the middle, the last.
    FlipFirst,
    FlipMiddle,
    FlipLast,
    Drop,
    Repeat,
    /// It comes after the next one.
    Swap,
}

/// What is done to a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meddle {
    Nothing,
    /// After so many bytes that way the receiver gets FIN, or RST.
    Cut(Way, usize, Cut),
    /// The record of that number that way, counted from 0; those of ChangeCipherSpec, which mean
    /// nothing in TLS 1.3 (RFC 8446, appendix D.4), are not counted.
    Record(Way, usize, Trick),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Fin,
    Reset,
}

/// Carries connections to a host.
pub(super) struct Forwarder {
    port: u16,
    /// Bytes so far, to the server and to the client.
    carried: Arc<[AtomicUsize; 2]>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// One before this host, whose user's clients know the host by its true key here.
    pub(super) fn before(host: &Host, meddle: Meddle) -> Forwarder {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let port = listener.local_addr().expect("an address").port();
        let key = key_of(&host.home.path().join(".config/sockeye/host_key")).public();
        let line = format!("[127.0.0.1]:{port} {key}\n");
        fs::write(host.home.known_hosts(), line).expect("the list of known hosts");
        let to = SocketAddr::from(([127, 0, 0, 1], host.port()));
        let carried: Arc<[AtomicUsize; 2]> = Arc::default();
        let counts = Arc::clone(&carried);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                tokio::select! {
                    () = serve(listener, to, meddle, counts) => {}
                    _ = stopped => {}
                }
            });
        });
        Forwarder { port, carried, stop: Some(stop), thread: Some(thread) }
    }

    /// Where clients find the host behind it.
    pub(super) fn endpoint(&self) -> String {
        format!("tls://127.0.0.1:{}", self.port)
    }

    /// Bytes that it took that way.
    pub(super) fn carried(&self, way: Way) -> usize {
        self.carried[way as usize].load(Ordering::SeqCst)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    to: SocketAddr,
    meddle: Meddle,
    counts: Arc<[AtomicUsize; 2]>,
) {
    let listener = TcpListener::from_std(listener).expect("an event loop");
    loop {
        let (client, _) = listener.accept().await.expect("a client");
        let server = TcpStream::connect(to).await.expect("the server listens");
        tokio::spawn(carry(client, server, meddle, Arc::clone(&counts)));
    }
}

/// The connection is to be reset.
struct Reset;

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    meddle: Meddle,
    counts: Arc<[AtomicUsize; 2]>,
) {
    let done = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::try_join!(
            pump(from_client, to_server, Way::ToServer, meddle, &counts),
            pump(from_server, to_client, Way::ToClient, meddle, &counts),
        )
    };
    if done.is_err() {
        for socket in [&client, &server] {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    meddle: Meddle,
    counts: &[AtomicUsize; 2],
) -> Result<(), Reset> {
    let mut meddler = Meddler { way, meddle, left: Vec::new(), seen: 0, kept: None };
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let n = from.read(&mut buffer).await.unwrap_or(0);
        counts[way as usize].fetch_add(n, Ordering::SeqCst);
        let mut piece = &buffer[..n];
        let cut = match meddle {
            Meddle::Cut(cut_way, at, how) if cut_way == way && passed + n >= at => {
                piece = &piece[..at - passed];
                Some(how)
            }
            _ => None,
        };
        passed += piece.len();
        let out = if n == 0 { std::mem::take(&mut meddler.left) } else { meddler.pass(piece) };
        // A receiver that has gone takes no more, and its sender shall learn that.
        let gone = to.write_all(&out).await.is_err();
        if cut == Some(Cut::Reset) || gone {
            return Err(Reset);
        }
        if cut == Some(Cut::Fin) || n == 0 {
            let _ = to.shutdown().await;
            return Ok(());
        }
    }
}

/// One direction's records.
struct Meddler {
    way: Way,
    meddle: Meddle,
    /// The beginning of a record.
    left: Vec<u8>,
    seen: usize,
    /// The record that changes places with the next.
    kept: Option<Vec<u8>>,
}

impl Meddler {
    fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let Meddle::Record(way, index, trick) = self.meddle else { return piece.to_vec() };
        if way != self.way {
            return piece.to_vec();
        }
        self.left.extend_from_slice(piece);
        let mut out = Vec::new();
        while let Some(length) =
            self.left.get(3..5).map(|b| usize::from(b[0]) << 8 | usize::from(b[1]))
            && self.left.len() >= 5 + length
        {
            let record: Vec<u8> = self.left.drain(..5 + length).collect();
            if record[0] == 20 {
                out.extend(record);
                continue;
            }
            if self.seen == index {
                self.play(trick, record, &mut out);
            } else {
                out.extend(record);
                out.extend(self.kept.take().unwrap_or_default());
            }
            self.seen += 1;
        }
        out
    }

    fn play(&mut self, trick: Trick, mut record: Vec<u8>, out: &mut Vec<u8>) {
        let last = record.len() - 1;
        let flipped = match trick {
            Trick::FlipFirst => 5,
            Trick::FlipMiddle => usize::midpoint(5, last),
            Trick::FlipLast => last,
            Trick::Drop => return,
            Trick::Swap => {
                self.kept = Some(record);
                return;
            }
            Trick::Repeat => {
                out.extend_from_slice(&record);
                out.extend(record);
                return;
            }
        };
        record[flipped] ^= 1;
        out.extend(record);
    }
}
