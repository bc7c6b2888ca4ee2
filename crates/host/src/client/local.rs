//! The client's own standard streams on an event loop, without changing them for others.
//!
//! O_NONBLOCK belongs to the open file, which a shell shares with us, so it must not be set on what
//! we were given: pipes and terminals are opened anew through /proc, sockets are asked call by call.
//! A regular file never makes anybody wait, so it is read and written in place.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::net::{RecvFlags, SendFlags};
use sockeye_net::shown::StreamEscaper;
use sockeye_net::sys::watch::Watched;
use tokio::io::Interest;

/// A descriptor that can be waited for, or one that need not be.
enum Place {
    /// Opened anew, non-blocking.
    Watched(Watched<File>),
    /// A socket, asked with MSG_DONTWAIT.
    Socket(Watched<OwnedFd>),
    /// A file, or something that the system does not let us open again: calls take as long as they
    /// take.
    Plain(File),
}

impl Place {
    fn open(fd: impl AsFd, interest: Interest) -> io::Result<Place> {
        let fd = fd.as_fd().try_clone_to_owned()?;
        let file = File::from(fd);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Place::Socket(Watched::new(Arc::new(file.into()), interest)?));
        }
        if kind.is_fifo() || kind.is_char_device() {
            let again = OpenOptions::new()
                .read(interest.is_readable())
                .write(interest.is_writable())
                .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
                .open(format!("/proc/self/fd/{}", file.as_raw_fd()));
            // Another user's terminal, a pipe whose readers have gone, /dev/null, which no event
            // loop takes: all of these work as they are.
            if let Ok(again) = again
                && let Ok(watched) = Watched::new(Arc::new(again), interest)
            {
                return Ok(Place::Watched(watched));
            }
        }
        Ok(Place::Plain(file))
    }
}

/// Where standard input comes from.
pub struct Input(Place);

impl Input {
    /// The input behind a descriptor.
    ///
    /// # Errors
    /// As dup(2) and fstat(2).
    pub fn new(fd: impl AsFd) -> io::Result<Input> {
        Ok(Input(Place::open(fd, Interest::READABLE)?))
    }

    /// Reads once; 0 is the end. Cancel-safe.
    ///
    /// # Errors
    /// As read(2).
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Place::Plain(file) => file.read(buffer),
            Place::Watched(watched) => loop {
                let mut ready = watched.readable().await?;
                match watched.get().read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => return other,
                }
            },
            Place::Socket(watched) => loop {
                let mut ready = watched.readable().await?;
                match rustix::net::recv(watched.get(), &mut *buffer, RecvFlags::DONTWAIT) {
                    Ok((n, _)) => return Ok(n),
                    Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            },
        }
    }
}

/// Where output goes: to a descriptor, or to memory.
pub struct Output {
    to: To,
    /// On a terminal: what would drive it is shown escaped.
    escaper: Option<StreamEscaper>,
    /// What the descriptor did not take yet.
    pending: Vec<u8>,
}

enum To {
    Place(Place),
    Memory(Vec<u8>),
}

impl Output {
    /// The output behind a descriptor.
    ///
    /// # Errors
    /// As dup(2) and fstat(2).
    pub fn new(fd: impl AsFd) -> io::Result<Output> {
        let to = To::Place(Place::open(fd, Interest::WRITABLE)?);
        Ok(Output { to, escaper: None, pending: Vec::new() })
    }

    /// The same for a terminal that a peer's bytes must not drive: control characters are escaped.
    ///
    /// # Errors
    /// As dup(2) and fstat(2).
    pub fn escaped(fd: impl AsFd) -> io::Result<Output> {
        Ok(Output { escaper: Some(StreamEscaper::default()), ..Output::new(fd)? })
    }

    /// Keeps everything in memory; what is asked for bounds it.
    pub fn memory() -> Output {
        Output { to: To::Memory(Vec::new()), escaper: None, pending: Vec::new() }
    }

    /// What [`Output::memory`] has kept.
    pub fn into_memory(self) -> Vec<u8> {
        match self.to {
            To::Memory(bytes) => bytes,
            To::Place(_) => Vec::new(),
        }
    }

    /// Writes what can be written at once and keeps the rest. True where nothing is left: otherwise
    /// [`Output::flush`] is due before more comes.
    ///
    /// # Errors
    /// As write(2).
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        match self.escaper.as_mut().map(|escaper| escaper.push(bytes)) {
            Some(text) => self.put(text.as_bytes()),
            None => self.put(bytes),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut done = 0;
        if self.pending.is_empty() {
            done = match &mut self.to {
                To::Memory(memory) => {
                    memory.extend_from_slice(bytes);
                    bytes.len()
                }
                To::Place(place) => write_now(place, bytes)?,
            };
        }
        self.pending.extend_from_slice(&bytes[done..]);
        Ok(self.pending.is_empty())
    }

    /// The end: what was held back because more might have belonged to it is written too.
    ///
    /// # Errors
    /// As write(2).
    pub async fn finish(&mut self) -> io::Result<()> {
        if let Some(rest) = self.escaper.as_mut().map(StreamEscaper::finish) {
            self.put(rest.as_bytes())?;
        }
        self.flush().await
    }

    /// Waits until everything is written. Cancel-safe.
    ///
    /// # Errors
    /// As write(2).
    pub async fn flush(&mut self) -> io::Result<()> {
        let To::Place(place) = &mut self.to else { return Ok(()) };
        while !self.pending.is_empty() {
            match place {
                Place::Watched(watched) => watched.writable().await?.clear_ready(),
                Place::Socket(watched) => watched.writable().await?.clear_ready(),
                Place::Plain(_) => {}
            }
            let n = write_now(place, &self.pending)?;
            self.pending.drain(..n);
        }
        Ok(())
    }
}

/// Writes as much as is taken without waiting; of a plain file, everything.
fn write_now(place: &mut Place, bytes: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &bytes[done..];
        let wrote = match place {
            Place::Watched(watched) => watched.get().write(rest),
            Place::Plain(file) => file.write(rest),
            Place::Socket(watched) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                rustix::net::send(watched.get(), rest, flags).map_err(Into::into)
            }
        };
        match wrote {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// X3: a full pipe holds the writer up without a busy loop, nothing is lost, and the descriptor
    /// that we were given stays as it was.
    #[test]
    fn full_pipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let read = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        });
        runtime().block_on(async {
            let mut output = Output::new(&writer).unwrap();
            for piece in sent.chunks(100_000) {
                if !output.write(piece).unwrap() {
                    output.flush().await.unwrap();
                }
            }
        });
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        drop(writer);
        assert_eq!(read.join().unwrap(), expected);
    }

    /// X3: pipes, sockets and files are read to their ends.
    #[test]
    fn inputs() {
        let (pipe, mut into_pipe) = io::pipe().unwrap();
        let (socket, mut into_socket) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        into_pipe.write_all(b"pipe").unwrap();
        into_socket.write_all(b"socket").unwrap();
        file.write_all(b"file").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        drop((into_pipe, into_socket));
        runtime().block_on(async {
            for (fd, expected) in
                [(pipe.as_fd(), "pipe"), (socket.as_fd(), "socket"), (file.as_fd(), "file")]
            {
                let mut input = Input::new(fd).unwrap();
                let mut bytes = Vec::new();
                let mut buffer = [0; 3];
                loop {
                    let n = input.read(&mut buffer).await.unwrap();
                    if n == 0 {
                        break;
                    }
                    bytes.extend_from_slice(&buffer[..n]);
                }
                assert_eq!(bytes, expected.as_bytes());
            }
        });
    }
}
