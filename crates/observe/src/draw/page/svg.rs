//! The sequence as an SVG picture: a line for each end, its states beside it, arrows between.

use std::fmt::Write;

use super::{escape, heading};
use crate::draw::calls::Calls;
use crate::draw::{text, words};
use crate::history::{CallResult, Event, Flags, History, Note, Side, State, Step};

const WIDTH: u32 = 860;
const CLIENT: u32 = 190;
const SERVER: u32 = WIDTH - CLIENT;
const MIDDLE: u32 = WIDTH / 2;
/// How far an arrow falls on its way: time runs downwards.
const FALL: u32 = 14;
/// Characters that a line of text between the ends holds.
const ROOM: usize = 54;

/// Which part of a connection's life a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Opening,
    Talk,
    Closing,
}

struct Picture {
    rows: String,
    y: u32,
    shown: [Option<State>; 2],
    calls: Calls,
    /// Each part with where it begins and ends.
    parts: Vec<(Part, u32, u32)>,
}

/// The picture of these steps.
pub(super) fn picture(history: &History, steps: &[Step], deduced: bool) -> String {
    let mut picture = Picture {
        rows: String::new(),
        y: 64,
        shown: [None; 2],
        calls: Calls::default(),
        parts: Vec::new(),
    };
    for step in steps {
        picture.step(step);
    }
    let height = picture.y + 30;
    let class = if deduced { " class=\"deduced\"" } else { "" };
    let mut out = format!(
        "<svg{class} viewBox=\"0 0 {WIDTH} {height}\" role=\"group\" \
         aria-label=\"sequence of packets\">\n"
    );
    for (part, from, to) in &picture.parts {
        let (class, name) = match part {
            Part::Opening => ("opening", "handshake"),
            Part::Talk => ("data", "conversation"),
            Part::Closing => ("closing", "close"),
        };
        if history.is_tcp() {
            let (height, x) = (to - from, CLIENT - 14);
            let (wide, middle) = (SERVER - CLIENT + 28, (from + to) / 2);
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "<rect class=\"part {class}\" x=\"{x}\" y=\"{from}\" width=\"{wide}\" \
                 height=\"{height}\" rx=\"10\"/><text class=\"part {class}\" x=\"18\" y=\"{middle}\" \
                 transform=\"rotate(-90 18 {middle})\">{name}</text>"
            );
        }
    }
    for (x, side, address) in [
        (CLIENT, Side::Client, history.client_address()),
        (SERVER, Side::Server, history.server_address()),
    ] {
        let _ = writeln!(
            out,
            "<text class=\"end\" x=\"{x}\" y=\"20\">{side}</text>\
             <text class=\"address\" x=\"{x}\" y=\"38\">{address}</text>\
             <line class=\"life\" x1=\"{x}\" y1=\"50\" x2=\"{x}\" y2=\"{height}\"/>"
        );
    }
    out + &picture.rows + "</svg>\n"
}

impl Picture {
    fn step(&mut self, step: &Step) {
        let said = match &step.event {
            Event::Call(call) => self.calls.said(call),
            _ => Some(String::new()),
        };
        let Some(said) = said else { return };
        let (number, top) = (step.number, self.y);
        let class = match &step.event {
            Event::Call(call) if matches!(call.result, CallResult::Failed(_)) => "trouble",
            Event::Call(_) => "call",
            Event::Unreachable(_) | Event::Missed { .. } => "trouble",
            _ => class(step),
        };
        let label = words::explain(step).join(". ");
        let label = escape(&format!("{}. {label}", heading(step)));
        let _ = writeln!(
            self.rows,
            "<g class=\"step {class}\" id=\"step-{number}\" data-step=\"{number}\" tabindex=\"0\" \
             role=\"button\" aria-label=\"{label}\">"
        );
        match &step.event {
            Event::Segment(segment) => {
                self.part(step);
                let lost =
                    step.notes.iter().any(|note| matches!(note, Note::Copy(_) | Note::Stray));
                let said = words::packet(step, segment);
                self.arrow(step, &said, &segment.payload, segment.length, lost);
            }
            Event::Datagram(datagram) => {
                let said = format!("datagram len {}", datagram.length);
                self.arrow(step, &said, &datagram.payload, datagram.length, false);
            }
            Event::Call(call) => self.beside(call.side, &said),
            Event::State { .. } | Event::TimeWait { .. } => {
                let side = step.side.unwrap_or(Side::Client);
                self.states(step, self.y);
                match &step.event {
                    Event::TimeWait { remaining, .. } => {
                        self.beside(side, &format!("waits {} more", words::time(*remaining)));
                    }
                    _ => self.y += 30,
                }
            }
            Event::Unreachable(_) | Event::Missed { .. } => {
                let said = words::explain(step).join("; ");
                self.text(MIDDLE, self.y + 8, "middle", "note", &said, ROOM);
                self.y += 26;
            }
        }
        self.rows += "</g>\n";
        if let (Some((_, _, end)), Event::Segment(_)) = (self.parts.last_mut(), &step.event) {
            *end = self.y.max(top) - 8;
        }
    }

