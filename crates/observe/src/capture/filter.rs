//! Which packets are wanted, as a program of classic BPF that the kernel runs for each packet.
//!
//! Offsets count from the network header (SKF_NET_OFF, linux/filter.h), so one program fits every
//! kind of link. A fragment but the first has no ports and is not seen; neither are segments behind
//! IPv6 extension headers.

use std::net::{IpAddr, SocketAddr};

use sockeye_limits as limits;
use sockeye_net::sys::packet::Instruction;

/// Which transport is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP, number 6.
    Tcp,
    /// UDP, number 17.
    Udp,
}

/// What is watched: packets both ways, and the ICMP errors about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Everything from and to a port, whoever has it.
    Port(Protocol, u16),
    /// Everything from and to a server's address, whoever the client is.
    Server(Protocol, SocketAddr),
    /// One connection: client and server.
    Connection(Protocol, SocketAddr, SocketAddr),
}

// Numbers of linux/filter.h and linux/bpf_common.h.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// The same at X and an offset.
const LOAD_HALF_AT: u16 = 0x48;
const LOAD_BYTE_AT: u16 = 0x50;
const AND: u16 = 0x54;
const SHIFT_LEFT: u16 = 0x64;
const ADD_X: u16 = 0x0c;
const TO_X: u16 = 0x07;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
/// The network header.
const NET: u32 = 0xfff0_0000;
/// What the kernel knows beside the bytes: protocol, kind of packet, kind of interface.
const EXTRA_PROTOCOL: u32 = 0xffff_f000;
const EXTRA_KIND: u32 = 0xffff_f004;
const EXTRA_HARDWARE: u32 = 0xffff_f01c;

const LOOPBACK: u32 = 772;
const OUTGOING: u32 = 4;

impl Watch {
    fn protocol(self) -> Protocol {
        match self {
            Watch::Port(protocol, _)
            | Watch::Server(protocol, _)
            | Watch::Connection(protocol, _, _) => protocol,
        }
    }

