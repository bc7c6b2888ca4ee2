//! Streams and datagrams, as a plan has them.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixStream};
use tokio::time::timeout;

use super::between::Between;
use super::expect::{self, Ended, Seen};
use super::plan::{End, Fate, Talk};
use super::world::{Served, worker};
use crate::harness::bytes::{Random, answer};
use crate::harness::{DEADLINE, conn::inet, process};

/// Any stream.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

/// All talks at once; each is judged.
pub(super) async fn talk(
    served: &Served,
    service: &'static str,
    unix: bool,
    all: &[Talk],
    seed: u64,
    kill_worker: bool,
) {
    let mut running = Vec::new();
    for (number, talk) in all.iter().cloned().enumerate() {
        let request = Random::new(seed * 8 + number as u64 * 2).bytes(talk.length);
        let to = if unix { served.unix.clone() } else { served.tcp.clone() };
        running.push(tokio::spawn(async move {
            let (seen, event) = timeout(DEADLINE, one(&to, &talk, &request))
                .await
                .unwrap_or_else(|_| panic!("talk {number} does not end"));
            let judged = expect::stream(service, &talk, &request, &seen, event, kill_worker);
            judged.map_err(|error| format!("talk {number}: {error}"))
        }));
    }
    if kill_worker {
        // Everybody is on their way.
        tokio::task::yield_now().await;
        if let Some(pid) = worker(&served.server, seed as usize) {
            process::signal(pid, Signal::KILL);
        }
    }
    for talk in running {
        if let Err(error) = talk.await.expect("no panic") {
            panic!("{error}");
        }
    }
}

/// One talk, and the event that happened to it.
async fn one(to: &str, talk: &Talk, request: &[u8]) -> (Seen, Option<super::plan::Event>) {
    let between = match talk.trouble {
        Some(trouble) => Some(Between::start(inet(to), trouble).await),
        None => None,
    };
    let seen = match dial(to, talk, between.as_ref().map(|between| between.address)).await {
        Ok(stream) => converse(stream, talk, request).await,
        Err(error) => panic!("cannot connect: {error}"),
    };
    let happened = between.as_ref().is_some_and(Between::has_happened);
    if let Some(between) = between {
        between.end().await;
    }
    (seen, talk.trouble.and_then(|trouble| trouble.event).filter(|_| happened))
}

async fn dial(to: &str, talk: &Talk, by: Option<SocketAddr>) -> io::Result<Box<dyn Stream>> {
    if let Some(path) = to.strip_prefix("unix:") {
        return Ok(Box::new(UnixStream::connect(path).await?));
    }
    let stream = TcpStream::connect(by.unwrap_or_else(|| inet(to))).await?;
    stream.set_nodelay(true)?;
    if matches!(talk.end, End::Reset(_)) {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(Box::new(stream))
}

async fn converse(stream: Box<dyn Stream>, talk: &Talk, request: &[u8]) -> Seen {
    let (mut reader, mut writer) = tokio::io::split(stream);
    // The kernel tells of a reset once: if a write learns of it, a read finds the end alone.
    let refused = AtomicBool::new(false);
    let write = async {
        for piece in request.chunks(talk.piece) {
            if writer.write_all(piece).await.is_err() {
                refused.store(true, Ordering::SeqCst);
                break;
            }
        }
        if talk.end == End::Finish {
            // Whether the peer still takes it, the reader sees.
            let _ = writer.shutdown().await;
        }
        writer
    };
    let enough = match talk.end {
        End::Finish => usize::MAX,
        End::ReadFirst => request.len(),
        End::Reset(enough) | End::Close(enough) => enough,
    };
    let mut got = Vec::new();
    tokio::pin!(write);
    let (ended, writer) = {
        let read = take(&mut reader, &mut got, enough);
        tokio::pin!(read);
        tokio::select! {
            writer = &mut write => (read.await, Some(writer)),
            ended = &mut read => (ended, None),
        }
    };
    if ended != Ended::Left || talk.end != End::ReadFirst {
        let refused = ended == Ended::Fin && refused.load(Ordering::SeqCst);
        return Seen { got, ended: if refused { Ended::Broken } else { ended } };
    }
    // All is answered, so all was sent.
    let mut writer = match writer {
        Some(writer) => writer,
        None => write.await,
    };
    let _ = writer.shutdown().await;
    let ended = take(&mut reader, &mut got, usize::MAX).await;
    Seen { got, ended }
}

/// Reads until there is enough, or an end.
async fn take(
    reader: &mut (impl tokio::io::AsyncRead + Unpin),
    got: &mut Vec<u8>,
    enough: usize,
) -> Ended {
    let mut buffer = [0; 16 * 1024];
    while got.len() < enough {
        match reader.read(&mut buffer).await {
            Ok(0) => return Ended::Fin,
            Ok(n) => got.extend_from_slice(&buffer[..n]),
            Err(_) => return Ended::Broken,
        }
    }
    Ended::Left
}

/// Datagrams that a network drops, repeats and reorders: each that arrives is answered once, and
/// nothing else comes.
pub(super) async fn datagrams(
    served: &Served,
    service: &'static str,
    there: &[(usize, Fate)],
    back: &[Fate],
    seed: u64,
) {
    let bind = || async { UdpSocket::bind("127.0.0.1:0").await.expect("a port") };
    let (client, near, far) = (bind().await, bind().await, bind().await);
    client.connect(near.local_addr().expect("an address")).await.expect("connected");
    near.connect(client.local_addr().expect("an address")).await.expect("connected");
    far.connect(inet(&served.udp)).await.expect("connected");
    let mut random = Random::new(seed * 2);
    let sent: Vec<Vec<u8>> = there.iter().map(|(length, _)| random.bytes(*length)).collect();
    for datagram in &sent {
        client.send(datagram).await.expect("sent");
        let got = receive(&near).await;
        assert!(got == *datagram, "loopback lost something");
    }
    let fates: Vec<Fate> = there.iter().map(|(_, fate)| *fate).collect();
    let order = expect::arrivals(&fates);
    for number in &order {
        far.send(&sent[*number]).await.expect("sent");
    }
    let mut answers = Vec::new();
    for _ in &order {
        answers.push(receive(&far).await);
    }
    let mut due: Vec<Vec<u8>> =
        order.iter().map(|number| answer(service, &sent[*number])).collect();
    due.sort();
    let mut sorted = answers.clone();
    sorted.sort();
    assert!(sorted == due, "{} answers that are not those of what arrived", sorted.len());
    let returned = expect::arrivals(&back[..answers.len()]);
    for number in &returned {
        near.send(&answers[*number]).await.expect("sent");
    }
    for number in &returned {
        assert!(receive(&client).await == answers[*number], "loopback lost something");
    }
    let more = far.try_recv(&mut [0; 16]);
    assert!(more.is_err(), "an answer to nothing: {more:?}");
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let got = timeout(DEADLINE, socket.recv(&mut buffer)).await;
    let n = got.expect("an answer to each datagram that arrived").expect("received");
    buffer.truncate(n);
    buffer
}
