//! The picture on a terminal: two columns of states, and an arrow for each packet between them.

use anstyle::{AnsiColor, Color, Style as Ansi};
use sockeye_limits as limits;

use super::calls::Calls;
use super::{layers, text, words};
use crate::history::{
    Call, CallResult, Datagram, Event, Flags, History, Note, Opening, Segment, Side, State, Step,
};

/// How the picture looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Nothing but ASCII.
    pub ascii: bool,
    /// Colours, as ANSI escape sequences.
    pub colour: bool,
    /// Each packet is opened: its layers, field by field, beneath its arrow.
    pub layers: bool,
}

/// Columns of a state; SYN-RECEIVED is the longest.
const STATE: usize = 12;
/// Columns between the two lines.
const MIDDLE: usize = limits::TRACE_WIDTH - 2 * STATE - 4;

/// Draws a history as it grows.
///
/// [`head`](Drawer::head) once, [`step`](Drawer::step) for each step, [`end`](Drawer::end) when it is
/// over. Each gives whole lines of at most [`sockeye_limits::TRACE_WIDTH`] columns.
#[derive(Debug)]
pub struct Drawer {
    style: Style,
    shown: [Option<State>; 2],
    calls: Calls,
}

/// The picture of a whole history.
pub fn picture(history: &History, style: Style) -> String {
    let mut drawer = Drawer::new(style);
    let mut out = drawer.head(history);
    for step in history.steps() {
        out += &drawer.step(step);
    }
    let more = history.count() - history.steps().len() as u64;
    if more > 0 {
        out += &drawer.middle(&format!("… {} more", words::count(more, "step")), Ink::Faint);
    }
    out + &drawer.end(history)
}

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Faint,
    State,
    Opening,
    Data,
    Closing,
    Trouble,
    Call,
}

impl Ink {
    /// Its name in the page.
    pub(super) fn class(self) -> &'static str {
        match self {
            Ink::Opening => "opening",
            Ink::Data => "data",
            Ink::Closing => "closing",
            Ink::Trouble => "trouble",
            Ink::Call => "call",
            Ink::Plain | Ink::Faint | Ink::State => "plain",
        }
    }

    fn style(self) -> Ansi {
        let colour = |colour: AnsiColor| Ansi::new().fg_color(Some(Color::Ansi(colour)));
        match self {
            Ink::Plain => Ansi::new(),
            Ink::Faint => Ansi::new().dimmed(),
            Ink::State => Ansi::new().bold(),
            Ink::Opening => colour(AnsiColor::Green),
            Ink::Data => colour(AnsiColor::Cyan),
            Ink::Closing => colour(AnsiColor::Yellow),
            Ink::Trouble => colour(AnsiColor::Red),
            Ink::Call => colour(AnsiColor::Magenta),
        }
    }
}

/// What a packet is for, which its colour shows.
pub(super) fn kind(step: &Step) -> Ink {
    let Event::Segment(segment) = &step.event else { return Ink::Data };
    let trouble = |note: &Note| {
        matches!(
            note,
            Note::Retransmission(_)
                | Note::Copy(_)
                | Note::OutOfOrder
                | Note::Skips(_)
                | Note::AcknowledgesUnseen
                | Note::DuplicateAck(_)
                | Note::ZeroWindow
                | Note::StrayReset
                | Note::Stray
                | Note::AcceptQueue
        )
    };
    if segment.flags.has(Flags::RST) || step.notes.iter().any(trouble) {
        Ink::Trouble
    } else if step.notes.iter().any(|note| matches!(note, Note::Handshake(_) | Note::CrossingSyn)) {
        Ink::Opening
    } else if segment.flags.has(Flags::FIN)
        || step.notes.iter().any(|note| matches!(note, Note::FinAcknowledged | Note::LastAck))
    {
        Ink::Closing
    } else if segment.length > 0 {
        Ink::Data
    } else {
        Ink::Plain
    }
}

