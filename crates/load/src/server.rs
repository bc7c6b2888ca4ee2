//! A server of our own for as long as it is measured: started, known to be ready, ended, counted.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use sockeye_limits as limits;
use sockeye_net::sys::child::{Preparation, prepare};
use sockeye_net::sys::usage::{Used, children_used};
use sockeye_net::sys::wait_readable;

/// A server process. It is killed when this is dropped, and when the thread that started it ends,
/// whatever ends that.
#[derive(Debug)]
pub struct Server {
    child: Child,
    ready: String,
    before: Used,
}

impl Server {
    /// Starts the command and waits for the first line on its stderr, which is to say where it
    /// listens. It leads a session of its own, so that a Ctrl-C here is not for it.
    ///
    /// # Errors
    /// It cannot be started, ends at once (the error has its first line), or says nothing for long.
    pub fn start(mut command: Command) -> io::Result<Server> {
        prepare(&mut command, Preparation { dies_with_parent: true, ..Preparation::default() });
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let before = children_used()?;
        let child = command.spawn()?;
        let mut server = Server { child, ready: String::new(), before };
        let Some(stderr) = server.child.stderr.take() else {
            return Err(io::Error::other("its stderr is no pipe"));
        };
        server.ready = first_line(stderr)?;
        Ok(server)
    }

    /// Its process number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Its first line.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Asks it to end (SIGTERM), and waits. What it and all that it waited for have used, from its
    /// start to its end, threads that ended included. Exact only if no other child of this process
    /// was waited for meanwhile.
    ///
    /// # Errors
    /// As kill(2), waitpid(2) and getrusage(2); and where it had to be killed.
    pub fn end(mut self) -> io::Result<Used> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("it has no process number"))?;
        kill_process(pid, Signal::TERM)?;
        let last = Instant::now() + limits::SERVER_END;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > last {
                return Err(io::Error::other("it does not end when it is asked to"));
            }
            thread::sleep(limits::SERVER_LOOK);
        }
        let after = children_used()?;
        Ok(Used {
            cpu: after.cpu.saturating_sub(self.before.cpu),
            voluntary: after.voluntary.saturating_sub(self.before.voluntary),
            involuntary: after.involuntary.saturating_sub(self.before.involuntary),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line; what comes behind it is read and forgotten, so that the server never waits.
fn first_line(stderr: ChildStderr) -> io::Result<String> {
    let since = Instant::now();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let left = limits::SERVER_START.saturating_sub(since.elapsed());
        if !wait_readable(reader.get_ref(), Some(left))? {
            return Err(io::Error::other("it does not say where it listens"));
        }
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            let said = String::from_utf8_lossy(&line).into_owned();
            return Err(io::Error::other(format!("it ended at once: {said}")));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n').map_or(buffer.len(), |at| at + 1);
        line.extend_from_slice(&buffer[..end]);
        reader.consume(end);
    }
    thread::Builder::new().name("server".into()).spawn(move || {
        // Its end is the end of this.
        let _ = io::copy(&mut reader, &mut io::sink());
    })?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// B3: a server is ready with its first line, ends when it is asked to, and is counted.
    #[test]
    fn life() {
        let script = "trap 'exit 0' TERM; echo listening on 7 >&2; while :; do sleep 0.01; done";
        let server = Server::start(shell(script)).unwrap();
        assert_eq!(server.ready(), "listening on 7");
        let path = format!("/proc/{}", server.process());
        let used = server.end().unwrap();
        assert!(used.voluntary > 0 && !used.cpu.is_zero(), "{used:?}");
        assert!(!std::path::Path::new(&path).exists());
    }

    /// B3: one that does not start says why; one that is dropped is gone.
    #[test]
    fn failures() {
        let error = Server::start(shell("printf 'no line' >&2; exit 1")).unwrap_err();
        assert!(error.to_string().contains("ended at once: no line"), "{error}");
        let error = Server::start(Command::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let server = Server::start(shell("echo ready >&2; exec sleep 1000")).unwrap();
        let path = format!("/proc/{}", server.process());
        drop(server);
        assert!(!std::path::Path::new(&path).exists());
    }
}
