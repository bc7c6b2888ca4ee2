//! Calls, and the packets that they prove.

use sockeye_net::sys::tcp_info::TcpInfo;

use super::*;

fn record(name: &'static str, result: Result<u64, &str>) -> Record {
    Record {
        began: Duration::ZERO,
        ended: Duration::from_millis(1),
        side: Side::Client,
        name,
        text: String::new(),
        result: result.map_err(str::to_owned),
        info: None,
        data: Vec::new(),
    }
}

fn drawn(records: &[Record]) -> Vec<String> {
    drawn_where(records, false)
}

fn drawn_where(records: &[Record], gone: bool) -> Vec<String> {
    let (client, server) = ("127.0.0.1:5".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
    let told = segments(records, client, server, gone);
    let line = |event: &Event| {
        let Event::Segment(s) = event else { panic!("only segments: {event:?}") };
        let by = if s.from == client { '>' } else { '<' };
        format!("{by} {} {}/{} {}", s.flags, s.seq, s.ack, s.length)
    };
    told.iter().map(line).collect()
}

/// O2: a conversation's calls, as the packets that they prove.
#[test]
fn conversation() {
    let records = [
        record("socket", Ok(0)),
        record("connect", Ok(0)),
        record("send", Ok(5)),
        record("recv", Ok(5)),
        record("shutdown", Ok(0)),
        record("recv", Ok(0)),
        record("close", Ok(0)),
    ];
    assert_eq!(
        drawn(&records),
        [
            "> SYN 0/0 0",
            "< SYN,ACK 0/1 0",
            "> ACK 1/1 0",
            "> PSH,ACK 1/1 5",
            "< PSH,ACK 1/6 5",
            "> ACK 6/6 0",
            "> FIN,ACK 6/6 0",
            "< FIN,ACK 6/7 0",
            "> ACK 7/7 0",
        ]
    );
}

/// O2: a server that ends first: its FIN is one, however often recv(2) says so, and our own is
/// acknowledged at last.
#[test]
fn server_first() {
    let mut records = vec![
        record("connect", Ok(0)),
        record("recv", Ok(5)),
        record("recv", Ok(0)),
        record("shutdown", Ok(0)),
        record("recv", Ok(0)),
        record("recv", Ok(0)),
        record("close", Ok(0)),
    ];
    let end = ["< FIN,ACK 6/1 0", "> ACK 1/7 0", "> FIN,ACK 1/7 0", "< ACK 7/2 0"];
    assert_eq!(drawn(&records)[5..], end);
    // Where the kernel counts no packet for it, the acknowledgement rides with our FIN.
    records.iter_mut().for_each(|record| record.info = Some(TcpInfo::default()));
    let end = ["< FIN,ACK 6/1 0", "> FIN,ACK 1/7 0", "< ACK 7/2 0"];
    assert_eq!(drawn(&records)[5..], end);
}

/// O2, C4: of datagrams each call is one; a refusal is what ICMP said of the port.
#[test]
fn datagrams_of_calls() {
    let (client, server) = ("127.0.0.1:5".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
    let records = [
        record("socket", Ok(0)),
        record("send", Ok(3)),
        record("recv", Ok(0)),
        record("recv", Err("ECONNREFUSED: Connection refused")),
    ];
    let told = datagrams(&records, client, server);
    let [Event::Datagram(sent), Event::Datagram(came), Event::Unreachable(error)] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((sent.from, sent.length, came.from, came.length), (client, 3, server, 0));
    assert_eq!((error.about_to, error.reason), (server, Reason::Port));
}

/// O2: a refusal is a RST; a reset in the middle ends everything.
#[test]
fn failures() {
    let refused = [record("connect", Err("ECONNREFUSED: Connection refused"))];
    assert_eq!(drawn(&refused), ["> SYN 0/0 0", "< RST,ACK 0/1 0"]);
    assert!(drawn(&[record("connect", Err("ENETUNREACH: no"))]).is_empty());
    let reset = [
        record("connect", Ok(0)),
        record("recv", Err("ECONNRESET: Connection reset by peer")),
        record("close", Ok(0)),
    ];
    assert_eq!(drawn(&reset).last().unwrap(), "< RST,ACK 1/1 0");
}

/// A record with what the kernel counts after it.
fn counted(name: &'static str, result: Result<u64, &str>, state: u8, info: [u64; 3]) -> Record {
    let [out, data, received] = info;
    let (segments_out, data_segments_out) = (out as u32, data as u32);
    let info = TcpInfo {
        state,
        segments_out,
        data_segments_out,
        bytes_received: received,
        ..TcpInfo::default()
    };
    Record { info: Some(info), ..record(name, result) }
}

/// O2: the last acknowledgement of a connection that the server closed first is drawn where our socket
/// is gone, and not while it is still there.
#[test]
fn last_acknowledgement() {
    let records = [
        counted("connect", Ok(0), 1, [2, 0, 0]),
        counted("recv", Ok(5), 8, [3, 0, 6]),
        counted("recv", Ok(0), 8, [3, 0, 6]),
        record("close", Ok(0)),
    ];
    let end = ["< FIN,ACK 6/1 0", "> FIN,ACK 1/7 0", "< ACK 7/2 0"];
    assert_eq!(drawn_where(&records, true)[5..], end);
    assert_eq!(drawn_where(&records, false)[5..], end[..2]);
}

/// O2: of a server whose FIN had come by the time of our shutdown(2) it is drawn first, though it is
/// read only afterwards.
#[test]
fn server_was_first() {
    let mut records = vec![
        counted("connect", Ok(0), 1, [2, 0, 0]),
        counted("shutdown", Ok(0), 9, [4, 0, 6]),
        record("recv", Ok(5)),
        record("recv", Ok(0)),
        record("close", Ok(0)),
    ];
    let end =
        ["< PSH,ACK 1/1 5", "> ACK 1/6 0", "< FIN,ACK 6/1 0", "> FIN,ACK 1/7 0", "< ACK 7/2 0"];
    assert_eq!(drawn_where(&records, true)[3..], end);
    // Closed altogether it had where nothing is left; what waits in TIME-WAIT was first.
    records[1] = counted("shutdown", Ok(0), 7, [4, 0, 6]);
    assert_eq!(drawn_where(&records, true)[3..], end);
    assert_eq!(drawn_where(&records, false)[3], "> FIN,ACK 1/1 0");
    // In FIN-WAIT-1 it had not.
    records[1] = counted("shutdown", Ok(0), 4, [3, 0, 0]);
    assert_eq!(drawn_where(&records, true)[3], "> FIN,ACK 1/1 0");
}

/// O2: a close over data that nobody has read is a reset; and so it ends where data came for the
/// closed socket, which else would wait.
#[test]
fn close_is_a_reset() {
    let unread = [counted("connect", Ok(0), 1, [3, 0, 42]), record("close", Ok(0))];
    assert_eq!(drawn(&unread)[3..], ["< PSH,ACK 1/1 42", "> RST,ACK 1/43 0"]);
    let late = [counted("connect", Ok(0), 1, [2, 0, 0]), record("close", Ok(0))];
    assert_eq!(drawn_where(&late, true)[3..], ["> FIN,ACK 1/1 0", "> RST 2/0 0"]);
    assert_eq!(drawn_where(&late, false)[3..], ["> FIN,ACK 1/1 0"]);
    // Their FIN alone is nothing to read.
    let ended = [counted("connect", Ok(0), 8, [2, 0, 1]), record("close", Ok(0))];
    assert_eq!(drawn(&ended).last().unwrap(), "> FIN,ACK 1/1 0");
}
