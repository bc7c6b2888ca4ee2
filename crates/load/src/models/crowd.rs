//! Connections that are open and silent, to see what a server holds for them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sockeye_limits as limits;

/// Open connections, each after one request. They end when this is dropped.
#[derive(Debug)]
pub struct Crowd {
    streams: Vec<TcpStream>,
    served: usize,
}

impl Crowd {
    /// Connects so many times, asks once on each connection, and waits for the answers: all that
    /// come, until there was silence for as long as `patience`. Once `stop` is true nothing more is
    /// done.
    ///
    /// # Errors
    /// As connect(2), send(2) and poll(2).
    pub fn gather(
        server: SocketAddr,
        count: usize,
        patience: Duration,
        stop: &AtomicBool,
    ) -> io::Result<Crowd> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let mut stream =
                TcpStream::connect_timeout(&server, patience.max(limits::MODELS_CONNECT))?;
            stream.set_nonblocking(true)?;
            stream.write_all(b"x")?;
            streams.push(stream);
        }
        let served = await_answers(&streams, patience, stop)?;
        Ok(Crowd { streams, served })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// How many were answered.
    pub fn served(&self) -> usize {
        self.served
    }
}

/// Counts answers until all have come or none has for that long.
fn await_answers(
    streams: &[TcpStream],
    patience: Duration,
    stop: &AtomicBool,
) -> io::Result<usize> {
    let mut waiting: Vec<&TcpStream> = streams.iter().collect();
    let mut served = 0;
    let mut last = Instant::now();
    while !waiting.is_empty() && !stop.load(Ordering::Relaxed) {
        let left = patience.saturating_sub(last.elapsed());
        let ready = readable(&waiting, left.min(limits::LOAD_PROGRESS))?;
        if ready.iter().all(|ready| !ready) {
            if left.is_zero() {
                break;
            }
            continue;
        }
        last = Instant::now();
        let mut still = Vec::new();
        for (mut stream, ready) in waiting.into_iter().zip(ready) {
            match ready.then(|| stream.read(&mut [0; 16])) {
                Some(Ok(1..)) => served += 1,
                // One that was ended will never be served; it is not waited for.
                Some(Ok(0)) => {}
                Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {}
                _ => still.push(stream),
            }
        }
        waiting = still;
    }
    Ok(served)
}

/// Which of them can be read: poll(2).
fn readable(streams: &[&TcpStream], timeout: Duration) -> io::Result<Vec<bool>> {
    let mut fds: Vec<PollFd<'_>> =
        streams.iter().map(|stream| PollFd::new(*stream, PollFlags::IN)).collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return readable(streams, Duration::ZERO),
        Err(error) => return Err(error.into()),
    }
    Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// B3: a comparison that is stopped does not wait for answers that do not come.
    #[test]
    fn stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stop = AtomicBool::new(false);
        let hour = Duration::from_secs(3600);
        thread::scope(|scope| {
            let gathering =
                scope.spawn(|| Crowd::gather(listener.local_addr().unwrap(), 1, hour, &stop));
            let silent = listener.accept().unwrap();
            stop.store(true, Ordering::Relaxed);
            assert_eq!(gathering.join().unwrap().unwrap().served(), 0);
            drop(silent);
        });
    }

    /// B3: those that are answered are counted, those that wait or are turned away are not.
    #[test]
    fn counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let mut kept = Vec::new();
            for number in 0..5 {
                let (mut stream, _) = listener.accept().unwrap();
                match number {
                    // Answered, ended, silent.
                    0..3 => stream.write_all(b"X").unwrap(),
                    3 => continue,
                    _ => {}
                }
                kept.push(stream);
            }
            (listener, kept)
        });
        let crowd =
            Crowd::gather(server, 6, Duration::from_millis(300), &AtomicBool::new(false)).unwrap();
        assert_eq!((crowd.len(), crowd.served()), (6, 3));
        drop(serving.join().unwrap());
    }
}
