//! The client's side of the plain form.

use std::io;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use sockeye_limits as limits;
use sockeye_trust::hello;
use sockeye_wire::plain::{PlainError, Reply, ReplyDecoder};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why there is no reply.
#[derive(Debug, Error)]
pub enum PlainCallError {
    /// A command of the plain form is one line.
    #[error(
        "a command of the plain form is one line of at most {} bytes. Put it into a script.",
        limits::PLAIN_LINE_MAX
    )]
    Line,
    /// The connection failed.
    #[error("the connection failed: {0}. Try again.")]
    Connection(#[from] io::Error),
    /// What came is no reply.
    #[error(transparent)]
    Reply(#[from] PlainError),
    /// The server speaks TLS.
    #[error("the server speaks TLS, not the plain form. Use tls:// in the place of tcp://.")]
    Tls,
    /// The server speaks something else.
    #[error("the server does not speak the plain form but {0}. Check the port.")]
    Stranger(String),
}

/// Sends one command line and takes its reply. The connection may be used again.
///
/// Where that fails or is given up, the connection is reset when it is closed, and the server ends
/// the command: a mere end of sending would leave it waiting for an output that nobody wants
/// (P-P10).
///
/// # Errors
/// [`PlainCallError`].
pub async fn ask(stream: &mut TcpStream, line: &[u8]) -> Result<Reply, PlainCallError> {
    if line.len() > limits::PLAIN_LINE_MAX || line.contains(&b'\n') {
        return Err(PlainCallError::Line);
    }
    // The kernel does it even where this process is killed: SO_LINGER of socket(7).
    set_socket_linger(&*stream, Some(Duration::ZERO)).map_err(io::Error::from)?;
    let reply = exchange(stream, line).await?;
    set_socket_linger(&*stream, None).map_err(io::Error::from)?;
    Ok(reply)
}

async fn exchange(stream: &mut TcpStream, line: &[u8]) -> Result<Reply, PlainCallError> {
    let mut sent = line.to_vec();
    sent.push(b'\n');
    stream.write_all(&sent).await?;
    let mut decoder = ReplyDecoder::new();
    let mut buffer = vec![0; limits::STREAM_BUFFER];
    let mut first = true;
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            decoder.end()?;
            return Err(PlainError::Truncated.into());
        }
        if first && hello::is_alert(&buffer[..n]) {
            return Err(PlainCallError::Tls);
        }
        let began_badly = first && !buffer[0].is_ascii_digit();
        if began_badly {
            let shown = hello::describe(&buffer[..n.min(64)]);
            return Err(PlainCallError::Stranger(shown));
        }
        first = false;
        if let Some(reply) = decoder.feed(&buffer[..n])? {
            return Ok(reply);
        }
    }
}