impl Drawer {
    /// A drawer that has drawn nothing.
    pub fn new(style: Style) -> Drawer {
        Drawer { style, shown: [None; 2], calls: Calls::default() }
    }

    /// Who the two are, and, of a history that has its steps already, where they stand before.
    pub fn head(&mut self, history: &History) -> String {
        let names = [
            format!("client {}", history.client_address()),
            format!("server {}", history.server_address()),
        ];
        let wide = limits::TRACE_WIDTH;
        let [client, server] = &names;
        let mut out = String::new();
        if text::width(client) + text::width(server) + 2 <= wide {
            let room = wide - text::width(client);
            let line = format!("{client}{}", text::right(server, room));
            out += &self.line(&self.paint(&line, Ink::State));
        } else {
            out += &self.line(&self.paint(client, Ink::State));
            out += &self.line(&self.paint(&text::right(server, wide), Ink::State));
        }
        if history.is_tcp() {
            let opening = history.verdict().opening;
            let listens = matches!(opening, Opening::Half | Opening::Handshake { .. });
            let closed = !matches!(opening, Opening::Unseen);
            self.shown = [closed.then_some(State::Closed), listens.then_some(State::Listen)];
        }
        let [client, server] = self.shown.map(|state| state.map_or("", State::name));
        out + &self.row(client, &" ".repeat(MIDDLE), Ink::Plain, server)
    }

    /// The lines of one step.
    pub fn step(&mut self, step: &Step) -> String {
        let mut out = match &step.event {
            Event::Segment(segment) => self.segment(step, segment),
            Event::Datagram(datagram) => self.datagram(step, datagram),
            Event::Call(call) => self.call(call),
            _ => self.told(step),
        };
        let ink = match &step.event {
            Event::Missed { .. } | Event::Unreachable(_) => Ink::Trouble,
            _ => Ink::Faint,
        };
        for sentence in words::explain(step) {
            out += &self.middle(&sentence, ink);
        }
        if self.style.layers
            && let Event::Segment(Segment { frame, .. }) | Event::Datagram(Datagram { frame, .. }) =
                &step.event
        {
            for line in layers::lines(frame) {
                out += &self.line(&self.paint(&line, Ink::Faint));
            }
        }
        out
    }

    /// What it all comes to.
    pub fn end(&self, history: &History) -> String {
        let mut out = self.line(&"─".repeat(limits::TRACE_WIDTH));
        for (subject, text) in words::verdict(history) {
            let ink = if subject == "trouble" { Ink::Trouble } else { Ink::State };
            let lines = text::wrap(&text, limits::TRACE_WIDTH - 9);
            for (number, line) in lines.iter().enumerate() {
                let subject = if number == 0 { subject } else { "" };
                let subject = self.paint(&text::left(subject, 9), ink);
                out += &self.line(&format!("{subject}{line}"));
            }
        }
        out
    }

    fn segment(&mut self, step: &Step, segment: &Segment) -> String {
        let ink = kind(step);
        let dropped = step.notes.iter().any(|note| matches!(note, Note::Copy(_) | Note::Stray));
        let mut out = self.arrow(step, &words::packet(step, segment), ink, dropped);
        if !segment.payload.is_empty() {
            let room = MIDDLE - 8;
            let said = words::payload(&segment.payload, segment.length, room);
            out += &self.middle(&said, Ink::Plain);
        }
        out
    }

    fn datagram(&mut self, step: &Step, datagram: &Datagram) -> String {
        let label = format!("datagram len {}", datagram.length);
        let mut out = self.arrow(step, &label, Ink::Data, false);
        if datagram.length > 0 {
            let said = words::payload(&datagram.payload, datagram.length, MIDDLE - 8);
            out += &self.middle(&said, Ink::Plain);
        }
        out
    }

