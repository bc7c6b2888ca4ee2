//! What lies between a client and its server: slices, delays, stalls, and an end before the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::plan::{Trouble, Way, What};

/// Pieces that are delayed; after them there is no more delay.
const DELAYED: usize = 100;

/// Carries connections to one server, each with the same trouble.
pub(super) struct Between {
    pub(super) address: SocketAddr,
    happened: Arc<Happened>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Happened {
    event: AtomicBool,
    told: Notify,
    over: Notify,
}

impl Between {
    pub(super) async fn start(to: SocketAddr, trouble: Trouble) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let happened: Arc<Happened> = Arc::default();
        let tell = Arc::clone(&happened);
        let task = tokio::spawn(async move {
            let mut carried = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    client = listener.accept() => {
                        let (client, _) = client.expect("a client");
                        carried.spawn(carry(client, to, trouble, Arc::clone(&tell)));
                    }
                    () = tell.over.notified() => break,
                }
            }
            carried.shutdown().await;
        });
        Between { address, happened, task }
    }

    /// True once the event has happened to a connection.
    pub(super) fn has_happened(&self) -> bool {
        self.happened.event.load(Ordering::SeqCst)
    }

    /// Waits for the event, perhaps for ever.
    pub(super) async fn event(&self) {
        self.happened.told.notified().await;
    }

    /// Ends all connections.
    pub(super) async fn end(self) {
        self.happened.over.notify_one();
        self.task.await.expect("no panic");
    }
}

/// The connection is to be reset.
struct Reset;

async fn carry(mut client: TcpStream, to: SocketAddr, trouble: Trouble, happened: Arc<Happened>) {
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
    }
    let done = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::try_join!(
            pump(from_client, to_server, Way::ToServer, trouble, &happened),
            pump(from_server, to_client, Way::ToClient, trouble, &happened),
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
    trouble: Trouble,
    happened: &Happened,
) -> Result<(), Reset> {
    let mut event = trouble.event.filter(|event| event.way == way);
    let mut buffer = vec![0; trouble.slice.clamp(1, 16 * 1024)];
    let (mut passed, mut pieces) = (0, 0);
    loop {
        let n = match from.read(&mut buffer).await {
            Ok(0) => break,
            Ok(n) => n,
            Err(_) => return Err(Reset),
        };
        pieces += 1;
        if trouble.delay_us > 0 && pieces < DELAYED {
            tokio::time::sleep(Duration::from_micros(trouble.delay_us)).await;
        }
        let due = event.take_if(|event| passed + n >= event.after);
        let before = due.map_or(n, |due| due.after - passed);
        passed += n;
        to.write_all(&buffer[..before]).await.map_err(|_| Reset)?;
        let Some(due) = due else { continue };
        happened.event.store(true, Ordering::SeqCst);
        happened.told.notify_one();
        match due.what {
            What::Reset => return Err(Reset),
            What::Stall(time) => tokio::time::sleep(Duration::from_millis(time)).await,
            What::Fin => {
                let _ = to.shutdown().await;
                return swallow(from).await;
            }
            What::Kill => return swallow(from).await,
        }
        to.write_all(&buffer[before..n]).await.map_err(|_| Reset)?;
    }
    let _ = to.shutdown().await;
    Ok(())
}

/// Takes what comes and gives it nobody.
async fn swallow(mut from: ReadHalf<'_>) -> Result<(), Reset> {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(Reset),
        }
    }
}
