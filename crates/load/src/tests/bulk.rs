//! Bulk data, with servers that count as well.

use crate::throughput::{self, Direction, Receiver, ThroughputPlan};

use super::*;

fn plan(server: SocketAddr, direction: Direction) -> ThroughputPlan {
    ThroughputPlan {
        duration: Duration::from_millis(300),
        warmup: Duration::from_millis(50),
        ..ThroughputPlan::new(format!("tcp://{server}").parse().unwrap(), direction)
    }
}

fn moved(plan: &ThroughputPlan) -> crate::throughput::ThroughputReport {
    throughput::run(plan, &mut ()).unwrap()
}

/// B4: up, in parallel: what the server has read is what we sent, and each stream has its part.
#[test]
fn up() {
    let server = Server::start(|mut stream, read| {
        let mut buffer = vec![0; 65536];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            read.fetch_add(n as u64, Ordering::SeqCst);
        }
    });
    let mut last = 0;
    let mut observer = |progress: &crate::Progress| {
        last = progress.bytes_out;
        std::ops::ControlFlow::Continue(())
    };
    let plan = ThroughputPlan { streams: 3, ..plan(server.address, Direction::Up) };
    let report = throughput::run(&plan, &mut observer).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.examples);
    assert!(report.streams.len() == 3 && report.streams.iter().all(|stream| stream.bytes_up > 0));
    let sum: u64 = report.streams.iter().map(|stream| stream.bytes_up).sum();
    assert_eq!(report.series.iter().map(|second| second.bytes_up).sum::<u64>(), sum);
    assert!(sum >= last / 100 && report.down() == 0.0);
    // What was on its way is read, too, if not at once; the warm-up is not in the sum.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while server.requests.load(Ordering::SeqCst) < sum {
        assert!(std::time::Instant::now() < deadline, "the server has not read what was sent");
        thread::yield_now();
    }
}

/// B4: down, and both ways.
#[test]
fn down_and_both() {
    let chargen = Server::start(|mut stream, _| while stream.write_all(&[b'x'; 65536]).is_ok() {});
    let report = moved(&plan(chargen.address, Direction::Down));
    assert!(report.down() > 0.0 && report.up() == 0.0 && report.errors.is_empty());
    let echo = Server::start(|mut stream, _| {
        let mut buffer = vec![0; 65536];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..n]).is_err() {
                return;
            }
        }
    });
    let report = moved(&plan(echo.address, Direction::Both));
    assert!(report.down() > 0.0 && report.up() > 0.0, "{:?}", report.examples);
    assert!(report.errors.is_empty());
}

/// B4: a rate is kept: never more than it allows.
#[test]
fn bounded() {
    let server = Server::start(|mut stream, _| drop(stream.read_to_end(&mut Vec::new())));
    let rate = 8_000_000;
    let report = moved(&ThroughputPlan {
        rate: Some(rate),
        streams: 2,
        size: 1000,
        ..plan(server.address, Direction::Up)
    });
    let sum: u64 = report.streams.iter().map(|stream| stream.bytes_up).sum();
    // The window may begin with what the warm-up left over: at most what that allowed.
    assert!(sum > 0 && sum <= rate / 8 * 350 / 1000 + 2000, "{sum}");
}

/// B4: a server that ends a stream is an error, and the run is over when all have.
#[test]
fn ended() {
    let server = Server::start(|stream, _| drop(stream));
    let long = ThroughputPlan {
        duration: Duration::from_secs(600),
        ..plan(server.address, Direction::Down)
    };
    let report = moved(&long);
    assert_eq!(report.failed(), 1);
    assert!(report.examples.values().next().unwrap().contains("chargen"));
}

