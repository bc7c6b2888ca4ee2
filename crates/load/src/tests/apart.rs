//! Requests, connections and the warm-up are counted apart, as the server counts them.

use super::ending::full;
use super::*;
use crate::draw::ink::Ink;

/// A plan of one connection, all of whose time is measured.
pub(super) fn single(address: SocketAddr) -> Plan {
    Plan {
        connections: 1,
        size: SIZE,
        duration: Duration::from_millis(300),
        warmup: Duration::ZERO,
        ..Plan::new(format!("tcp://{address}").parse().unwrap())
    }
}

/// B1: a server that answers ten requests, takes one more and is gone: eleven requests, of which one
/// failed; that nobody listens there any more is told of the connections.
#[test]
fn gone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut request = vec![0; SIZE];
        for _ in 0..10 {
            stream.read_exact(&mut request).unwrap();
            stream.write_all(&request.to_ascii_uppercase()).unwrap();
        }
        stream.read_exact(&mut request).unwrap();
    });
    let report = ran(&single(address));
    server.join().unwrap();
    assert_eq!((report.begun, report.requests), (11, 10));
    assert_eq!(report.errors, BTreeMap::from([(ErrorKind::Closed, 1)]));
    let again = &report.connection_errors;
    assert!(again.len() == 1 && again[&ErrorKind::Refused] > 1, "{again:?}");
    assert!(report.warmup.is_empty() && !report.is_clean(|_| true));
    let json = report.json();
    assert_eq!((&json["begun"], &json["errors"]), (&11.into(), &1.into()));
    assert_eq!(json["connection_errors"], json["connection_errors_by_kind"]["refused"]);
}

/// B1: a connection that the server ends while nothing is asked on it fails no request.
#[test]
fn idle() {
    let server = Server::start(|mut stream, counted| {
        let mut request = vec![0; SIZE];
        if stream.read_exact(&mut request).is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(&request.to_ascii_uppercase()).unwrap();
        }
    });
    let pace = Pace::Open { per_second: 20 };
    let report = ran(&Plan { pace, ..single(server.address) });
    let unsent = count(&report.errors, ErrorKind::Unsent);
    assert_eq!(report.failed(), unsent, "{:?}", report.errors);
    assert_eq!(report.requests, server.requests.load(Ordering::SeqCst));
    let ended = count(&report.connection_errors, ErrorKind::Closed);
    // The last end may be behind the last look.
    assert!(ended + 1 >= report.requests && ended <= report.requests, "{ended}");
}

/// B1: what fails in the warm-up alone is told as that, in words and in JSON, and not hidden behind
/// the measured time, which had no errors.
#[test]
fn warmup() {
    let bad = Arc::new(AtomicU64::new(0));
    let spoilt = Arc::clone(&bad);
    let server = Server::answering(move |number, reply| {
        if number == 0 && spoilt.fetch_add(1, Ordering::SeqCst) < 4 {
            reply[5] = b'?';
        }
    });
    let report = ran(&Plan { warmup: Duration::from_millis(300), ..server.plan() });
    assert!(bad.load(Ordering::SeqCst) > 4 && report.requests > 0);
    assert_eq!((report.failed(), report.connection_errors.len()), (0, 0));
    assert_eq!(report.warmup.errors, BTreeMap::from([(ErrorKind::Wrong, 4)]));
    assert!(!report.is_clean(|kind| kind == ErrorKind::Timeout));
    let text = crate::draw::report(&report, 80, Ink::Plain).join("\n");
    for said in ["no errors in the measured time\n", "in the warm-up: 4 errors: wrong-answer 4\n"] {
        assert!(text.contains(said), "{text}");
    }
    let json = report.json();
    assert_eq!((&json["errors"], &json["warmup"]["errors"]), (&0.into(), &4.into()));
    assert_eq!(json["warmup"]["errors_by_kind"]["wrong-answer"], 4);
}

/// B1: a server that always fails does so in the measured time too, however long the pauses have
/// become in the warm-up; on lasting connections and on one a request.
#[test]
fn no_pause_over_the_measured_time() {
    let server = Server::answering(|_, reply| reply.fill(b'?'));
    for churn in [false, true] {
        let (warmup, duration) = (Duration::from_millis(700), Duration::from_millis(100));
        let report = ran(&Plan { warmup, duration, churn, ..server.plan() });
        assert!(count(&report.errors, ErrorKind::Wrong) >= 4, "{churn}: {:?}", report.errors);
        assert!(count(&report.warmup.errors, ErrorKind::Wrong) > 4, "{churn}");
    }
}

/// B1: connections that a server never lets in are told, also where the run is over before anybody knows
/// what becomes of them.
#[test]
fn not_let_in() {
    let (_listener, _held, endpoint) = full(1);
    // As long as the run itself, so that the last attempts are on their way when it ends.
    let dial =
        sockeye_net::DialOptions { timeout: Duration::from_millis(1300), ..Default::default() };
    let report = ran(&Plan {
        connections: 3,
        dial,
        duration: Duration::from_millis(1200),
        warmup: Duration::ZERO,
        timeout: Duration::from_secs(2),
        ..Plan::new(endpoint.parse().unwrap())
    });
    assert_eq!((report.begun, report.requests), (1, 0), "{report:?}");
    assert!(report.warmup.connection_errors[&ErrorKind::Timeout] >= 2, "{:?}", report.warmup);
    assert!(report.connection_errors[&ErrorKind::Timeout] >= 2, "{:?}", report.connection_errors);
    assert!(report.examples[&ErrorKind::Timeout].contains("accept queue"), "{report:?}");
}
