//! Any sequence of calls on both ends: none makes a stream that the other end refuses.

use std::time::Duration;

use sockeye_limits as limits;

use crate::files::{Options, Placement, Transfer, Way};
use crate::pair::{Heard, Pair};
use crate::{
    Ended, Failure, FailureKind, Misuse, Program, Run, Signal, Status, Terminal, WindowSize,
};

/// More calls than this are not looked at: so many signals could wait in a stalled network that
/// they are a flood when they arrive (P-L5).
const MOST: usize = 2_000;

/// Lengths of data that are asked for; some of them must not be.
const LENGTHS: [usize; 8] = [
    0,
    1,
    5,
    1_000,
    65_536,
    limits::FRAME_DATA_MAX - 1,
    limits::FRAME_DATA_MAX,
    limits::FRAME_DATA_MAX + 1,
];

/// Each byte is one call, or carries bytes, or lets time pass. A call that is refused must have
/// written nothing; one that is not must be understood, in order and byte for byte.
pub fn operations(data: &[u8]) {
    let mut pair = Pair::new(data.len() as u64);
    let mut told = Told::default();
    for byte in data.iter().take(MOST) {
        told.apply(*byte, &mut pair);
        told.compare(&mut pair);
    }
    pair.settle().expect("nothing illegal is on its way");
    told.compare(&mut pair);
}

/// What was said with success and not yet heard or known to be stale.
#[derive(Debug, Default)]
struct Told {
    /// Each byte of a stream says its place in the stream of its command.
    stdin: usize,
    stdout: usize,
    stderr: usize,
    /// What the other side has heard of it.
    stdin_heard: usize,
    stdout_heard: usize,
    stderr_heard: usize,
    /// What the command has taken.
    taken: usize,
    /// Commands that were asked for and that were heard of, at either end.
    asked: usize,
    runs_heard: usize,
    answered: usize,
    ends_heard: usize,
}

impl Told {
    fn apply(&mut self, byte: u8, pair: &mut Pair) {
        let (call, value) = (byte & 0x1f, usize::from(byte >> 5));
        match call {
            0..=7 => self.client(call, value, pair),
            8..=17 => self.server(call, value, pair),
            18..=21 => {
                pair.to_server(slice(value)).expect("the client wrote nothing illegal");
            }
            22..=25 => {
                pair.to_client(slice(value)).expect("the server wrote nothing illegal");
            }
            28 => self.transfer(value, pair),
            29 => self.ready(pair),
            // Hello is due in ten seconds; a late one is not what is looked for.
            26 if pair.server_heard.is_empty() || pair.client_heard.is_empty() => {}
            26 => pair.now += Duration::from_millis(1 << value),
            _ => pair.settle().expect("neither wrote anything illegal"),
        }
    }

    fn client(&mut self, call: u8, value: usize, pair: &mut Pair) {
        let (client, now, mut out) = (&mut pair.client, pair.now, Vec::new());
        let done = match call {
            0 => client.hello(["c", "", "client/1", "\n", "c", "c", "c", "c"][value], &mut out),
            1 => {
                let done = client.run(&some_run(value), &mut out);
                if done.is_ok() {
                    self.asked += 1;
                    self.stdin = 0;
                }
                done
            }
            2 | 3 => {
                let length = if call == 2 { LENGTHS[value] } else { client.stdin_room() };
                client.stdin_header(length).map(|header| {
                    out.extend_from_slice(&header);
                    out.extend((self.stdin..self.stdin + length).map(place));
                    self.stdin += length;
                })
            }
            4 => client.stdin_end(&mut out),
            5 => {
                let signal = Signal::all().nth(value).unwrap_or(Signal::Winch);
                client.signal(signal, now, &mut out)
            }
            6 => {
                let rows = u16::try_from(value).unwrap_or(0);
                let size = WindowSize { rows, ..WindowSize::default() };
                client.resize(size, now, &mut out)
            }
            _ => {
                client.expire(now, &mut out).expect("no Hello is late");
                Ok(())
            }
        };
        wrote_only_if_done(done, &out);
        pair.upward.put(&out);
    }

