//! What a seed stands for: who does what to which server, and what happens on the way.

use super::dice::Dice;
use crate::harness::MODELS;

/// One scenario, wholly determined by its seed.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) model: &'static str,
    /// SIGHUP in the midst of it.
    pub(super) reload: bool,
    pub(super) action: Action,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Streams to one server, all at once.
    Streams { service: &'static str, unix: bool, all: Vec<Talk>, kill_worker: bool },
    /// Datagrams, what happens to each on its way, and to each answer on its way back.
    Datagrams { service: &'static str, there: Vec<(usize, Fate)>, back: Vec<Fate> },
    /// A remote command.
    Exec { path: Path, command: Command },
    /// A file.
    Copy { path: Path, push: bool, new: usize, old: Option<usize> },
}

/// One client's side of a stream.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    pub(super) length: usize,
    /// Bytes in each write.
    pub(super) piece: usize,
    pub(super) end: End,
    /// What lies between; always over TCP.
    pub(super) trouble: Option<Trouble>,
}

/// How a client of a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Sends all, then FIN; reads to the end.
    Finish,
    /// Sends all and reads as many bytes of answer; then FIN.
    ReadFirst,
    /// Goes after it has read so many bytes, with a reset or with a close.
    Reset(usize),
    Close(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// What happens between client and server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    /// No piece is longer, either way.
    pub(super) slice: usize,
    /// Each piece comes so much later, for as many pieces as are worth waiting for.
    pub(super) delay_us: u64,
    pub(super) event: Option<Event>,
}

/// Something that happens once, after so many bytes one way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) way: Way,
    pub(super) after: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The receiver gets FIN; what the sender still says is taken and lost.
    Fin,
    /// Both get a reset.
    Reset,
    /// Nothing goes that way for so many milliseconds.
    Stall(u64),
    /// Nothing goes that way any more; the client is killed.
    Kill,
}

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    Drop,
    Twice,
    /// It comes after the next one.
    Late,
}

/// How a client reaches a host.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path {
    Unix,
    Tls,
    Through(Trouble),
}

#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Leaves a mark, writes so many bytes and exits.
    Exit { status: u8, output: usize },
    /// Gives its input back.
    Cat { input: usize },
    /// Ends by a signal of its own.
    Dies { signal: i32 },
    /// Sleeps until its time is over.
    TimesOut,
    /// Sleeps until the client gets this signal, by which it dies.
    Signalled { signal: i32 },
    /// Sleeps, with a daemon beside it, until the client is killed.
    Abandoned,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let model = dice.pick(&MODELS);
        let reload = dice.once_in(12);
        let action = match dice.below(20) {
            0..11 => streams(&mut dice, model),
            11..15 => datagrams(&mut dice),
            15..18 => Action::Exec { path: path(&mut dice, 4000), command: command(&mut dice) },
            _ => {
                let most = 150_000;
                let (new, is_there) = (dice.length(most), !dice.once_in(3));
                let old = is_there.then(|| dice.length(most));
                let path = path(&mut dice, 4000 + new);
                Action::Copy { path, push: dice.once_in(2), new, old }
            }
        };
        Plan { seed, model, reload, action }
    }
}

fn streams(dice: &mut Dice, model: &str) -> Action {
    let unix = dice.once_in(3);
    let count = 1 + dice.below(4);
    let talk = |_| {
        let length = dice.length(200_000);
        let end = match dice.below(6) {
            0..3 => End::Finish,
            3 => End::ReadFirst,
            4 => End::Reset(dice.below(length + 1)),
            _ => End::Close(dice.below(length + 1)),
        };
        let trouble = (!unix && !dice.once_in(3)).then(|| trouble(dice, length + 1, false));
        // A busy machine needs its time for each write.
        let piece = 1 + length / 5000 + dice.length(70_000);
        Talk { length, piece, end, trouble }
    };
    let all = (0..count).map(talk).collect();
    let service = dice.pick(&["upper", "echo"]);
    Action::Streams { service, unix, all, kill_worker: model == "process" && dice.once_in(10) }
}

fn datagrams(dice: &mut Dice) -> Action {
    let fates = [Fate::Pass, Fate::Pass, Fate::Pass, Fate::Drop, Fate::Twice, Fate::Late];
    let count = 1 + dice.below(12);
    // No more at once than a receive buffer of the usual size holds.
    let most = if count > 4 { 2000 } else { 9000 };
    let there = (0..count).map(|_| (dice.length(most), dice.pick(&fates))).collect();
    // Each may have come twice.
    let back = (0..2 * count).map(|_| dice.pick(&fates)).collect();
    Action::Datagrams { service: dice.pick(&["upper", "echo"]), there, back }
}

fn path(dice: &mut Dice, bytes: usize) -> Path {
    match dice.below(6) {
        0 => Path::Unix,
        1 => Path::Tls,
        _ => Path::Through(trouble(dice, bytes, true)),
    }
}

/// Trouble for a conversation of about so many bytes.
fn trouble(dice: &mut Dice, bytes: usize, kill: bool) -> Trouble {
    // So short a piece that a reader sees it by itself, but not more pieces than a moment has.
    let slice = if dice.once_in(3) { 16 * 1024 } else { 1 + bytes / 200 + dice.below(300) };
    let delay_us = if dice.once_in(3) { dice.below(300) as u64 } else { 0 };
    let whats = [What::Fin, What::Reset, What::Stall(1 + dice.below(20) as u64), What::Kill];
    let event = (!dice.once_in(4)).then(|| Event {
        way: dice.pick(&[Way::ToServer, Way::ToClient]),
        after: dice.below(bytes + bytes / 8 + 1),
        what: dice.pick(&whats[..if kill { 4 } else { 3 }]),
    });
    Trouble { slice, delay_us, event }
}

fn command(dice: &mut Dice) -> Command {
    match dice.below(8) {
        0..3 => {
            let status = dice.pick(&[0, 0, 1, 3, 77, 254]);
            Command::Exit { status, output: dice.length(60_000) }
        }
        3..5 => Command::Cat { input: dice.length(60_000) },
        5 => Command::Dies { signal: dice.pick(&[9, 11, 15]) },
        6 => dice.pick(&[Command::TimesOut, Command::Signalled { signal: 15 }]),
        _ => dice.pick(&[Command::Signalled { signal: 2 }, Command::Abandoned]),
    }
}
