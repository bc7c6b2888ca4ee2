//! Every message arrives as it was said, however the stream is cut.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sockeye_limits as limits;

use super::*;
use crate::fuzzing;
use crate::pair::Heard;
use crate::{
    Failure, FailureKind, Hello, InvalidRun, Misuse, Signal, Terminal, VERSION, WindowSize,
};

fn word() -> impl Strategy<Value = Vec<u8>> {
    vec(1u8..=255, 0..40)
}

fn window() -> impl Strategy<Value = WindowSize> {
    any::<[u16; 4]>().prop_map(|[rows, columns, width, height]| WindowSize {
        rows,
        columns,
        width,
        height,
    })
}

fn program() -> impl Strategy<Value = Program> {
    prop_oneof![
        vec(word(), 1..20).prop_map(Program::Arguments),
        word().prop_map(Program::Line),
        Just(Program::Login),
    ]
}

prop_compose! {
    fn any_run()(
        program in program(),
        directory in option::of(vec(1u8..=255, 1..40)),
        environment in vec((vec(b'a'..=b'z', 1..20), word()), 0..10),
        terminal in option::of((word(), window())),
        stdin: bool,
        timeout_ms: Option<u64>,
        max_output: Option<u64>,
        detach: bool,
    ) -> Run {
        let terminal = terminal.map(|(name, size)| Terminal { name, size });
        let (terminal, stdin) = if detach { (None, false) } else { (terminal, stdin) };
        Run { program, directory, environment, terminal, stdin, timeout_ms, max_output, detach }
    }
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        any::<u8>().prop_map(Status::Exited),
        (1u8..=64, any::<bool>()).prop_map(|(signal, core)| Status::Signaled { signal, core }),
        Just(Status::TimedOut),
        Just(Status::OutputLimit),
    ]
}

/// What a whole conversation holds.
#[derive(Debug, Clone)]
struct Script {
    run: Run,
    stdin: Vec<Vec<u8>>,
    signal: Option<usize>,
    size: WindowSize,
    output: Vec<(bool, Vec<u8>)>,
    status: Status,
    duration_us: u64,
}

prop_compose! {
    fn script()(
        run in any_run(),
        stdin in vec(vec(any::<u8>(), 1..3000), 0..5),
        signal in option::of(0usize..12),
        size in window(),
        output in vec((any::<bool>(), vec(any::<u8>(), 1..3000)), 0..8),
        status in status(),
        duration_us: u64,
    ) -> Script {
        Script { run, stdin, signal, size, output, status, duration_us }
    }
}

/// Says all that a client says; returns what is to be heard.
fn say_all(script: &Script, pair: &mut Pair) -> Vec<Heard> {
    let (mut heard, mut out) = (Vec::new(), Vec::new());
    let client = &mut pair.client;
    client.run(&script.run, &mut out).unwrap();
    heard.push(Heard::Run(Box::new(script.run.clone())));
    if let Some(terminal) = &script.run.terminal {
        client.resize(script.size, NOW, &mut out).unwrap();
        if terminal.size != script.size {
            heard.push(Heard::Resize(script.size));
        }
    }
    if script.run.stdin {
        for piece in &script.stdin {
            out.extend(client.stdin_header(piece.len()).unwrap());
            out.extend(piece);
        }
        if !script.stdin.is_empty() {
            heard.push(Heard::Stdin(script.stdin.concat()));
        }
        client.stdin_end(&mut out).unwrap();
        heard.push(Heard::StdinEnd);
    }
    if let Some(signal) = script.signal.and_then(|index| Signal::all().nth(index)) {
        client.signal(signal, NOW, &mut out).unwrap();
        heard.push(Heard::Signal(signal));
    }
    pair.upward.put(&out);
    heard
}

