//! Servers that behave as a test wants it, and clients that are watched while they run.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::harness::process::Output;
use crate::harness::{BINARY, DEADLINE, clean, process};

/// Accepts one connection and does `serve` with it. The endpoint, and what `serve` gives.
pub(crate) fn peer<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        serve(stream)
    });
    (endpoint, thread)
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Everything up to the other end's FIN.
pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// Runs `sockeye connect` with these words to its end.
pub(crate) fn connect(words: &[&str], stdin: &[u8]) -> Output {
    let words: Vec<&str> = ["connect"].iter().chain(words).copied().collect();
    process::run(&words, stdin)
}

/// A `sockeye connect` that runs, its standard input open.
pub(crate) struct Client {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
}

impl Client {
    pub(crate) fn start(words: &[&str]) -> Client {
        Client::start_with(words, Stdio::piped())
    }

    pub(crate) fn start_with(words: &[&str], stdout: Stdio) -> Client {
        let mut command = clean(BINARY);
        command.arg("connect").args(words);
        command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Client { child, stdin, stdout }
    }

    /// Waits for its end with standard input still open; what it said on stderr.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "the client does not end");
            thread::sleep(Duration::from_millis(3));
        };
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status, stderr)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
