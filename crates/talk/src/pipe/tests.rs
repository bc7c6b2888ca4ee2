//! The pipe against real sockets; the other end is the test.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use sockeye_net::{Endpoint, Stream};

use super::*;
use crate::testing::{Pieces, Shared, run};
use crate::{Output, Show, Transcript};

fn tcp_pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Stream::from(OwnedFd::from(client)), listener.accept().unwrap().0)
}

fn unix_pair() -> (Stream, UnixStream) {
    let (client, server) = UnixStream::pair().unwrap();
    (Stream::from(OwnedFd::from(client)), server)
}

/// Holds a conversation with everything shown; what was shown, and how it ended.
fn converse(
    stream: Stream,
    input: Option<Input>,
    timeout: Option<Duration>,
) -> (Vec<u8>, Result<(), Error>) {
    let shown = Shared::default();
    let output = Output::new(shown.clone());
    let result = converse_on(stream, input, timeout, output);
    (shown.take(), result)
}

fn converse_on(
    stream: Stream,
    input: Option<Input>,
    timeout: Option<Duration>,
    output: Output,
) -> Result<(), Error> {
    run(async {
        let line = Line::stream(stream, &Endpoint::loopback(9)).unwrap();
        let view = View::new(Transcript::new(Show::AsIs), output);
        let result = pipe(&line, input, &view, timeout).await;
        view.finish(result).await
    })
}

/// An input that stays open and silent as long as the sender lives.
fn silent() -> (Input, mpsc::Sender<Vec<u8>>) {
    let (sender, pieces) = mpsc::channel();
    (Input::new(Pieces(pieces)), sender)
}

fn echo(mut stream: impl Read + Write) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return,
            n => stream.write_all(&buffer[..n]).unwrap(),
        }
    }
}

/// C2, fault 1: both ways at once, byte for byte, through small buffers too.
#[test]
fn both_ways() {
    let bytes: Vec<u8> = (0..3_000_001u32).map(|n| (n.wrapping_mul(n) >> 5) as u8).collect();
    for small in [false, true] {
        let (client, server) = tcp_pair();
        if small {
            client.socket().set_send_buffer_size(1).unwrap();
        }
        let serves = thread::spawn(move || echo(server));
        let length = if small { 100_001 } else { bytes.len() };
        let input = Input::new(std::io::Cursor::new(bytes[..length].to_vec()));
        let (shown, result) = converse(client, Some(input), None);
        result.unwrap();
        assert!(shown == bytes[..length]);
        serves.join().unwrap();
    }
}

/// C2, L3, fault 10: an answer that comes after our FIN is read to its end.
#[test]
fn late_answer() {
    let (client, mut server) = tcp_pair();
    let serves = thread::spawn(move || {
        let mut request = String::new();
        server.read_to_string(&mut request).unwrap();
        server.write_all(format!("{request} is complete").as_bytes()).unwrap();
    });
    let (shown, result) = converse(client, Some(Input::once(b"it")), None);
    result.unwrap();
    assert_eq!(shown, b"it is complete");
    serves.join().unwrap();
}

/// C2, fault 10: the peer ends first while the input is open and silent: a clean end.
#[test]
fn peer_first_input_silent() {
    let (client, mut server) = tcp_pair();
    let (input, _open) = silent();
    server.write_all(b"all").unwrap();
    drop(server);
    let (shown, result) = converse(client, Some(input), None);
    result.unwrap();
    assert_eq!(shown, b"all");
}

/// C2, fault 10: the peer ends its direction first; input that goes on coming is still sent.
#[test]
fn peer_first_input_goes_on() {
    let (client, mut server) = tcp_pair();
    let (input, feed) = silent();
    let serves = thread::spawn(move || {
        server.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        for n in 0..20u8 {
            feed.send(vec![n; 3]).unwrap();
            let mut piece = [0; 3];
            server.read_exact(&mut piece).unwrap();
            got.extend(piece);
        }
        drop(feed);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        got
    });
    let (_, result) = converse(client, Some(input), None);
    result.unwrap();
    assert_eq!(serves.join().unwrap().len(), 60);
}

/// C2, fault 9: a reset is a failure of its own, and what came before it is shown.
#[test]
fn reset() {
    let (client, mut server) = tcp_pair();
    let (input, feed) = silent();
    feed.send(b"unread".to_vec()).unwrap();
    server.write_all(b"before").unwrap();
    let serves = thread::spawn(move || {
        // Waits until the input has arrived, so that closing resets.
        server.peek(&mut [0]).unwrap();
    });
    let (shown, result) = converse(client, Some(input), None);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("reset the connection"), "{error}");
    assert_eq!(shown, b"before");
    serves.join().unwrap();
}

/// Fault 48: a peer that says a TLS alert and nothing else speaks TLS; one that says more does not.
#[test]
fn met_tls() {
    for (said, is_tls) in
        [(&[21, 3, 1, 0, 2, 2, 10][..], true), (&[21, 3, 1, 0, 2, 2, 10, 0], false)]
    {
        let (client, mut server) = tcp_pair();
        server.write_all(said).unwrap();
        drop(server);
        let (shown, result) = converse(client, None, None);
        assert_eq!(shown, said);
        let told = result.is_err_and(|error| error.to_string().contains("speaks TLS"));
        assert_eq!(told, is_tls, "{said:?}");
    }
}

