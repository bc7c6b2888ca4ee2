//! A history for machines: one JSON object a step, and one for the verdict.

use serde::Serialize;
use sockeye_net::shown;

use super::words;
use crate::history::{
    Call, CallResult, Closing, Counts, Datagram, Event, Flags, History, How, Note, Opening,
    Segment, Side, Step,
};

/// One line of NDJSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    event: &'a str,
    step: u64,
    time_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'a str>,
    #[serde(flatten)]
    what: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caused_by: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explained: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
    Segment {
        since_us: f64,
        flags: Vec<String>,
        seq: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        ack: Option<u32>,
        length: usize,
        window: u32,
        #[serde(skip_serializing_if = "String::is_empty")]
        payload: String,
    },
    Datagram {
        since_us: f64,
        length: usize,
        payload: String,
    },
    Call {
        call: String,
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        returned: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Unreachable {
        from: String,
        reason: String,
    },
    Remaining {
        remaining_us: f64,
    },
    Count {
        count: u64,
    },
    Nothing {},
}

fn micros(time: std::time::Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// One step as one line, without its end.
pub fn step(step: &Step) -> String {
    let (event, what) = what(step);
    let state = |side| step.state(side).map(|state| state.name());
    let again = step.notes.iter().find_map(|note| match note {
        Note::Retransmission(of) => *of,
        Note::Copy(of) => Some(*of),
        _ => None,
    });
    let line = Line {
        event,
        step: step.number,
        time_us: micros(step.event.time()),
        side: step.side.map(Side::name),
        what,
        client: state(Side::Client),
        server: state(Side::Server),
        caused_by: step.cause,
        notes: step.notes.iter().map(name).collect(),
        again,
        explained: words::explain(step),
    };
    written(&line)
}

/// Numbers and strings alone: writing them cannot fail.
fn written(value: &impl Serialize) -> String {
    shown::json(&serde_json::to_string(value).unwrap_or_default())
}

fn what(step: &Step) -> (&'static str, What) {
    match &step.event {
        Event::Segment(segment) => ("packet", segment_of(step, segment)),
        Event::Datagram(Datagram { payload, length, .. }) => {
            let since_us = micros(step.since);
            let payload = shown::bytes(payload);
            ("datagram", What::Datagram { since_us, length: *length, payload })
        }
        Event::Unreachable(error) => {
            let (from, reason) = (error.from.to_string(), words::reason(error.reason));
            ("unreachable", What::Unreachable { from, reason })
        }
        Event::Call(call) => ("call", call_of(call)),
        Event::State { .. } => ("state", What::Nothing {}),
        Event::TimeWait { remaining, .. } => {
            ("time-wait", What::Remaining { remaining_us: micros(*remaining) })
        }
        Event::Missed { count, .. } => ("missed", What::Count { count: *count }),
    }
}

fn segment_of(step: &Step, segment: &Segment) -> What {
    let flags = match segment.flags {
        Flags(0) => Vec::new(),
        flags => flags.to_string().split(',').map(str::to_owned).collect(),
    };
    What::Segment {
        since_us: micros(step.since),
        flags,
        seq: step.seq,
        ack: step.ack,
        length: segment.length,
        window: step.window,
        payload: shown::bytes(&segment.payload),
    }
}

fn call_of(call: &Call) -> What {
    let (returned, error) = match &call.result {
        CallResult::Begun => (None, None),
        CallResult::Done(value) => (Some(*value), None),
        CallResult::Failed(why) => (None, Some(shown::line(why))),
    };
    What::Call { call: shown::line(&call.name), text: shown::line(&call.text), returned, error }
}

fn name(note: &Note) -> &'static str {
    match note {
        Note::Handshake(1) => "handshake-1",
        Note::Handshake(2) => "handshake-2",
        Note::Handshake(_) => "handshake-3",
        Note::CrossingSyn => "crossing-syn",
        Note::FirstFin => "first-fin",
        Note::FinAcknowledged => "fin-acknowledged",
        Note::SecondFin => "second-fin",
        Note::FinRides => "fin-rides",
        Note::CrossingFin => "crossing-fin",
        Note::LastAck => "last-ack",
        Note::Retransmission(_) => "retransmission",
        Note::Copy(_) => "copy",
        Note::OutOfOrder => "out-of-order",
        Note::Skips(_) => "skips",
        Note::AcknowledgesUnseen => "acknowledges-unseen",
        Note::DuplicateAck(_) => "duplicate-ack",
        Note::KeepAlive => "keepalive",
        Note::KeepAliveAnswer => "keepalive-answer",
        Note::WindowProbe => "window-probe",
        Note::ZeroWindow => "zero-window",
        Note::WindowOpens => "window-opens",
        Note::Refusal => "refusal",
        Note::Reset => "reset",
        Note::ResetAfterClose => "reset-after-close",
        Note::StrayReset => "stray-reset",
        Note::Stray => "stray",
        Note::AcceptQueue => "accept-queue",
        Note::Anew => "anew",
    }
}

#[derive(Debug, Serialize)]
struct VerdictLine {
    event: &'static str,
    client: String,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closing: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_first: Option<&'static str>,
    time_wait: Vec<WaitLine>,
    retransmissions: u64,
    sides: [CountsLine; 2],
    duration_us: f64,
    steps: u64,
    explained: Vec<String>,
}

