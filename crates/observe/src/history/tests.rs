//! Histories of connections as the textbook has them, and as it has not.

use super::*;

mod lies;
mod opening;
mod simulated;

const CLIENT: &str = "127.0.0.1:51000";
const SERVER: &str = "127.0.0.1:9000";

/// Source and destination of what a side sends.
pub(super) fn ends(side: Side) -> (SocketAddr, SocketAddr) {
    let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    match side {
        Side::Client => (client, server),
        Side::Server => (server, client),
    }
}

fn history() -> History {
    let (client, server) = ends(Side::Client);
    History::new(client, server)
}

/// A script of packets: side, flags, sequence and acknowledgement number, length. Time passes by a
/// millisecond a packet.
struct Script {
    history: History,
    millis: u64,
    ident: u16,
}

impl Script {
    fn new() -> Script {
        Script { history: history(), millis: 0, ident: 0 }
    }

    /// The three packets of a handshake: both sides begin with 1 afterwards.
    fn opened() -> Script {
        let mut script = Script::new();
        script.send(Side::Client, "S", 0, 0, 0);
        script.send(Side::Server, "SA", 0, 1, 0);
        script.send(Side::Client, "A", 1, 1, 0);
        script
    }

    fn segment(&mut self, side: Side, flags: &str, seq: u32, ack: u32, length: usize) -> Segment {
        let (from, to) = ends(side);
        self.millis += 1;
        self.ident += 1;
        let flag = |letter| match letter {
            'S' => Flags::SYN,
            'A' => Flags::ACK,
            'F' => Flags::FIN,
            'R' => Flags::RST,
            _ => Flags::PSH,
        };
        // Numbers that wrap soon.
        let [mine, yours] =
            if side == Side::Client { [u32::MAX - 2, 77] } else { [77, u32::MAX - 2] };
        Segment {
            time: Duration::from_millis(self.millis),
            flags: flags.chars().map(flag).fold(Flags::default(), |all, flag| all | flag),
            seq: mine.wrapping_add(seq),
            ack: yours.wrapping_add(ack),
            window: 500,
            length,
            ident: Some(self.ident),
            ..Segment::empty(from, to)
        }
    }

    fn send(&mut self, side: Side, flags: &str, seq: u32, ack: u32, length: usize) -> Step {
        let segment = self.segment(side, flags, seq, ack, length);
        self.history.push(segment.into()).unwrap().clone()
    }

    /// Sends, and says the states afterwards.
    fn states(&mut self, side: Side, flags: &str, seq: u32, ack: u32, length: usize) -> String {
        let step = self.send(side, flags, seq, ack, length);
        let name = |state: Option<State>| state.map_or("?", State::name);
        format!("{} {}", name(step.client), name(step.server))
    }
}

use Side::{Client, Server};

/// O1: RFC 9293, figures 6 and 12: three packets to open, four to close, with numbers that wrap.
#[test]
fn four_packets() {
    let mut script = Script::new();
    assert_eq!(script.states(Client, "S", 0, 0, 0), "SYN-SENT ?");
    assert_eq!(script.states(Server, "SA", 0, 1, 0), "ESTABLISHED SYN-RECEIVED");
    assert_eq!(script.states(Client, "A", 1, 1, 0), "ESTABLISHED ESTABLISHED");
    let step = script.send(Client, "PA", 1, 1, 6);
    assert_eq!((step.seq, step.ack), (1, Some(1)));
    assert_eq!(script.send(Server, "PA", 1, 7, 6).ack, Some(7));
    assert_eq!(script.states(Client, "FA", 7, 7, 0), "FIN-WAIT-1 CLOSE-WAIT");
    assert_eq!(script.states(Server, "A", 7, 8, 0), "FIN-WAIT-2 CLOSE-WAIT");
    assert_eq!(script.states(Server, "FA", 7, 8, 0), "TIME-WAIT LAST-ACK");
    let step = script.send(Client, "A", 8, 8, 0);
    assert_eq!((step.client, step.server), (Some(State::TimeWait), Some(State::Closed)));
    assert_eq!(step.notes, [Note::LastAck]);
    let verdict = script.history.verdict();
    assert_eq!(
        verdict.closing,
        Closing::Closed { first: Client, how: How::FourPackets { meanwhile: 0 } }
    );
    let round_trip = Some(Duration::from_millis(1));
    assert_eq!(verdict.opening, Opening::Handshake { round_trip });
    let until = Duration::from_millis(9) + limits::TIME_WAIT;
    assert_eq!(verdict.time_wait, [TimeWait { side: Client, until, told: false }]);
    assert_eq!((verdict.client.bytes, verdict.server.bytes), (6, 6));
    assert!(script.history.is_over());
}

