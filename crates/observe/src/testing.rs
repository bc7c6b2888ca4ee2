//! For tests: a conversation as frames, made packet by packet, and the history that they tell.

use std::net::SocketAddr;
use std::time::Duration;

use etherparse::{PacketBuilder, TcpHeader, TcpOptionElement};

use crate::history::{Call, CallResult, Event, History, Segment, Side, State};
use crate::packet::{Link, Packet, decode};

/// A conversation in the making. Numbers are relative to each side's first.
pub(crate) struct Conversation {
    client: SocketAddr,
    server: SocketAddr,
    first: [u32; 2],
    micros: u64,
    ident: u16,
    pub(crate) window: u16,
    pub(crate) events: Vec<Event>,
    /// The frames with their times in microseconds.
    pub(crate) frames: Vec<(u64, Vec<u8>)>,
}

impl Conversation {
    pub(crate) fn new() -> Conversation {
        Conversation {
            client: "127.0.0.1:51000".parse().unwrap(),
            server: "127.0.0.1:9000".parse().unwrap(),
            first: [u32::MAX - 3, 1_000_000],
            micros: 0,
            ident: 0,
            window: 512,
            events: Vec::new(),
            frames: Vec::new(),
        }
    }

    pub(crate) fn later(&mut self, micros: u64) -> &mut Conversation {
        self.micros += micros;
        self
    }

    fn time(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// A packet after 30 µs: flags as letters (`SA`), numbers, payload.
    pub(crate) fn send(&mut self, side: Side, flags: &str, seq: u32, ack: u32, payload: &[u8]) {
        let bytes = self.frame(side, flags, seq, ack, payload);
        self.seen(bytes);
    }

    /// A frame of now was seen.
    pub(crate) fn seen(&mut self, bytes: Vec<u8>) {
        let packet = decode(self.time(), Link::Ethernet, &bytes, bytes.len()).unwrap();
        self.events.push(packet.into());
        self.frames.push((self.micros, bytes));
    }

    pub(crate) fn frame(
        &mut self,
        side: Side,
        flags: &str,
        seq: u32,
        ack: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        self.micros += 30;
        self.ident += 1;
        let (from, to) = match side {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        let seq = self.first[side as usize].wrapping_add(seq);
        let mut header = TcpHeader::new(from.port(), to.port(), seq, self.window);
        header.acknowledgment_number = self.first[side.other() as usize].wrapping_add(ack);
        header.syn = flags.contains('S');
        header.ack = flags.contains('A');
        header.fin = flags.contains('F');
        header.rst = flags.contains('R');
        header.psh = flags.contains('P');
        if !header.ack {
            header.acknowledgment_number = 0;
        }
        let (value, echo) = ((self.micros / 1000) as u32, 0);
        let mut options = vec![TcpOptionElement::Timestamp(value, echo)];
        if header.syn {
            options.insert(0, TcpOptionElement::MaximumSegmentSize(65_495));
            options.insert(1, TcpOptionElement::SelectiveAcknowledgementPermitted);
            options.extend([TcpOptionElement::Noop, TcpOptionElement::WindowScale(7)]);
        }
        header.set_options(&options).unwrap();
        let mut ip = etherparse::Ipv4Header::new(
            0,
            64,
            etherparse::ip_number::TCP,
            [127, 0, 0, 1],
            [127, 0, 0, 1],
        )
        .unwrap();
        ip.identification = self.ident;
        ip.dont_fragment = true;
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([0; 6], [0; 6])
            .ip(etherparse::IpHeaders::Ipv4(ip, etherparse::Ipv4Extensions::default()))
            .tcp_header(header)
            .write(&mut bytes, payload)
            .unwrap();
        bytes
    }

    pub(crate) fn call(&mut self, side: Side, name: &'static str, text: &str, result: CallResult) {
        let (time, text) = (self.time(), text.to_owned());
        self.events.push(Event::Call(Call { time, side, name: name.into(), text, result }));
    }

    pub(crate) fn told(&mut self, side: Side, state: State) {
        self.events.push(Event::State { time: self.time(), side, old: state, new: state });
    }

    pub(crate) fn history(&self) -> History {
        let mut history = History::new(self.client, self.server);
        for event in &self.events {
            history.push(event.clone());
        }
        history
    }

    /// Datagrams: a question, and an ICMP error or an answer.
    pub(crate) fn segment(&self, at: usize) -> Segment {
        let (micros, bytes) = &self.frames[at];
        let time = Duration::from_micros(*micros);
        match decode(time, Link::Ethernet, bytes, bytes.len()) {
            Some(Packet::Segment(segment)) => segment,
            other => panic!("{other:?}"),
        }
    }

    /// A file in the format of pcap, version 2.4, Ethernet, microseconds.
    pub(crate) fn pcap(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
            out.extend(word.to_le_bytes());
        }
        for (micros, bytes) in &self.frames {
            let length = bytes.len() as u32;
            let seconds = (micros / 1_000_000) as u32;
            for word in [seconds, (micros % 1_000_000) as u32, length, length] {
                out.extend(word.to_le_bytes());
            }
            out.extend(bytes);
        }
        out
    }
}

/// `upper` with its client: calls, a handshake, a question, its answer, a close in three packets.
pub(crate) fn sample() -> Conversation {
    use CallResult::{Begun, Done};
    use Side::{Client, Server};
    let mut talk = Conversation::new();
    talk.told(Server, State::Listen);
    talk.call(Client, "connect", "127.0.0.1:9000", Begun);
    talk.send(Client, "S", 0, 0, b"");
    talk.send(Server, "SA", 0, 1, b"");
    talk.send(Client, "A", 1, 1, b"");
    talk.call(Client, "connect", "", Done(0));
    talk.call(Client, "send", "\"hello\\n\", 6 bytes", Begun);
    talk.send(Client, "PA", 1, 1, b"hello\n");
    talk.send(Server, "A", 1, 7, b"");
    talk.call(Client, "send", "", Done(6));
    talk.later(120).send(Server, "PA", 1, 7, b"HELLO\n");
    talk.send(Client, "A", 7, 7, b"");
    talk.call(Client, "recv", "\"HELLO\\n\"", Done(6));
    talk.call(Client, "shutdown", "SHUT_WR", Begun);
    talk.send(Client, "FA", 7, 7, b"");
    talk.send(Server, "FA", 7, 8, b"");
    talk.send(Client, "A", 8, 8, b"");
    talk.call(Client, "close", "", Begun);
    let (time, remaining) = (talk.time(), Duration::from_millis(59_998));
    talk.events.push(Event::TimeWait { time, side: Client, remaining });
    talk
}
