//! Openings in which a packet had to be sent again.

use super::*;

impl Script {
    /// A packet as Linux sends it before there is a socket: no identification, the time in
    /// milliseconds.
    fn bare(&mut self, side: Side, flags: &str, seq: u32, ack: u32, stamp: u32) -> Step {
        let mut segment = self.segment(side, flags, seq, ack, 0);
        segment.ident = Some(0);
        segment.options.timestamps = Some((stamp, 0));
        self.history.push(segment.into()).unwrap().clone()
    }
}

fn states(step: &Step) -> [Option<State>; 2] {
    [step.client, step.server]
}

const ASKS: Option<State> = Some(State::SynSent);
const RECEIVED: Option<State> = Some(State::SynReceived);
const OPEN: Option<State> = Some(State::Established);

/// O1, fault 30: the first SYN,ACK is lost behind the capture: the client asks again and is never in
/// SYN-RECEIVED; how long the answer took is not told (Karn).
#[test]
fn lost_answer() {
    let mut script = Script::new();
    assert_eq!(script.bare(Client, "S", 0, 0, 1).client, ASKS);
    assert_eq!(states(&script.bare(Server, "SA", 0, 1, 1)), [OPEN, RECEIVED]);
    let again = script.bare(Client, "S", 0, 0, 1001);
    assert_eq!(states(&again), [ASKS, RECEIVED]);
    assert_eq!(again.notes, [Note::Retransmission(Some(1))]);
    let answer = script.bare(Server, "SA", 0, 1, 1001);
    assert_eq!(states(&answer), [OPEN, RECEIVED]);
    assert_eq!(answer.notes, [Note::Retransmission(Some(2))]);
    assert_eq!(states(&script.send(Client, "A", 1, 1, 0)), [OPEN, OPEN]);
    let verdict = script.history.verdict();
    assert_eq!(verdict.opening, Opening::Handshake { round_trip: None });
    assert_eq!((verdict.retransmissions(), verdict.server.copies), (2, 0));
    assert_eq!(verdict.troubles, []);
}

/// O1, fault 30: the server's timer runs out in the millisecond in which the client asks again: two
/// packets that look the same, and both were sent. The same packet doubled is still a copy.
#[test]
fn answers_of_one_millisecond() {
    for timer_first in [true, false] {
        let mut script = Script::new();
        script.bare(Client, "S", 0, 0, 1);
        script.bare(Server, "SA", 0, 1, 1);
        let second = if timer_first { Server } else { Client };
        for side in [second, second.other()] {
            match side {
                Client => drop(script.bare(Client, "S", 0, 0, 1001)),
                Server => drop(script.bare(Server, "SA", 0, 1, 1001)),
            }
        }
        let answer = script.bare(Server, "SA", 0, 1, 1001);
        assert!(matches!(answer.notes[..], [Note::Retransmission(Some(_))]), "{:?}", answer.notes);
        assert_eq!(states(&script.send(Client, "A", 1, 1, 0)), [OPEN, OPEN]);
        assert_eq!(script.history.verdict().server.copies, 0);
    }
    let mut script = Script::new();
    script.bare(Client, "S", 0, 0, 1);
    script.bare(Server, "SA", 0, 1, 1);
    assert_eq!(script.bare(Server, "SA", 0, 1, 1).notes, [Note::Copy(2)]);
}

/// O1: a server that repeats its SYN,ACK by itself leaves the round trip in doubt too.
#[test]
fn only_the_answer_again() {
    let mut script = Script::new();
    script.bare(Client, "S", 0, 0, 1);
    script.bare(Server, "SA", 0, 1, 1);
    script.bare(Server, "SA", 0, 1, 900);
    script.send(Client, "A", 1, 1, 0);
    assert_eq!(script.history.verdict().opening, Opening::Handshake { round_trip: None });
}

/// O1, fault 30: a long way: the second SYN is answered although the third packet was seen before its
/// answer. No queue is full.
#[test]
fn a_long_way() {
    let mut script = Script::new();
    script.bare(Client, "S", 0, 0, 1);
    script.bare(Client, "S", 0, 0, 1001);
    script.bare(Server, "SA", 0, 1, 1001);
    script.send(Client, "A", 1, 1, 0);
    script.millis += 500;
    let answer = script.bare(Server, "SA", 0, 1, 1500);
    assert!(!answer.notes.contains(&Note::AcceptQueue), "{:?}", answer.notes);
    assert_eq!(script.history.verdict().troubles, []);
}

/// O1: RFC 9293, figure 7: a SYN without an acknowledgement crosses ours; and an answer to another SYN
/// than ours (figure 8) opens nothing.
#[test]
fn crossing_and_strange() {
    let mut script = Script::new();
    script.send(Client, "S", 0, 0, 0);
    let crossing = script.send(Server, "S", 0, 0, 0);
    assert_eq!(crossing.client, RECEIVED);
    assert_eq!(crossing.notes, [Note::CrossingSyn]);
    script.send(Server, "SA", 0, 1, 0);
    script.send(Client, "SA", 0, 1, 0);
    assert_eq!(script.history.verdict().opening, Opening::Simultaneous);

    let mut script = Script::new();
    script.send(Client, "S", 1000, 0, 0);
    assert_eq!(script.send(Server, "SA", 0, 900, 0).client, ASKS);
}
