//! Histories against a simulated pair of ends, under loss, disorder and copies.

use proptest::prelude::*;

use super::super::simulator::{Plan, Simulator};
use super::super::*;
use super::Side::{Client, Server};
use super::{ends, history};

fn plans() -> impl Strategy<Value = Plan> {
    let close = || proptest::option::of(0u64..400_000);
    let network = (0u8..100, 0u8..80, prop_oneof![Just(0u64), Just(2_500u64)], 0u64..30_000);
    let ends = ([0u32..3000, 0u32..3000], close(), close(), [0u64..2, 0u64..2]);
    (ends, network, any::<[u32; 2]>()).prop_map(|(ends, network, iss)| {
        let (bytes, mine, yours, slow) = ends;
        let (loss_behind, doubles, before, behind) = network;
        // One of them has to begin.
        let close = if mine.is_none() && yours.is_none() { [Some(0), None] } else { [mine, yours] };
        Plan {
            bytes,
            close,
            slow_close: slow.map(|slow| slow * 5_000),
            abort: None,
            loss_before: 0,
            loss_behind,
            doubles,
            jitter: [before, behind],
            marked: true,
            iss,
        }
    })
}

/// The history of what a simulator's tap saw, and the second sendings that can be known for such.
fn told(sim: &Simulator, copies: bool) -> (History, u64) {
    let mut history = history();
    let mut again = 0;
    let mut seen = [None; 2];
    for tapped in sim.tapped.iter().filter(|tapped| copies || !tapped.copy) {
        let segment = &tapped.segment;
        let seen = &mut seen[history.side(segment.from, segment.to).unwrap() as usize];
        let end = segment.seq.wrapping_add(end::takes(segment));
        let known = seen.is_some_and(|seen| seq::before(segment.seq, seen));
        again += u64::from(tapped.again && !tapped.copy && known);
        if seen.is_none_or(|seen| seq::before(seen, end)) {
            *seen = Some(end);
        }
        history.push(segment.clone().into()).unwrap();
    }
    (history, again)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// O1, faults 12, 30: under loss, delay and doubling, the history ends in the states in which
    /// the ends are, counts exactly the packets that were sent again, and names how they closed.
    #[test]
    fn agrees_with_the_ends(plan in plans(), seed in any::<u64>()) {
        let sim = Simulator::run(plan, seed);
        prop_assume!(sim.hosts.iter().all(|host| !host.gave_up));
        let (history, again) = told(&sim, true);
        let verdict = history.verdict();
        // A client that asks and is answered is never where only a crossing SYN leads.
        let crossed = history.steps().iter().any(|step| step.client == Some(State::SynReceived));
        prop_assert!(!crossed);
        let opened = matches!(verdict.opening, Opening::Handshake { .. });
        prop_assert!(opened, "{:?}", verdict.opening);
        // What overtakes its own second sending before the tap cannot always be told from it.
        let in_order = plan.jitter[0] == 0;
        prop_assert!(verdict.retransmissions() <= again);
        prop_assert!(!in_order || verdict.retransmissions() == again);
        let sent = |bytes: u32| u64::from(bytes);
        prop_assert_eq!(verdict.client.bytes, sent(plan.bytes[0]));
        prop_assert_eq!(verdict.server.bytes, sent(plan.bytes[1]));
        // A reset answers what comes after the end; whether it arrives the tap cannot know.
        let resets = verdict.client.resets + verdict.server.resets > 0;
        if !resets {
            prop_assert_eq!(history.client(), Some(sim.hosts[0].state));
            prop_assert_eq!(history.server(), Some(sim.hosts[1].state));
            check_closing(&sim, &verdict, in_order)?;
        }
    }

    /// O1: packets that come doubled change nothing but their own count.
    #[test]
    fn copies_change_nothing(plan in plans(), seed in any::<u64>()) {
        let sim = Simulator::run(plan, seed);
        let (with, _) = told(&sim, true);
        let (without, _) = told(&sim, false);
        prop_assert_eq!((with.client(), with.server()), (without.client(), without.server()));
        let (mut verdict, expected) = (with.verdict(), without.verdict());
        let copies = sim.tapped.iter().filter(|tapped| tapped.copy).count() as u64;
        prop_assert_eq!(verdict.client.copies + verdict.server.copies, copies);
        (verdict.client.copies, verdict.server.copies) = (0, 0);
        verdict.duration = expected.duration;
        prop_assert_eq!(verdict, expected);
    }

    /// O1, Q4: whatever is lost before the tap, aborted or unmarked: no panic, the numbers are
    /// those of the ends, and nothing is counted that did not happen.
    #[test]
    fn survives_what_it_cannot_see(
        mut plan in plans(),
        loss_before in 0u8..120,
        marked in any::<bool>(),
        abort in proptest::option::of((any::<bool>(), 0u64..500_000)),
        seed in any::<u64>(),
    ) {
        plan.loss_before = loss_before;
        plan.marked = marked;
        plan.abort = abort.map(|(client, time)| (if client { Client } else { Server }, time));
        let sim = Simulator::run(plan, seed);
        let (history, _) = told(&sim, true);
        let verdict = history.verdict();
        let packets = verdict.client.packets + verdict.server.packets;
        let copies = verdict.client.copies + verdict.server.copies;
        let strays = verdict.client.strays + verdict.server.strays;
        prop_assert_eq!((packets + copies + strays) as usize, sim.tapped.len());
        if marked {
            let again = sim.tapped.iter().filter(|tapped| tapped.again && !tapped.copy).count();
            prop_assert!(verdict.retransmissions() as usize <= again);
        }
    }

    /// Q4: packets without any sense.
    #[test]
    fn any_packets(
        packets in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), any::<u32>(), any::<u32>(), 0usize..70_000, 0u32..4),
            0..200,
        ),
    ) {
        let mut history = history();
        for (client, flags, seq, ack, length, spread) in packets {
            let (from, to) = ends(if client { Client } else { Server });
            // Some near each other, some anywhere.
            let mask = u32::MAX >> (spread * 10);
            let segment = Segment {
                flags: Flags(flags),
                seq: seq & mask,
                ack: ack & mask,
                window: seq as u16,
                options: Options { window_scale: Some(flags), ..Options::default() },
                ident: Some(ack as u16),
                length,
                ..Segment::empty(from, to)
            };
            prop_assert!(history.push(segment.into()).is_some());
            let _ = history.verdict();
        }
    }
}

/// How the ends closed, as they themselves know it.
fn check_closing(sim: &Simulator, verdict: &Verdict, in_order: bool) -> Result<(), TestCaseError> {
    let Closing::Closed { first, how } = verdict.closing else {
        return Err(TestCaseError::fail(format!("{:?}", verdict.closing)));
    };
    if !in_order {
        return Ok(());
    }
    let fins = sim.hosts.each_ref().map(|host| host.fin.unwrap());
    let second = &sim.hosts[first.other() as usize].fin.unwrap();
    match how {
        How::Simultaneous => prop_assert!(fins.iter().all(|(got, _)| !got)),
        How::ThreePackets => prop_assert_eq!(second, &(true, false)),
        How::FourPackets { .. } => prop_assert_eq!(second, &(true, true)),
    }
    for side in [Client, Server] {
        let waits = verdict.time_wait.iter().any(|wait| wait.side == side);
        prop_assert_eq!(waits, sim.hosts[side as usize].state == State::TimeWait);
    }
    Ok(())
}
