//! Any bytes for either end: no panic, no memory beyond the limits, the same for every slicing.

use std::time::Duration;

use sockeye_limits as limits;

use crate::files::{Options, Placement, Transfer, Way};
use crate::frame::{CLIENT_MAGIC, HEADER, SERVER_MAGIC};
use crate::pair::{Dice, Heard, keep};
use crate::{
    Client, Ended, Failure, FailureKind, Phase, Program, ProtocolError, Run, Server, Signal,
    Status, Terminal, ToServer, VERSION, WindowSize,
};

/// What an end may hold for what came.
const MEMORY: usize = HEADER + limits::RUN_BYTES + limits::WIRE_SPACE;

const NOW: Duration = Duration::from_secs(5);

/// What was heard, and how the stream ended.
type Outcome = (Vec<Heard>, Result<(), ProtocolError>);

/// Any bytes come to a server that starts and ends commands as it is asked to. The first byte
/// decides whether a good Hello goes before the rest.
pub fn server_bytes(data: &[u8]) {
    check(data, &CLIENT_MAGIC, serve);
}

/// Any bytes come to a client that has asked for a command. The first byte decides whether a good
/// Hello goes before the rest, and what was asked for.
pub fn client_bytes(data: &[u8]) {
    check(data, &SERVER_MAGIC, ask);
}

fn check(data: &[u8], magic: &[u8], hear: fn(&[u8], u8, Dice) -> Outcome) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let mut stream = Vec::new();
    if choice & 1 == 0 {
        stream.extend_from_slice(magic);
        stream.extend_from_slice(&VERSION.to_be_bytes());
        stream.extend_from_slice(b"\x01x");
    }
    stream.extend_from_slice(rest);
    let first = hear(&stream, choice, Dice::new(1));
    let second = hear(&stream, choice, Dice::new(u64::from(choice) + 2));
    assert_eq!(first, second, "two slicings differ");
}

fn serve(stream: &[u8], _: u8, mut dice: Dice) -> Outcome {
    let mut server = Server::new(NOW);
    let mut out = Vec::new();
    let mut heard = Vec::new();
    let hello = server.hello("x", &mut out);
    assert_eq!(hello, Ok(()));
    let mut rest = stream;
    while !rest.is_empty() {
        let count = fill(server.space(), &mut rest, &mut dice);
        server.filled(count);
        loop {
            let message: Heard = match server.next(NOW) {
                Ok(Some(message)) => {
                    assert_ne!(message, ToServer::Stdin(b""), "an empty piece");
                    message.into()
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(server.end(), Err(error), "an error is forgotten");
                    assert!(server.next(NOW).is_err(), "an error is forgotten");
                    return (heard, Err(error));
                }
            };
            answer(&mut server, &message, &mut out);
            out.clear();
            keep(&mut heard, message);
            if matches!(heard.last(), Some(Heard::Transfer(_))) && server.phase() == Phase::Running
            {
                // What comes behind is the transfer's, and nothing of it is lost.
                assert_eq!(server.next(NOW), Ok(None));
                heard.push(Heard::Stdin([&server.into_rest(), rest].concat()));
                return (heard, Ok(()));
            }
        }
        assert!(server.capacity() <= MEMORY, "{} bytes held", server.capacity());
    }
    let phase = server.phase();
    let end = server.end();
    assert!(end.is_err() || phase == Phase::Idle, "success in {phase:?}");
    (heard, end)
}

/// A server's way with commands, which depends on nothing but what it hears.
fn answer(server: &mut Server, message: &Heard, out: &mut Vec<u8>) {
    let done = match message {
        Heard::Run(run) if run.program == Program::Login => {
            let failure = Failure { kind: FailureKind::Refused, text: "no".to_owned() };
            server.failed(&failure, out)
        }
        Heard::Run(_) => server.started(1, out),
        Heard::Transfer(transfer) if transfer.options.delete => {
            let failure = Failure { kind: FailureKind::Refused, text: "no".to_owned() };
            server.failed(&failure, out)
        }
        Heard::Transfer(_) => server.ready(out),
        Heard::Stdin(bytes) => server.stdin_taken(bytes.len(), out),
        Heard::Signal(Signal::Hup) => server.stdin_closed(out).or(Ok(())),
        Heard::Signal(Signal::Kill) | Heard::StdinEnd => server.ended(nothing(), out),
        _ => Ok(()),
    };
    assert_eq!(done, Ok(()), "after {message:?}");
}

fn nothing() -> Ended {
    Ended { status: Status::Exited(0), stdout_bytes: 0, stderr_bytes: 0, duration_us: 0 }
}

fn ask(stream: &[u8], choice: u8, mut dice: Dice) -> Outcome {
    let mut client = Client::new(NOW);
    let mut heard = Vec::new();
    let mut asked = usize::from(choice >> 4);
    begin(&mut client, choice);
    let mut rest = stream;
    while !rest.is_empty() {
        let count = fill(client.space(), &mut rest, &mut dice);
        client.filled(count);
        loop {
            let message: Heard = match client.next(NOW) {
                Ok(Some(message)) => message.into(),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(client.end(), Err(error), "an error is forgotten");
                    assert!(client.next(NOW).is_err(), "an error is forgotten");
                    return (heard, Err(error));
                }
            };
            if matches!(message, Heard::Ended(_) | Heard::Failed(_)) && asked > 0 {
                asked -= 1;
                run(&mut client, choice);
            }
            keep(&mut heard, message);
            if heard.last() == Some(&Heard::Ready) {
                assert_eq!(client.next(NOW), Ok(None));
                heard.push(Heard::Stdout([&client.into_rest(), rest].concat()));
                return (heard, Ok(()));
            }
        }
        assert!(client.capacity() <= MEMORY, "{} bytes held", client.capacity());
        assert!(client.stdin_room() <= limits::FRAME_DATA_MAX);
    }
    let phase = client.phase();
    let end = client.end();
    assert!(end.is_err() || phase == Phase::Idle, "success in {phase:?}");
    (heard, end)
}

fn begin(client: &mut Client, choice: u8) {
    let hello = client.hello("x", &mut Vec::new());
    assert_eq!(hello, Ok(()));
    if choice & 2 == 0 {
        run(client, choice);
    }
}

fn run(client: &mut Client, choice: u8) {
    if choice & 12 == 12 {
        let asked = client.transfer(&a_transfer(), &mut Vec::new());
        assert_eq!(asked, Ok(()));
        return;
    }
    let mut run = Run::new(Program::Login);
    run.stdin = choice & 4 != 0;
    run.detach = choice & 8 != 0 && !run.stdin;
    run.terminal = (!run.detach).then(|| Terminal { name: vec![], size: WindowSize::default() });
    let asked = client.run(&run, &mut Vec::new());
    assert_eq!(asked, Ok(()));
    if run.stdin {
        let header = client.stdin_header(1000);
        assert!(header.is_ok(), "{header:?}");
    }
}

fn a_transfer() -> Transfer {
    Transfer {
        way: Way::Pull,
        placement: Placement::Auto,
        options: Options::default(),
        paths: vec![b"a".to_vec()],
        sources: 1,
        filters: Vec::new(),
        part: (0, 1),
    }
}

fn fill(space: &mut [u8], rest: &mut &[u8], dice: &mut Dice) -> usize {
    assert!(space.len() >= limits::WIRE_SPACE, "{} bytes of space", space.len());
    let count = dice.slice().min(space.len()).min(rest.len());
    let (now, later) = rest.split_at(count);
    space[..count].copy_from_slice(now);
    *rest = later;
    count
}
