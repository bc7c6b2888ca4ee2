//! Bodies of the conformance suite for streams.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Cell;
use crate::harness::bytes::{Random, answer, assert_same};
use crate::harness::process::{children_of, fds_of};
use crate::harness::{BINARY, Conn, Server, clean, eventually};

const BULK: u64 = 64 << 20;
const SMALLER_BULK: u64 = 4 << 20;

/// V1, V2: each message is answered at once, without a line end or the end of the stream.
fn small(cell: Cell, service: &str) {
    let server = cell.serve(service);
    let mut conn = server.dial();
    let messages: [&[u8]; 7] =
        [b"hello", b"h", b"Two Words\r\n", b"\0", b"\xc3\xa9t\xc3\xa9", b"\n", b"last"];
    for message in messages {
        assert_eq!(conn.ask(message, message.len()), answer(service, message));
    }
    let long = Random::new(1).bytes(200_001);
    conn.finish_after(&long);
    assert_same(&conn.take_all(), &answer(service, &long), 0);
}

/// V1, V2: megabytes in odd chunks, written while reading, come back in order and whole.
fn bulk(cell: Cell, service: &str, total: u64) {
    let server = cell.serve(service);
    server.dial().pump(service, total, 42);
    let closed = server.wait_closed(1);
    assert_eq!(closed["bytes_in"], total, "{closed}");
    assert_eq!(closed["bytes_out"], total, "{closed}");
}

/// V1: all 256 byte values, those over 127 unchanged.
fn every_byte(cell: Cell, service: &str) {
    let all: Vec<u8> = (0..=255).collect();
    let server = cell.serve(service);
    let mut conn = server.dial();
    assert_eq!(conn.ask(&all, 256), answer(service, &all));
    for byte in 0..=255 {
        assert_eq!(conn.ask(&[byte], 1), answer(service, &[byte]), "byte {byte}");
    }
}

/// L3: after our FIN the answer is completed, then the server's FIN comes, and no reset.
fn half_close(cell: Cell, service: &str) {
    let server = cell.serve(service);
    for (round, len) in [0, 1, 65_536, 300_007].into_iter().enumerate() {
        let mut conn = server.dial();
        let request = Random::new(round as u64).bytes(len);
        let mut writer = conn.try_clone();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.finish_after(&request));
            assert_same(&conn.take_all(), &answer(service, &request), 0);
        });
        let closed = server.wait_closed(round as u64 + 1);
        assert_eq!(closed["why"], "end", "{closed}");
        assert_eq!(closed["closed_first"], "peer", "{closed}");
    }
}

/// L2: a peer that dies in the middle ends its own connection; the next client is served.
fn dead_peer(cell: Cell, service: &str) {
    let server = cell.serve(service);
    for round in 1..=3 {
        let mut conn = server.dial();
        if service == "chargen" {
            conn.take_exact(10_000);
        } else {
            // Answers lie unread at our end when it goes away: that is a reset on Unix too.
            conn.write_all(&Random::new(round).bytes(100_000)).expect("the server takes it");
            conn.take_exact(1);
        }
        conn.reset();
        let closed = server.wait_closed(round);
        assert_eq!(closed["why"], "reset", "{closed}");
    }
    assert_next_client(&server, service);
}

fn assert_next_client(server: &Server, service: &str) {
    let mut conn = server.dial();
    if service == "chargen" {
        conn.take_exact(10_000);
    } else {
        assert_eq!(conn.ask(b"next", 4), answer(service, b"next"));
    }
}

pub(super) fn upper_small(cell: Cell) {
    small(cell, "upper");
}

pub(super) fn upper_bulk(cell: Cell) {
    bulk(cell, "upper", BULK);
}

pub(super) fn upper_every_byte(cell: Cell) {
    every_byte(cell, "upper");
}

pub(super) fn upper_half_close(cell: Cell) {
    half_close(cell, "upper");
}

pub(super) fn upper_dead_peer(cell: Cell) {
    dead_peer(cell, "upper");
}

pub(super) fn echo_small(cell: Cell) {
    small(cell, "echo");
}

pub(super) fn echo_bulk(cell: Cell) {
    bulk(cell, "echo", SMALLER_BULK);
}

pub(super) fn echo_every_byte(cell: Cell) {
    every_byte(cell, "echo");
}

pub(super) fn echo_half_close(cell: Cell) {
    half_close(cell, "echo");
}

pub(super) fn echo_dead_peer(cell: Cell) {
    dead_peer(cell, "echo");
}

pub(super) fn chargen_dead_peer(cell: Cell) {
    dead_peer(cell, "chargen");
}

/// L2: a client process is killed; a second client is served.
pub(super) fn upper_killed_client(cell: Cell) {
    let server = cell.serve("upper");
    let mut client = clean(BINARY);
    client.args(["connect", &server.first_endpoint()]);
    client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut client = client.spawn().expect("a client starts");
    let mut stdin = client.stdin.take().expect("stdin is piped");
    stdin.write_all(b"hello").expect("the client reads");
    server.wait_for("accepted");
    client.kill().expect("the client is ours");
    client.wait().expect("the client ends");
    server.wait_closed(1);
    server.assert_serves();
}