/// O1: the FIN of the side that closes second rides with its ACK; the server may close first.
#[test]
fn three_packets() {
    let mut script = Script::opened();
    assert_eq!(script.states(Server, "FA", 1, 1, 0), "CLOSE-WAIT FIN-WAIT-1");
    let step = script.send(Client, "FA", 1, 2, 0);
    assert_eq!((step.client, step.server), (Some(State::LastAck), Some(State::TimeWait)));
    assert_eq!(step.notes, [Note::FinRides]);
    assert_eq!(script.states(Server, "A", 2, 2, 0), "CLOSED TIME-WAIT");
    let verdict = script.history.verdict();
    assert_eq!(verdict.closing, Closing::Closed { first: Server, how: How::ThreePackets });
    assert_eq!(verdict.time_wait[0].side, Server);
}

/// O1: half-close: what the other side still sends is counted.
#[test]
fn half_close() {
    let mut script = Script::opened();
    script.send(Client, "FA", 1, 1, 0);
    let step = script.send(Server, "A", 1, 2, 0);
    assert_eq!(step.notes, [Note::FinAcknowledged]);
    assert_eq!(script.history.verdict().closing, Closing::HalfClosed { by: Client });
    let mut told = Script::opened();
    told.send(Client, "FA", 1, 1, 0);
    let (time, remaining) = (Duration::ZERO, Duration::from_secs(60));
    told.history.push(Event::TimeWait { time, side: Client, remaining });
    // The kernel's TIME-WAIT proves the server's FIN, though it was not seen.
    assert_eq!(told.history.verdict().closing, Closing::Unfinished { first: Client });
    assert_eq!(script.states(Server, "PA", 1, 2, 100), "FIN-WAIT-2 CLOSE-WAIT");
    script.send(Client, "A", 2, 101, 0);
    assert_eq!(script.send(Server, "FA", 101, 2, 0).notes, [Note::SecondFin]);
    assert_eq!(script.history.verdict().closing, Closing::Unfinished { first: Client });
    script.send(Client, "A", 2, 102, 0);
    let how = How::FourPackets { meanwhile: 100 };
    assert_eq!(script.history.verdict().closing, Closing::Closed { first: Client, how });
}

/// O1, fault 12: RFC 9293, figure 13: both close at once, and both wait.
#[test]
fn simultaneous_close() {
    let mut script = Script::opened();
    script.send(Client, "FA", 1, 1, 0);
    assert_eq!(script.states(Server, "FA", 1, 1, 0), "CLOSING FIN-WAIT-1");
    script.send(Client, "A", 2, 2, 0);
    assert_eq!(script.states(Server, "A", 2, 2, 0), "TIME-WAIT TIME-WAIT");
    let verdict = script.history.verdict();
    assert_eq!(verdict.closing, Closing::Closed { first: Client, how: How::Simultaneous });
    assert_eq!(verdict.time_wait.len(), 2);
}

/// O1: RFC 9293, figure 7: both open at once.
#[test]
fn simultaneous_open() {
    let mut script = Script::new();
    script.send(Client, "S", 0, 0, 0);
    assert_eq!(script.states(Server, "S", 0, 0, 0), "SYN-RECEIVED SYN-SENT");
    assert_eq!(script.states(Client, "SA", 0, 1, 0), "SYN-RECEIVED ESTABLISHED");
    assert_eq!(script.states(Server, "SA", 0, 1, 0), "ESTABLISHED ESTABLISHED");
    assert_eq!(script.history.verdict().opening, Opening::Simultaneous);
}

