//! Datagrams: to servers that lose, repeat, delay and spoil them.

use std::net::UdpSocket;

use super::*;

/// A server that does with datagram `number` and its answer as it is told; gives its address and how
/// many it has received.
fn serve(answer: impl Fn(u64, Vec<u8>, &dyn Fn(&[u8])) + Send + 'static) -> (Plan, Arc<AtomicU64>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let received = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&received);
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        for number in 0.. {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let reply = buffer[..length].to_ascii_uppercase();
            answer(number, reply, &|reply| drop(socket.send_to(reply, from)));
        }
    });
    let plan = Plan {
        connections: 2,
        duration: Duration::from_millis(400),
        warmup: Duration::from_millis(50),
        timeout: Duration::from_secs(10),
        ..Plan::new(format!("udp://{address}").parse().unwrap())
    };
    (plan, received)
}

/// B1, B4: an honest server: what we count is what it counts, in both loops and of any length.
#[test]
fn sums() {
    let (plan, received) = serve(|_, reply, send| send(&reply));
    for (size, pace) in [
        (64, Pace::Closed),
        (0, Pace::Closed),
        (3, Pace::Closed),
        (1400, Pace::Open { per_second: 500 }),
    ] {
        let before = received.load(Ordering::SeqCst);
        let report = ran(&Plan { size, pace, depth: 4, ..plan.clone() });
        let datagrams = report.datagrams.unwrap();
        let unsent = report.errors.get(&ErrorKind::Unsent).copied().unwrap_or(0);
        assert_eq!(report.failed(), unsent, "{size}: {:?}", report.examples);
        if pace != Pace::Closed {
            assert_eq!(report.requests + unsent, 200);
        }
        assert_eq!(datagrams.sent, received.load(Ordering::SeqCst) - before);
        assert_eq!(datagrams.received, datagrams.sent);
        assert_eq!((datagrams.lost, datagrams.duplicates, datagrams.reordered), (0, 0, 0));
        assert_eq!(report.whole.requests, datagrams.sent);
        assert_eq!(report.whole.bytes_out, datagrams.sent * size as u64);
    }
}

/// B1, B4: one in fifty is lost, one comes twice, two change places, and one is spoilt.
#[test]
fn faults() {
    let held = std::sync::Mutex::new(None);
    let (plan, _) = serve(move |number, mut reply, send| match number % 50 {
        7 => {}
        17 => {
            send(&reply);
            send(&reply);
        }
        27 => *held.lock().unwrap() = Some(reply),
        28 => {
            send(&reply);
            held.lock().unwrap().take().iter().for_each(|held| send(held));
        }
        37 => {
            reply[40] ^= 1;
            send(&reply);
        }
        _ => send(&reply),
    });
    // One socket, so that the two that change places are its own; no more in flight than a socket holds.
    let pace = Pace::Open { per_second: 1000 };
    let (duration, timeout) = (Duration::from_secs(1), Duration::from_secs(5));
    let report = ran(&Plan { pace, duration, timeout, connections: 1, depth: 100, ..plan });
    let error = |kind| report.errors.get(&kind).copied().unwrap_or(0);
    let datagrams = report.datagrams.unwrap();
    let sent = datagrams.sent;
    assert!((50..=1050).contains(&sent), "{sent}");
    // A busy machine falls behind: what was due in the warm-up is dropped with it, and what was due
    // later is told. The last of those that were sent belong to the measured time.
    let measured = 1000 - error(ErrorKind::Unsent);
    let of = |range: std::ops::Range<u64>, turn| range.filter(|n| n % 50 == turn).count() as u64;
    // One that waits for the next to overtake it is lost where no next one came.
    let held = u64::from(sent % 50 == 28);
    let lost = |range: std::ops::Range<u64>| of(range, 7) + held;
    let spoilt = of(sent - measured..sent, 37);
    assert_eq!(error(ErrorKind::Timeout), lost(sent - measured..sent));
    assert_eq!(error(ErrorKind::Wrong), spoilt);
    assert_eq!(report.requests, measured - lost(sent - measured..sent) - spoilt);
    // A spoilt answer is none that has come.
    assert_eq!(datagrams.lost, lost(0..sent) + of(0..sent, 37));
    assert_eq!((datagrams.duplicates, datagrams.reordered), (of(0..sent, 17), of(0..sent, 28)));
}

/// B2: a datagram counts from the time at which it was to be sent, and leaves then, however slow the
/// server is and whatever the depth.
#[test]
fn intended() {
    let (plan, _) = serve(|_, reply, send| {
        thread::sleep(Duration::from_millis(10));
        send(&reply);
    });
    let pace = Pace::Open { per_second: 500 };
    let report = ran(&Plan { pace, warmup: Duration::ZERO, depth: 1, ..plan });
    let unsent = count(&report.errors, ErrorKind::Unsent);
    assert_eq!((report.requests + unsent, report.failed()), (200, unsent), "{:?}", report.errors);
    assert!(unsent <= 10, "the schedule went on: {unsent}");
    // The hundredth is answered after a second, and was due after 200 ms.
    assert!(at(&report, 0.5) >= Duration::from_millis(700), "{:?}", at(&report, 0.5));
}

