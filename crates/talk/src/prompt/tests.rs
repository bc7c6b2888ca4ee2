//! The prompt against a real socket and a console that is the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use sockeye_net::{Endpoint, Stream};

use super::console::Ends;
use super::*;
use crate::transcript::Show;

/// Runs a prompt on one thread with a console that `person` plays, against `line`.
fn converse(
    connect: impl AsyncFnOnce() -> Line,
    style: Style,
    show: Show,
    person: impl FnOnce(Person) + Send + 'static,
) -> (Result<(), Error>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (console, ends) = Console::pair(None);
    let plays = std::thread::spawn(move || person(Person { ends }));
    let told = std::cell::RefCell::new(Vec::new());
    let result = runtime.block_on(async {
        let line = connect().await;
        let tell = |step: &Step| told.borrow_mut().push(step.to_string());
        prompt(&line, console, Transcript::new(show), style, &tell).await
    });
    plays.join().unwrap();
    (result, told.into_inner())
}

struct Person {
    ends: Ends,
}

impl Person {
    /// Waits for the prompt; what was printed before it.
    fn until_asked(&self) -> String {
        let mut seen = Vec::new();
        loop {
            if self.ends.asks.try_recv().is_ok() {
                self.printed_now(&mut seen);
                return String::from_utf8(seen).unwrap();
            }
            self.printed_now(&mut seen);
            std::thread::yield_now();
        }
    }

    fn printed_now(&self, seen: &mut Vec<u8>) {
        while let Ok(print) = self.ends.prints.try_recv() {
            seen.extend(print.bytes);
            let _ = self.ends.printed.send(());
        }
    }

    fn types(&self, text: &str) {
        self.ends.typed.send(Typed::Line(text.into())).unwrap();
    }

    /// What is printed until the conversation ends.
    fn rest(self) -> String {
        let mut seen = Vec::new();
        while let Ok(print) = self.ends.prints.recv() {
            seen.extend(print.bytes);
            let _ = self.ends.printed.send(());
        }
        String::from_utf8(seen).unwrap()
    }
}

fn tcp(listener: &TcpListener) -> impl AsyncFnOnce() -> Line + use<> {
    let address = listener.local_addr().unwrap();
    async move || {
        let stream = TcpStream::connect(address).unwrap();
        let endpoint: Endpoint = address.to_string().parse().unwrap();
        Line::stream(Stream::from(std::os::fd::OwnedFd::from(stream)), &endpoint).unwrap()
    }
}

/// C1: each line is sent with its newline and answered before the next prompt, which stands on a
/// line of its own; blank lines are not sent; `q` ends with our FIN, and the last words are shown.
#[test]
fn lines_and_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = tcp(&listener);
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        stream.write_all(format!("{}\n", line.trim().to_uppercase()).as_bytes()).unwrap();
        line.clear();
        lines.read_line(&mut line).unwrap();
        stream.write_all(b"no newline \x1b[2J").unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        stream.write_all(b"bye\n").unwrap();
        (line, rest)
    });
    let (result, told) = converse(connect, Style::default(), Show::Escaped, |person| {
        assert_eq!(person.until_asked(), "");
        person.types("hello");
        assert_eq!(person.until_asked(), "HELLO\n");
        person.types("  ");
        assert_eq!(person.until_asked(), "");
        person.types("second");
        assert_eq!(person.until_asked(), "no newline \\x1b[2J\n");
        person.types("q");
        assert_eq!(person.rest(), "bye\n");
    });
    result.unwrap();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(server.join().unwrap(), ("second\n".into(), String::new()));
}

/// C1, C3: with `--crlf` an empty line is sent, so that an HTTP request can be typed.
#[test]
fn empty_line_ends_a_header() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = tcp(&listener);
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") && lines.read_line(&mut request).unwrap() > 0 {}
        stream.write_all(b"HTTP/1.0 204 No Content\r\n\r\n").unwrap();
        request
    });
    let style = Style { crlf: true, lines: false };
    let (result, told) = converse(connect, style, Show::AsIs, |person| {
        person.until_asked();
        person.types("GET / HTTP/1.0");
        person.until_asked();
        person.types("");
        // Where the empty line is not sent this ends the wait, and the request shows it.
        person.types("q");
        person.rest();
    });
    result.unwrap();
    assert_eq!(server.join().unwrap(), "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(told, ["the peer ended the conversation"]);
}

/// C1: what comes while the prompt stands is shown; the peer's end is told and is no failure;
/// Ctrl-C drops the line only.
#[test]
fn peer_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = tcp(&listener);
    let (go, gone) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        gone.recv().unwrap();
        stream.write_all(b"news\n").unwrap();
    });
    let (result, told) = converse(connect, Style::default(), Show::Escaped, move |person| {
        person.until_asked();
        person.ends.typed.send(Typed::Interrupted).unwrap();
        person.until_asked();
        go.send(()).unwrap();
        assert_eq!(person.rest(), "news\n");
    });
    result.unwrap();
    assert_eq!(told, ["the peer ended the conversation"]);
    server.join().unwrap();
}

/// C1, C2: a reset is a failure with its own words.
#[test]
fn reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = tcp(&listener);
    let server = std::thread::spawn(move || {
        Stream::from(std::os::fd::OwnedFd::from(listener.accept().unwrap().0)).reset();
    });
    let (result, _) = converse(connect, Style::default(), Show::Escaped, |person| {
        person.rest();
    });
    let error = result.unwrap_err().to_string();
    assert!(error.contains("reset"), "{error}");
    server.join().unwrap();
}

/// C1, C3, C4: over datagrams each line is one, `--crlf` and `--lines` do as they say, and the
/// end of the input ends it; `--hex` shows both ways.
#[test]
fn datagrams() {
    let styles = [
        (Style::default(), "one\n", "ONE\n"),
        (Style { crlf: true, lines: false }, "one\r\n", "ONE\r\n"),
        (Style { crlf: false, lines: true }, "one", "ONE\n"),
    ];
    for (style, sent, shown) in styles {
        for show in [Show::AsIs, Show::Hex] {
            let server = UdpSocket::bind("127.0.0.1:0").unwrap();
            let endpoint: Endpoint =
                format!("udp://{}", server.local_addr().unwrap()).parse().unwrap();
            let serves = std::thread::spawn(move || {
                let mut buffer = [0; 100];
                let (n, from) = server.recv_from(&mut buffer).unwrap();
                server.send_to(&buffer[..n].to_ascii_uppercase(), from).unwrap();
                String::from_utf8(buffer[..n].to_vec()).unwrap()
            });
            let connect = async || {
                let how = net::DialOptions::default();
                let socket = crate::dial::datagram(&endpoint, &how, 0, &|_| {}).await.unwrap();
                Line::datagram(socket, &endpoint).unwrap()
            };
            let (result, _) = converse(connect, style, show, move |person| {
                person.until_asked();
                person.types("one");
                let answer = person.until_asked();
                if show == Show::Hex {
                    assert!(answer.contains("6f 6e 65") && answer.contains("|ONE"), "{answer}");
                } else {
                    assert_eq!(answer, shown);
                }
                person.ends.typed.send(Typed::End).unwrap();
            });
            result.unwrap();
            assert_eq!(serves.join().unwrap(), sent);
        }
    }
}
