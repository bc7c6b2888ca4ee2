//! The committed corpora of the fuzz targets: replayed here, and made here.
//!
//! `cargo test -p sockeye-wire -- --ignored write_corpora` writes the seeds again after a change of
//! the protocol. Inputs that a fuzzer found are put beside them under any other name.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::fuzzing;
use crate::{Failure, FailureKind, Signal, Terminal, WindowSize, plain};

/// A fuzz target: its name and what it does.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 7] = [
    ("wire_server_bytes", fuzzing::server_bytes),
    ("wire_client_bytes", fuzzing::client_bytes),
    ("wire_operations", fuzzing::operations),
    ("plain_reply", fuzzing::plain_reply),
    ("transfer_sender_bytes", fuzzing::transfer_sender_bytes),
    ("transfer_receiver_bytes", fuzzing::transfer_receiver_bytes),
    ("transfer_operations", fuzzing::transfer_operations),
];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// Q4, fault 46: every committed input of every fuzz target passes.
#[test]
fn replay() {
    for (target, body) in TARGETS {
        let files: Vec<_> = fs::read_dir(folder(target)).unwrap().map(Result::unwrap).collect();
        assert!(files.len() >= 12, "{target}: {} inputs", files.len());
        for file in files {
            let input = fs::read(file.path()).unwrap();
            let passed = std::panic::catch_unwind(|| body(&input));
            assert!(passed.is_ok(), "{target} fails on {}", file.path().display());
        }
    }
}

/// Q4: the committed seeds are those of the protocol as it now is.
#[test]
fn seeds_are_committed() {
    for (target, _) in TARGETS {
        for (name, bytes) in seeds(target) {
            let path = folder(target).join(name);
            let committed = fs::read(&path).unwrap_or_default();
            assert_eq!(committed, bytes, "{} is out of date", path.display());
        }
    }
}

