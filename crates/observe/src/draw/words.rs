//! A history in plain words, for somebody who learns: what a step means and what it all comes to.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::shown;

use crate::history::{
    CallResult, Closing, Event, History, How, Note, Opening, Reason, Segment, Side, State, Step,
    TimeWait, Trouble, Verdict,
};

/// The letter that stands for a side's first sequence number.
pub fn letter(side: Side) -> &'static str {
    match side {
        Side::Client => "x",
        Side::Server => "y",
    }
}

/// A relative number by the letter of its side: `x`, `y+1`.
pub fn number(side: Side, relative: u32) -> String {
    match relative {
        0 => letter(side).to_owned(),
        _ => format!("{}+{relative}", letter(side)),
    }
}

/// A time in a unit that fits: `31 µs`, `4.2 ms`, `1.02 s`.
pub fn time(time: Duration) -> String {
    let micros = time.as_nanos() as f64 / 1000.0;
    if micros < 999.5 {
        format!("{micros:.0} µs")
    } else if micros < 999_500.0 {
        format!("{:.1} ms", micros / 1000.0)
    } else {
        format!("{:.2} s", micros / 1_000_000.0)
    }
}

/// `1 byte`, `7 bytes`.
pub fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// What a packet is: its flags, numbers and length: `PSH,ACK seq x+1 ack y+1 len 6`.
pub fn packet(step: &Step, segment: &Segment) -> String {
    let side = step.side.unwrap_or(Side::Client);
    let mut text = format!("{} seq {}", segment.flags, number(side, step.seq));
    if let Some(ack) = step.ack {
        text += &format!(" ack {}", number(side.other(), ack));
    }
    if segment.length > 0 {
        text += &format!(" len {}", segment.length);
    }
    text
}

/// A call: `send("hello\n", 6)`, `recv = 6`, `connect failed: …`.
pub fn call(call: &crate::history::Call, begun: bool) -> String {
    let (name, text) = (shown::line(&call.name), shown::line(&call.text));
    match &call.result {
        CallResult::Begun => format!("{name}({text})"),
        CallResult::Done(value) if begun && text.is_empty() => format!("{name} = {value}"),
        CallResult::Done(value) if begun => format!("{name} = {value}: {text}"),
        CallResult::Done(value) if counts(&name) => format!("{name}({text}) = {value}"),
        CallResult::Done(_) => format!("{name}({text})"),
        CallResult::Failed(why) if begun => format!("{name} failed: {}", shown::line(why)),
        CallResult::Failed(why) => format!("{name}({text}) failed: {}", shown::line(why)),
    }
}

/// True for a call that returns a count of bytes: of the others success says enough.
fn counts(name: &str) -> bool {
    ["send", "recv", "read", "write"].iter().any(|start| name.starts_with(start))
}

/// What the beginning of a payload says, quoted and escaped, in at most so many characters.
pub fn payload(payload: &[u8], length: usize, room: usize) -> String {
    let mut end = payload.len().min(room);
    loop {
        // A character is shown whole or not at all, and so is what stands for one.
        while end > 0 && payload.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end -= 1;
        }
        let text = shown::bytes(&payload[..end]);
        if text.chars().count() <= room {
            let cut = if end < length { " …" } else { "" };
            return format!("\"{text}\"{cut}");
        }
        end -= 1;
    }
}

/// What a step means, sentence by sentence; empty where there is nothing to explain.
pub fn explain(step: &Step) -> Vec<String> {
    let mut lines: Vec<String> = step.notes.iter().map(|note| sentence(note, step)).collect();
    match &step.event {
        Event::Segment(segment) => {
            if let Some(options) = options(segment) {
                lines.push(options);
            }
        }
        Event::Unreachable(error) => {
            lines.push(format!("ICMP from {}: {}", error.from, reason(error.reason)));
        }
        Event::TimeWait { remaining, .. } => {
            let side = step.side.unwrap_or(Side::Client);
            lines.push(format!(
                "the {side}'s kernel keeps this pair of addresses for {} more",
                time(*remaining)
            ));
        }
        Event::Missed { count: missed, .. } => {
            lines.push(format!("{} not captured: there is a gap here", count(*missed, "packet")));
        }
        Event::Datagram(_) | Event::Call(_) | Event::State { .. } => {}
    }
    lines
}

