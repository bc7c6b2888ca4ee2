//! Servers that answer wrongly are caught.

use super::*;

/// Reads requests in pairs and answers as `pair` says.
fn in_pairs(pair: impl Fn(u64, &mut TcpStream, &[u8], &[u8]) + Send + Sync + 'static) -> Server {
    Server::start(move |mut stream, counted| {
        let mut number = 0;
        let mut both = vec![0; 2 * SIZE];
        while stream.read_exact(&mut both).is_ok() {
            counted.fetch_add(2, Ordering::SeqCst);
            both.make_ascii_uppercase();
            let (first, second) = both.split_at(SIZE);
            pair(number, &mut stream, first, second);
            number += 1;
        }
    })
}

/// Both loops; at a fixed rate two requests of a connection are in flight at a time, too.
const PACES: [Pace; 2] = [Pace::Closed, Pace::Open { per_second: 2000 }];

/// Answers pairs rightly, but of each connection the eighth one as `lie` says; what comes of it in both
/// loops. Each lie is found once, as `kind` and nothing else, and what was in flight behind it was
/// given up.
fn lied(kind: ErrorKind, lie: fn(&[u8], &[u8]) -> Vec<u8>) {
    for pace in PACES {
        let lies = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&lies);
        let server = in_pairs(move |number, stream, first, second| {
            let answer = match number {
                7 => lie(first, second),
                _ => [first, second].concat(),
            };
            // A client that gives the connection up closes it.
            let written = stream.write_all(&answer).is_ok();
            told.fetch_add(u64::from(written && number == 7), Ordering::SeqCst);
        });
        // The last request may have no second one to be answered with.
        let timeout = Duration::from_millis(300);
        let report = ran(&Plan { pace, depth: 4, timeout, ..server.plan() });
        let found = count(&report.errors, kind) + count(&report.warmup.errors, kind);
        let lies = lies.load(Ordering::SeqCst);
        assert!(lies > 0 && found == lies, "{pace:?}: {found} of {lies} {:?}", report.examples);
        let usual = [ErrorKind::GivenUp, ErrorKind::Timeout, ErrorKind::Unsent];
        let mut others = report.errors.keys().filter(|other| **other != kind);
        assert!(others.all(|other| usual.contains(other)), "{pace:?}: {:?}", report.errors);
        assert!(report.requests > 0 && report.connection_errors.is_empty(), "{pace:?}");
    }
}

/// B1: two answers that are swapped are caught, though both are right.
#[test]
fn swapped() {
    lied(ErrorKind::OutOfOrder, |first, second| [second, first].concat());
}

/// B1: an answer that is left out is caught at the next one.
#[test]
fn dropped() {
    lied(ErrorKind::OutOfOrder, |_, second| second.to_vec());
}

/// B1: one flipped bit of the last byte of an answer is caught.
#[test]
fn flipped_last() {
    lied(ErrorKind::Wrong, |first, second| {
        let mut both = [first, second].concat();
        *both.last_mut().unwrap() ^= 1;
        both
    });
}

/// B1: one flipped bit of one byte is caught, wherever it is, each time and in both loops, on lasting
/// connections and on one a request; all that the server has seen is answered or an error.
#[test]
fn flipped() {
    for (pace, churn) in [(PACES[0], false), (PACES[1], false), (PACES[0], true), (PACES[1], true)]
    {
        let flips = Arc::new(AtomicU64::new(0));
        let (all, flipped) = (AtomicU64::new(0), Arc::clone(&flips));
        let server = Server::answering(move |_, reply| {
            let number = all.fetch_add(1, Ordering::SeqCst);
            if number % 50 == 7 {
                flipped.fetch_add(1, Ordering::SeqCst);
                reply[(number / 50 % SIZE as u64) as usize] ^= 1;
            }
        });
        let report = ran(&Plan { pace, churn, ..server.plan() });
        let found = |errors| count(errors, ErrorKind::Wrong);
        let found = found(&report.errors) + found(&report.warmup.errors);
        let flips = flips.load(Ordering::SeqCst);
        assert!(flips > 0 && found == flips, "{pace:?} {churn}: {found} of {flips}");
        let seen = server.requests.load(Ordering::SeqCst);
        assert_eq!(report.whole.requests + found, seen, "{pace:?} {churn}: {report:?}");
    }
}

