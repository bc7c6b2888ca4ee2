//! The client's side of the plain form.

use std::io;

use sockeye_limits as limits;
use sockeye_wire::plain::{PlainError, Reply, ReplyDecoder};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

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
    /// The server speaks something else.
    #[error("the server does not speak the plain form but {0}. Check the port.")]
    Stranger(String),
}

/// Sends one command line and takes its reply. The connection may be used again.
///
/// # Errors
/// [`PlainCallError`].
pub async fn ask<S>(stream: &mut S, line: &[u8]) -> Result<Reply, PlainCallError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if line.len() > limits::PLAIN_LINE_MAX || line.contains(&b'\n') {
        return Err(PlainCallError::Line);
    }
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
        let began_badly = first && !buffer[0].is_ascii_digit();
        if began_badly {
            let shown = sockeye_trust::hello::describe(&buffer[..n.min(64)]);
            return Err(PlainCallError::Stranger(shown));
        }
        first = false;
        if let Some(reply) = decoder.feed(&buffer[..n])? {
            return Ok(reply);
        }
    }
}