    fn server(&mut self, call: u8, value: usize, pair: &mut Pair) {
        let (server, mut out) = (&mut pair.server, Vec::new());
        let length = LENGTHS[value];
        let done = match call {
            8 => server.hello(["s", "", "server/1", "\n", "s", "s", "s", "s"][value], &mut out),
            9 => server.started(7, &mut out),
            10 => {
                let failure = Failure { kind: FailureKind::Busy, text: "é".repeat(value * 300) };
                let done = server.failed(&failure, &mut out);
                self.answered += usize::from(done.is_ok());
                done
            }
            11 | 12 => server.stdout_header(length).map(|header| {
                out.extend_from_slice(&header);
                out.extend((self.stdout..self.stdout + length).map(place));
                self.stdout += length;
            }),
            13 => server.stderr_header(length).map(|header| {
                out.extend_from_slice(&header);
                out.extend((self.stderr..self.stderr + length).map(place));
                self.stderr += length;
            }),
            14 => {
                let left = self.stdin_heard.saturating_sub(self.taken);
                let count = left >> (value & 3);
                let done = server.stdin_taken(count, &mut out);
                assert_eq!(done.is_err(), done == Err(Misuse::NoHello), "{done:?}");
                if done.is_ok() {
                    self.taken += count;
                }
                done
            }
            15 => server.stdin_closed(&mut out),
            _ => {
                // Now and then other counts than were sent, which must not be written.
                let status = some_status(value);
                let ended = Ended {
                    status,
                    stdout_bytes: self.stdout as u64,
                    stderr_bytes: (self.stderr + usize::from(value == 7)) as u64,
                    duration_us: u64::MAX,
                };
                let done = server.ended(ended, &mut out);
                self.answered += usize::from(done.is_ok());
                done
            }
        };
        wrote_only_if_done(done, &out);
        pair.downward.put(&out);
    }

    /// The client asks for a transfer, or for one that cannot be.
    fn transfer(&mut self, value: usize, pair: &mut Pair) {
        let transfer = Transfer {
            way: if value & 1 == 0 { Way::Pull } else { Way::Push },
            placement: Placement::Into,
            options: Options::default(),
            paths: vec![b"a".to_vec(); usize::from(value != 7)],
            sources: 1,
            filters: Vec::new(),
            part: (0, 1),
        };
        let mut out = Vec::new();
        let done = pair.client.transfer(&transfer, &mut out);
        self.asked += usize::from(done.is_ok());
        wrote_only_if_done(done, &out);
        pair.upward.put(&out);
    }

    /// The server begins a transfer: neither end says more.
    fn ready(&mut self, pair: &mut Pair) {
        let mut out = Vec::new();
        let done = pair.server.ready(&mut out);
        wrote_only_if_done(done, &out);
        pair.downward.put(&out);
    }

    /// Compares what was heard with what was said, and forgets it.
    fn compare(&mut self, pair: &mut Pair) {
        for heard in pair.server_heard.drain(1.min(pair.server_heard.len())..) {
            match heard {
                Heard::Run(_) | Heard::Transfer(_) => {
                    self.runs_heard += 1;
                    (self.stdin_heard, self.taken) = (0, 0);
                    (self.stdout, self.stderr) = (0, 0);
                }
                Heard::Stdin(bytes) => follows(&bytes, &mut self.stdin_heard),
                _ => {}
            }
        }
        for heard in pair.client_heard.drain(1.min(pair.client_heard.len())..) {
            match heard {
                Heard::Started(_) => (self.stdout_heard, self.stderr_heard) = (0, 0),
                Heard::Stdout(bytes) => follows(&bytes, &mut self.stdout_heard),
                Heard::Stderr(bytes) => follows(&bytes, &mut self.stderr_heard),
                Heard::Ended(_) | Heard::Failed(_) => self.ends_heard += 1,
                _ => {}
            }
        }
        assert!(self.runs_heard <= self.asked && self.asked <= self.ends_heard + 1);
        assert!(self.ends_heard <= self.answered && self.answered <= self.runs_heard);
    }
}

fn wrote_only_if_done(done: Result<(), Misuse>, out: &[u8]) {
    assert!(done.is_ok() || out.is_empty(), "{done:?} and wrote {} bytes", out.len());
}

/// What the byte at this place of a stream is.
fn place(index: usize) -> u8 {
    index.to_le_bytes()[0] ^ index.to_le_bytes()[1].rotate_left(3)
}

/// The bytes are those that come next.
fn follows(bytes: &[u8], at: &mut usize) {
    let right = bytes.iter().enumerate().all(|(index, byte)| *byte == place(*at + index));
    assert!(right, "other bytes than were sent");
    *at += bytes.len();
}

fn slice(value: usize) -> usize {
    [1, 2, 5, 11, 300, 65_536, 300_000, usize::MAX][value]
}

fn some_run(value: usize) -> Run {
    let mut run = Run::new(match value & 1 {
        0 => Program::Line(b"true".to_vec()),
        _ => Program::Arguments(vec![vec![0; usize::from(value == 7)], b"x".to_vec()]),
    });
    run.stdin = value & 2 != 0;
    run.terminal = (value & 4 != 0).then(|| Terminal { name: vec![], size: WindowSize::default() });
    run.detach = value == 1;
    run
}

fn some_status(value: usize) -> Status {
    match value {
        0 => Status::Signaled { signal: 0, core: false },
        1 => Status::Signaled { signal: 9, core: true },
        2 => Status::TimedOut,
        3 => Status::OutputLimit,
        _ => Status::Exited(255),
    }
}