/// The options of a SYN, where ends tell each other what they can do.
fn options(segment: &Segment) -> Option<String> {
    let options = &segment.options;
    let mut said = Vec::new();
    said.extend(options.mss.map(|mss| format!("MSS {mss}")));
    said.extend(options.window_scale.map(|scale| format!("window scale {scale}")));
    said.extend(options.sack_permitted.then(|| "SACK".to_owned()));
    if said.is_empty() {
        return None;
    }
    said.extend(options.timestamps.map(|_| "timestamps".to_owned()));
    Some(said.join(", "))
}

fn sentence(note: &Note, step: &Step) -> String {
    let side = step.side.unwrap_or(Side::Client);
    let peer = side.other();
    match note {
        Note::Handshake(1) => {
            format!("handshake 1 of 3: the {side} asks; its first number is {}", letter(side))
        }
        Note::Handshake(2) => format!(
            "handshake 2 of 3: the {side} agrees; its first number is {}; ack {} says: {} has come",
            letter(side),
            number(peer, 1),
            letter(peer),
        ),
        Note::Handshake(_) => format!(
            "handshake 3 of 3: ack {} says: {} has come; now both may send",
            number(peer, 1),
            letter(peer),
        ),
        Note::CrossingSyn => {
            "both open at once: each asks before it has the other's SYN".to_owned()
        }
        Note::FirstFin => format!(
            "close: the {side} has nothing more to send; like SYN, FIN takes a number, so the \
             answer is ack {}",
            number(side, step.seq.wrapping_add(1 + data_length(step))),
        ),
        Note::FinAcknowledged => {
            format!("close: the {side} has the FIN; it may still send until it closes too")
        }
        Note::SecondFin => format!(
            "close: four packets: the {side} closes only now, after it acknowledged the first FIN"
        ),
        Note::FinRides => format!(
            "close: three packets: the {side} had nothing left to send, so its FIN rides with the ACK"
        ),
        Note::CrossingFin => {
            format!("close: both at once: the {side} sent its FIN before it had the other")
        }
        Note::LastAck if step.state(side) == Some(State::TimeWait) => format!(
            "close: the last ACK; the {peer} is done, the {side} waits in case this one is lost"
        ),
        Note::LastAck => format!("close: the last ACK; the {peer} is done"),
        other => trouble_sentence(other, side),
    }
}

fn data_length(step: &Step) -> u32 {
    match &step.event {
        Event::Segment(segment) => u32::try_from(segment.length).unwrap_or(0),
        _ => 0,
    }
}

fn trouble_sentence(note: &Note, side: Side) -> String {
    let peer = side.other();
    match note {
        Note::Retransmission(Some(step)) => {
            format!("sent again: step {step} was not acknowledged in time")
        }
        Note::Retransmission(None) => "sent again: the first sending was not seen here".to_owned(),
        Note::Copy(step) => format!("the same packet as step {step}: it was doubled on its way"),
        Note::OutOfOrder => "late: packets sent after it came before it".to_owned(),
        Note::Skips(bytes) => {
            format!("{} before it not seen yet: lost or late", count(u64::from(*bytes), "byte"))
        }
        Note::AcknowledgesUnseen => "acknowledges what was not seen here".to_owned(),
        Note::DuplicateAck(times) => {
            format!("the same acknowledgement again ({times}): something is missing at the {side}")
        }
        Note::KeepAlive => format!("keepalive: is the {peer} still there?"),
        Note::KeepAliveAnswer => "answers the probe".to_owned(),
        Note::WindowProbe => format!("window probe: has the {peer} room again?"),
        Note::ZeroWindow => {
            format!("window 0: the {side}'s receive buffer is full, the {peer} has to stop")
        }
        Note::WindowOpens => format!("the {side} has room again, the {peer} may go on"),
        Note::Refusal => format!(
            "refused: nobody listens at this port of the {side}, or a firewall answers for it"
        ),
        Note::Reset => format!("reset: the {side} ends both directions at once; data may be lost"),
        Note::ResetAfterClose => {
            format!("reset: the {side}'s socket was closed already, and more data came for it")
        }
        Note::StrayReset => format!("a reset outside the window: the {peer} ignores it"),
        Note::Stray => "numbers of another connection: ignored".to_owned(),
        Note::AcceptQueue => format!(
            "the {side} repeats its SYN,ACK: it did not take the handshake's third packet, as when \
             its accept queue is full"
        ),
        Note::Anew => "the same addresses begin a new connection".to_owned(),
        _ => String::new(),
    }
}

