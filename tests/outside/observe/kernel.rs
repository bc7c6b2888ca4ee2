//! The kernel does what `--tune`, docs/errors.md and the explanations say that it does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use sockeye::observe::counters::Counters;
use sockeye::observe::sockets::{self, Protocol, State, TimerKind, find};
use sockeye::observe::tune;

use super::{closed_by_server, plain_listener, wait_time_wait};
use crate::harness::eventually;
use crate::harness::namespace::{firewall, in_namespace, nft, no_firewall};
use crate::harness::process::tool;

fn set(name: &str, value: &str) {
    tool("sysctl", &["-qw", &format!("{name}={value}")]);
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn bind(at: SocketAddr, reuse: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    socket.set_reuse_address(reuse)?;
    socket.bind(&at.into())?;
    socket.listen(8)?;
    Ok(socket)
}

fn start_connecting(at: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    // In progress is all that is wanted.
    let _ = socket.connect(&at.into());
    socket
}

/// Sockets at that address in that state.
fn count(at: SocketAddr, state: State) -> usize {
    let all = sockets::list(&[Protocol::Tcp]).unwrap();
    all.iter().filter(|socket| socket.local == at && socket.state == state).count()
}

/// O5: TIME-WAIT is 60 s with tcp_fin_timeout at 1; that is for FIN-WAIT-2, where a connection which
/// its program has closed waits for the peer's FIN, and is over soon.
#[test]
fn fin_timeout_is_not_time_wait() {
    in_namespace("observe::kernel::fin_timeout_is_not_time_wait", &["sysctl"], || {
        set("net.ipv4.tcp_fin_timeout", "1");
        let (listener, at) = plain_listener("127.0.0.1:0", false, 8);
        let near = TcpStream::connect(at).unwrap();
        let client = near.local_addr().unwrap();
        drop(listener.accept().unwrap());
        eventually("FIN-WAIT-2 is over", || find(at, client).unwrap().is_none());
        assert_eq!(find(client, at).unwrap().unwrap().state, State::CloseWait);
        let client = closed_by_server(&listener, at);
        let left = wait_time_wait(at, client);
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60), "{left:?}");
    });
}

/// O4, L4, fault 21: a bind over TIME-WAIT needs SO_REUSEADDR on the old socket and on the new one; if
/// the client has closed first, the server needs neither.
#[test]
fn row_21_reuse_on_both() {
    in_namespace("observe::kernel::row_21_reuse_on_both", &[], || {
        for (old, new) in [(false, false), (false, true), (true, false), (true, true)] {
            let (listener, at) = plain_listener("127.0.0.1:0", old, 8);
            closed_by_server(&listener, at);
            drop(listener);
            let expected = (!(old && new)).then_some(Errno::ADDRINUSE.raw_os_error());
            assert_eq!(errno(bind(at, new)), expected, "old {old}, new {new}");
        }
        let (listener, at) = plain_listener("127.0.0.1:0", false, 8);
        let near = TcpStream::connect(at).unwrap();
        let client = near.local_addr().unwrap();
        let (far, _) = listener.accept().unwrap();
        drop(near);
        drop(far);
        wait_time_wait(client, at);
        drop(listener);
        assert_eq!(find(at, client).unwrap(), None, "the server's side is gone");
        bind(at, false).unwrap();
    });
}

/// O4, fault 22: a wildcard and a specific address are in each other's way while one listens, with
/// SO_REUSEADDR too; two specific addresses are not.
#[test]
fn row_22_wildcard_and_specific() {
    in_namespace("observe::kernel::row_22_wildcard_and_specific", &[], || {
        let used = Some(Errno::ADDRINUSE.raw_os_error());
        let at = |ip: &str, port: u16| format!("{ip}:{port}").parse::<SocketAddr>().unwrap();
        let (_specific, first) = plain_listener("127.0.0.1:0", true, 8);
        assert_eq!(errno(bind(at("0.0.0.0", first.port()), true)), used);
        assert_eq!(errno(bind(at("[::]", first.port()), true)), used);
        assert!(bind(at("127.0.0.2", first.port()), true).is_ok());
        let (_wildcard, second) = plain_listener("0.0.0.0:0", true, 8);
        assert_eq!(errno(bind(at("127.0.0.1", second.port()), true)), used);
    });
}