    /// Counts a packet to its part of the connection's life.
    fn part(&mut self, step: &Step) {
        let opens = |note: &Note| {
            matches!(
                note,
                Note::Handshake(_) | Note::CrossingSyn | Note::Refusal | Note::AcceptQueue
            )
        };
        let closes = |note: &Note| matches!(note, Note::FirstFin | Note::Reset);
        let last = self.parts.last().map(|(part, ..)| *part);
        let syn = matches!(&step.event, Event::Segment(segment) if segment.flags.has(Flags::SYN));
        let part = if step.notes.iter().any(closes) {
            Part::Closing
        } else if syn || step.notes.iter().any(opens) {
            Part::Opening
        } else {
            match last {
                Some(Part::Closing) => Part::Closing,
                _ => Part::Talk,
            }
        };
        if last != Some(part) {
            self.y += 10;
            self.parts.push((part, self.y - 22, self.y));
        }
    }

    fn arrow(&mut self, step: &Step, said: &str, payload: &[u8], length: usize, lost: bool) {
        let from = step.side.unwrap_or(Side::Client);
        let (start, end) = (self.y + 8, self.y + 8 + FALL);
        // The line ends where the head begins.
        let (x1, x2, tip) = match from {
            Side::Client => (CLIENT + 2, SERVER - 12, SERVER - 2),
            Side::Server => (SERVER - 2, CLIENT + 12, CLIENT + 2),
        };
        self.area(self.y - 10, 46);
        let dash = if lost { " stroke-dasharray=\"5 4\"" } else { "" };
        let _ = writeln!(
            self.rows,
            "<line class=\"arrow\" x1=\"{x1}\" y1=\"{start}\" x2=\"{x2}\" y2=\"{end}\"{dash}/>\
             <path class=\"head\" d=\"M{tip} {end} L{x2} {} L{x2} {}z\"/>",
            end - 5,
            end + 5,
        );
        let again = step.notes.iter().any(|note| matches!(note, Note::Retransmission(_)));
        let said = if again { format!("{said}  (again)") } else { said.to_owned() };
        self.text(MIDDLE, self.y + 4, "middle", "label", &said, ROOM);
        let time = format!("+{}", words::time(step.since));
        let (x, anchor) = match from {
            Side::Client => (CLIENT + 10, "start"),
            Side::Server => (SERVER - 10, "end"),
        };
        self.text(x, end + 12, anchor, "time", &time, ROOM);
        if length > 0 {
            let said = words::payload(payload, length, ROOM - 14);
            self.text(MIDDLE, end + 13, "middle", "payload", &said, ROOM);
        }
        self.states(
            step,
            match from {
                Side::Client => start,
                Side::Server => end,
            },
        );
        self.y += 52;
    }

    /// A line of text on one side, inside.
    fn beside(&mut self, side: Side, said: &str) {
        self.area(self.y - 12, 24);
        let (x, anchor) = match side {
            Side::Client => (CLIENT + 10, "start"),
            Side::Server => (SERVER - 10, "end"),
        };
        self.text(x, self.y + 4, anchor, "call", said, ROOM);
        self.y += 28;
    }

    /// The states that are new, beside their lines; the client's at that height.
    fn states(&mut self, step: &Step, at: u32) {
        let other = match (&step.event, step.side) {
            (Event::Segment(_), Some(Side::Server)) => at - FALL.min(at),
            (Event::Segment(_), _) => at + FALL,
            _ => at,
        };
        for side in [Side::Client, Side::Server] {
            let now = step.state(side);
            if now.is_none() || now == self.shown[side as usize] {
                continue;
            }
            self.shown[side as usize] = now;
            let y = if side == Side::Client { at } else { other };
            let name = now.map_or("", State::name);
            let (x, rect) = match side {
                Side::Client => (CLIENT - 70, CLIENT - 128),
                Side::Server => (SERVER + 70, SERVER + 12),
            };
            let _ = writeln!(
                self.rows,
                "<rect class=\"state\" x=\"{rect}\" y=\"{}\" width=\"116\" height=\"22\" rx=\"11\"/>\
                 <text class=\"state\" x=\"{x}\" y=\"{}\">{name}</text>",
                y - 11.min(y),
                y + 4,
            );
        }
    }

    /// What reacts to the pointer.
    fn area(&mut self, y: u32, height: u32) {
        let (x, wide) = (CLIENT - 12, SERVER - CLIENT + 24);
        let _ = writeln!(
            self.rows,
            "<rect class=\"area\" x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{height}\" rx=\"6\"/>"
        );
    }

    fn text(&mut self, x: u32, y: u32, anchor: &str, class: &str, said: &str, room: usize) {
        let said = escape(&text::cut(said, room));
        let _ = writeln!(
            self.rows,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{said}</text>"
        );
    }
}

/// The colour of a packet, by what it is for.
fn class(step: &Step) -> &'static str {
    crate::draw::terminal::kind(step).class()
}
