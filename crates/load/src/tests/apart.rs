//! Requests, connections and the warm-up are counted apart, as the server counts them.

use std::sync::Mutex;

use super::*;
use crate::draw::ink::Ink;

/// A plan of one connection, all of whose time is measured.
fn single(address: SocketAddr) -> Plan {
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

/// B1: a run that is ended early while a request is in flight says so; the server has done nothing
/// wrong.
#[test]
fn interrupted() {
    use std::ops::ControlFlow;

    // It answers when the run is over.
    let (over, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let server = Server::answering(move |_, _| wait.lock().unwrap().recv().unwrap_or(()));
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = format!("udp://{}", datagrams.local_addr().unwrap()).parse().unwrap();
    let long = Duration::from_secs(600);
    let tcp = Plan { duration: long, timeout: long, ..single(server.address) };
    let udp = Plan { endpoint: silent, ..tcp.clone() };
    for plan in [&tcp, &Plan { churn: true, ..tcp.clone() }, &udp] {
        let mut observer = |progress: &crate::Progress| match progress.bytes_out {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let report = run(plan, &mut observer).unwrap();
        assert!(report.stopped && report.begun == 1, "{report:?}");
        assert_eq!(report.errors, BTreeMap::from([(ErrorKind::Interrupted, 1)]));
    }
    drop(over);
}