/// O1: a refusal, a SYN without an answer, and a reset in the middle.
#[test]
fn failures() {
    let mut script = Script::new();
    script.send(Client, "S", 0, 0, 0);
    let step = script.send(Server, "RA", 0u32.wrapping_sub(77), 1, 0);
    assert_eq!(step.notes, [Note::Refusal]);
    assert_eq!((step.seq, step.ack), (1, Some(1)));
    assert_eq!((step.client, step.server), (Some(State::Closed), Some(State::Closed)));
    assert_eq!(script.history.verdict().opening, Opening::Refused);

    let mut script = Script::new();
    script.send(Client, "S", 0, 0, 0);
    script.millis += 1000;
    assert_eq!(script.send(Client, "S", 0, 0, 0).notes, [Note::Retransmission(Some(1))]);
    assert_eq!(script.history.verdict().opening, Opening::Unanswered { syns: 2 });
    assert_eq!(script.history.server(), None);

    let mut script = Script::opened();
    assert_eq!(script.send(Server, "R", 2000, 0, 0).notes, [Note::StrayReset]);
    assert_eq!(script.history.client(), Some(State::Established));
    assert_eq!(script.states(Server, "RA", 1, 1, 0), "CLOSED CLOSED");
    let closing = Closing::Reset { by: Server, after_close: false };
    assert_eq!(script.history.verdict().closing, closing);
}

/// O1: keepalives, closed windows and probes are told apart, and are no retransmissions.
#[test]
fn probes() {
    let mut script = Script::opened();
    script.send(Client, "PA", 1, 1, 10);
    script.send(Server, "A", 1, 11, 0);
    assert_eq!(script.send(Client, "A", 10, 1, 0).notes, [Note::KeepAlive]);
    assert_eq!(script.send(Server, "A", 1, 11, 0).notes, [Note::KeepAliveAnswer]);
    let mut closed = script.segment(Server, "A", 1, 11, 0);
    closed.window = 0;
    assert_eq!(script.history.push(closed.clone().into()).unwrap().notes, [Note::ZeroWindow]);
    assert_eq!(script.send(Client, "A", 10, 1, 0).notes, [Note::WindowProbe]);
    closed.ident = Some(999);
    assert_eq!(script.history.push(closed.into()).unwrap().notes, [Note::KeepAliveAnswer]);
    assert_eq!(script.send(Server, "A", 1, 11, 0).notes, [Note::WindowOpens]);
    let verdict = script.history.verdict();
    assert_eq!((verdict.client.keepalives, verdict.client.window_probes), (1, 1));
    assert_eq!((verdict.retransmissions(), verdict.server.zero_windows), (0, 1));
}

/// O1, fault 30: a second sending, a copy and a late packet are three different things.
#[test]
fn again_copied_late() {
    let mut script = Script::opened();
    let first = script.segment(Client, "PA", 1, 1, 10);
    let second = script.segment(Client, "PA", 11, 1, 10);
    let mut push =
        |segment: &Segment| script.history.push(segment.clone().into()).unwrap().notes.clone();
    assert_eq!(push(&second), [Note::Skips(10)]);
    assert_eq!(push(&first), [Note::OutOfOrder]);
    assert_eq!(push(&first), [Note::Copy(5)]);
    let again = script.send(Client, "PA", 1, 1, 10);
    assert_eq!(again.notes, [Note::Retransmission(Some(5))]);
    let client = script.history.verdict().client;
    assert_eq!((client.out_of_order, client.copies, client.retransmissions), (1, 1, 1));
    assert_eq!(client.bytes, 20);
}

/// O1, fault 19: the accept queue is full: the server repeats its SYN,ACK after the third packet.
#[test]
fn accept_queue() {
    let mut script = Script::opened();
    script.send(Client, "PA", 1, 1, 10);
    // It crosses the third packet: that tells nothing.
    let step = script.send(Server, "SA", 0, 1, 0);
    assert!(!step.notes.contains(&Note::AcceptQueue), "{:?}", step.notes);
    script.millis += 1000;
    let step = script.send(Server, "SA", 0, 1, 0);
    assert!(step.notes.contains(&Note::AcceptQueue), "{:?}", step.notes);
    assert_eq!(step.server, Some(State::SynReceived));
    assert_eq!(script.history.verdict().troubles, [Trouble::AcceptQueue]);
}

