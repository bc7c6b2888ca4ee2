//! A command's standard streams from this side: pipe ends or the master of a terminal, on the event
//! loop.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::termios::{LocalModes, SpecialCodeIndex, tcgetattr};
use sockeye_limits as limits;
use sockeye_net::sys::watch::Watched;
use tokio::io::Interest;
use tokio::time::sleep;

/// The streams of a job. With a terminal, `stdin` and `stdout` are two handles of its master, and
/// there is no `stderr`.
#[derive(Debug, Default)]
pub struct Streams {
    /// Where the command's input is written to.
    pub stdin: Option<Sink>,
    /// Where its output comes from.
    pub stdout: Option<Source>,
    /// Where its errors come from.
    pub stderr: Option<Source>,
}

/// A descriptor on the event loop. A terminal's master is shared by its two streams and the job.
#[derive(Clone)]
pub(super) struct Handle(Arc<Watched<OwnedFd>>);

impl Handle {
    /// Makes the descriptor non-blocking and registers it.
    pub(super) fn new(fd: OwnedFd, interest: Interest) -> io::Result<Handle> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Handle(Arc::new(Watched::new(Arc::new(fd), interest)?)))
    }
}

impl Deref for Handle {
    type Target = Watched<OwnedFd>;

    fn deref(&self) -> &Watched<OwnedFd> {
        &self.0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// The end of a pipe, or a terminal's master, to be read from.
#[derive(Debug)]
pub struct Source {
    fd: Handle,
    terminal: bool,
    ended: bool,
}

impl Source {
    pub(crate) fn pipe(fd: OwnedFd) -> io::Result<Source> {
        let fd = Handle::new(fd, Interest::READABLE)?;
        Ok(Source { fd, terminal: false, ended: false })
    }

    pub(super) fn terminal(fd: Handle) -> Source {
        Source { fd, terminal: true, ended: false }
    }

    /// Reads once: how many bytes there are in `buffer` now; 0 is the end. Cancel-safe.
    ///
    /// # Errors
    /// As read(2); a terminal that the last process has closed (`EIO`) is the end, not an error.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read(cx, buffer)).await
    }

    /// As [`Source::read`], for a future written by hand.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended || buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            let mut ready = ready!(self.fd.poll_readable(cx))?;
            match rustix::io::read(self.fd.get(), &mut *buffer) {
                Ok(0) => break,
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(Errno::INTR) => {}
                // Everybody had closed the terminal, and then somebody opened it again. What was
                // closed stays closed for the event loop, which would wake us for ever.
                Err(Errno::AGAIN) if self.terminal && ready.ready().is_read_closed() => break,
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::IO) if self.terminal => break,
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
        self.ended = true;
        Poll::Ready(Ok(0))
    }
}

/// The end of a pipe, or a terminal's master, to be written to.
#[derive(Debug)]
pub struct Sink {
    state: State,
}

#[derive(Debug)]
enum State {
    Pipe(Handle),
    Terminal(Typed),
    Closed,
}

/// What was typed on a terminal.
#[derive(Debug)]
struct Typed {
    fd: Handle,
    /// Whether the last byte left a line unfinished.
    in_line: bool,
    /// The characters that end the input, once they are on their way.
    farewell: Option<Vec<u8>>,
    /// Who was to read them.
    reader: Reader,
}

impl Sink {
    pub(super) fn pipe(fd: OwnedFd) -> io::Result<Sink> {
        Ok(Sink { state: State::Pipe(Handle::new(fd, Interest::WRITABLE)?) })
    }

    pub(super) fn terminal(fd: Handle) -> Sink {
        Sink {
            state: State::Terminal(Typed {
                fd,
                in_line: false,
                farewell: None,
                reader: Reader::default(),
            }),
        }
    }