/// B1, B2: a server that loses every fourth datagram slows nothing down: the rate is held, what it
/// answered is answered, and what it lost is lost, to the datagram.
#[test]
fn lossy() {
    let (plan, received) = serve(|number, reply, send| {
        if number % 4 != 3 {
            send(&reply);
        }
    });
    let (duration, timeout) = (Duration::from_millis(600), Duration::from_secs(2));
    let pace = Pace::Open { per_second: 1000 };
    let report = ran(&Plan { pace, duration, timeout, warmup: Duration::ZERO, ..plan });
    let datagrams = report.datagrams.unwrap();
    let came = received.load(Ordering::SeqCst);
    // A busy machine may miss what was due in the last moments.
    assert!((570..=600).contains(&report.begun), "{} were begun", report.begun);
    assert_eq!((datagrams.sent, report.begun), (came, came));
    assert_eq!((datagrams.lost, report.requests), (came / 4, came - came / 4));
    assert_eq!(count(&report.errors, ErrorKind::Timeout), came / 4);
    assert_eq!(report.own_delay.as_ref().unwrap().len(), came, "each has its lateness");
    assert_eq!(datagrams.dropped_here, 0);
    let text = crate::draw::report(&report, 80, crate::draw::ink::Ink::Plain).join("\n");
    assert!(text.contains("any depth"), "{text}");
    assert!(text.contains("The rate was held") || report.begun < 594, "{text}");
}

/// B1, Q4: where nothing is answered, what is remembered of it is bounded; what was held back for that
/// is said.
#[test]
fn remembered() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", silent.local_addr().unwrap()).parse().unwrap();
    let (plan, _) = serve(|_, _, _| {});
    let report = ran(&Plan {
        endpoint,
        connections: 1,
        pace: Pace::Open { per_second: 2_000_000 },
        warmup: Duration::ZERO,
        timeout: Duration::from_secs(1),
        ..plan
    });
    let unsent = count(&report.errors, ErrorKind::Unsent);
    // The last ones leave when the end is noticed, and not long after it.
    let late = report.own_delay.as_ref().unwrap().max();
    assert!(late < 900_000_000, "late by {late} ns");
    assert!(report.begun <= sockeye_limits::LOAD_KNOWN, "{}", report.begun);
    assert_eq!((report.begun + unsent, report.requests), (800_000, 0));
    assert_eq!(count(&report.errors, ErrorKind::Timeout), report.begun);
    assert!(report.examples[&ErrorKind::Unsent].contains("--timeout"), "{:?}", report.examples);
}

/// B2: at a fixed rate a server that refuses is asked on, at that rate, and each datagram has failed
/// once.
#[test]
fn refused_at_a_rate() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (plan, _) = serve(|_, _, _| {});
    let endpoint = format!("udp://{free}").parse().unwrap();
    let timeout = Duration::from_millis(100);
    let pace = Pace::Open { per_second: 500 };
    let report = ran(&Plan { endpoint, timeout, pace, warmup: Duration::ZERO, ..plan });
    assert!(report.requests == 0 && report.begun >= 190, "{}", report.begun);
    // Of several that leave with one call the system may forget what the network said of one.
    let lost = count(&report.errors, ErrorKind::Timeout);
    assert_eq!(count(&report.errors, ErrorKind::Refused) + lost, report.begun);
    assert!(lost < report.begun / 2, "{:?}", report.errors);
}

/// B2: a server that takes 5 ms shows 5 ms, in both loops.
#[test]
fn delay() {
    let (plan, _) = serve(|_, reply, send| {
        thread::sleep(Duration::from_millis(5));
        send(&reply);
    });
    for pace in [Pace::Closed, Pace::Open { per_second: 50 }] {
        reads_five(&Plan { pace, connections: 1, ..plan.clone() });
    }
}

/// B1, Q4: a server that floods us with datagrams that nobody asked for does not keep the run from its
/// end.
#[test]
fn flood() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let flooding = thread::spawn(move || {
        let mut buffer = [0; 2000];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        let reply = buffer[..length].to_ascii_uppercase();
        while !ended.load(Ordering::SeqCst) {
            let _ = socket.send_to(&reply, from);
        }
    });
    let (plan, _) = serve(|_, _, _| {});
    let endpoint = format!("udp://{address}").parse().unwrap();
    let timeout = Duration::from_millis(100);
    let report = ran(&Plan { endpoint, timeout, connections: 1, size: 8, ..plan });
    over.store(true, Ordering::SeqCst);
    flooding.join().unwrap();
    assert!(report.datagrams.unwrap().duplicates > 0);
    assert!(report.errors.contains_key(&ErrorKind::Timeout), "{:?}", report.errors);
}

/// B1: where nobody receives, each datagram comes back as refused, and not as fast as it goes.
#[test]
fn refused() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (plan, _) = serve(|_, _, _| {});
    let endpoint = format!("udp://{free}").parse().unwrap();
    let report = ran(&Plan { endpoint, ..plan });
    assert_eq!(report.requests, 0);
    let refused = report.errors[&ErrorKind::Refused];
    assert!((1..1000).contains(&refused), "{refused}");
    assert!(report.examples[&ErrorKind::Refused].contains("Start the server"));
}

/// B1: Unix datagrams as well.
#[test]
fn unix() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            buffer[..length].make_ascii_uppercase();
            let from =
                std::os::linux::net::SocketAddrExt::as_abstract_name(&from).map(<[u8]>::to_vec);
            let name = from.expect("a client has a name of its own");
            let to = <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
            let _ = socket.send_to_addr(&buffer[..length], &to.unwrap());
        }
    });
    let (plan, _) = serve(|_, _, _| {});
    let endpoint = format!("unixgram:{}", path.display()).parse().unwrap();
    let report = ran(&Plan { endpoint, depth: 4, ..plan });
    assert!(report.requests > 0 && report.failed() == 0, "{:?}", report.examples);
}