/// Says all that a server says; returns what is to be heard.
fn answer_all(script: &Script, pair: &mut Pair) -> Vec<Heard> {
    let (mut heard, mut out) = (vec![Heard::Started(9)], Vec::new());
    let server = &mut pair.server;
    server.started(9, &mut out).unwrap();
    let mut counts = [0, 0];
    for (is_error, piece) in script.output.iter().filter(|_| !script.run.detach) {
        let (header, message) = match is_error {
            false => (server.stdout_header(piece.len()), Heard::Stdout(piece.clone())),
            true => (server.stderr_header(piece.len()), Heard::Stderr(piece.clone())),
        };
        out.extend(header.unwrap());
        out.extend(piece);
        counts[usize::from(*is_error)] += piece.len() as u64;
        crate::pair::keep(&mut heard, message);
    }
    let ended = Ended {
        status: script.status,
        stdout_bytes: counts[0],
        stderr_bytes: counts[1],
        duration_us: script.duration_us,
    };
    server.ended(ended, &mut out).unwrap();
    heard.push(Heard::Ended(ended));
    pair.downward.put(&out);
    heard
}

proptest! {
    /// X2, X3, P-F1 to P-F14: whole conversations, two commands each, under every slicing.
    #[test]
    fn conversations(first in script(), second in script(), seed: u64) {
        let mut pair = greeted();
        pair.dice = crate::pair::Dice::new(seed);
        for script in [first, second] {
            pair.server_heard.clear();
            pair.client_heard.clear();
            let to_server = say_all(&script, &mut pair);
            pair.settle().unwrap();
            prop_assert_eq!(&pair.server_heard, &to_server);
            let to_client = answer_all(&script, &mut pair);
            pair.settle().unwrap();
            prop_assert_eq!(&pair.client_heard, &to_client);
        }
        prop_assert_eq!(pair.client.end(), Ok(()));
        prop_assert_eq!(pair.server.end(), Ok(()));
    }

    /// X2, P-F14: a failure arrives; a text that is too long is cut between two characters.
    #[test]
    fn failures(kind in 0usize..6, text in "\\PC{0,3000}") {
        let kind = FailureKind::all().nth(kind).unwrap();
        let mut pair = asked(&Run::new(Program::Login));
        let failure = Failure { kind, text: text.clone() };
        say_down(&mut pair, |server, out| server.failed(&failure, out).unwrap());
        let Some(Heard::Failed(heard)) = pair.client_heard.pop() else { panic!("no failure") };
        prop_assert_eq!(heard.kind, kind);
        prop_assert!(text.starts_with(&heard.text));
        prop_assert!(heard.text == text || heard.text.len() + 4 > limits::FAILURE_TEXT);
    }

    /// P-F2: any printable name of 1 to 64 bytes, and no other.
    #[test]
    fn hellos(program in "[ -~]{1,64}", bad in "[^ -~]", seed: u64) {
        let mut pair = Pair::new(seed);
        let mut out = Vec::new();
        pair.client.hello(&program, &mut out).unwrap();
        pair.upward.put(&out);
        pair.settle().unwrap();
        let hello = Hello { version: VERSION, program: program.clone() };
        prop_assert_eq!(&pair.server_heard, &[Heard::Hello(hello)]);
        for wrong in [String::new(), program + &bad, "x".repeat(65)] {
            prop_assert_eq!(pair.server.hello(&wrong, &mut out), Err(Misuse::ProgramName));
        }
    }

    /// Q4, fault 46: any sequence of calls on both ends makes no illegal stream.
    #[test]
    fn operations(calls in vec(any::<u8>(), 0..600)) {
        fuzzing::operations(&calls);
    }

    /// Q4, fault 46: random bytes never panic, and are the same under every slicing.
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..400)) {
        fuzzing::server_bytes(&bytes);
        fuzzing::client_bytes(&bytes);
        fuzzing::plain_reply(&bytes);
    }

    /// Q4, fault 46: right frames in any order, with any payload, never panic either.
    #[test]
    fn random_frames(
        choice: u8,
        frames in vec((any::<u8>(), vec(0u8..6, 0..40)), 0..20),
    ) {
        let frames = frames.into_iter().map(|(kind, payload)| {
            frame(Kind::ALL[usize::from(kind) % Kind::ALL.len()] as u8, &payload)
        });
        let bytes = [vec![choice & !1], frames.collect::<Vec<_>>().concat()].concat();
        fuzzing::server_bytes(&bytes);
        fuzzing::client_bytes(&bytes);
    }
}

