//! Ends of a transfer that lie: a server and a client that say by hand what a test wants.

use std::marker::PhantomData;
use std::time::Duration;

use sockeye_wire::files::{
    Entry, Frames, FromReceiver, FromSender, Hash, Meta, Name, Node, Options, Placement, Speech,
    Time, Transfer, Way,
};
use sockeye_wire::{Client, ToClient};
use tempfile::TempDir;

use crate::harness::process::{Output, run_command};
use crate::harness::remote::{Home, Host};
use crate::host_faults::hostile::{Fake, Guest, Line, frame, server_hello};

/// The frame that lets a transfer begin (PROTOCOL.md, P-X1).
const READY: u8 = 0x88;

/// A server's side of a connection that belongs to a transfer; it hears a client that is an `M`.
pub(super) struct Far<M> {
    line: Line,
    frames: Frames<M>,
}

impl<M: Speech> Far<M> {
    /// Says these bytes; the client may have hung up.
    pub(super) async fn say(&mut self, bytes: &[u8]) {
        let _ = self.line.say(bytes).await;
    }

    /// What the client says next; none at its end.
    pub(super) async fn hear(&mut self) -> Option<M> {
        loop {
            if let Some(message) = self.frames.message().expect("the client keeps the protocol") {
                return Some(message);
            }
            match self.line.read(self.frames.space()).await {
                0 => return None,
                n => self.frames.filled(n),
            }
        }
    }

    /// A piece each second until the client has gone; how long that took.
    pub(super) async fn trickle(&mut self, piece: impl FnMut() -> Vec<u8>) -> Duration {
        self.line.trickle(piece).await
    }

    /// All that the client still says, up to its end.
    pub(super) async fn hear_rest(&mut self) {
        while self.hear().await.is_some() {}
    }
}

/// A server that assents to whatever transfer is asked for, and then does as the script says.
pub(super) fn server<M: Speech + 'static>(script: impl AsyncFn(Far<M>) + Send + 'static) -> Fake {
    Fake::unix(async move |mut line: Line| {
        if line.hear_run().await.is_ok() {
            let _ = line.say(&[server_hello(), frame(READY, b"")].concat()).await;
            script(Far { line, frames: Frames::new(Vec::new()) }).await;
        }
    })
}

/// A client in an empty directory, and what came of it.
pub(super) struct Met {
    pub(super) output: Output,
    pub(super) here: TempDir,
}

/// Runs `sockeye` with these words against a server.
pub(super) fn meet(fake: &Fake, words: &[&str]) -> Met {
    meet_in(fake, words, tempfile::tempdir().expect("a temporary directory"))
}

/// The same in this directory.
pub(super) fn meet_in(fake: &Fake, words: &[&str], here: TempDir) -> Met {
    let home = Home::empty();
    let mut command = home.command(words);
    command.args(["--via", &fake.endpoint]).current_dir(here.path());
    Met { output: run_command(command, b""), here }
}

/// A client's side of a connection that belongs to a transfer; it hears a server that is an `M`.
pub(super) struct Near<M> {
    guest: Guest,
    frames: Frames<M>,
    side: PhantomData<M>,
}

impl<M: Speech> Near<M> {
    /// Asks a server over its Unix socket; its refusal otherwise.
    pub(super) fn ask(host: &Host, transfer: &Transfer) -> Result<Near<M>, String> {
        let mut guest = Guest::plug(host);
        let mut machine = Client::new(Duration::ZERO);
        let mut out = Vec::new();
        machine.hello("evil/1", &mut out).expect("the first words");
        loop {
            guest.say(&out);
            out.clear();
            let n = guest.read(machine.space());
            assert!(n > 0, "the server has gone");
            machine.filled(n);
            let answer = loop {
                match machine.next(Duration::ZERO).expect("the server keeps the protocol") {
                    Some(ToClient::Hello(_)) => {
                        break None;
                    }
                    Some(ToClient::Ready) => break Some(Ok(())),
                    Some(ToClient::Failed(failure)) => break Some(Err(failure.text)),
                    Some(_) => {}
                    None => break None,
                }
            };
            match answer {
                Some(Ok(())) => {
                    let frames = Frames::new(machine.into_rest());
                    return Ok(Near { guest, frames, side: PhantomData });
                }
                Some(Err(text)) => return Err(text),
                None => {
                    // Asked once: the machine is idle until then.
                    let _ = machine.transfer(transfer, &mut out);
                }
            }
        }
    }

