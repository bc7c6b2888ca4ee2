//! The end of those who are refused: FIN, whatever they have sent.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use sockeye_limits as limits;
use sockeye_net::Stream;
use sockeye_net::sys::watch::Watched;
use tokio::io::Interest;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Places for refused connections whose end is waited for.
#[derive(Clone)]
pub(crate) struct SeenOff(Arc<Semaphore>);

impl SeenOff {
    pub(crate) fn new() -> SeenOff {
        SeenOff(Arc::new(Semaphore::new(limits::REFUSED_WAITING)))
    }

    /// Ends with FIN: closing at once would reset a peer that has sent something. So its end is
    /// waited for, of a few at a time and not for long.
    pub(crate) fn see_off(&self, stream: Stream) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return };
        let done = stream.set_nonblocking(true).and_then(|()| stream.shutdown(Shutdown::Write));
        if done.is_err() {
            return;
        }
        tokio::spawn(async move {
            // It is closed in any case; an error only makes that sooner.
            let _ = timeout(limits::LINGER_TIME, until_end(stream)).await;
            drop(permit);
        });
    }
}

/// Reads and throws away until the peer's end, within bounds.
async fn until_end(stream: Stream) -> io::Result<()> {
    let stream = Arc::new(stream);
    let watched = Watched::new(Arc::clone(&stream), Interest::READABLE)?;
    let mut buffer = [0; 4096];
    let mut drained = 0;
    while drained < limits::LINGER_BYTES {
        let mut ready = watched.readable().await?;
        match stream.recv(&mut buffer) {
            Ok(0) => break,
            Ok(n) => drained += n as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
