//! What is reported is what was: counts, delays and stalls.

use std::sync::Mutex;
use std::time::Instant;

use super::*;

/// B1: what we count is what the server counts, to the request, the connection and the byte; and
/// each request of the measured time has one latency.
#[test]
fn sums() {
    let server = Server::answering(|_, _| {});
    for (depth, workers) in [(1, 1), (16, 2)] {
        let before = server.requests.load(Ordering::SeqCst);
        let opened = server.connections.load(Ordering::SeqCst);
        let plan = Plan { depth, workers, ..server.plan() };
        let report = ran(&plan);
        let counted = server.requests.load(Ordering::SeqCst) - before;
        assert_eq!(report.whole.requests, counted);
        assert_eq!(report.whole.bytes_out, counted * SIZE as u64);
        assert_eq!(report.whole.bytes_in, counted * SIZE as u64);
        assert_eq!(server.connections.load(Ordering::SeqCst) - opened, 4);
        assert_eq!(report.whole.connections, 4);
        assert!(report.requests > 0 && report.requests < counted);
        assert_eq!(report.latency.len(), report.requests);
        assert_eq!(
            report.series.iter().map(|second| second.requests).sum::<u64>(),
            report.requests
        );
        assert_eq!((report.failed(), report.elapsed), (0, plan.duration));
    }
}

/// B1: every request that was due at a fixed rate is answered or an error, and at a rate that is
/// reached none is late by much.
#[test]
fn rate() {
    let server = Server::answering(|_, _| {});
    for workers in [1, 3] {
        let pace = Pace::Open { per_second: 1000 };
        let report = ran(&Plan { pace, workers, depth: 16, ..server.plan() });
        assert_eq!(report.requests + report.failed(), 400);
        let unsent = report.errors.get(&ErrorKind::Unsent).copied().unwrap_or(0);
        assert_eq!(report.failed(), unsent, "{:?}", report.errors);
        assert!((report.rate() - report.requests as f64 / 0.4).abs() < 1e-6);
        let own = report.own_delay.unwrap();
        assert!(!own.is_empty() && own.len() <= 400);
    }
}

/// B2: what is due leaves when it is due, to a fraction of a millisecond: what the load adds to each
/// latency by being late is small beside what servers take.
#[test]
fn punctual() {
    let server = Server::answering(|_, _| {});
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = format!("udp://{}", udp.local_addr().unwrap()).parse().unwrap();
    // No whole milliseconds between two.
    let plan = Plan { pace: Pace::Open { per_second: 700 }, ..server.plan() };
    let timeout = Duration::from_millis(50);
    let datagrams = Plan { endpoint: silent, timeout, ..plan.clone() };
    for plan in [&plan, &Plan { churn: true, ..plan.clone() }, &datagrams] {
        // Other work of the machine makes nothing earlier.
        let late = |_| ran(plan).own_delay.unwrap().value_at_quantile(0.5);
        let least = (0..20).map(late).find(|late| *late < 250_000);
        assert!(least.is_some(), "{plan:?} is always late");
    }
}

/// B1: a rate that cannot be reached: so it is said, with what was reached.
#[test]
fn unreachable_rate() {
    let server = Server::answering(|_, _| thread::sleep(Duration::from_millis(5)));
    let pace = Pace::Open { per_second: 10_000 };
    let report = ran(&Plan { pace, depth: 4, ..server.plan() });
    // Four connections with 5 ms a request: 800 a second at most, of 4,000 in 400 ms.
    assert_eq!(report.requests + report.failed(), 4000);
    assert!(report.errors[&ErrorKind::Unsent] > 3000, "{:?}", report.errors);
    assert!(report.requests > 0 && report.examples.contains_key(&ErrorKind::Unsent));
    assert!(at(&report, 0.99) > Duration::from_millis(100), "what was held up shows");
}

/// B2: a delay of 5 ms reads as 5 ms, in both loops, on lasting connections and on one a request.
#[test]
fn delay() {
    let server = Server::answering(|_, _| thread::sleep(Duration::from_millis(5)));
    for pace in [Pace::Closed, Pace::Open { per_second: 200 }] {
        reads_five(&Plan { pace, ..server.plan() });
        reads_five(&Plan { pace, churn: true, ..server.plan() });
    }
}

