//! The blocking driver: plain calls that wait, one connection at a time, no runtime.

use std::io;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use sockeye_limits as limits;

use super::{Scratch, check};
use crate::connections::Conn;
use crate::end::{End, Side};
use crate::responder::{Flow, Responder};

/// Serves one connection until its end.
pub(crate) fn drive(conn: &Conn, responder: &mut dyn Responder, scratch: &mut Scratch) -> End {
    let seen = match talk(conn, responder, scratch) {
        Ok(Side::Peer) => End::clean(Side::Peer),
        Ok(Side::Us) => match say_goodbye(conn, scratch) {
            Ok(()) => End::clean(Side::Us),
            Err(error) => End { closed_first: Side::Us, ..End::failed(&error) },
        },
        Err(error) => End::failed(&error),
    };
    conn.verdict(seen)
}

/// Talks until one side wants to end, and says which.
fn talk(conn: &Conn, responder: &mut dyn Responder, scratch: &mut Scratch) -> io::Result<Side> {
    scratch.reply.clear();
    let mut flow = responder.open(&mut scratch.reply);
    write_reply(conn, scratch, 0)?;
    loop {
        scratch.reply.clear();
        match flow {
            Flow::Close => return Ok(Side::Us),
            Flow::Again => {
                if discard_input(conn, scratch)? == Some(0) {
                    return last_words(conn, responder, scratch);
                }
                flow = responder.resume(&mut scratch.reply);
                write_reply(conn, scratch, 0)?;
            }
            Flow::Continue => {
                let n = read(conn, &mut scratch.buffer)?;
                if n == 0 {
                    return last_words(conn, responder, scratch);
                }
                flow = responder.respond(&mut scratch.buffer[..n], &mut scratch.reply);
                write_reply(conn, scratch, n)?;
            }
        }
    }
}

/// The peer has ended: the service's last reply.
fn last_words(
    conn: &Conn,
    responder: &mut dyn Responder,
    scratch: &mut Scratch,
) -> io::Result<Side> {
    responder.finish(&mut scratch.reply);
    write_reply(conn, scratch, 0)?;
    Ok(Side::Peer)
}

fn read(conn: &Conn, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match conn.stream().recv(buffer) {
            Ok(n) => {
                conn.received(n);
                return Ok(n);
            }
            // A spurious EAGAIN: wait for data in the one way that cannot spin.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.stream().wait_readable(None)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Writes the reply to `input` bytes.
fn write_reply(conn: &Conn, scratch: &Scratch, input: usize) -> io::Result<()> {
    check(&scratch.reply, input)?;
    write_all(conn, &scratch.buffer[..scratch.reply.in_place_len()])?;
    write_all(conn, scratch.reply.own())
}

fn write_all(conn: &Conn, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match conn.stream().send(bytes) {
            Ok(n) => {
                conn.sent(n);
                bytes = &bytes[n..];
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.stream().wait_writable(None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Throws away what is there, for a service that talks without listening; how much that was, 0 at
/// the peer's end, and `None` where nothing was.
fn discard_input(conn: &Conn, scratch: &mut Scratch) -> io::Result<Option<usize>> {
    match conn.stream().recv_now(&mut scratch.buffer) {
        Ok(n) => {
            conn.received(n);
            Ok(Some(n))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Our end, then what the peer still sends is read and thrown away until its end, within bounds.
fn say_goodbye(conn: &Conn, scratch: &mut Scratch) -> io::Result<()> {
    conn.stream().shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + limits::LINGER_TIME;
    let mut drained = 0;
    while drained < limits::LINGER_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO || !conn.stream().wait_readable(Some(left))? {
            break;
        }
        match conn.stream().recv_now(&mut scratch.buffer) {
            Ok(0) => break,
            Ok(n) => {
                conn.received(n);
                drained += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
