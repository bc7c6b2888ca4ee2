//! A connection for each request.

use super::*;

/// B1: a connection for each request, counted as the server counts them.
#[test]
fn sums() {
    let server = Server::answering(|_, _| {});
    for pace in [Pace::Closed, Pace::Open { per_second: 500 }] {
        let before = server.requests.load(Ordering::SeqCst);
        let report = ran(&Plan { churn: true, pace, ..server.plan() });
        let counted = server.requests.load(Ordering::SeqCst) - before;
        assert_eq!(report.whole.requests, counted);
        assert_eq!(report.whole.connections, counted);
        assert_eq!(report.whole.bytes_in, counted * SIZE as u64);
        // A busy machine may not reach the rate; nothing else may fail.
        let unsent = report.errors.get(&ErrorKind::Unsent).copied().unwrap_or(0);
        assert!(report.requests > 0 && report.failed() == unsent, "{:?}", report.errors);
        if pace != Pace::Closed {
            assert_eq!(report.requests + unsent, 200);
        }
    }
}

/// B2: a connection a request counts from the time at which each was to be sent: of a server that
/// takes one connection at a time and 10 ms for it, at a rate that it cannot keep, each request waits
/// longer than the one before it, and all are accounted for.
#[test]
fn intended() {
    let turn = std::sync::Mutex::new(());
    let server = Server::answering(move |_, _| {
        let _mine = turn.lock().unwrap();
        thread::sleep(Duration::from_millis(10));
    });
    let pace = Pace::Open { per_second: 500 };
    let plan = Plan { churn: true, pace, warmup: Duration::ZERO, ..server.plan() };
    let report = ran(&plan);
    assert_eq!(report.requests + report.failed(), 200, "{:?}", report.errors);
    assert!(report.requests <= 45, "40 in 400 ms, and four that were on their way");
    // One at a time from its own sending on would be 40 ms at most: four connections, 10 ms each.
    assert!(at(&report, 0.5) >= Duration::from_millis(120), "{:?}", at(&report, 0.5));
    assert!(report.latency.max() >= 300_000_000, "{}", report.latency.max());
}

/// B1, B2: a Unix server whose queue is full holds requests back: they are awaited like those in
/// flight, count from the time at which they were to be sent, and none is forgotten.
#[test]
fn queue() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    thread::spawn(move || {
        // The one that shows that the server is there.
        let _ = listener.accept();
        let mut request = [0; SIZE];
        while let Ok((mut stream, _)) = listener.accept() {
            if stream.read_exact(&mut request).is_ok() {
                thread::sleep(Duration::from_millis(20));
                let _ = stream.write_all(&request.to_ascii_uppercase());
            }
        }
    });
    let pace = Pace::Open { per_second: 100 };
    let plan = Plan {
        churn: true,
        pace,
        connections: 8,
        duration: Duration::from_millis(400),
        warmup: Duration::ZERO,
        ..Plan::new(format!("unix:{}", path.display()).parse().unwrap())
    };
    let report = ran(&plan);
    assert_eq!(report.requests + report.failed(), 40, "{:?}", report.errors);
    assert!(report.errors.keys().all(|kind| *kind == ErrorKind::Unsent), "{:?}", report.errors);
    // Eight wait at the end, at 20 ms each.
    assert!(report.latency.max() >= 100_000_000, "{}", report.latency.max());
}

/// B1: an answer that never ends, and one that comes a byte at a time, are told from silence.
#[test]
fn unfinished() {
    let endless = Server::start(|mut stream, _| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    let slow = Server::start(|mut stream, _| {
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() {
            // The pace of the server, not a wait for anything.
            thread::sleep(Duration::from_millis(20));
            let _ = stream.write_all(&byte.to_ascii_uppercase());
        }
    });
    for (server, verify) in [(&endless, Verify::None), (&slow, Verify::Upper)] {
        let timeout = Duration::from_millis(100);
        let report = ran(&Plan { churn: true, verify, timeout, ..server.plan() });
        assert_eq!(report.requests, 0);
        assert_eq!(report.errors.keys().collect::<Vec<_>>(), [&ErrorKind::Timeout]);
        let said = &report.examples[&ErrorKind::Timeout];
        assert!(said.contains("not whole"), "{said}");
    }
}

/// B1: wrong answers and early ends are caught here, too.
#[test]
fn faults() {
    let server = Server::answering(|_, reply| reply[63] = b'?');
    let report = ran(&Plan { churn: true, ..server.plan() });
    assert_eq!(report.errors.keys().collect::<Vec<_>>(), [&ErrorKind::Wrong]);
    let server = Server::answering(|_, reply| reply.truncate(SIZE - 1));
    let plan = Plan { churn: true, timeout: Duration::from_millis(100), ..server.plan() };
    assert_eq!(ran(&plan).errors.keys().collect::<Vec<_>>(), [&ErrorKind::Timeout]);
    let server = Server::start(|stream, _| drop(stream));
    let report = ran(&Plan { churn: true, ..server.plan() });
    assert!(report.requests == 0 && report.failed() > 0);
}

/// B1: with --verify none the answer is all that comes until the server ends.
#[test]
fn to_the_end() {
    let server = Server::start(|mut stream, counted| {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(b"Sat, 01 Jan 2000 ");
        let _ = stream.write_all(b"00:00:00 GMT\r\n");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let report = ran(&Plan { churn: true, verify: Verify::None, ..server.plan() });
    assert!(report.requests > 0 && report.failed() == 0, "{:?}", report.errors);
    assert_eq!(report.bytes_in, report.requests * 31);
}