    fn number(self) -> u32 {
        match self.protocol() {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    fn server(self) -> (Option<IpAddr>, u16) {
        match self {
            Watch::Port(_, port) => (None, port),
            Watch::Server(_, at) | Watch::Connection(_, _, at) => (Some(at.ip()), at.port()),
        }
    }

    fn client(self) -> Option<SocketAddr> {
        match self {
            Watch::Connection(_, client, _) => Some(client),
            _ => None,
        }
    }

    /// The program. It keeps the first [`limits::CAPTURE_PACKET`] bytes of a packet that is wanted.
    pub fn program(self) -> Vec<Instruction> {
        let mut code = Builder::default();
        let (accept, reject) = (code.label(), code.label());
        let (v4, v6, network) = (code.label(), code.label(), code.label());
        // Loopback shows each packet twice, as it leaves and as it comes. Of the two the one that
        // leaves is kept: the kernel stamps it within the call that sends it.
        let on_loopback = code.label();
        code.load(LOAD_WORD, EXTRA_HARDWARE);
        code.branch(IF_EQUAL, LOOPBACK, on_loopback, network);
        code.place(on_loopback);
        code.load(LOAD_WORD, EXTRA_KIND);
        code.branch(IF_EQUAL, OUTGOING, network, reject);
        code.place(network);
        let not_v4 = code.label();
        code.load(LOAD_WORD, EXTRA_PROTOCOL);
        code.branch(IF_EQUAL, 0x0800, v4, not_v4);
        code.place(not_v4);
        code.branch(IF_EQUAL, 0x86dd, v6, reject);
        code.place(v4);
        self.version_4(&mut code, accept, reject);
        code.place(v6);
        self.version_6(&mut code, accept, reject);
        code.place(accept);
        code.load(RETURN, limits::CAPTURE_PACKET);
        code.place(reject);
        code.load(RETURN, 0);
        code.finish()
    }

    fn version_4(self, code: &mut Builder, accept: Label, reject: Label) {
        let (ours, other, whole, error) = (code.label(), code.label(), code.label(), code.label());
        code.load(LOAD_BYTE, NET + 9);
        code.branch(IF_EQUAL, self.number(), ours, other);
        code.place(ours);
        code.load(LOAD_HALF, NET + 6);
        code.branch(IF_ANY_BIT, 0x1fff, reject, whole);
        code.place(whole);
        header_length_to_x(code);
        self.both_ways(code, &Places::V4, accept, reject);
        code.place(other);
        code.branch(IF_EQUAL, 1, error, reject);
        code.place(error);
        // Unreachable or time exceeded, about a packet whose header is in it behind 8 bytes.
        header_length_to_x(code);
        let (inner, late) = (code.label(), code.label());
        code.load(LOAD_BYTE_AT, NET);
        code.branch(IF_EQUAL, 3, inner, late);
        code.place(late);
        code.branch(IF_EQUAL, 11, inner, reject);
        code.place(inner);
        let about_ours = code.label();
        code.load(LOAD_BYTE_AT, NET + 8 + 9);
        code.branch(IF_EQUAL, self.number(), about_ours, reject);
        code.place(about_ours);
        code.load(LOAD_BYTE_AT, NET + 8);
        code.load(AND, 0xf);
        code.load(SHIFT_LEFT, 2);
        code.load(ADD_X, 0);
        code.load(TO_X, 0);
        self.either_port(code, LOAD_HALF_AT, NET + 8, accept, reject);
    }

    fn version_6(self, code: &mut Builder, accept: Label, reject: Label) {
        let (ours, other, error) = (code.label(), code.label(), code.label());
        code.load(LOAD_BYTE, NET + 6);
        code.branch(IF_EQUAL, self.number(), ours, other);
        code.place(ours);
        self.both_ways(code, &Places::V6, accept, reject);
        code.place(other);
        code.branch(IF_EQUAL, 58, error, reject);
        code.place(error);
        let inner = code.label();
        code.load(LOAD_BYTE, NET + 40);
        // Unreachable, too big, time exceeded; a bad parameter is not about the way.
        for kind in 1..=3 {
            let next = if kind == 3 { reject } else { code.label() };
            code.branch(IF_EQUAL, kind, inner, next);
            if kind != 3 {
                code.place(next);
            }
        }
        code.place(inner);
        let about_ours = code.label();
        code.load(LOAD_BYTE, NET + 48 + 6);
        code.branch(IF_EQUAL, self.number(), about_ours, reject);
        code.place(about_ours);
        self.either_port(code, LOAD_HALF, NET + 48 + 40, accept, reject);
    }

    /// From the server to the client, or from the client to the server.
    fn both_ways(self, code: &mut Builder, at: &Places, accept: Label, reject: Label) {
        let (ip, port) = self.server();
        let client = self.client();
        let client = (client.map(|c| c.ip()), client.map(|c| c.port()));
        let back = code.label();
        at.compare(code, (ip, Some(port)), client, back);
        code.jump(accept);
        code.place(back);
        at.compare(code, client, (ip, Some(port)), reject);
        code.jump(accept);
    }

    fn either_port(self, code: &mut Builder, load: u16, at: u32, accept: Label, reject: Label) {
        let (_, port) = self.server();
        let second = code.label();
        code.load(load, at);
        code.branch(IF_EQUAL, port.into(), accept, second);
        code.place(second);
        code.load(load, at + 2);
        code.branch(IF_EQUAL, port.into(), accept, reject);
    }
}

/// X becomes the length of the IPv4 header.
fn header_length_to_x(code: &mut Builder) {
    code.load(LOAD_BYTE, NET);
    code.load(AND, 0xf);
    code.load(SHIFT_LEFT, 2);
    code.load(TO_X, 0);
}

/// Where a version of IP has its addresses and, behind it, the ports are.
struct Places {
    v6: bool,
    source: u32,
    destination: u32,
    load_port: u16,
    ports: u32,
}

impl Places {
    const V4: Places = Places {
        v6: false,
        source: NET + 12,
        destination: NET + 16,
        load_port: LOAD_HALF_AT,
        ports: NET,
    };
    const V6: Places = Places {
        v6: true,
        source: NET + 8,
        destination: NET + 24,
        load_port: LOAD_HALF,
        ports: NET + 40,
    };

    /// Goes on where source and destination are these, as far as they are said; else to `otherwise`.
    fn compare(
        &self,
        code: &mut Builder,
        source: (Option<IpAddr>, Option<u16>),
        destination: (Option<IpAddr>, Option<u16>),
        otherwise: Label,
    ) {
        let sides = [(self.source, source.0), (self.destination, destination.0)];
        for (at, ip) in sides {
            let Some(ip) = ip else { continue };
            for (n, word) in self.words(ip).into_iter().enumerate() {
                code.load(LOAD_WORD, at + 4 * n as u32);
                code.require(word, otherwise);
            }
        }
        for (n, port) in [source.1, destination.1].into_iter().enumerate() {
            let Some(port) = port else { continue };
            code.load(self.load_port, self.ports + 2 * n as u32);
            code.require(port.into(), otherwise);
        }
    }

    /// The address in words as this version writes it. One of the other version is compared as what
    /// no packet has: version 4 takes the unspecified address for it.
    fn words(&self, ip: IpAddr) -> Vec<u32> {
        let bytes = match (self.v6, ip) {
            (false, IpAddr::V4(ip)) => ip.octets().to_vec(),
            (false, IpAddr::V6(ip)) => {
                ip.to_ipv4_mapped().map_or(vec![0; 4], |ip| ip.octets().to_vec())
            }
            (true, IpAddr::V6(ip)) => ip.octets().to_vec(),
            (true, IpAddr::V4(ip)) => ip.to_ipv6_mapped().octets().to_vec(),
        };
        let word = |four: &[u8]| four.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        bytes.chunks(4).map(word).collect()
    }
}

/// A place in the program, known before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// An instruction whose jumps are labels still.
enum Step {
    Plain(Instruction),
    Branch { code: u16, value: u32, yes: Label, no: Label },
    Jump(Label),
}

#[derive(Default)]
struct Builder {
    steps: Vec<Step>,
    places: Vec<usize>,
}

impl Builder {
    fn label(&mut self) -> Label {
        self.places.push(usize::MAX);
        Label(self.places.len() - 1)
    }

    /// The label means the next instruction.
    fn place(&mut self, label: Label) {
        self.places[label.0] = self.steps.len();
    }

    fn load(&mut self, code: u16, value: u32) {
        self.steps.push(Step::Plain(Instruction { code, yes: 0, no: 0, value }));
    }

    fn branch(&mut self, code: u16, value: u32, yes: Label, no: Label) {
        self.steps.push(Step::Branch { code, value, yes, no });
    }

    fn jump(&mut self, to: Label) {
        self.steps.push(Step::Jump(to));
    }

    /// Goes on where what was loaded is `value`.
    fn require(&mut self, value: u32, otherwise: Label) {
        let here = self.label();
        self.branch(IF_EQUAL, value, here, otherwise);
        self.place(here);
    }

    fn finish(self) -> Vec<Instruction> {
        let over = |from: usize, to: Label| self.places[to.0] - from - 1;
        let short = |n: usize| u8::try_from(n).expect("the program has under 200 instructions");
        let made = |(at, step): (usize, &Step)| match *step {
            Step::Plain(instruction) => instruction,
            Step::Branch { code, value, yes, no } => {
                Instruction { code, yes: short(over(at, yes)), no: short(over(at, no)), value }
            }
            Step::Jump(to) => Instruction { code: 0x05, yes: 0, no: 0, value: over(at, to) as u32 },
        };
        self.steps.iter().enumerate().map(made).collect()
    }
}

#[cfg(test)]
mod tests;
