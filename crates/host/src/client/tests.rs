//! The client against a server that a test plays.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_wire::{Ended, Program, Run, Server, Status, ToServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Controls, Input, Local, Output, Remote};

/// A server that reads only when it is asked to.
struct Played {
    stream: DuplexStream,
    machine: Server,
}

impl Played {
    /// Reads until a command is asked for, and starts it; the line.
    async fn start(&mut self) -> Vec<u8> {
        loop {
            while let Some(message) = self.machine.next(Duration::ZERO).unwrap() {
                let ToServer::Run(run) = message else { continue };
                let Program::Line(line) = run.program else { panic!("a line") };
                let mut out = Vec::new();
                self.machine.started(1, &mut out).unwrap();
                self.stream.write_all(&out).await.unwrap();
                return line;
            }
            // In small bites: what lies behind the Run is to stay in the stream.
            let n = self.stream.read(&mut self.machine.space()[..16]).await.unwrap();
            assert!(n > 0, "the client has gone");
            self.machine.filled(n);
        }
    }

    async fn end(&mut self) {
        let mut out = Vec::new();
        let ended =
            Ended { status: Status::Exited(0), stdout_bytes: 0, stderr_bytes: 0, duration_us: 0 };
        self.machine.ended(ended, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }
}

/// P-F1, P-S4: a command ends while a piece of its input is half sent: the other half goes before the
/// next command, which the server understands.
#[tokio::test]
async fn half_a_frame() {
    // Smaller than a piece of input.
    let (ours, theirs) = tokio::io::duplex(256);
    let mut played = Played { stream: theirs, machine: Server::new(Duration::ZERO) };
    let mut remote = Remote::new(ours).unwrap();
    let client = async {
        for line in ["first", "second"] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(limits::INPUT_CHUNK as u64).unwrap();
            let mut stdin = Input::new(&file).unwrap();
            let (mut stdout, mut stderr) = (Output::memory(), Output::memory());
            let mut controls = Controls::told(mpsc::channel(1).1);
            let local = Local {
                stdin: Some(&mut stdin),
                stdout: &mut stdout,
                stderr: &mut stderr,
                controls: &mut controls,
            };
            let run = Run { stdin: true, ..Run::new(Program::Line(line.into())) };
            let ended = remote.run(&run, local).await.unwrap();
            assert_eq!(ended.status, Status::Exited(0));
        }
        remote.close().await;
    };
    let server = async {
        let mut out = Vec::new();
        played.machine.hello("test/1", &mut out).unwrap();
        played.stream.write_all(&out).await.unwrap();
        for line in ["first", "second"] {
            assert_eq!(played.start().await, line.as_bytes());
            // The client is in the middle of its first piece when it hears of the end.
            let n = played.stream.read(&mut played.machine.space()[..16]).await.unwrap();
            played.machine.filled(n);
            played.end().await;
        }
    };
    let both = async { tokio::join!(client, server) };
    timeout(Duration::from_secs(30), both).await.unwrap();
}