#[derive(Debug, Serialize)]
struct WaitLine {
    side: &'static str,
    until_us: f64,
    told_by_kernel: bool,
}

#[derive(Debug, Serialize)]
struct CountsLine {
    side: &'static str,
    packets: u64,
    bytes: u64,
    retransmissions: u64,
    copies: u64,
    out_of_order: u64,
    duplicate_acks: u64,
    zero_windows: u64,
    window_probes: u64,
    keepalives: u64,
    resets: u64,
    strays: u64,
}

impl CountsLine {
    fn of(side: Side, counts: Counts) -> CountsLine {
        CountsLine {
            side: side.name(),
            packets: counts.packets,
            bytes: counts.bytes,
            retransmissions: counts.retransmissions,
            copies: counts.copies,
            out_of_order: counts.out_of_order,
            duplicate_acks: counts.duplicate_acks,
            zero_windows: counts.zero_windows,
            window_probes: counts.window_probes,
            keepalives: counts.keepalives,
            resets: counts.resets,
            strays: counts.strays,
        }
    }
}

/// What a history comes to as one line, without its end.
pub fn verdict(history: &History) -> String {
    let verdict = history.verdict();
    let tcp = history.is_tcp();
    let waits = verdict.time_wait.iter().map(|wait| WaitLine {
        side: wait.side.name(),
        until_us: micros(wait.until),
        told_by_kernel: wait.told,
    });
    let (closing, first) = closing(verdict.closing);
    let line = VerdictLine {
        event: "verdict",
        client: history.client_address().to_string(),
        server: history.server_address().to_string(),
        opening: tcp.then(|| opening(verdict.opening)),
        closing: tcp.then_some(closing),
        closed_first: first.map(Side::name),
        time_wait: waits.collect(),
        retransmissions: verdict.retransmissions(),
        sides: [
            CountsLine::of(Side::Client, verdict.client),
            CountsLine::of(Side::Server, verdict.server),
        ],
        duration_us: micros(verdict.duration),
        steps: history.count(),
        explained: words::verdict(history)
            .into_iter()
            .map(|(of, text)| format!("{of}: {text}"))
            .collect(),
    };
    written(&line)
}

fn opening(opening: Opening) -> &'static str {
    match opening {
        Opening::None => "none",
        Opening::Unseen => "unseen",
        Opening::Unanswered { .. } => "unanswered",
        Opening::Refused => "refused",
        Opening::Half => "half",
        Opening::Handshake { .. } => "handshake",
        Opening::Simultaneous => "simultaneous",
    }
}

fn closing(closing: Closing) -> (&'static str, Option<Side>) {
    match closing {
        Closing::Open => ("open", None),
        Closing::HalfClosed { by } => ("half-closed", Some(by)),
        Closing::Unfinished { first } => ("unfinished", Some(first)),
        Closing::Closed { first, how: How::ThreePackets } => ("three-packets", Some(first)),
        Closing::Closed { first, how: How::FourPackets { .. } } => ("four-packets", Some(first)),
        Closing::Closed { first, how: How::Simultaneous } => ("simultaneous", Some(first)),
        Closing::Reset { by, .. } => ("reset", Some(by)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q2: every word that `notes`, `opening` and `closing` can have is documented.
    #[test]
    fn documented() {
        let page = include_str!("../../../../docs/json.md");
        let page =
            page.split_once("### A trace's steps and verdict").map(|(_, section)| section).unwrap();
        let notes = [
            Note::Handshake(1),
            Note::Handshake(2),
            Note::Handshake(3),
            Note::CrossingSyn,
            Note::FirstFin,
            Note::FinAcknowledged,
            Note::SecondFin,
            Note::FinRides,
            Note::CrossingFin,
            Note::LastAck,
            Note::Retransmission(None),
            Note::Copy(1),
            Note::OutOfOrder,
            Note::Skips(1),
            Note::AcknowledgesUnseen,
            Note::DuplicateAck(1),
            Note::KeepAlive,
            Note::KeepAliveAnswer,
            Note::WindowProbe,
            Note::ZeroWindow,
            Note::WindowOpens,
            Note::Refusal,
            Note::Reset,
            Note::ResetAfterClose,
            Note::StrayReset,
            Note::Stray,
            Note::AcceptQueue,
            Note::Anew,
        ];
        let by = Side::Client;
        let closings = [
            Closing::Open,
            Closing::HalfClosed { by },
            Closing::Unfinished { first: by },
            Closing::Closed { first: by, how: How::ThreePackets },
            Closing::Closed { first: by, how: How::FourPackets { meanwhile: 0 } },
            Closing::Closed { first: by, how: How::Simultaneous },
            Closing::Reset { by, after_close: false },
        ];
        let openings = [
            Opening::None,
            Opening::Unseen,
            Opening::Unanswered { syns: 1 },
            Opening::Refused,
            Opening::Half,
            Opening::Handshake { round_trip: None },
            Opening::Simultaneous,
        ];
        let words = notes.iter().map(name);
        let words = words.chain(closings.map(|how| closing(how).0)).chain(openings.map(opening));
        for word in words {
            assert!(page.contains(&format!("`{word}`")), "{word}");
        }
    }
}
