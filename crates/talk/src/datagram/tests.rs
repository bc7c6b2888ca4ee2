//! Datagram conversations against real sockets; the other end is the test.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::thread;

use sockeye_net::{DialOptions, Endpoint};

use super::*;
use crate::testing::{Shared, run};
use crate::{Input, Output, Show, Split, Transcript, dial};

fn converse(
    endpoint: &str,
    input: Option<(Input, Split)>,
    timeout: Option<Duration>,
) -> (String, Result<(), Error>) {
    let shown = Shared::default();
    let lines = input.as_ref().is_some_and(|(_, split)| *split == Split::LinesStripped);
    let result = run(async {
        let endpoint: Endpoint = endpoint.parse().unwrap();
        let socket = dial::datagram(&endpoint, &DialOptions::default(), 0, &|_| {}).await?;
        let line = Line::datagram(socket, &endpoint)?;
        let mut view = View::new(Transcript::new(Show::AsIs), Output::new(shown.clone()));
        if lines {
            view = view.with_lines();
        }
        let messages = input.map(|(input, split)| Messages::datagrams(input, split));
        let result = datagrams(&line, messages, &view, timeout, &|_| {}).await;
        view.finish(result).await
    });
    (shown.text(), result)
}

fn udp() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", socket.local_addr().unwrap());
    (socket, endpoint)
}

/// Answers `count` datagrams in angle brackets and gives them back.
fn serve(socket: UdpSocket, count: usize) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut got = Vec::new();
        let mut buffer = [0; 70_000];
        for _ in 0..count {
            let (n, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&[b"<", &buffer[..n], b">"].concat(), from).unwrap();
            got.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
        }
        got
    })
}

/// C4, fault 26: boundaries are kept both ways, empty datagrams too; it is over with the last
/// answer.
#[test]
fn boundaries() {
    let cases: [(Split, &[&str], &str); 3] = [
        (Split::Lines, &["a\n", "\n", "b"], "<a\n><\n><b>"),
        (Split::LinesStripped, &["a", "", "b"], "<a>\n<>\n<b>\n"),
        (Split::Whole, &["a\n\nb"], "<a\n\nb>"),
    ];
    for (split, sent, shown) in cases {
        let (socket, endpoint) = udp();
        let serves = serve(socket, sent.len());
        let (got, result) = converse(&endpoint, Some((Input::once(b"a\n\nb"), split)), None);
        result.unwrap();
        assert_eq!(serves.join().unwrap(), sent);
        assert_eq!(got, shown);
    }
}

/// C4: Unix datagrams are answered as well, and larger ones than UDP's pass.
#[test]
fn unix() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let socket = UnixDatagram::bind(&path).unwrap();
    let serves = thread::spawn(move || {
        let mut buffer = vec![0; 200_000];
        let (n, from) = socket.recv_from(&mut buffer).unwrap();
        let name = std::os::linux::net::SocketAddrExt::as_abstract_name(&from).unwrap().to_vec();
        let back = <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::
            from_abstract_name(name).unwrap();
        socket.send_to_addr(&buffer[..n], &back).unwrap();
    });
    let input = Input::new(std::io::Cursor::new(vec![b'x'; 100_000]));
    let endpoint = format!("unixgram:{}", path.display());
    let (shown, result) = converse(&endpoint, Some((input, Split::Whole)), None);
    result.unwrap();
    assert_eq!(shown.len(), 100_000);
    serves.join().unwrap();
}

/// C4, fault 27: an unreachable port is an error, also where the peer goes away later and where
/// we only wait.
#[test]
fn unreachable() {
    let (socket, endpoint) = udp();
    drop(socket);
    let (_, result) = converse(&endpoint, Some((Input::once(b"a\n"), Split::Lines)), None);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("nothing receives on that port"), "{error}");

    let (socket, endpoint) = udp();
    let (feed, pieces) = std::sync::mpsc::channel();
    let serves = thread::spawn(move || {
        socket.recv_from(&mut [0; 10]).unwrap();
        drop(socket);
        // The input stays open: nothing but the waiting receiver can find out.
        feed.send(b"b\n".to_vec()).unwrap();
        feed
    });
    let input = crate::testing::Pieces(pieces);
    let first = std::io::Read::chain(&b"a\n"[..], input);
    let (_, result) = converse(&endpoint, Some((Input::new(first), Split::Lines)), None);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("connection refused"), "{error}");
    drop(serves.join().unwrap());
}

/// C4, fault 26: 65,507 bytes pass over UDP and 65,508 are told as too long.
#[test]
fn too_long() {
    for (length, fits) in [(65_507, true), (65_508, false)] {
        let (socket, endpoint) = udp();
        let input = Input::new(std::io::Cursor::new(vec![b'x'; length]));
        let (_, result) = converse(&endpoint, Some((input, Split::Whole)), None);
        assert_eq!(result.is_ok(), fits);
        if let Err(error) = result {
            assert!(error.to_string().contains("too long"), "{error}");
        } else {
            assert_eq!(socket.recv(&mut [0; 70_000]).unwrap(), length);
        }
    }
}

/// C3 `--timeout`, C4: silence is a failure where a time was given and no answer came; without one
/// it is the end. Nothing sent needs no answer.
#[test]
fn silence() {
    let (_socket, endpoint) = udp();
    let short = Some(Duration::from_millis(50));
    let (_, result) = converse(&endpoint, Some((Input::once(b"a\n"), Split::Lines)), short);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("timed out: no datagram came for 50ms"), "{error}");
    converse(&endpoint, Some((Input::once(b"a\n"), Split::Lines)), None).1.unwrap();
    converse(&endpoint, Some((Input::new(std::io::empty()), Split::Lines)), short).1.unwrap();
    assert!(converse(&endpoint, None, short).1.is_err());

    // Fewer answers than questions: some came, so that silence is the end.
    let (socket, endpoint) = udp();
    let serves = serve(socket.try_clone().unwrap(), 1);
    let long = Some(Duration::from_millis(300));
    let (shown, result) = converse(&endpoint, Some((Input::once(b"a\nb\n"), Split::Lines)), long);
    result.unwrap();
    assert_eq!(shown, "<a\n>");
    serves.join().unwrap();
}