/// O5: listen(2) cuts a backlog to somaxconn without a word, and one more than that waits.
#[test]
fn backlog_is_cut() {
    in_namespace("observe::kernel::backlog_is_cut", &["sysctl"], || {
        set("net.core.somaxconn", "2");
        let (_listener, at) = plain_listener("127.0.0.1:0", true, 100);
        let _clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(at).unwrap()).collect();
        let all = sockets::list(&[Protocol::Tcp]).unwrap();
        let listener = all.iter().find(|s| s.state == State::Listen).unwrap();
        assert_eq!((listener.receive_queue, listener.send_queue), (3, 2));
        assert!(listener.is_full());
        let _late = start_connecting(at);
        eventually("a fourth is dropped", || Counters::read().listen_overflows > 0);
    });
}

/// O5: what completes its handshake when the accept queue is full is left waiting, or reset with
/// tcp_abort_on_overflow.
#[test]
fn abort_on_overflow() {
    in_namespace("observe::kernel::abort_on_overflow", &["sysctl", "nft"], || {
        firewall();
        for abort in ["0", "1"] {
            set("net.ipv4.tcp_abort_on_overflow", abort);
            let (_listener, at) = plain_listener("127.0.0.1:0", true, 2);
            let _two = [TcpStream::connect(at).unwrap(), TcpStream::connect(at).unwrap()];
            // Two handshakes begin while there is room for one connection more.
            nft("add rule inet t out tcp flags & (syn | ack) == (syn | ack) drop");
            let clients = [start_connecting(at), start_connecting(at)];
            eventually("both have begun", || count(at, State::SynReceived) == 2);
            no_firewall();
            let refused = |client: &Socket| {
                let mut client = client;
                let mut byte = [0];
                errno(client.read(&mut byte)) == Some(Errno::CONNRESET.raw_os_error())
            };
            let ends: Vec<SocketAddr> = clients
                .iter()
                .map(|client| client.local_addr().unwrap().as_socket().unwrap())
                .collect();
            if abort == "1" {
                eventually("one is reset", || clients.iter().any(&refused));
            } else {
                let state = |a, b| find(a, b).unwrap().map(|socket| socket.state);
                eventually("one waits, and does not know it", || {
                    ends.iter().any(|end| {
                        state(*end, at) == Some(State::Established)
                            && state(at, *end) == Some(State::SynReceived)
                    })
                });
            }
        }
    });
}

/// O5: tcp_max_syn_backlog is not looked at while cookies are on; else from three quarters of it on
/// SYNs are dropped.
#[test]
fn syn_backlog() {
    in_namespace("observe::kernel::syn_backlog", &["sysctl", "nft"], || {
        firewall();
        nft("add rule inet t out tcp flags & (syn | ack) == (syn | ack) drop");
        set("net.ipv4.tcp_max_syn_backlog", "8");
        for (cookies, open) in [("1", 20), ("0", 7)] {
            set("net.ipv4.tcp_syncookies", cookies);
            let (_listener, at) = plain_listener("127.0.0.1:0", true, 64);
            let _clients: Vec<Socket> = (0..20).map(|_| start_connecting(at)).collect();
            assert_eq!(count(at, State::SynReceived), open, "tcp_syncookies={cookies}");
            assert_eq!(Counters::read().cookies_sent, 0);
        }
    });
}

/// O5: connect(2) sends its SYN again as often as tcp_syn_retries and, where the kernel has it,
/// tcp_syn_linear_timeouts say together.
#[test]
fn syn_retries() {
    in_namespace("observe::kernel::syn_retries", &["sysctl", "nft"], || {
        set("net.ipv4.tcp_syn_retries", "1");
        let even = tune::read("net.ipv4.tcp_syn_linear_timeouts").is_some();
        if even {
            set("net.ipv4.tcp_syn_linear_timeouts", "1");
        }
        firewall();
        nft("add rule inet t out tcp dport 9000 counter drop");
        let result = TcpStream::connect("127.0.0.1:9000");
        assert_eq!(errno(result), Some(Errno::TIMEDOUT.raw_os_error()));
        let rules = tool("nft", &["list", "table", "inet", "t"]);
        let sent = if even { 3 } else { 2 };
        assert!(rules.contains(&format!("packets {sent} ")), "{rules}");
        let settings = tune::settings();
        let said = settings.iter().find(|s| s.name == "net.ipv4.tcp_syn_retries").unwrap();
        assert!(said.meaning.contains(&format!("SYN {} times again", sent - 1)), "{said:?}");
    });
}

/// O5: tcp_retries2 bounds how long data is sent again.
#[test]
fn retries() {
    in_namespace("observe::kernel::retries", &["sysctl", "nft"], || {
        set("net.ipv4.tcp_retries2", "1");
        let (listener, at) = plain_listener("127.0.0.1:0", true, 8);
        let mut near = TcpStream::connect(at).unwrap();
        let _far = listener.accept().unwrap();
        firewall();
        nft(&format!("add rule inet t out tcp dport {} drop", at.port()));
        near.write_all(b"x").unwrap();
        assert_eq!(errno(near.read(&mut [0])), Some(Errno::TIMEDOUT.raw_os_error()));
    });
}