/// Writes the seeds.
#[test]
#[ignore = "writes to the tree; for whoever changes the protocol"]
fn write_corpora() {
    for (target, _) in TARGETS {
        fs::create_dir_all(folder(target)).unwrap();
        for (name, bytes) in seeds(target) {
            fs::write(folder(target).join(name), bytes).unwrap();
        }
    }
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn seeds(target: &str) -> Seeds {
    match target {
        "wire_server_bytes" => server_seeds(),
        "wire_client_bytes" => client_seeds(),
        "wire_operations" => operation_seeds(),
        "transfer_sender_bytes" => files_corpora::sender_seeds(),
        "transfer_receiver_bytes" => files_corpora::receiver_seeds(),
        "transfer_operations" => files_corpora::saying_seeds(),
        _ => plain_seeds(),
    }
}

/// What a client says after its Hello, behind a byte that lets a good Hello go first.
fn said(say: impl FnOnce(&mut Client, &mut Vec<u8>)) -> Vec<u8> {
    let (mut client, mut hello, mut out) = (Client::new(NOW), Vec::new(), vec![0]);
    client.hello("c", &mut hello).unwrap();
    say(&mut client, &mut out);
    out
}

fn full_run() -> Run {
    Run {
        program: Program::Arguments(vec![b"ls".to_vec(), b"-l".to_vec(), vec![0xff]]),
        directory: Some(b"/tmp".to_vec()),
        environment: vec![(b"A".to_vec(), b"1".to_vec()), (b"B".to_vec(), vec![])],
        terminal: Some(Terminal { name: b"xterm".to_vec(), size: WindowSize::default() }),
        stdin: true,
        timeout_ms: Some(1_000),
        max_output: Some(u64::MAX),
        detach: false,
    }
}

fn server_seeds() -> Seeds {
    let run = |run: Run| said(|client, out| client.run(&run, out).unwrap());
    let all = said(|client, out| {
        client.run(&full_run(), out).unwrap();
        out.extend(client.stdin_header(3).unwrap());
        out.extend(b"abc");
        let size = WindowSize { rows: 24, columns: 80, width: 0, height: 0 };
        client.resize(size, NOW, out).unwrap();
        client.signal(Signal::Int, NOW, out).unwrap();
        client.signal(Signal::Hup, NOW, out).unwrap();
        client.stdin_end(out).unwrap();
    });
    let run_frame = &run(with_stdin())[1..];
    let late = frame(Kind::Signal as u8, &[5]);
    let moving = said(|client, out| client.transfer(&a_transfer(), out).unwrap());
    let mut refused = moving.clone();
    refused[8] |= 2;
    vec![
        ("seed-hello", b"\x01sockeye?\0\x01\x01x".to_vec()),
        ("seed-other-version", b"\x01sockeye?\0\x02".to_vec()),
        ("seed-http", b"\x01GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("seed-bad-name", b"\x01sockeye?\0\x01\x02a\x1b".to_vec()),
        ("seed-run-full", run(full_run())),
        ("seed-run-line", run(with_stdin())),
        ("seed-run-login", run(Run::new(Program::Login))),
        ("seed-run-detached", run(Run { detach: true, ..Run::new(Program::Login) })),
        ("seed-all-frames", all.clone()),
        ("seed-cut", all[..all.len() - 7].to_vec()),
        ("seed-two-commands", [&[0], run_frame, &late, &late, run_frame, &late].concat()),
        ("seed-run-while-running", [&[0], run_frame, run_frame].concat()),
        ("seed-input-too-early", [&[0][..], &frame(2, b"x")].concat()),
        ("seed-length-max", [&[0][..], &header(Kind::Run, u32::MAX)].concat()),
        ("seed-length-zero", [&[0][..], &header(Kind::Stdin, 0)].concat()),
        ("seed-longest-run", [&[0][..], &header(Kind::Run, 1 << 20), &[0, 1]].concat()),
        ("seed-unknown-kind", [&[0][..], &frame(0x7f, b"")].concat()),
        ("seed-transfer", [&moving[..], b"\x41\0\0\0\x2d rest"].concat()),
        ("seed-transfer-refused", [&refused[..], &moving[1..], &frame(4, &[2])].concat()),
    ]
}

fn client_seeds() -> Seeds {
    let started = frame(Kind::Started as u8, &[0, 0, 1, 0]);
    let out = frame(Kind::Stdout as u8, b"hello");
    let err = frame(Kind::Stderr as u8, b"\x1b[31m");
    let end = |status: [u8; 3], stdout: u8, stderr: u8| {
        let mut payload = [&status[..], &[0; 24]].concat();
        (payload[10], payload[18]) = (stdout, stderr);
        frame(Kind::Ended as u8, &payload)
    };
    let taken = frame(Kind::StdinTaken as u8, &[0, 0, 3, 0xe8]);
    let closed = frame(Kind::StdinClosed as u8, b"");
    let failed = frame(Kind::Failed as u8, "\x01no such program: é".as_bytes());
    let seed = |choice: u8, frames: &[&[u8]]| [&[choice][..], &frames.concat()].concat();
    vec![
        ("seed-hello", b"\x03sockeye!\0\x01\x01x".to_vec()),
        ("seed-echo", b"\x01sockeye?\0\x01\x01x".to_vec()),
        ("seed-ssh", b"\x01SSH-2.0-OpenSSH_10.0\r\n".to_vec()),
        ("seed-other-version", b"\x01sockeye!\xff\xff".to_vec()),
        ("seed-whole", seed(0, &[&started, &out, &err, &end([1, 0, 0], 5, 5)])),
        ("seed-signal", seed(0, &[&started, &end([2, 9, 1], 0, 0)])),
        ("seed-limits", seed(0x10, &[&started, &end([3, 0, 0], 0, 0), &started, &out])),
        ("seed-wrong-counts", seed(0, &[&started, &out, &end([1, 0, 0], 4, 0)])),
        ("seed-stdin", seed(4, &[&started, &taken, &closed, &end([4, 0, 0], 0, 0)])),
        ("seed-too-much-taken", seed(4, &[&started, &taken, &taken])),
        ("seed-detached", seed(8, &[&started, &end([1, 0, 0], 0, 0)])),
        ("seed-failed", seed(0, &[&failed])),
        ("seed-failed-twice", seed(0x20, &[&failed, &failed])),
        ("seed-not-utf-8", seed(0, &[&frame(Kind::Failed as u8, b"\x01\xff")])),
        ("seed-nobody-asked", seed(2, &[&started])),
        ("seed-length-max", seed(0, &[&started, &header(Kind::Stdout, u32::MAX)])),
        ("seed-cut", seed(0, &[&started, &header(Kind::Stdout, 5), b"he"])),
        ("seed-transfer", seed(12, &[&frame(Kind::Ready as u8, b""), b"\x41\0\0\0\x2d rest"])),
        ("seed-transfer-refused", seed(0x1c, &[&failed, &frame(Kind::Ready as u8, b"")])),
        ("seed-transfer-started", seed(12, &[&started])),
    ]
}

/// A call of [`fuzzing::operations`]: its number, and its value from 0 to 7.
fn call(number: u8, value: u8) -> u8 {
    number | value << 5
}

fn operation_seeds() -> Seeds {
    let hellos = [call(0, 0), call(8, 0)];
    let run = |value| [call(1, value), call(27, 0), call(9, 0)];
    let end = [call(16, 4), call(27, 0)];
    let all: Vec<u8> = (0..=255).collect();
    let seed = |calls: &[&[u8]]| [&hellos[..], &calls.concat()].concat();
    vec![
        ("seed-nothing", vec![]),
        ("seed-every-call", all.clone()),
        ("seed-every-call-backward", all.into_iter().rev().collect()),
        ("seed-one-command", seed(&[&run(0), &end])),
        ("seed-ten-commands", seed(&[&run(0)[..], &end, &run(2), &end, &run(4), &end].repeat(5))),
        ("seed-in-one-go", [call(0, 0), call(1, 2), call(2, 2), call(4, 0), call(27, 0)].to_vec()),
        ("seed-window", seed(&[&run(2), &[call(3, 0); 5], &[call(27, 0), call(14, 0)], &end])),
        ("seed-stdin-closed", seed(&[&run(2), &[call(2, 3), call(15, 0), call(2, 3)], &end])),
        ("seed-stale", seed(&[&run(2), &[call(16, 4), call(2, 3), call(5, 1)], &[call(27, 0)]])),
        ("seed-cut-frame", seed(&[&run(2), &[call(2, 3), call(20, 4), call(16, 4)], &run(2)])),
        ("seed-signals", seed(&[&run(0), &[call(5, 1), call(5, 2), call(26, 7)].repeat(40), &end])),
        ("seed-sizes", seed(&[&run(4), &[call(6, 1), call(6, 2)].repeat(50), &[call(7, 0)]])),
        ("seed-output", seed(&[&run(0), &[call(11, 5), call(13, 3), call(24, 4)].repeat(9), &end])),
        ("seed-failed", seed(&[&[call(1, 0), call(27, 0), call(10, 7)], &run(0), &end])),
        ("seed-detached", seed(&[&[call(1, 1), call(27, 0), call(9, 0), call(11, 1)], &end])),
    ]
}

fn plain_seeds() -> Seeds {
    let reply = |status, output: &[u8]| {
        let encoded = plain::Reply::new(status, output).encode().unwrap();
        (encoded.digits + &encoded.json).into_bytes()
    };
    vec![
        ("seed-empty", reply(0, b"")),
        ("seed-text", reply(1, b"no such file\n")),
        ("seed-bytes", reply(-1, b"\xff\x00\x1b\"\\")),
        ("seed-clef", reply(127, "𝄞é".as_bytes())),
        ("seed-shortest", b"6[0,\"\"]".to_vec()),
        ("seed-utf-8", "9[0,\"é\"] ".as_bytes().to_vec()),
        ("seed-too-short", b"5[0,\"]".to_vec()),
        ("seed-leading-zero", b"06[0,\"\"]".to_vec()),
        ("seed-too-long", b"67108865[".to_vec()),
        ("seed-many-digits", b"99999999999999999999[".to_vec()),
        ("seed-three-things", b"9[0,\"\",0]".to_vec()),
        ("seed-object", b"6{\"a\":1}".to_vec()),
        ("seed-float", b"8[0.5,\"\"]".to_vec()),
        ("seed-trailing", b"6[0,\"\"]6[0,\"\"]".to_vec()),
        ("seed-lone-surrogate", b"12[0,\"\\ud834\"]".to_vec()),
        ("seed-cut", b"20[0,\"abc".to_vec()),
    ]
}

/// X2: the reasons and texts that seeds use are ones that a server can say.
#[test]
fn seeds_are_sayable() {
    let mut pair = asked(&Run::new(Program::Login));
    let text = "no such program: é".to_owned();
    let failure = Failure { kind: FailureKind::NotFound, text };
    let mut out = Vec::new();
    pair.server.failed(&failure, &mut out).unwrap();
    let (_, seed) = client_seeds().into_iter().find(|(name, _)| *name == "seed-failed").unwrap();
    assert_eq!(out, seed[1..]);
}