/// B4: datagrams up: their receiver counts them, and both agree.
#[test]
fn datagrams_up() {
    let receiver = Receiver::bind(&"udp://127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = receiver.endpoints().remove(0);
    thread::spawn(move || receiver.run());
    let usual = ThroughputPlan::new(endpoint, Direction::Up);
    let report = moved(&ThroughputPlan {
        duration: Duration::from_millis(300),
        warmup: Duration::from_millis(50),
        rate: Some(4_000_000),
        size: 500,
        streams: 2,
        ..usual
    });
    assert!(report.errors.is_empty(), "{:?}", report.examples);
    let datagrams = report.datagrams.unwrap();
    // 1,000 datagrams a second for 350 ms, and the first of each socket at once.
    assert!(datagrams.sent > 0 && datagrams.sent <= 352, "{datagrams:?}");
    assert_eq!((datagrams.lost, datagrams.reordered, datagrams.duplicates), (0, 0, 0));
    assert!(report.up() > 0.0);
}

/// B4: a server that answers is none to send bulk data to: it reads no further when nobody reads what
/// it says, so it is an error instead of a figure. One that only greets is none.
#[test]
fn answering() {
    let upper = Server::start(|mut stream, _| {
        let mut buffer = vec![0; 65536];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..n]).is_err() {
                return;
            }
        }
    });
    let long = |server: &Server| ThroughputPlan {
        duration: Duration::from_secs(600),
        ..plan(server.address, Direction::Up)
    };
    let report = moved(&long(&upper));
    assert_eq!(report.failed(), 1);
    let said = report.examples.values().next().unwrap();
    assert!(said.contains("discard") && said.contains("answers"), "{said}");
    let greets = Server::start(|mut stream, _| {
        stream.write_all(b"220 ready\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let report =
        moved(&ThroughputPlan { rate: Some(8_000_000), ..plan(greets.address, Direction::Up) });
    assert!(report.errors.is_empty() && report.up() > 0.0, "{:?}", report.examples);
}

/// B4, Q4: a receiver that says that it has more than was sent is an error, and no sum runs over.
#[test]
fn boasting() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        loop {
            let (_, from) = socket.recv_from(&mut buffer).unwrap();
            if buffer[0] == b'q' {
                let mut answer = [b'z'; 74];
                answer[0] = b'r';
                answer[1..9].copy_from_slice(&buffer[1..9]);
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    let usual = ThroughputPlan::new(format!("udp://{address}").parse().unwrap(), Direction::Up);
    let report = moved(&ThroughputPlan { duration: Duration::from_secs(600), streams: 2, ..usual });
    assert_eq!(report.errors[&crate::ErrorKind::Wrong], 2, "{:?}", report.examples);
    assert_eq!(report.up(), 0.0);
}

/// B4: a receiver ends when it is told to, and its socket file goes with it.
#[test]
fn receiver_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let endpoint = format!("unixgram:{}", path.display()).parse().unwrap();
    let receiver = Receiver::bind(&endpoint).unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| receiver.run());
        receiver.end();
        running.join().unwrap().unwrap();
    });
    assert!(path.exists());
    drop(receiver);
    assert!(!path.exists());
}

/// B4: where no receiver answers, that is said instead of a figure.
#[test]
fn nobody_counts() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", silent.local_addr().unwrap()).parse().unwrap();
    let error =
        throughput::run(&ThroughputPlan::new(endpoint, Direction::Up), &mut ()).unwrap_err();
    assert!(error.to_string().contains("--serve"), "{error}");
}

/// B4: datagrams both ways: a loss, a duplicate and a change of order of the echo are counted.
#[test]
fn datagrams_both() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let (mut buffer, mut held) = ([0; 2000], None);
        for number in 0_u64.. {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let send = |bytes: &[u8]| drop(socket.send_to(bytes, from));
            match number {
                10 => {}
                20 => (0..2).for_each(|_| send(&buffer[..length])),
                30 => held = Some(buffer[..length].to_vec()),
                31 => {
                    send(&buffer[..length]);
                    send(&held.take().unwrap());
                }
                _ => send(&buffer[..length]),
            }
        }
    });
    let usual = ThroughputPlan::new(format!("udp://{address}").parse().unwrap(), Direction::Both);
    let report = moved(&ThroughputPlan {
        duration: Duration::from_millis(300),
        warmup: Duration::ZERO,
        rate: Some(4_000_000),
        size: 500,
        ..usual
    });
    let datagrams = report.datagrams.unwrap();
    assert!(datagrams.sent > 31, "{datagrams:?}");
    assert_eq!((datagrams.lost, datagrams.duplicates, datagrams.reordered), (1, 1, 1));
    assert!(report.errors.is_empty() && report.down() > 0.0, "{:?}", report.examples);
}
