//! Connecting, with new attempts after a doubling pause where they are wanted (`--retry`).

use std::fmt;
use std::time::Duration;

use socket2::Socket;
use sockeye_limits as limits;
use sockeye_net::options::Applied;
use sockeye_net::{self as net, DialOptions, Endpoint, Operation, Stream};

use crate::error::Error;

/// What happened on the way, for who wants to be told ([`fmt::Display`] is one line).
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Connected: the peer's address and ours.
    Connected {
        /// The other end.
        peer: String,
        /// Our own end.
        local: String,
    },
    /// A socket option as it became.
    Option(Applied),
    /// An attempt failed, and another follows.
    Retrying {
        /// The attempt that follows, from 1.
        attempt: u32,
        /// Attempts after the first in all.
        of: u32,
        /// The pause before it.
        pause: Duration,
        /// Why the last failed.
        error: String,
    },
    /// A datagram was longer than our buffer: its length, and what is left of it.
    Truncated {
        /// The datagram's length in bytes.
        length: usize,
        /// The bytes that we kept.
        kept: usize,
    },
    /// The peer ended the conversation while we could have gone on.
    PeerEnded,
}

impl Step {
    /// True for what matters to every user, false for what only `-v` asks for.
    pub fn is_important(&self) -> bool {
        matches!(self, Step::Truncated { .. } | Step::PeerEnded)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Connected { peer, local } => write!(f, "connected to {peer} from {local}"),
            Step::Option(applied) => write!(f, "option {applied}"),
            Step::Retrying { attempt, of, pause, error } => {
                write!(f, "{error} Attempt {attempt} of {of} follows in {pause:?}.")
            }
            Step::Truncated { length, kept } => {
                write!(f, "a datagram of {length} bytes was cut: the first {kept} are kept")
            }
            Step::PeerEnded => f.write_str("the peer ended the conversation"),
        }
    }
}

/// Who is told of each [`Step`].
pub type Tell<'a> = &'a dyn Fn(&Step);

/// Connects to a stream endpoint; after a failure up to `retries` more times.
///
/// # Errors
/// The last attempt's failure.
///
/// # Panics
/// Outside a tokio runtime with I/O and time.
pub async fn stream(
    endpoint: &Endpoint,
    how: &DialOptions,
    retries: u32,
    tell: Tell<'_>,
) -> Result<Stream, Error> {
    let dialled = retry(retries, tell, async || net::dial_stream(endpoint, how).await).await?;
    let socket = dialled.socket.socket();
    announce(socket, &dialled.applied, tell);
    Ok(dialled.socket)
}

/// Connects a datagram socket; after a failure up to `retries` more times.
///
/// # Errors
/// The last attempt's failure.
///
/// # Panics
/// Outside a tokio runtime with I/O and time.
pub async fn datagram(
    endpoint: &Endpoint,
    how: &DialOptions,
    retries: u32,
    tell: Tell<'_>,
) -> Result<Socket, Error> {
    let dialled = retry(retries, tell, async || net::dial_datagram(endpoint, how).await).await?;
    announce(&dialled.socket, &dialled.applied, tell);
    Ok(dialled.socket)
}

fn announce(socket: &Socket, applied: &[Applied], tell: Tell<'_>) {
    let shown = |address: std::io::Result<socket2::SockAddr>| match address {
        Ok(address) => net::Address::from_sockaddr(&address).to_string(),
        Err(_) => "an unknown address".into(),
    };
    let (peer, local) = (shown(socket.peer_addr()), shown(socket.local_addr()));
    tell(&Step::Connected { peer, local });
    for option in applied {
        tell(&Step::Option(option.clone()));
    }
}

async fn retry<T>(
    retries: u32,
    tell: Tell<'_>,
    attempt: impl AsyncFn() -> Result<T, net::Error>,
) -> Result<T, Error> {
    Ok(again(retries, tell, attempt, may_pass).await?)
}

/// Tries up to `retries` times more for as long as a failure may pass.
///
/// # Errors
/// The last failure, or the first that does not pass.
pub async fn again<T, E: fmt::Display>(
    retries: u32,
    tell: Tell<'_>,
    attempt: impl AsyncFn() -> Result<T, E>,
    may_pass: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut pause = limits::RETRY_DELAY_FIRST;
    for number in 1..=retries {
        match attempt().await {
            Err(error) if may_pass(&error) => {
                let error = error.to_string();
                tell(&Step::Retrying { attempt: number, of: retries, pause, error });
            }
            other => return other,
        }
        tokio::time::sleep(pause).await;
        pause = limits::RETRY_DELAY_MAX.min(pause * 2);
    }
    attempt().await
}

/// False for failures that another attempt meets again: a wrong option, a source that is not ours.
pub fn may_pass(error: &net::Error) -> bool {
    matches!(error.operation, Operation::Connect | Operation::Resolve)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn refused() -> net::Error {
        let endpoint = Endpoint::loopback(1);
        let errno = rustix::io::Errno::CONNREFUSED.raw_os_error();
        net::Error::new(Operation::Connect, endpoint, std::io::Error::from_raw_os_error(errno))
    }

    /// C3 `--retry`: the pauses double up to their limit, each attempt is told, the last error is
    /// the result.
    #[tokio::test(start_paused = true)]
    async fn pauses_double() {
        let told = RefCell::new(Vec::new());
        let tell = |step: &Step| match step {
            Step::Retrying { pause, .. } => told.borrow_mut().push(*pause),
            _ => unreachable!("nothing else happens"),
        };
        let start = tokio::time::Instant::now();
        let failed = retry::<()>(8, &tell, async || Err(refused())).await.unwrap_err();
        assert!(failed.to_string().contains("refused"), "{failed}");
        let told = told.into_inner();
        assert_eq!(told.len(), 8);
        assert_eq!(told[0], limits::RETRY_DELAY_FIRST);
        assert_eq!(told[1], limits::RETRY_DELAY_FIRST * 2);
        assert_eq!(told[7], limits::RETRY_DELAY_MAX);
        assert!(start.elapsed() >= told.iter().sum());
    }

    /// C3 `--retry`: success ends it, and so does a failure that another attempt would meet again.
    #[tokio::test(start_paused = true)]
    async fn ends() {
        let tries = RefCell::new(0);
        let third = retry(5, &|_| {}, async || {
            *tries.borrow_mut() += 1;
            if *tries.borrow() < 3 { Err(refused()) } else { Ok(()) }
        });
        third.await.unwrap();
        assert_eq!(tries.take(), 3);
        let wrong = retry::<()>(5, &|_| {}, async || {
            *tries.borrow_mut() += 1;
            Err(net::Error { operation: Operation::Bind, ..refused() })
        });
        assert!(wrong.await.is_err());
        assert_eq!(tries.take(), 1);
    }
}
