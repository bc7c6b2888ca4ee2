//! The driver for a responder behind something that is not a plain socket, as TLS: a session that
//! does the same as the other two drivers, over any async byte stream.

use std::io;

use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::{Scratch, check};
use crate::end::{End, Side};
use crate::responder::{Flow, Responder};

/// Serves one connection until its end. A closing that the peer does not wait for is none of ours.
pub async fn drive<S>(mut stream: S, mut responder: Box<dyn Responder>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut scratch = Scratch::new(limits::THREAD_BUFFER);
    match talk(&mut stream, responder.as_mut(), &mut scratch).await {
        Ok(Side::Peer) => match stream.shutdown().await {
            Ok(()) => End::clean(Side::Peer),
            Err(error) => End::failed(&error),
        },
        Ok(Side::Us) => match say_goodbye(&mut stream).await {
            Ok(()) => End::clean(Side::Us),
            Err(error) => End { closed_first: Side::Us, ..End::failed(&error) },
        },
        Err(error) => End::failed(&error),
    }
}

/// Talks until one side wants to end, and says which.
async fn talk<S>(
    stream: &mut S,
    responder: &mut dyn Responder,
    scratch: &mut Scratch,
) -> io::Result<Side>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    scratch.reply.clear();
    let mut flow = responder.open(&mut scratch.reply);
    write_reply(stream, scratch, 0).await?;
    loop {
        scratch.reply.clear();
        match flow {
            Flow::Close => return Ok(Side::Us),
            Flow::Again => {
                // What comes meanwhile is thrown away, and its end is seen.
                let read = tokio::select! {
                    biased;
                    read = stream.read(&mut scratch.buffer) => Some(read?),
                    () = std::future::ready(()) => None,
                };
                if read == Some(0) {
                    return last_words(stream, responder, scratch).await;
                }
                flow = responder.resume(&mut scratch.reply);
                write_reply(stream, scratch, 0).await?;
            }
            Flow::Continue => {
                let n = stream.read(&mut scratch.buffer).await?;
                if n == 0 {
                    return last_words(stream, responder, scratch).await;
                }
                flow = responder.respond(&mut scratch.buffer[..n], &mut scratch.reply);
                write_reply(stream, scratch, n).await?;
            }
        }
    }
}

/// The peer has ended: the service's last reply.
async fn last_words<S>(
    stream: &mut S,
    responder: &mut dyn Responder,
    scratch: &mut Scratch,
) -> io::Result<Side>
where
    S: AsyncWrite + Unpin,
{
    responder.finish(&mut scratch.reply);
    write_reply(stream, scratch, 0).await?;
    Ok(Side::Peer)
}

/// Writes the reply to `input` bytes.
async fn write_reply<S>(stream: &mut S, scratch: &Scratch, input: usize) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    check(&scratch.reply, input)?;
    stream.write_all(&scratch.buffer[..scratch.reply.in_place_len()]).await?;
    stream.write_all(scratch.reply.own()).await?;
    stream.flush().await
}

/// Our end, then what the peer still sends is read and thrown away until its end, within bounds.
///
/// # Errors
/// Where our end could not be said.
pub async fn say_goodbye<S>(stream: &mut S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.shutdown().await?;
    let drain = async {
        let mut buffer = vec![0; limits::THREAD_BUFFER];
        let mut drained = 0;
        while drained < limits::LINGER_BYTES {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => drained += n as u64,
            }
        }
    };
    // It is closed in any case.
    let _ = timeout(limits::LINGER_TIME, drain).await;
    Ok(())
}
