//! Packets whose headers lie: forged, or of another connection between the same addresses.

use super::*;

/// O1, Q4: a second SYN in the middle of a connection changes neither states, windows nor counts.
#[test]
fn a_second_syn() {
    let mut script = Script::new();
    for (side, flags, ack) in [(Client, "S", 0), (Server, "SA", 1)] {
        let mut syn = script.segment(side, flags, 0, ack, 0);
        syn.options.window_scale = Some(7);
        script.history.push(syn.into());
    }
    script.send(Client, "A", 1, 1, 0);
    script.send(Client, "PA", 1, 1, 10);
    let before = script.history.verdict();
    for seq in [5_000, 1 << 20, 1 << 30, u32::MAX / 2] {
        let mut forged = script.segment(Client, "S", seq, 0, 0);
        forged.options.window_scale = Some(0);
        let step = script.history.push(forged.into()).unwrap();
        assert_eq!(step.notes, [Note::Stray], "{seq}");
        assert_eq!(
            (step.client, step.server),
            (Some(State::Established), Some(State::Established))
        );
    }
    let step = script.send(Client, "PA", 11, 1, 10);
    assert_eq!((step.window, &step.notes[..]), (500 << 7, &[][..]));
    let after = script.history.verdict();
    assert_eq!((after.opening, after.client.bytes), (before.opening, 20));
    assert_eq!((after.client.strays, after.retransmissions()), (4, 0));
}

/// O1, Q4: an acknowledgement of what no window has room for moves nothing: what is sent afterwards is
/// no second sending.
#[test]
fn an_acknowledgement_of_nothing() {
    let mut script = Script::opened();
    let step = script.send(Server, "A", 1, 1 + (3 << 29), 0);
    assert_eq!(step.notes, [Note::Stray]);
    assert_eq!(script.send(Client, "PA", 1, 1, 10).notes, []);
    assert_eq!(script.history.verdict().client.bytes, 10);
}

/// O1: of a connection that was open when the trace began, and is over, the addresses may begin anew.
#[test]
fn anew_after_an_unseen_beginning() {
    let mut script = Script::new();
    script.send(Client, "PA", 100, 100, 10);
    script.send(Server, "A", 100, 110, 0);
    script.send(Client, "FA", 110, 100, 0);
    script.send(Server, "FA", 100, 111, 0);
    script.send(Client, "A", 111, 101, 0);
    let step = script.send(Client, "S", 9000, 0, 0);
    assert_eq!(step.notes, [Note::Anew, Note::Handshake(1)]);
    assert_eq!((step.client, step.seq), (Some(State::SynSent), 0));
}