    /// An arrow with its label and the time since the packet before; what does not fit goes above.
    fn arrow(&mut self, step: &Step, label: &str, ink: Ink, dashed: bool) -> String {
        let side = step.side.unwrap_or(Side::Client);
        let (client, server) = self.states(step);
        let time = format!("+{}", words::time(step.since));
        let mut out = String::new();
        // Two at each end, a blank around each text.
        let room = MIDDLE - 8;
        let mut said = label.to_owned();
        if text::width(label) + 1 + text::width(&time) > room {
            out += &self.middle(label, ink);
            said.clear();
        }
        let shaft = if dashed { "╌" } else { "─" };
        let label = if said.is_empty() { String::new() } else { format!(" {said} ") };
        let time = format!(" {time} ");
        let fill = MIDDLE - 5 - text::width(&label) - text::width(&time);
        let (two, fill) = (shaft.repeat(2), shaft.repeat(fill));
        let drawn = match side {
            Side::Client => format!("{two}{label}{fill}{time}{two}▶"),
            Side::Server => format!("◀{two}{label}{fill}{time}{two}"),
        };
        out + &self.row(&client, &drawn, ink, &server)
    }

    /// A call of one side, on its side.
    fn call(&mut self, call: &Call) -> String {
        let Some(said) = self.calls.said(call) else { return String::new() };
        let failed = matches!(call.result, CallResult::Failed(_));
        let ink = if failed { Ink::Trouble } else { Ink::Call };
        let lines = text::wrap(&said, MIDDLE - 4);
        let mut out = String::new();
        for line in lines.iter().take(limits::TRACE_CALL_LINES) {
            let line = match call.side {
                Side::Client => text::left(&format!("  {line}"), MIDDLE),
                Side::Server => text::right(&format!("{line}  "), MIDDLE),
            };
            out += &self.row("", &line, ink, "");
        }
        out
    }

    /// What the kernel says of a state, or what somebody on the way says.
    fn told(&mut self, step: &Step) -> String {
        let (client, server) = self.states(step);
        if client.is_empty() && server.is_empty() {
            return String::new();
        }
        self.row(&client, &" ".repeat(MIDDLE), Ink::Plain, &server)
    }

    /// The states that are new since they were drawn last.
    fn states(&mut self, step: &Step) -> (String, String) {
        let new = |shown: &mut Option<State>, now: Option<State>| {
            let changed = now.is_some() && *shown != now;
            *shown = now.or(*shown);
            if changed { now.map_or("", State::name).to_owned() } else { String::new() }
        };
        let [client, server] = &mut self.shown;
        (new(client, step.client), new(server, step.server))
    }

    /// Lines between the two lines of the ends, broken where they are too long.
    fn middle(&self, said: &str, ink: Ink) -> String {
        let lines = text::wrap(said, MIDDLE - 6);
        let row =
            |line: &String| self.row("", &text::left(&format!("    {line}"), MIDDLE), ink, "");
        lines.iter().map(row).collect()
    }

    fn row(&self, client: &str, middle: &str, ink: Ink, server: &str) -> String {
        let client = self.paint(&text::right(client, STATE), Ink::State);
        let middle = self.paint(middle, ink);
        let server = self.paint(server, Ink::State);
        self.line(&format!("{client} │{middle}│ {server}"))
    }

    fn paint(&self, text: &str, ink: Ink) -> String {
        let style = ink.style();
        if self.style.colour && !text.trim().is_empty() && style != Ansi::new() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn line(&self, line: &str) -> String {
        let line = line.trim_end();
        let mut out = String::with_capacity(line.len() + 1);
        for c in line.chars() {
            match c {
                _ if !self.style.ascii => out.push(c),
                '│' => out.push('|'),
                '─' => out.push('-'),
                '╌' => out.push('.'),
                '▶' => out.push('>'),
                '◀' => out.push('<'),
                'µ' => out.push('u'),
                '…' => out.push('~'),
                c if c.is_ascii() => out.push(c),
                _ => out.push('?'),
            }
        }
        out.push('\n');
        out
    }
}