    /// Says these bytes; the server may have hung up.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.guest.say(bytes);
    }

    /// What the server says next; none at its end.
    pub(super) fn hear(&mut self) -> Option<M> {
        loop {
            if let Some(message) = self.frames.message().expect("the server keeps the protocol") {
                return Some(message);
            }
            match self.guest.read(self.frames.space()) {
                0 => return None,
                n => self.frames.filled(n),
            }
        }
    }

    /// A piece each second until the server has gone; how long that took.
    pub(super) fn trickle(&mut self, piece: impl FnMut() -> Vec<u8>) -> Duration {
        self.guest.trickle(piece)
    }

    /// All that the server still says, up to its end.
    pub(super) fn hear_rest(&mut self) -> Vec<M> {
        std::iter::from_fn(|| self.hear()).collect()
    }
}

/// A push of one source to this path.
pub(super) fn push(path: &str, placement: Placement) -> Transfer {
    Transfer {
        way: Way::Push,
        placement,
        options: Options::default(),
        paths: vec![path.into()],
        sources: 1,
        filters: Vec::new(),
        part: (0, 1),
    }
}

/// A pull of one source.
pub(super) fn pull(path: &str) -> Transfer {
    Transfer { way: Way::Pull, ..push(path, Placement::Auto) }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).expect("a name")
}

pub(super) fn entry(text: &str, node: Node) -> Entry {
    let mode = if node == Node::Directory { 0o755 } else { 0o644 };
    let mtime = Time { seconds: 1_000_000_000, nanoseconds: 0 };
    Entry { name: name(text), node, meta: Meta { mode, mtime, ..Meta::default() } }
}

pub(super) fn file(text: &str, size: u64) -> Entry {
    entry(text, Node::File { size: Some(size), group: None })
}

pub(super) fn directory(text: &str) -> Entry {
    entry(text, Node::Directory)
}

pub(super) fn link(text: &str, target: &str) -> Entry {
    entry(text, Node::Symlink { target: target.into(), group: None })
}

pub(super) fn root(entry: Entry) -> FromSender {
    FromSender::Root { index: 0, identity: [9; 16], entry }
}

pub(super) fn leave() -> FromSender {
    FromSender::Leave { complete: true }
}

pub(super) const TIME: Time = Time { seconds: 1_000_000_000, nanoseconds: 0 };

/// The whole content of a file, rightly proved.
pub(super) fn small(file: u32, data: &[u8]) -> FromSender {
    FromSender::Small { file, mtime: TIME, hash: hash(data), data: data.to_vec() }
}

pub(super) fn hash(data: &[u8]) -> Hash {
    *blake3::hash(data).as_bytes()
}

/// The proof of a segment that begins at `offset`.
pub(super) fn mark(data: &[u8], offset: u64) -> Hash {
    use blake3::hazmat::HasherExt;
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(data);
    hasher.finalize_non_root()
}

/// A sender's messages as they are sent.
pub(super) fn sent(messages: &[FromSender]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|message| message.put(&mut out));
    out
}

/// A receiver's messages as they are sent.
pub(super) fn answered(messages: &[FromReceiver]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|message| message.put(&mut out));
    out
}

/// One message whose entry is called `instead`, which our own writer could not say; the entry has to
/// be called `placeholder`.
pub(super) fn renamed(message: &FromSender, instead: &[u8]) -> Vec<u8> {
    let frame = sent(std::slice::from_ref(message));
    let old = [&11_u32.to_be_bytes()[..], b"placeholder"].concat();
    let at = frame.windows(old.len()).position(|window| window == old).expect("the placeholder");
    let length = u32::try_from(instead.len()).expect("short").to_be_bytes();
    let payload = [&frame[5..at], &length[..], instead, &frame[at + old.len()..]].concat();
    crate::host_faults::hostile::frame(frame[0], &payload)
}