/// O5, fault 20: tcp_tw_reuse lets outgoing connections take over a port in TIME-WAIT, and no bind.
#[test]
fn row_20_reuse_is_for_clients() {
    in_namespace("observe::kernel::row_20_reuse_is_for_clients", &["sysctl"], || {
        set("net.ipv4.ip_local_port_range", "40000 40000");
        set("net.ipv4.tcp_tw_reuse", "0");
        let (listener, at) = plain_listener("127.0.0.1:9000", false, 8);
        let connect_and_close = || -> io::Result<SocketAddr> {
            let near = TcpStream::connect(at)?;
            let (far, _) = listener.accept()?;
            let client = near.local_addr()?;
            drop(near);
            drop(far);
            wait_time_wait(client, at);
            Ok(client)
        };
        let client = connect_and_close().unwrap();
        assert_eq!(errno(connect_and_close()), Some(Errno::ADDRNOTAVAIL.raw_os_error()));
        set("net.ipv4.tcp_tw_reuse", "1");
        eventually("the port is taken over", || connect_and_close().is_ok());
        assert!(Counters::read().time_wait_reused > 0);
        assert_eq!(errno(bind(client, false)), Some(Errno::ADDRINUSE.raw_os_error()));
    });
}

/// O5: beyond tcp_max_tw_buckets connections skip TIME-WAIT, which is counted.
#[test]
fn most_time_waits() {
    in_namespace("observe::kernel::most_time_waits", &["sysctl"], || {
        set("net.ipv4.tcp_max_tw_buckets", "1");
        let (listener, at) = plain_listener("127.0.0.1:0", true, 8);
        closed_by_server(&listener, at);
        for _ in 0..3 {
            let near = TcpStream::connect(at).unwrap();
            drop(listener.accept().unwrap());
            drop(near);
        }
        eventually("the others are gone", || {
            let all = sockets::list(&[Protocol::Tcp]).unwrap();
            all.iter().all(|s| matches!(s.state, State::Listen | State::TimeWait))
        });
        assert!(count(at, State::TimeWait) <= 2, "{}", count(at, State::TimeWait));
        assert!(Counters::read().time_wait_overflows > 0);
    });
}

/// O5: what is asked for a buffer is cut to rmem_max and doubled; what is not asked is the default.
#[test]
fn buffers() {
    let number = |name: &str, at: usize| -> usize {
        tune::read(name).unwrap().split(' ').nth(at).unwrap().parse().unwrap()
    };
    let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = SockRef::from(&datagram);
    assert_eq!(socket.recv_buffer_size().unwrap(), number("net.core.rmem_default", 0));
    socket.set_recv_buffer_size(i32::MAX as usize).unwrap();
    assert_eq!(socket.recv_buffer_size().unwrap(), 2 * number("net.core.rmem_max", 0));
    socket.set_send_buffer_size(i32::MAX as usize).unwrap();
    assert_eq!(socket.send_buffer_size().unwrap(), 2 * number("net.core.wmem_max", 0));
    let stream = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    assert_eq!(stream.recv_buffer_size().unwrap(), number("net.ipv4.tcp_rmem", 1));
    assert_eq!(stream.send_buffer_size().unwrap(), number("net.ipv4.tcp_wmem", 1));
}

/// O3, O5: keepalive runs on sockets that ask for it alone, after tcp_keepalive_time or their own.
#[test]
fn keepalive() {
    in_namespace("observe::kernel::keepalive", &["sysctl"], || {
        set("net.ipv4.tcp_keepalive_time", "100");
        let (listener, at) = plain_listener("127.0.0.1:0", true, 8);
        let near = TcpStream::connect(at).unwrap();
        let client = near.local_addr().unwrap();
        let _far = listener.accept().unwrap();
        let timer = || find(client, at).unwrap().unwrap().timer;
        assert_eq!(timer(), None);
        SockRef::from(&near).set_keepalive(true).unwrap();
        let running = timer().unwrap();
        assert_eq!(running.kind, TimerKind::Keepalive);
        assert!((90..=100).contains(&running.remaining.as_secs()), "{running:?}");
        let own = TcpKeepalive::new().with_time(Duration::from_secs(20));
        SockRef::from(&near).set_tcp_keepalive(&own).unwrap();
        assert!(timer().unwrap().remaining <= Duration::from_secs(20));
    });
}