/// C2, faults 8 and 9: a peer that ends and then resets has not read all of our input.
#[test]
fn closed_before_all_was_read() {
    let (client, server) = tcp_pair();
    let serves = thread::spawn(move || {
        server.shutdown(Shutdown::Write).unwrap();
        server.peek(&mut [0]).unwrap();
    });
    let (_, result) = converse(client, Some(Input::new(std::io::repeat(b'x'))), None);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("before it had read all of our input"), "{error}");
    serves.join().unwrap();

    let (client, server) = unix_pair();
    drop(server);
    let (_, result) = converse(client, Some(Input::new(std::io::repeat(b'x'))), None);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("before it had read all of our input"), "{error}");
}

/// C3 `--timeout`: silence is a failure in words of its own.
#[test]
fn timed_out() {
    let (client, _server) = tcp_pair();
    let (input, _open) = silent();
    let (_, result) = converse(client, Some(input), Some(Duration::from_millis(50)));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("timed out: nothing moved either way for 50ms"), "{error}");
}

/// C3 `--recv-only`: nothing is sent, and our FIN comes after the peer's.
#[test]
fn receive_only() {
    let (client, mut server) = unix_pair();
    let serves = thread::spawn(move || {
        server.write_all(b"news").unwrap();
        server.set_nonblocking(true).unwrap();
        let early = server.read(&mut [0]).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
        server.set_nonblocking(false).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    });
    let (shown, result) = converse(client, None, None);
    result.unwrap();
    assert_eq!(shown, b"news");
    serves.join().unwrap();
}

/// C3 `--send-only`: an answer is taken and thrown away, so that nothing resets.
#[test]
fn send_only() {
    let (client, server) = tcp_pair();
    let serves = thread::spawn(move || echo(server));
    let input = Input::new(std::io::Cursor::new(vec![7; 5_000_000]));
    converse_on(client, Some(input), None, Output::discard()).unwrap();
    serves.join().unwrap();
}

/// C2: input is read no faster than the peer takes it.
#[test]
fn back_pressure() {
    struct Counting(Arc<AtomicUsize>);
    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.fetch_add(buffer.len(), Ordering::Relaxed);
            Ok(buffer.len())
        }
    }
    let (client, _never_reads) = unix_pair();
    let taken = Arc::new(AtomicUsize::new(0));
    let input = Input::new(Counting(taken.clone()));
    let (_, result) = converse(client, Some(input), Some(Duration::from_millis(200)));
    assert!(result.unwrap_err().to_string().contains("timed out"));
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < 2_000_000, "{taken} bytes were read ahead");
}

/// C2: an output that takes nothing holds up receiving, and not sending.
#[test]
fn slow_output() {
    struct Gate(Option<mpsc::Receiver<()>>, Shared);
    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(gate) = self.0.take() {
                gate.recv().unwrap();
            }
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    const LENGTH: usize = 20_000_000;
    let (client, mut server) = tcp_pair();
    let (open, gate) = mpsc::channel();
    let mut writes = server.try_clone().unwrap();
    let answers = thread::spawn(move || {
        writes.write_all(&vec![1; LENGTH]).unwrap();
        writes.shutdown(Shutdown::Write).unwrap();
    });
    let serves = thread::spawn(move || {
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        // Only now, when all was sent, does the output move.
        open.send(()).unwrap();
        all.len()
    });
    let shown = Shared::default();
    let input = Input::new(std::io::repeat(2).take(LENGTH as u64));
    let output = Output::new(Gate(Some(gate), shown.clone()));
    converse_on(client, Some(input), None, output).unwrap();
    assert_eq!((serves.join().unwrap(), shown.take().len()), (LENGTH, LENGTH));
    answers.join().unwrap();
}

/// Fault 45, C2: a full output and a broken input end the conversation at once, each as itself.
#[test]
fn broken_ends() {
    let (client, mut server) = tcp_pair();
    let (input, _open) = silent();
    server.write_all(b"x").unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let serves = thread::spawn(move || {
        // Endless, because the failure is known with the next piece.
        while server.write_all(&[0; 1000]).is_ok() {}
    });
    let error = converse_on(client, Some(input), None, Output::new(full)).unwrap_err();
    assert!(matches!(error, Error::Output(_)), "{error}");
    serves.join().unwrap();

    let (client, _server) = tcp_pair();
    let (_, result) = converse(client, Some(Input::new(crate::testing::Broken)), None);
    assert!(matches!(result, Err(Error::Input(_))), "{result:?}");
}

/// C3 `--per-message`: a connection a line, each ended and its answer whole before the next.
#[test]
fn per_message() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serves = thread::spawn(move || {
        let mut requests = Vec::new();
        for n in 0..3 {
            let mut stream = listener.accept().unwrap().0;
            let mut request = String::new();
            stream.read_to_string(&mut request).unwrap();
            stream.write_all(format!("{n}:{request}").as_bytes()).unwrap();
            requests.push(request);
        }
        requests
    });
    let shown = Shared::default();
    let result = run(async {
        let view = View::new(Transcript::new(Show::AsIs), Output::new(shown.clone()));
        let connect = async || {
            let stream = Stream::from(OwnedFd::from(TcpStream::connect(address).unwrap()));
            Line::stream(stream, &Endpoint::loopback(9))
        };
        let lines = crate::Messages::lines(Input::once(b"a\n\nb"));
        let result = crate::per_message::per_message(connect, lines, &view, None).await;
        view.finish(result).await
    });
    result.unwrap();
    assert_eq!(serves.join().unwrap(), ["a\n", "\n", "b"]);
    assert_eq!(shown.take(), b"0:a\n1:\n2:b");
}