/// B1: the answers of two connections that are exchanged are caught, at depth 1 too.
#[test]
fn foreign() {
    let last = std::sync::Mutex::new(vec![b'A'; SIZE]);
    let server =
        Server::answering(move |_, reply| std::mem::swap(&mut *last.lock().unwrap(), reply));
    let report = ran(&server.plan());
    assert!(report.errors[&ErrorKind::OutOfOrder] > 0, "{:?}", report.errors);
}

/// B1: a server that answers unchanged where upper case is awaited: the example says what to do.
#[test]
fn unchanged() {
    let server = Server::answering(|_, reply| reply.make_ascii_lowercase());
    let report = ran(&server.plan());
    assert_eq!(report.requests, 0);
    assert!(report.examples[&ErrorKind::Wrong].contains("--verify echo"), "{:?}", report.examples);
    assert_eq!(ran(&Plan { verify: Verify::Echo, ..server.plan() }).failed(), 0);
}

/// B1: more than was asked for is an error: of the request that waits, or where none does of the
/// connection, which ends with it.
#[test]
fn too_much() {
    let server = Server::answering(|_, reply| reply.push(b'X'));
    let report = ran(&server.plan());
    let surplus = |errors| count(errors, ErrorKind::TooMuch);
    let all = surplus(&report.connection_errors) + surplus(&report.warmup.connection_errors);
    assert!(all > 0 && !report.is_clean(|_| true), "{:?}", report.connection_errors);
    // Each right answer had a byte too many; what comes behind the end is nobody's.
    assert!((all..=all + 4).contains(&report.whole.requests), "{all} {:?}", report.whole);
    let greets = Server::start(|mut stream, _| {
        let _ = stream.write_all(b"220 ready");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let report = ran(&Plan { verify: Verify::None, size: 4, depth: 3, ..greets.plan() });
    let errors = &report.errors;
    assert!(errors.keys().all(|kind| kind == &ErrorKind::Timeout), "{errors:?}");
}

/// B1: a server that ends or resets connections in the middle: each request that was in flight is an
/// error of its kind, and the run goes on with new connections.
#[test]
fn ends() {
    for (reset, kind) in [(false, ErrorKind::Closed), (true, ErrorKind::Reset)] {
        let server = Server::start(move |mut stream, counted| {
            let mut request = vec![0; SIZE];
            for _ in 0..20 {
                if stream.read_exact(&mut request).is_err() {
                    return;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                request.make_ascii_uppercase();
                let _ = stream.write_all(&request);
            }
            let _ = stream.read_exact(&mut request);
            let socket = socket2::Socket::from(stream);
            socket.set_linger(reset.then_some(Duration::ZERO)).unwrap();
        });
        let report = ran(&server.plan());
        assert!(report.errors[&kind] > 0, "{:?}", report.errors);
        assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
        let (all, connections) = (report.whole.requests, report.whole.connections);
        assert!(connections > 8 && report.requests > 0);
        assert!(all <= connections * 20 && all >= (connections - 4) * 20, "{all} on {connections}");
    }
}

/// B1: a server that falls silent: each request in flight is an error, and the run ends.
#[test]
fn silent() {
    let server = Server::start(|mut stream, _| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
    });
    let plan = Plan { timeout: Duration::from_millis(100), depth: 3, ..server.plan() };
    let report = ran(&plan);
    assert_eq!(report.requests, 0);
    assert_eq!(report.errors.keys().collect::<Vec<_>>(), [&ErrorKind::Timeout]);
    assert!(report.errors[&ErrorKind::Timeout] >= 12, "{:?}", report.errors);
}