/// Fault 32: a thousand connections leave no descriptor and no process behind.
pub(super) fn upper_thousand_connects(cell: Cell) {
    let server = cell.serve("upper");
    let connect = || {
        let mut conn = server.dial();
        assert_eq!(conn.ask(b"x", 1), b"X");
    };
    let held = || {
        let workers = children_of(server.pid());
        let fds = workers.iter().map(|worker| fds_of(*worker).len()).sum::<usize>();
        (workers.len(), fds_of(server.pid()).len() + fds)
    };
    for _ in 0..20 {
        connect();
    }
    server.wait_events("closed", 20, |event| event["event"] == "closed");
    let before = held();
    for _ in 0..1000 {
        connect();
    }
    server.wait_events("closed", 1020, |event| event["event"] == "closed");
    // A worker above the pool's size leaves after a while.
    eventually("descriptors and workers are back to where they were", || {
        let after = held();
        after.0 <= before.0 && after.1 <= before.1
    });
}

/// RFC 863: what comes is thrown away; the only answer is the end.
pub(super) fn discard_is_silent(cell: Cell) {
    let server = cell.serve("discard");
    let mut conn = server.dial();
    conn.finish_after(&Random::new(3).bytes(1_000_003));
    assert_eq!(conn.take_all(), b"");
    let closed = server.wait_closed(1);
    assert_eq!((&closed["bytes_in"], &closed["bytes_out"]), (&1_000_003.into(), &0.into()));
}

/// RFC 867: one line that tells date and time, then the end.
pub(super) fn daytime_format(cell: Cell) {
    let server = cell.serve("daytime");
    let text = String::from_utf8(server.dial().take_all()).expect("ASCII");
    assert_daytime(&text);
    let closed = server.wait_closed(1);
    assert_eq!((&closed["why"], &closed["closed_first"]), (&"end".into(), &"us".into()));
}

/// One line of printable ASCII that holds the year and a time of day.
pub(super) fn assert_daytime(text: &str) {
    let line = text.strip_suffix("\r\n").unwrap_or_else(|| panic!("no line end: {text:?}"));
    assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "one line of ASCII: {text:?}");
    let clock = |word: &str| word.split(':').count() == 3;
    let mut words = line.split(|c: char| !(c.is_ascii_digit() || c == ':'));
    assert!(words.any(clock), "a time of day: {text:?}");
    // 365.2425 days a year; near the turn of the year both sides of it are right.
    let year = 1970 + unix_now() / 31_556_952;
    let years = [year - 1, year, year + 1].map(|year| year.to_string());
    assert!(years.iter().any(|year| line.contains(year)), "the year: {text:?}");
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// RFC 865: one quotation of less than 512 characters, then the end.
pub(super) fn qotd_format(cell: Cell) {
    let server = cell.serve("qotd");
    assert_quote(&server.dial().take_all());
}

/// "Limited to the ASCII printing characters, space, carriage return, and line feed."
pub(super) fn assert_quote(quote: &[u8]) {
    assert!(!quote.is_empty() && quote.len() < 512, "{} bytes", quote.len());
    let fits = |b: &u8| (b' '..=b'~').contains(b) || *b == b'\r' || *b == b'\n';
    assert!(quote.iter().all(fits), "{:?}", String::from_utf8_lossy(quote));
    assert!(quote.ends_with(b"\n"), "{:?}", String::from_utf8_lossy(quote));
}

/// RFC 868: four bytes, seconds since 1900, most significant first; then the end.
pub(super) fn time_format(cell: Cell) {
    let server = cell.serve("time");
    assert_time(&server.dial().take_all());
}

pub(super) fn assert_time(bytes: &[u8]) {
    let bytes: [u8; 4] = bytes.try_into().unwrap_or_else(|_| panic!("four bytes: {bytes:?}"));
    // RFC 868: 2,208,988,800 corresponds to 00:00 1 January 1970. The 32 bits wrap in 2036.
    let now = (unix_now() + 2_208_988_800) as u32;
    let off = u32::from_be_bytes(bytes).wrapping_sub(now) as i32;
    assert!(off.abs() <= 5, "{off} seconds away from now");
}

/// RFC 864: 72 printing characters a line, each line beginning one character later in the ring of
/// the 95 of them; it goes on until the client ends it.
pub(super) fn chargen_format(cell: Cell) {
    let server = cell.serve("chargen");
    let mut conn = server.dial();
    assert_chargen(&conn.take_exact(74 * 300));
    drop(conn);
    server.wait_closed(1);
    assert_chargen(&server.dial().take_exact(74 * 2));
}

pub(super) fn assert_chargen(text: &[u8]) {
    // Where the ring begins is the server's choice; from there on it goes round.
    let first = usize::from(text[0] - b' ');
    for (number, line) in text.chunks(74).enumerate() {
        let ring = |column: usize| b' ' + ((first + number + column) % 95) as u8;
        let expected: Vec<u8> = (0..72).map(ring).chain(*b"\r\n").collect();
        let shown = String::from_utf8_lossy(line);
        assert_eq!(line, &expected[..line.len()], "line {number}: {shown}");
    }
}

/// RFC 864, 865, 867, 868: "any data received is thrown away"; L3, fault 11: the answer is not
/// lost over it.
pub(super) fn short_services_take_input(cell: Cell) {
    for service in ["daytime", "qotd", "time"] {
        let server = cell.serve(service);
        let mut conn = server.dial();
        // It may close its side in the middle of this, but must not answer with a reset.
        conn.write_all(&Random::new(9).bytes(300_000)).expect("the input is taken");
        conn.finish();
        assert!(!conn.take_all().is_empty(), "{service}");
    }
    let server = cell.serve("chargen");
    let mut conn = server.dial();
    conn.write_all(&[b'z'; 5000]).expect("the input is taken");
    assert_chargen(&conn.take_exact(74 * 50));
}

impl Conn {
    /// Writes all of it, then FIN.
    fn finish_after(&mut self, bytes: &[u8]) {
        self.set_timeout(Duration::from_secs(30));
        self.write_all(bytes).expect("the server takes it");
        self.finish();
    }
}