/// P-F14: the table of reasons and the order of the enum agree.
#[test]
fn failure_codes() {
    for kind in FailureKind::all() {
        assert_eq!(FailureKind::from_code(kind.code()), Some(kind));
    }
    assert_eq!(FailureKind::from_code(0), None);
}

/// X2, P-L2: what cannot be a command is refused by who would send it, and by who gets it.
#[test]
fn invalid_runs() {
    let line = || Run::new(Program::Line(b"x".to_vec()));
    let many = |count| Program::Arguments(vec![Vec::new(); count]);
    let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let terminal = |name: Vec<u8>| Some(Terminal { name, size: WindowSize::default() });
    let cases = [
        (Run::new(many(0)), InvalidRun::NoProgram),
        (Run::new(many(limits::RUN_ARGUMENTS + 1)), InvalidRun::Arguments),
        (Run::new(Program::Line(b"a\0".to_vec())), InvalidRun::Nul),
        (Run { directory: Some(vec![]), ..line() }, InvalidRun::Directory),
        (Run { directory: Some(vec![0]), ..line() }, InvalidRun::Nul),
        (Run { environment: vec![pair(b"", b"")], ..line() }, InvalidRun::VariableName),
        (Run { environment: vec![pair(b"a=", b"")], ..line() }, InvalidRun::VariableName),
        (Run { environment: vec![pair(b"a", b"\0")], ..line() }, InvalidRun::Nul),
        (
            Run { environment: vec![pair(b"a", b""); limits::RUN_ENVIRONMENT + 1], ..line() },
            InvalidRun::Environment,
        ),
        (Run { terminal: terminal(vec![b'x'; 129]), ..line() }, InvalidRun::TerminalName),
        (Run { terminal: terminal(vec![]), detach: true, ..line() }, InvalidRun::Detached),
        (Run { stdin: true, detach: true, ..line() }, InvalidRun::Detached),
        (Run::new(Program::Line(vec![b'x'; limits::RUN_BYTES])), InvalidRun::Length),
    ];
    for (run, why) in cases {
        let (mut client, mut out) = (greeted().client, Vec::new());
        assert_eq!(client.run(&run, &mut out), Err(Misuse::Run(why)));
        assert!(out.is_empty());
    }
}

/// X2, P-L2: the most arguments, the most variables and the longest Run arrive.
#[test]
fn largest_runs() {
    let mut run = Run::new(Program::Arguments(vec![b"12345678".to_vec(); limits::RUN_ARGUMENTS]));
    run.environment = vec![(b"a".to_vec(), Vec::new()); limits::RUN_ENVIRONMENT];
    assert_eq!(asked(&run).server_heard.pop(), Some(Heard::Run(Box::new(run))));

    // Flags, form and two lengths.
    let run = Run::new(Program::Line(vec![b'x'; limits::RUN_BYTES - 10]));
    let mut pair = asked(&run);
    assert_eq!(pair.server_heard.pop(), Some(Heard::Run(Box::new(run))));
    // What a long Run took is given back.
    pair.server.space();
    assert_eq!(pair.server.capacity(), 2 * limits::WIRE_SPACE);
}

/// Q4, P-L6: the longest Run but for its last byte, and the space behind it, are the most memory.
#[test]
fn most_memory() {
    let mut server = greeted().server;
    let payload = vec![b'x'; limits::RUN_BYTES];
    let run = frame(Kind::Run as u8, &payload);
    assert_eq!(to_server(&mut server, &run[..run.len() - 1]), Ok(0));
    assert!(server.space().len() >= limits::WIRE_SPACE);
    assert!(server.capacity() <= HEADER + limits::RUN_BYTES + limits::WIRE_SPACE);
}
