//! Both ends of a command's standard streams: what the child gets, and what we keep.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use sockeye_limits as limits;
use tokio::io::Interest;

use super::plan::{Stdio, WindowSize};
use super::streams::{Handle, Sink, Source, Streams};

/// What a child gets as its descriptors 0, 1 and 2. They block, as programs expect.
#[derive(Debug)]
pub(super) struct ChildEnds(pub(super) [OwnedFd; 3]);

/// What we keep of them. Ours do not block.
#[derive(Debug)]
pub(super) struct OwnEnds {
    pub(super) streams: Streams,
    /// The terminal's master.
    pub(super) terminal: Option<Handle>,
}

/// Makes the streams that a plan asks for.
///
/// # Errors
/// As pipe(2), open(2) and pty(7).
pub(super) fn open(stdio: &Stdio) -> io::Result<(ChildEnds, OwnEnds)> {
    match stdio {
        Stdio::Pipes { stdin } => pipes(*stdin),
        Stdio::Merged => merged(),
        Stdio::Terminal { size, .. } => terminal(*size),
        Stdio::Null => {
            let ends = ChildEnds([null()?, null()?, null()?]);
            Ok((ends, OwnEnds { streams: Streams::default(), terminal: None }))
        }
    }
}

fn pipes(with_stdin: bool) -> io::Result<(ChildEnds, OwnEnds)> {
    let (stdin, sink) = if with_stdin {
        let (read, write) = pipe()?;
        (read, Some(Sink::pipe(write)?))
    } else {
        (null()?, None)
    };
    let (stdout_read, stdout) = pipe()?;
    // Errors are few, and large pipes are what a user may have few of.
    let (stderr_read, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let streams = Streams {
        stdin: sink,
        stdout: Some(Source::pipe(stdout_read)?),
        stderr: Some(Source::pipe(stderr_read)?),
    };
    Ok((ChildEnds([stdin, stdout, stderr]), OwnEnds { streams, terminal: None }))
}

fn merged() -> io::Result<(ChildEnds, OwnEnds)> {
    let (read, stdout) = pipe()?;
    let stderr = stdout.try_clone()?;
    let streams = Streams { stdout: Some(Source::pipe(read)?), ..Streams::default() };
    Ok((ChildEnds([null()?, stdout, stderr]), OwnEnds { streams, terminal: None }))
}

fn terminal(size: WindowSize) -> io::Result<(ChildEnds, OwnEnds)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    unlockpt(&master)?;
    set_size(&master, size)?;
    // By the master and not by its name: that is right in any mount namespace.
    let stdin = ioctl_tiocgptpeer(&master, flags)?;
    // What a person types is UTF-8, so that erasing in a line erases characters.
    let mut modes = tcgetattr(&stdin)?;
    modes.input_modes |= InputModes::IUTF8;
    tcsetattr(&stdin, OptionalActions::Now, &modes)?;
    let ends = ChildEnds([stdin.try_clone()?, stdin.try_clone()?, stdin]);
    // Registered after the other end was opened: before, a master counts as hung up.
    let master = Handle::new(master, Interest::READABLE | Interest::WRITABLE)?;
    let streams = Streams {
        stdin: Some(Sink::terminal(master.clone())),
        stdout: Some(Source::terminal(master.clone())),
        stderr: None,
    };
    Ok((ends, OwnEnds { streams, terminal: Some(master) }))
}

/// Sets the size of the terminal that this is the master of.
///
/// # Errors
/// As tcsetwinsize(3).
pub(super) fn set_size(master: &OwnedFd, size: WindowSize) -> io::Result<()> {
    let WindowSize { rows, columns, width, height } = size;
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: width, ws_ypixel: height };
    Ok(tcsetwinsize(master, size)?)
}

/// A pipe, as large as we may make it: its end to read from and its end to write to.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // Refused where the user has too many: then it stays as it is.
    let _ = fcntl_setpipe_size(&write, limits::PIPE_SIZE);
    Ok((read, write))
}

fn null() -> io::Result<OwnedFd> {
    Ok(File::options().read(true).write(true).open("/dev/null")?.into())
}
