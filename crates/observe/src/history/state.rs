//! The state of an end, from what is known of both (RFC 9293, section 3.3.2 and figures 5 to 14).
//!
//! A state is no memory but a conclusion: packets that come twice or out of order change nothing. A
//! packet that was seen is presumed to arrive, until its receiver or the sender shows otherwise.

use super::end::End;
use super::event::State;

/// The state of `me`; `None` while nothing tells it.
pub(super) fn state(me: &End, peer: &End) -> Option<State> {
    let concluded = concluded(me, peer);
    if me.over {
        return Some(State::Closed);
    }
    match (concluded, me.told) {
        (Some(concluded), Some(told)) if told != State::Closed && rank(told) > rank(concluded) => {
            Some(told)
        }
        (None, told) => told,
        (concluded, _) => concluded,
    }
}

fn concluded(me: &End, peer: &End) -> Option<State> {
    if me.syn.is_none() && !me.joined {
        return None;
    }
    if me.syn.is_some() && !me.syn_heard && !me.joined && me.fin.is_none() {
        return Some(opening(me, peer));
    }
    let got = me.has_fin_of(peer);
    let Some(fin) = me.fin else {
        return Some(if got { State::CloseWait } else { State::Established });
    };
    let second = peer.fin.is_some_and(|first| super::seq::reaches(fin.covers, first.end));
    Some(match (second, got, me.fin_heard) {
        (true, _, false) => State::LastAck,
        (true, _, true) => State::Closed,
        (false, false, false) => State::FinWait1,
        (false, false, true) => State::FinWait2,
        (false, true, false) => State::Closing,
        (false, true, true) => State::TimeWait,
    })
}

/// The state of an end whose SYN was not heard as far as packets after it tell. Only a SYN without
/// an acknowledgement crosses ours (figure 7). One that acknowledges ours opens the connection where
/// it arrives, though we had repeated our own meanwhile; one that acknowledges another is none of ours.
fn opening(me: &End, peer: &End) -> State {
    let answered = me.syn.zip(peer.acked);
    let answered =
        answered.is_some_and(|(syn, acked)| super::seq::reaches(acked, syn.wrapping_add(1)));
    match (peer.syn.is_some() && !me.behind, peer.syn_answers) {
        _ if me.syn_answers => State::SynReceived,
        (true, false) => State::SynReceived,
        (true, true) if answered => State::Established,
        _ => State::SynSent,
    }
}

/// How far a state lies on the way of a connection: what the kernel says counts where it is ahead
/// of what was seen.
fn rank(state: State) -> u8 {
    match state {
        State::Bound => 0,
        State::Listen => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::Established => 4,
        State::FinWait1 | State::CloseWait => 5,
        State::FinWait2 | State::Closing | State::LastAck => 6,
        State::TimeWait => 7,
        State::Closed => 8,
    }
}

/// True where the kernel's CLOSED is to be believed. Of a socket that waits (FIN-WAIT-2 or
/// TIME-WAIT) Linux keeps a small rest and reports the socket itself as closed.
pub(super) fn believes_closed(state: Option<State>) -> bool {
    !matches!(state, Some(State::FinWait2 | State::Closing | State::TimeWait))
}
