//! Bulk data, with servers that count as well.

use crate::throughput::{self, Direction, Receiver, ThroughputPlan};

use std::sync::mpsc;

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

/// A server of bulk data: it reads to the end of each stream, with `answer` for what came, and tells how
/// much it has read.
fn reads(answer: fn(&mut TcpStream, &[u8]) -> bool) -> (Server, mpsc::Receiver<u64>) {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let server = Server::start(move |mut stream, _| {
        let (mut buffer, mut sum) = (vec![0; 65536], 0);
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            sum += n as u64;
            if !answer(&mut stream, &buffer[..n]) {
                break;
            }
        }
        let _ = tell.lock().unwrap().send(sum);
    });
    (server, told)
}

/// What so many streams have brought, once all have ended.
fn sum(told: &mpsc::Receiver<u64>, streams: usize) -> u64 {
    (0..streams).map(|_| told.recv_timeout(Duration::from_secs(20)).unwrap()).sum()
}

/// B4: up, in parallel: where all of it is counted, what the server has read is what we say, to the
/// byte; each stream has its part, the seconds add up to the same, and the rate is that by the time.
#[test]
fn up() {
    let (server, told) = reads(|_, _| true);
    let all = plan(server.address, Direction::Up);
    let report = moved(&ThroughputPlan { streams: 3, warmup: Duration::ZERO, ..all });
    assert!(report.errors.is_empty(), "{:?}", report.examples);
    let came = sum(&told, 3);
    assert_eq!(report.streams.iter().map(|stream| stream.bytes_up).sum::<u64>(), came);
    assert_eq!(report.series.iter().map(|second| second.bytes_up).sum::<u64>(), came);
    assert!(report.streams.len() == 3 && report.streams.iter().all(|stream| stream.bytes_up > 0));
    assert!((report.up() - came as f64 / 0.3).abs() < 1.0 && report.down() == 0.0);
}

/// B4: what the warm-up moved is not counted, and all that was moved later is: at a rate that is held,
/// the measured time has its share of what the server has read.
#[test]
fn up_without_the_warmup() {
    let (server, told) = reads(|_, _| true);
    let report = moved(&ThroughputPlan {
        rate: Some(8_000_000),
        size: 1000,
        warmup: Duration::from_millis(200),
        ..plan(server.address, Direction::Up)
    });
    let (came, counted) = (sum(&told, 1), report.streams[0].bytes_up);
    assert!(counted < came && came <= 500_000 + 1000, "{counted} of {came}");
    // 200 ms of 500 are not counted; a busy machine may send later what was due then.
    let part = counted as f64 / came as f64;
    assert!((0.58..0.8).contains(&part), "{counted} of {came}");
}

/// B4: down, and both ways: never more than the server has written, nor more upwards than it has read,
/// and no less than is missing in the buffers between.
#[test]
fn down_and_both() {
    const BUFFERS: u64 = 16 * 1024 * 1024;
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let chargen = Server::start(move |mut stream, _| {
        let mut sum = 0;
        while let Ok(n) = stream.write(&[b'x'; 65536]) {
            sum += n as u64;
        }
        tell.lock().unwrap().send(sum).unwrap();
    });
    let all = |address, way| {
        let report = moved(&ThroughputPlan { warmup: Duration::ZERO, ..plan(address, way) });
        assert!(report.errors.is_empty(), "{:?}", report.examples);
        report
    };
    let report = all(chargen.address, Direction::Down);
    let (wrote, counted) = (sum(&told, 1), report.streams[0].bytes_down);
    assert!(counted <= wrote && counted + BUFFERS > wrote, "{counted} of {wrote}");
    assert!(counted > 0 && report.up() == 0.0);
    assert!((report.down() - counted as f64 / 0.3).abs() < 1.0);

    let (echo, told) = reads(|stream, bytes| stream.write_all(bytes).is_ok());
    let report = all(echo.address, Direction::Both);
    let (read, figures) = (sum(&told, 1), report.streams[0]);
    assert!(read <= figures.bytes_up && read + BUFFERS > figures.bytes_up, "{read} {figures:?}");
    assert!(0 < figures.bytes_down && figures.bytes_down <= read, "{read} {figures:?}");
}

/// B4: a rate is kept: never more than it allows, and not much less.
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
    // The window may begin with what the warm-up left over: at most what that allowed. A busy machine
    // catches up with what was due.
    let most = rate / 8 * 350 / 1000 + 2000;
    assert!(sum >= rate / 8 * 240 / 1000 && sum <= most, "{sum}");
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

/// Stands between a sender of numbered datagrams and their receiver, loses each `nth` of them, and counts
/// those that it hands on.
fn relay(to: SocketAddr, nth: u64) -> (SocketAddr, Arc<[AtomicU64; 2]>) {
    let front = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = front.local_addr().unwrap();
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let counted = Arc::clone(&counts);
    thread::spawn(move || {
        let mut backs: BTreeMap<SocketAddr, Arc<std::net::UdpSocket>> = BTreeMap::new();
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = front.recv_from(&mut buffer).unwrap();
            let back = backs.entry(from).or_insert_with(|| {
                let back = Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
                back.connect(to).unwrap();
                let (answers, front) = (Arc::clone(&back), front.try_clone().unwrap());
                thread::spawn(move || {
                    let mut buffer = [0; 2000];
                    while let Ok(length) = answers.recv(&mut buffer) {
                        let _ = front.send_to(&buffer[..length], from);
                    }
                });
                back
            });
            let data = length == 500;
            let [kept, lost] = &*counted;
            if data && (kept.load(Ordering::SeqCst) + lost.load(Ordering::SeqCst)) % nth == nth - 1
            {
                lost.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            kept.fetch_add(u64::from(data), Ordering::SeqCst);
            back.send(&buffer[..length]).unwrap();
        }
    });
    (address, counts)
}

/// B4: datagrams up: what their receiver says is what has come, to the datagram, and what somebody in
/// between has lost is lost; bytes are those that came.
#[test]
fn datagrams_up() {
    let receiver = Receiver::bind(&"udp://127.0.0.1:0".parse().unwrap()).unwrap();
    let behind = receiver.endpoints().remove(0).to_string();
    thread::spawn(move || receiver.run());
    let (address, counts) = relay(behind.strip_prefix("udp://").unwrap().parse().unwrap(), 10);
    let usual = ThroughputPlan::new(format!("udp://{address}").parse().unwrap(), Direction::Up);
    let report = moved(&ThroughputPlan {
        duration: Duration::from_millis(300),
        warmup: Duration::ZERO,
        rate: Some(4_000_000),
        size: 500,
        streams: 2,
        ..usual
    });
    assert!(report.errors.is_empty(), "{:?}", report.examples);
    let datagrams = report.datagrams.unwrap();
    let [kept, lost] = [0, 1].map(|i: usize| counts[i].load(Ordering::SeqCst));
    assert_eq!((datagrams.received, datagrams.lost), (kept, lost));
    assert_eq!((datagrams.reordered, datagrams.duplicates), (0, 0));
    // 1,000 datagrams a second for 300 ms, and the first of each socket at once.
    assert_eq!(datagrams.sent, kept + lost);
    assert!((270..=302).contains(&datagrams.sent), "{datagrams:?}");
    // The last answer may speak of what came behind the end; it counts by its part within.
    let bytes: u64 = report.streams.iter().map(|stream| stream.bytes_up).sum();
    assert!(bytes <= kept * 500 && bytes >= kept * 400, "{bytes} of {kept} datagrams");
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