/// Why a packet did not arrive.
pub fn reason(reason: Reason) -> String {
    match reason {
        Reason::Port => "nobody has that port open".to_owned(),
        Reason::Host => "the host does not answer".to_owned(),
        Reason::Network => "there is no route to the network".to_owned(),
        Reason::Prohibited => "a firewall forbids it".to_owned(),
        Reason::TooBig(Some(size)) => format!("the packet is too long, {size} bytes would pass"),
        Reason::TooBig(None) => "the packet is too long for the way ahead".to_owned(),
        Reason::TimeExceeded => "the packet was too long on its way".to_owned(),
        Reason::Other(kind, code) => format!("type {kind}, code {code}"),
    }
}

/// What a history comes to: a word for the subject, and sentences about it.
pub fn verdict(history: &History) -> Vec<(&'static str, String)> {
    let verdict = history.verdict();
    let mut lines = Vec::new();
    if history.is_tcp() {
        lines.push(("opened", opening(verdict.opening)));
    }
    lines.push(("sent", sent(&verdict)));
    if history.is_tcp() && !matches!(verdict.opening, Opening::Refused | Opening::Unanswered { .. })
    {
        lines.push(("closed", closing(verdict.closing)));
    }
    lines.extend(verdict.time_wait.iter().map(|wait| ("waits", waits(wait))));
    lines.extend(counted(&verdict).map(|text| ("seen", text)));
    lines.extend(verdict.troubles.iter().map(|trouble| ("trouble", troubled(*trouble))));
    lines
}

fn opening(opening: Opening) -> String {
    match opening {
        Opening::None => "nothing was seen".to_owned(),
        Opening::Unseen => "before the trace began".to_owned(),
        Opening::Unanswered { syns } => format!(
            "no: the SYN has no answer, sent {}. The host is down, a firewall drops the packet, or \
             the server's queue is full",
            count(u64::from(syns), "time")
        ),
        Opening::Refused => {
            "no: refused by a RST. Nobody listens at that port, or a firewall answers so".to_owned()
        }
        Opening::Half => "half: the third packet of the handshake was not seen".to_owned(),
        Opening::Handshake { round_trip: Some(trip) } => {
            format!("by three packets (SYN, SYN,ACK, ACK); the answer took {}", time(trip))
        }
        Opening::Handshake { round_trip: None } => {
            "by three packets (SYN, SYN,ACK, ACK), of which one had to be repeated, so that nobody can \
             tell how long the answer took"
                .to_owned()
        }
        Opening::Simultaneous => "by both sides at once".to_owned(),
    }
}

fn sent(verdict: &Verdict) -> String {
    let of = |side: Side, counts: &crate::history::Counts| {
        let bytes = count(counts.bytes, "byte");
        format!("{side} {bytes} in {}", count(counts.packets, "packet"))
    };
    let (client, server) = (of(Side::Client, &verdict.client), of(Side::Server, &verdict.server));
    format!("{client}, {server}, in {}", time(verdict.duration))
}

fn closing(closing: Closing) -> String {
    match closing {
        Closing::Open => "not yet".to_owned(),
        Closing::HalfClosed { by } => {
            format!("half: the {by} has ended its direction, the {} has not", by.other())
        }
        Closing::Unfinished { first } => {
            format!("by both, the {first} first; not all packets of the close are known")
        }
        Closing::Closed { first, how } => format!("by the {first} first; {}", manner(first, how)),
        Closing::Reset { by, after_close: false } => {
            format!("by a reset of the {by}: both directions at once, nothing is acknowledged")
        }
        Closing::Reset { by, after_close: true } => format!(
            "by a reset: the {by} had closed its socket, and the {} still sent to it",
            by.other()
        ),
    }
}

