//! Runs that are ended early, at whatever moment: at once, and with figures of the time that they had.

use std::net::UdpSocket;
use std::ops::ControlFlow;
use std::sync::Mutex;

use super::apart::single;
use super::*;
use crate::throughput::{self, Direction, ThroughputPlan};

/// A server whose listen queue has room for so many connections, and that takes none.
pub(super) fn full(room: usize) -> (socket2::Socket, Vec<TcpStream>, String) {
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // Linux takes one more than was asked for.
    let held = (room..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    (listener, held, format!("tcp://{address}"))
}

/// Ends a run at the first look of the phase.
fn at_once(phase: crate::Phase) -> impl FnMut(&crate::Progress) -> ControlFlow<()> {
    move |progress| match progress.phase == phase {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

/// B1, B4: a run that is ended while the server is being reached ends at once, and says that nothing
/// was measured; nobody waits for the time that connecting may take.
#[test]
fn reaching() {
    for room in [0, 1] {
        let (_listener, _held, endpoint) = full(room);
        let endpoint: sockeye_net::Endpoint = endpoint.parse().unwrap();
        let dial =
            sockeye_net::DialOptions { timeout: Duration::from_secs(600), ..Default::default() };
        let mut observer = at_once(crate::Phase::Connecting);
        let plan = Plan { connections: 3, dial: dial.clone(), ..Plan::new(endpoint.clone()) };
        let report = run(&plan, &mut observer).unwrap();
        assert!(report.stopped && report.begun == 0 && report.elapsed.is_zero(), "{report:?}");
        let usual = ThroughputPlan::new(endpoint, Direction::Up);
        let (_listener, _held, endpoint) = full(room);
        let endpoint = endpoint.parse().unwrap();
        let plan = ThroughputPlan { endpoint, streams: 3, dial, ..usual };
        let report = throughput::run(&plan, &mut observer).unwrap();
        assert!(report.stopped && report.streams.is_empty() && report.failed() == 0);
    }
}

/// B1, B4: the rate of a run that is ended early is by the time in which it was sent: no more than the
/// rate that was held.
#[test]
fn held_to_the_end() {
    let server = Server::answering(|_, _| {});
    let long = Duration::from_secs(600);
    for churn in [false, true] {
        let pace = Pace::Open { per_second: 1000 };
        let plan = Plan { pace, churn, duration: long, warmup: Duration::ZERO, ..server.plan() };
        let report = run(&plan, &mut at_once(crate::Phase::Measuring)).unwrap();
        let due = report.elapsed.as_secs_f64() * 1000.0 + 1.0;
        assert!(report.stopped && report.begun > 0, "{report:?}");
        assert!(report.begun as f64 <= due, "{} of {due}", report.begun);
    }
    let sink = Server::start(|mut stream, _| drop(stream.read_to_end(&mut Vec::new())));
    let endpoint = format!("tcp://{}", sink.address).parse().unwrap();
    let usual = ThroughputPlan::new(endpoint, Direction::Up);
    let (rate, size) = (Some(8_000_000), 1000);
    let plan = ThroughputPlan { duration: long, warmup: Duration::ZERO, rate, size, ..usual };
    let report = throughput::run(&plan, &mut at_once(crate::Phase::Measuring)).unwrap();
    let most = report.elapsed.as_secs_f64() * 1e6 + 1.0;
    let sum = report.streams[0].bytes_up;
    assert!(report.stopped && sum > 0 && sum as f64 <= most, "{sum} of {most}");
}

/// B1: a run that is ended early while a request is in flight says so; the server has done nothing
/// wrong.
#[test]
fn interrupted() {
    // It answers when the run is over.
    let (over, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let server = Server::answering(move |_, _| wait.lock().unwrap().recv().unwrap_or(()));
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
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