/// B2: a server that stalls for 100 ms each second shows it at p99 in an open loop; a closed loop is
/// honest about being one.
#[test]
fn stall() {
    let stalled = Mutex::new(Instant::now());
    let server = Server::answering(move |_, _| {
        let mut since = stalled.lock().unwrap();
        if since.elapsed() >= Duration::from_secs(1) {
            thread::sleep(Duration::from_millis(100));
            *since = Instant::now();
        }
    });
    let plan = Plan { duration: Duration::from_millis(2200), ..server.plan() };
    let open = ran(&Plan { pace: Pace::Open { per_second: 2000 }, depth: 64, ..plan.clone() });
    assert!(at(&open, 0.99) >= Duration::from_millis(50), "{:?}", at(&open, 0.99));
    assert_eq!(open.json()["loop"], "open");
    let closed = ran(&plan);
    assert_eq!(closed.json()["loop"], "closed");
    assert!(closed.latency.max() >= 90_000_000, "one request a connection and stall has waited");
}

/// B1: an observer sees the phases in their order, and can end the run, whose report says so.
#[test]
fn observed() {
    use std::ops::ControlFlow;

    let server = Server::answering(|_, _| {});
    let plan = Plan { duration: Duration::from_secs(600), ..server.plan() };
    let mut phases = Vec::new();
    let mut observer = |progress: &crate::Progress| {
        if phases.last() != Some(&progress.phase) {
            phases.push(progress.phase);
        }
        let measuring = progress.phase == crate::Phase::Measuring && progress.requests > 0;
        if measuring { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let report = run(&plan, &mut observer).unwrap();
    assert!(report.stopped && report.requests > 0 && report.failed() == 0);
    assert!(report.elapsed < plan.duration);
    assert!(phases.contains(&crate::Phase::Measuring));
    assert_eq!(report.latency.len(), report.requests);
}

/// B1: a request so long that sending takes longer than --timeout is not silence, as long as some of it
/// is taken; of all answers none is lost, however long they are.
#[test]
fn long_requests() {
    const LONG: usize = 12 * 1024 * 1024;
    let server = Server::start(|mut stream, counted| {
        // What is in buffers has been sent, as far as a client can see: they are small here.
        socket2::SockRef::from(&stream).set_recv_buffer_size(128 * 1024).unwrap();
        let mut request = vec![0; LONG];
        let mut read = 0;
        while read < LONG {
            let end = LONG.min(read + 512 * 1024);
            // The pace of the server, not a wait for anything.
            thread::sleep(Duration::from_millis(30));
            if stream.read_exact(&mut request[read..end]).is_err() {
                return;
            }
            read = end;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        request.make_ascii_uppercase();
        let _ = stream.write_all(&request);
        // Until the client has it all.
        let _ = stream.read(&mut [0]);
    });
    let report = ran(&Plan {
        connections: 1,
        size: LONG,
        // One alone.
        pace: Pace::Open { per_second: 1 },
        duration: Duration::from_secs(1),
        warmup: Duration::ZERO,
        timeout: Duration::from_millis(400),
        ..server.plan()
    });
    assert_eq!((report.requests, report.failed()), (1, 0), "{:?}", report.errors);
    assert_eq!(report.whole.bytes_in, LONG as u64);
}

/// B1: where nobody listens there is no report but the reason.
#[test]
fn nobody() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plan = Plan::new(format!("tcp://{free}").parse().unwrap());
    let error = run(&plan, &mut ()).unwrap_err().to_string();
    assert!(error.contains("nothing listens"), "{error}");
}

/// B1: with --verify none any answer of the right length will do.
#[test]
fn unverified() {
    let server = Server::answering(|_, reply| reply.fill(b'?'));
    let report = ran(&Plan { verify: Verify::None, ..server.plan() });
    assert!(report.requests > 0 && report.failed() == 0);
}