fn manner(first: Side, how: How) -> String {
    let second = first.other();
    match how {
        How::ThreePackets => format!(
            "three packets: the {second} had nothing left to send, so its FIN rides with the ACK"
        ),
        How::FourPackets { meanwhile: 0 } => {
            format!("four packets: the {second}'s kernel acknowledged before its program closed")
        }
        How::FourPackets { meanwhile } => format!(
            "four packets: the {second} still sent {} before its own FIN",
            count(meanwhile, "byte")
        ),
        How::Simultaneous => "both at once, so both wait".to_owned(),
    }
}

fn waits(wait: &TimeWait) -> String {
    let side = wait.side;
    let until = time(wait.until);
    let held = match wait.told {
        true => {
            format!("the {side} holds TIME-WAIT until {until} after the start (the kernel says so)")
        }
        false => format!(
            "the {side} holds TIME-WAIT, by these packets; if it runs Linux for 60 s, until {until} \
             after the start"
        ),
    };
    format!(
        "{held}: whoever closes first waits, to repeat a lost last ACK and so that a late packet \
         meets no new connection"
    )
}

/// What was counted beside the ordinary; `None` where nothing was.
fn counted(verdict: &Verdict) -> Option<String> {
    let mut parts = Vec::new();
    for (side, counts) in [(Side::Client, &verdict.client), (Side::Server, &verdict.server)] {
        let kinds = [
            (counts.retransmissions, "retransmission"),
            (counts.out_of_order, "late packet"),
            (counts.copies, "doubled packet"),
            (counts.duplicate_acks, "repeated ACK"),
            (counts.zero_windows, "closed window"),
            (counts.window_probes, "window probe"),
            (counts.keepalives, "keepalive"),
            (counts.strays, "stray packet"),
        ];
        let seen = kinds.into_iter().filter(|(number, _)| *number > 0);
        parts.extend(seen.map(|(number, what)| format!("{} of the {side}", count(number, what))));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn troubled(trouble: Trouble) -> String {
    match trouble {
        Trouble::AcceptQueue => {
            "the server repeats its SYN,ACK after the handshake's third packet: \
             its accept queue is full, or the packet was lost. `sockeye ports` shows the queue"
                .to_owned()
        }
        Trouble::BlackHole { side, size } => format!(
            "the {side}'s packets of {size} bytes vanish and nobody says why: a path-MTU black \
             hole. Let ICMP pass, or set a smaller maxseg"
        ),
        Trouble::Silence { side, size, times } => {
            let again = count(u64::from(times), "time");
            let long = match size > limits::TRACE_SMALL_PACKET {
                true => format!(", or a path-MTU black hole takes packets of {size} bytes"),
                false => String::new(),
            };
            format!(
                "the {side} sent the same packet {again} more and nothing came back: the {} or \
                 the way to it is gone{long}",
                side.other()
            )
        }
        Trouble::Unreachable(why) => format!("ICMP: {}", reason(why)),
        Trouble::Missed(packets) => {
            format!("{} not captured: the drawing has gaps", count(packets, "packet"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O1: a payload is cut between characters, and between what stands for one; what is missing shows.
    #[test]
    fn payloads() {
        assert_eq!(payload(b"hello", 5, 10), "\"hello\"");
        assert_eq!(payload(b"hello you", 9, 5), "\"hello\" …");
        assert_eq!(payload(b"Saturday, Novemb", 42, 16), "\"Saturday, Novemb\" …");
        assert_eq!(payload(b"1.0\r\nHost", 9, 6), "\"1.0\" …");
        assert_eq!(payload("日本語".as_bytes(), 9, 7), "\"日本\" …");
        assert_eq!(payload(b"\xff\xff", 2, 3), "\"\" …");
        assert_eq!(payload(b"", 0, 0), "\"\"");
    }
}
