//! Runs against servers of known behaviour: what they do is what the reports say.

mod apart;
mod bulk;
mod churn;
mod datagrams;
mod ending;
mod lies;
mod truth;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::{ErrorKind, Pace, Plan, Report, Verify, run};

/// Bytes of a request.
const SIZE: usize = 64;

/// A server whose connections are served as `each` says, a thread each; with what it has counted.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Server {
    fn start(each: impl Fn(TcpStream, &AtomicU64) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counted, accepted) = (Arc::clone(&requests), Arc::clone(&connections));
        let each = Arc::new(each);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (each, counted) = (Arc::clone(&each), Arc::clone(&counted));
                accepted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || each(stream, &counted));
            }
        });
        Server { address, requests, connections }
    }

    /// Answers each request of [`SIZE`] bytes as `answer` says, from its number on this connection.
    fn answering(answer: impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static) -> Server {
        Server::start(move |mut stream, counted| {
            let mut number = 0;
            let mut request = vec![0; SIZE];
            while stream.read_exact(&mut request).is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut reply = request.to_ascii_uppercase();
                answer(number, &mut reply);
                number += 1;
                if stream.write_all(&reply).is_err() {
                    return;
                }
            }
        })
    }

    fn plan(&self) -> Plan {
        Plan {
            connections: 4,
            size: SIZE,
            duration: Duration::from_millis(400),
            warmup: Duration::from_millis(50),
            ..Plan::new(format!("tcp://{}", self.address).parse().unwrap())
        }
    }
}

/// Runs it; and whatever happened, each request that was begun has had one fate.
fn ran(plan: &Plan) -> Report {
    let report = run(plan, &mut ()).unwrap();
    let unsent = report.errors.get(&ErrorKind::Unsent).copied().unwrap_or(0);
    assert_eq!(report.begun + unsent, report.requests + report.failed(), "{report:?}");
    assert_eq!(report.latency.len(), report.requests);
    report
}

/// How often that was among the errors.
fn count(errors: &BTreeMap<ErrorKind, u64>, kind: ErrorKind) -> u64 {
    errors.get(&kind).copied().unwrap_or(0)
}

/// That a server which takes 5 ms for each request shows as one: p50 and p99 are 5 ms and not much more.
/// Other work of the machine makes a time longer and never shorter, so that the best of some runs
/// counts.
fn reads_five(plan: &Plan) {
    let most = [7, 10].map(Duration::from_millis);
    let mut best = [Duration::MAX; 2];
    for _ in 0..20 {
        let report = ran(plan);
        let points = [0.5, 0.99].map(|quantile| at(&report, quantile));
        assert!(report.requests > 0 && points[0] >= Duration::from_millis(5), "{points:?}");
        best = [best[0].min(points[0]), best[1].min(points[1])];
        if best[0] <= most[0] && best[1] <= most[1] {
            return;
        }
    }
    panic!("{:?}: 5 ms read {best:?}", plan.pace);
}

/// Nanoseconds at a quantile.
fn at(report: &Report, quantile: f64) -> Duration {
    Duration::from_nanos(report.latency.value_at_quantile(quantile))
}
