//! The client's own standard streams on an event loop, without changing them for others.
//!
//! O_NONBLOCK belongs to the open file, which a shell shares with us, so it must not be set on what
//! we were given: pipes and terminals are opened anew through /proc, sockets are asked call by call.
//! Where that is not allowed, as with what another user has made, a thread does the waiting. A regular
//! file never makes anybody wait, so it is read and written in place.

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

use super::lent::{Reader, Writer};

/// A descriptor that can be waited for, or one that need not be. `T` does the waiting where the
/// event loop cannot.
enum Place<T> {
    /// Opened anew, non-blocking.
    Watched(Watched<File>),
    /// A socket, asked with MSG_DONTWAIT.
    Socket(Watched<OwnedFd>),
    /// A file, or a device like /dev/null: calls do not wait for anybody.
    Plain(File),
    /// Something that the system does not let us open again, such as another user's terminal, or a
    /// pipe that another user has made.
    Lent(T),
}

impl<T> Place<T> {
    fn open(
        fd: impl AsFd,
        interest: Interest,
        lend: impl FnOnce(File) -> io::Result<T>,
    ) -> io::Result<Place<T>> {
        let file = File::from(fd.as_fd().try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Place::Socket(Watched::new(Arc::new(file.into()), interest)?));
        }
        if kind.is_file() || kind.is_dir() || kind.is_block_device() {
            return Ok(Place::Plain(file));
        }
        let again = OpenOptions::new()
            .read(interest.is_readable())
            .write(interest.is_writable())
            .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let Ok(again) = again else { return lend(file).map(Place::Lent) };
        match Watched::new(Arc::new(again), interest) {
            Ok(watched) => Ok(Place::Watched(watched)),
            // epoll_ctl(2): EPERM says that a descriptor never makes anybody wait.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Place::Plain(file)),
            Err(_) => lend(file).map(Place::Lent),
        }
    }
}

/// Where standard input comes from.
pub struct Input(Place<Reader>);

impl Input {
    /// The input behind a descriptor.
    ///
    /// # Errors
    /// As dup(2) and fstat(2).
    pub fn new(fd: impl AsFd) -> io::Result<Input> {
        Ok(Input(Place::open(fd, Interest::READABLE, Reader::new)?))
    }

    /// Reads once; 0 is the end. Cancel-safe.
    ///
    /// # Errors
    /// As read(2).
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Place::Plain(file) => file.read(buffer),
            Place::Lent(reader) => reader.read(buffer).await,
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
    /// What the descriptor did not take yet, and how much of it it has taken since.
    pending: Vec<u8>,
    taken: usize,
}

enum To {
    Place(Place<Writer>),
    Memory(Vec<u8>),
}

impl Output {
    /// The output behind a descriptor.
    ///
    /// # Errors
    /// As dup(2) and fstat(2).
    pub fn new(fd: impl AsFd) -> io::Result<Output> {
        let to = To::Place(Place::open(fd, Interest::WRITABLE, Writer::new)?);
        Ok(Output { to, escaper: None, pending: Vec::new(), taken: 0 })
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
        Output { to: To::Memory(Vec::new()), escaper: None, pending: Vec::new(), taken: 0 }
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
        while self.taken < self.pending.len() {
            let rest = &self.pending[self.taken..];
            self.taken += match place {
                Place::Lent(writer) => writer.write(rest).await?,
                Place::Watched(watched) => {
                    watched.writable().await?.clear_ready();
                    write_now(place, rest)?
                }
                Place::Socket(watched) => {
                    watched.writable().await?.clear_ready();
                    write_now(place, rest)?
                }
                Place::Plain(_) => write_now(place, rest)?,
            };
        }
        self.pending.clear();
        self.taken = 0;
        Ok(())
    }
}

/// Writes as much as is taken without waiting: of a plain file everything, of what a thread writes
/// nothing.
fn write_now(place: &mut Place<Writer>, bytes: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &bytes[done..];
        let wrote = match place {
            Place::Watched(watched) => watched.get().write(rest),
            Place::Plain(file) => file.write(rest),
            Place::Lent(_) => break,
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

    fn numbers(count: u32) -> Vec<u8> {
        (0..count).map(|n| (n % 251) as u8).collect()
    }

    async fn read_to_end(mut input: Input) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 3];
        loop {
            let n = input.read(&mut buffer).await.unwrap();
            if n == 0 {
                return bytes;
            }
            bytes.extend_from_slice(&buffer[..n]);
        }
    }

    /// X3: a full pipe holds the writer up without a busy loop, nothing is lost, and the descriptor
    /// that we were given stays as it was.
    #[test]
    fn full_pipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        let sent = numbers(1_000_000);
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
                let bytes = read_to_end(Input::new(fd).unwrap()).await;
                assert_eq!(bytes, expected.as_bytes());
            }
        });
    }

    /// X3: files, and devices that never make anybody wait, need nobody who waits for them.
    #[test]
    fn plain() {
        let lend = |_| -> io::Result<()> { panic!("it does not wait for anybody") };
        runtime().block_on(async {
            for device in ["/dev/null", "/dev/zero", "/proc/self/exe"] {
                let place = Place::open(File::open(device).unwrap(), Interest::READABLE, lend);
                assert!(matches!(place, Ok(Place::Plain(_))), "{device}");
            }
        });
    }

    /// X3: what cannot be opened again is read and written by a thread: an input that is silent
    /// and an output that is full hold up nobody else, and nothing is lost by a wait that is given
    /// up.
    #[test]
    fn lent() {
        let (pipe, mut into_pipe) = io::pipe().unwrap();
        let (mut from_pipe, full) = io::pipe().unwrap();
        let file = |fd: OwnedFd| File::from(fd);
        let sent = numbers(1_000_000);
        runtime().block_on(async {
            let mut input = Input(Place::Lent(Reader::new(file(pipe.into())).unwrap()));
            let to = To::Place(Place::Lent(Writer::new(file(full.into())).unwrap()));
            let mut output = Output { to, escaper: None, pending: Vec::new(), taken: 0 };
            assert!(!output.write(&sent).unwrap());
            let mut buffer = [0; 9];
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    read = input.read(&mut buffer) => panic!("{read:?}"),
                    wrote = output.flush() => panic!("{wrote:?}"),
                    () = tokio::task::yield_now() => {}
                }
            }
            into_pipe.write_all(b"later").unwrap();
            drop(into_pipe);
            assert_eq!(read_to_end(input).await, b"later");
            let read = std::thread::spawn(move || {
                let mut bytes = Vec::new();
                from_pipe.read_to_end(&mut bytes).map(|_| bytes)
            });
            output.finish().await.unwrap();
            drop(output);
            assert!(read.join().unwrap().unwrap() == sent);
        });
    }

    /// Q1: the reader of an output has gone: a thread tells it as well.
    #[test]
    fn lent_and_closed() {
        let (reader, full) = io::pipe().unwrap();
        drop(reader);
        runtime().block_on(async {
            let to = To::Place(Place::Lent(Writer::new(File::from(OwnedFd::from(full))).unwrap()));
            let mut output = Output { to, escaper: None, pending: Vec::new(), taken: 0 };
            output.write(b"x").unwrap();
            let error = output.finish().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    }
}