    /// Writes once: how many of the bytes were taken. Cancel-safe: where it is dropped before its
    /// end, none was.
    ///
    /// # Errors
    /// `BrokenPipe` where the command reads no more, or after [`Sink::close`]; else as write(2).
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Pipe(fd) => write(fd, bytes).await,
            State::Terminal(Typed { farewell: Some(_), .. }) | State::Closed => {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            State::Terminal(typed) => {
                let n = write(&typed.fd, bytes).await.map_err(hung_up)?;
                if let Some(last) = bytes[..n].last() {
                    typed.in_line = !matches!(last, b'\n' | b'\r');
                }
                Ok(n)
            }
        }
    }

    /// Ends the command's input. A pipe is closed. A terminal cannot be, so its end-of-file
    /// character (Ctrl-D, termios(3) VEOF) is typed, as script(1) does: once at the beginning of a
    /// line, and twice within one, since the first only hands over what there is of the line.
    /// Cancel-safe: where it is dropped before its end, call it again.
    ///
    /// # Errors
    /// As write(2) on a terminal. What is gone already is no error.
    pub async fn close(&mut self) -> io::Result<()> {
        if let State::Terminal(typed) = &mut self.state {
            match typed.say_farewell().await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                Err(_) => {}
            }
        }
        self.state = State::Closed;
        Ok(())
    }

    /// After [`Sink::close`]: keeps the input ended, for as long as there is a need. The
    /// end-of-file character ends one read, and in the mode alone in which it was typed: a command
    /// takes it from the shell that started it, and a shell with an editor of its own does not find
    /// what was typed before. So it is typed again when the mode or who is in the foreground has
    /// changed, and nothing tells of that. A command that takes it and is over between two looks, at
    /// a shell without an editor, goes unseen. Cancel-safe.
    pub async fn keep_closed(&mut self) {
        while let State::Terminal(typed) = &mut self.state {
            sleep(limits::TERMINAL_LOOK).await;
            if Reader::of(typed.fd.get()) != typed.reader {
                (typed.farewell, typed.in_line) = (None, false);
            }
            if typed.say_farewell().await.is_err() {
                self.state = State::Closed;
            }
        }
    }
}

impl Typed {
    async fn say_farewell(&mut self) -> io::Result<()> {
        let Typed { fd, in_line, farewell, reader } = self;
        let left = farewell.get_or_insert_with(|| {
            *reader = Reader::of(fd.get());
            let count = if *in_line { 2 } else { 1 };
            vec![end_of_file(fd.get()); count]
        });
        while !left.is_empty() {
            let n = write(fd, left).await.map_err(hung_up)?;
            left.drain(..n);
        }
        Ok(())
    }
}

/// Who reads from a terminal, as far as it shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reader {
    /// By lines: canonical mode, termios(3) ICANON.
    by_lines: bool,
    /// The process group in the foreground.
    group: Option<Pid>,
}

impl Reader {
    fn of(master: &OwnedFd) -> Reader {
        let modes = tcgetattr(master);
        let by_lines = modes.is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON));
        Reader { by_lines, group: super::own::foreground(master) }
    }
}

/// The terminal's end-of-file character; Ctrl-D where it has none.
fn end_of_file(master: &OwnedFd) -> u8 {
    const CONTROL_D: u8 = 4;
    let modes = tcgetattr(master);
    let set = modes.map(|modes| modes.special_codes[SpecialCodeIndex::VEOF]);
    set.ok().filter(|&code| code != 0).unwrap_or(CONTROL_D)
}

/// A terminal that has been hung up says `EIO`: for a writer that is a broken pipe.
fn hung_up(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(Errno::IO.raw_os_error()) {
        return io::ErrorKind::BrokenPipe.into();
    }
    error
}

async fn write(fd: &Handle, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    loop {
        let mut ready = fd.writable().await?;
        match rustix::io::write(fd.get(), bytes) {
            Ok(n) => return Ok(n),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(errno) => return Err(errno.into()),
        }
    }
}