/// O1, fault 31: long packets vanish and short ones pass.
#[test]
fn black_hole() {
    let mut script = Script::opened();
    script.send(Client, "PA", 1, 1, 1400);
    for _ in 0..3 {
        script.millis += 300;
        script.send(Client, "PA", 1, 1, 1400);
    }
    let silence = Trouble::Silence { side: Client, size: 1400, times: 3 };
    assert_eq!(script.history.verdict().troubles, [silence]);
    // A short packet behind it arrives, and the server asks for what is missing.
    script.send(Client, "PA", 1401, 1, 10);
    script.send(Server, "A", 1, 1, 0);
    let hole = Trouble::BlackHole { side: Client, size: 1400 };
    assert_eq!(script.history.verdict().troubles, [hole]);
    script.send(Server, "A", 1, 1401, 0);
    assert_eq!(script.history.verdict().troubles, []);
}

/// O1: calls cause packets; the kernel's word counts where packets tell nothing, and TIME-WAIT
/// lasts as long as it says.
#[test]
fn calls_and_kernel() {
    let mut script = Script::new();
    let call = |name: &'static str, result| {
        let (time, text) = (Duration::ZERO, String::new());
        Event::Call(Call { time, side: Client, name: name.into(), text, result })
    };
    let state = |side, old, new| Event::State { time: Duration::ZERO, side, old, new };
    let listens = script.history.push(state(Server, State::Listen, State::Listen)).unwrap();
    assert_eq!(listens.server, Some(State::Listen));
    let connect = script.history.push(call("connect", CallResult::Begun)).unwrap().number;
    assert_eq!(script.send(Client, "S", 0, 0, 0).cause, Some(connect));
    assert_eq!(script.send(Server, "SA", 0, 1, 0).cause, None);
    script.send(Client, "A", 1, 1, 0);
    script.history.push(call("connect", CallResult::Done(0)));
    let send = script.history.push(call("send", CallResult::Done(6))).unwrap().number;
    assert_eq!(script.send(Client, "PA", 1, 1, 6).cause, Some(send));
    // Behind what packets say, and what they cannot say.
    assert!(script.history.push(state(Server, State::SynReceived, State::Established)).is_none());
    script.history.push(state(Client, State::Established, State::FinWait1)).unwrap();
    assert_eq!(script.history.client(), Some(State::FinWait1));
    script.send(Client, "FA", 7, 1, 0);
    script.send(Server, "FA", 1, 8, 0);
    assert!(script.history.push(state(Client, State::FinWait2, State::Closed)).is_none());
    let remaining = Duration::from_millis(59_990);
    let time = Duration::from_secs(1);
    script.history.push(Event::TimeWait { time, side: Client, remaining }).unwrap();
    let waits = script.history.verdict().time_wait;
    assert_eq!(waits, [TimeWait { side: Client, until: time + remaining, told: true }]);
}

/// O1: datagrams have no states; an ICMP error is told with its reason.
#[test]
fn datagrams() {
    let (client, server) = ends(Client);
    let mut history = History::datagrams(client, server);
    let frame = Segment::empty(client, server).frame;
    let datagram = Datagram {
        time: Duration::from_millis(1),
        from: client,
        to: server,
        payload: b"x".to_vec(),
        length: 1,
        frame: frame.clone(),
    };
    let step = history.push(Event::Datagram(datagram)).unwrap();
    assert_eq!((step.side, step.client, step.server), (Some(Client), None, None));
    let error = Unreachable {
        time: Duration::from_millis(2),
        from: server.ip(),
        about_from: client,
        about_to: server,
        reason: Reason::Port,
        frame,
    };
    assert_eq!(history.push(Event::Unreachable(error)).unwrap().side, Some(Server));
    let verdict = history.verdict();
    assert_eq!(verdict.troubles, [Trouble::Unreachable(Reason::Port)]);
    assert_eq!((verdict.client.packets, verdict.opening), (1, Opening::None));
}

/// Q4: what is kept stays within its limits, and what is not kept is still told and counted.
#[test]
fn bounded() {
    let mut script = Script::opened();
    let steps = limits::TRACE_STEPS as u32 + 10;
    for number in 0..steps {
        // Every second packet is missing: holes without end.
        script.ident = number as u16;
        let step = script.send(Client, "PA", 1 + number * 20, 1, 10);
        assert_eq!(step.number, u64::from(number) + 4);
    }
    assert_eq!(script.history.steps().len(), limits::TRACE_STEPS);
    assert_eq!(script.history.count(), u64::from(steps) + 3);
}
