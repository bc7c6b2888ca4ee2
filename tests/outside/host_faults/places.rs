//! Who takes a place on `tls://`: those who have proved who they are, and no stranger (M6, T6).

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use serde_json::Value;
use sockeye_trust::tls::{Expect, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::door::{begin_handshake, client_hello, knock};
use super::hostile::{Guest, key_of, runtime};
use crate::harness::remote::{Home, Host};
use crate::harness::{MODELS, PARALLEL_MODELS, serve};

/// The name in TLS of a plain stream of bytes.
const ALPN: &[u8] = b"sockeye-stream/1";

fn upper(model: &str, words: &[&str]) -> Host {
    let launch = serve("upper").on("tls://127.0.0.1:0").model(model).args(words);
    Host::on_tls(Home::new(), launch)
}

/// Somebody who is known and has been answered, so that he has his place.
fn enter(host: &Host) -> Guest {
    let key = Arc::new(key_of(&host.home.identity()));
    let mut guest = Guest::enter_as(host, key, ALPN).expect("the key is authorised");
    guest.say(b"in");
    guest.hear_until(b"IN");
    guest
}

/// A handshake that goes on only when it is told to; then it says "late", and hears all.
struct Late {
    go: mpsc::Sender<()>,
    all: JoinHandle<Vec<u8>>,
}

impl Late {
    fn begin(host: &Host) -> Late {
        let (go, wait) = mpsc::channel();
        let (begun, begins) = mpsc::channel();
        let key = Arc::new(key_of(&host.home.identity()));
        let to = SocketAddr::from(([127, 0, 0, 1], host.port()));
        let wait = std::sync::Mutex::new(wait);
        let all = std::thread::spawn(move || {
            let judge = Expect::judge(move |_| {
                begun.send(()).expect("the test waits");
                wait.lock().expect("it is asked once").recv().is_ok()
            });
            runtime().block_on(async {
                let tcp = TcpStream::connect(to).await.expect("it listens");
                let mut stream = connect(tcp, key, ALPN, judge).await.expect("it has a place yet");
                let mut all = Vec::new();
                // The server may have refused it already.
                let _ = stream.write_all(b"late").await;
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut all).await;
                all
            })
        });
        begins.recv().expect("the server's part comes");
        Late { go, all }
    }

    fn go_on(self) -> JoinHandle<Vec<u8>> {
        self.go.send(()).expect("it waits");
        self.all
    }
}

/// M6, T6: a stranger in the middle of a handshake takes nobody's place, not even the only one.
#[test]
fn strangers_take_none() {
    for model in PARALLEL_MODELS {
        let host = upper(model, &["--max-connections", "1", "--overflow", "refuse"]);
        let mut stranger = knock(&host);
        begin_handshake(&mut stranger);
        let mut guest = enter(&host);
        assert_eq!(host.server.count("refused"), 0, "{model}");
        assert_eq!(host.server.count("closed"), 0, "{model}: the stranger is still there");
        guest.finish();
        assert!(guest.hear_all().1.is_ok(), "{model}");
    }
}

/// M6: of two handshakes that were begun while there was a place, one gets it; the other is refused
/// when it is known.
#[test]
fn one_too_many() {
    for model in PARALLEL_MODELS {
        let host = upper(model, &["--max-connections", "1", "--overflow", "refuse"]);
        let late = Late::begin(&host);
        let mut guest = enter(&host);
        let heard = late.go_on().join().expect("it is refused");
        assert_eq!(heard, b"", "{model}");
        let refused = host.server.wait_for("refused");
        assert_eq!(refused["why"], "max-connections", "{model}: {refused}");
        let closed = host.server.wait_for("closed");
        assert_eq!((&closed["why"], &closed["peer"]), (&"overload".into(), &refused["peer"]));
        guest.say(b"still");
        guest.hear_until(b"STILL");
    }
}

/// M6: with `--overflow queue` the other waits until the first has ended.
#[test]
fn one_after_the_other() {
    for model in PARALLEL_MODELS {
        let host = upper(model, &["--max-connections", "1"]);
        let late = Late::begin(&host);
        let mut guest = enter(&host);
        let late = late.go_on();
        host.server.wait_events("both are known", 2, |e| e["event"] == "authenticated");
        guest.say(b"still");
        guest.hear_until(b"STILL");
        assert!(!late.is_finished(), "{model}: it has to wait");
        guest.finish();
        assert!(guest.hear_all().1.is_ok(), "{model}");
        assert_eq!(late.join().expect("it has its turn"), b"LATE", "{model}");
        assert_eq!(host.server.count("refused"), 0, "{model}");
    }
}

/// M6: the one turn of `--once` is for somebody who is known: neither a stranger takes it, nor the
/// first contact of our own client, which breaks off and comes again.
#[test]
fn once_is_for_the_known() {
    for model in MODELS {
        let mut host = upper(model, &["--once"]);
        let mut stranger = knock(&host);
        begin_handshake(&mut stranger);
        stranger.reset();
        let words = ["connect", &host.tls, "--trust", &host.fingerprint];
        let output = host.home.run(&words, b"once");
        assert_eq!(output.stdout_text(), "ONCE", "{model}: {output:?}");
        assert_eq!(host.server.wait().code(), Some(0), "{model}");
        assert_eq!(host.server.count("authenticated"), 1, "{model}");
    }
}

/// M6: one more is refused with FIN, though its ClientHello was only looked at, and reset where that
/// was asked.
#[test]
fn refused_with_its_hello() {
    let hello = client_hello();
    for model in MODELS {
        for (overflow, reset) in [("refuse", false), ("reset", true)] {
            let host = upper(model, &["--max-connections", "1", "--overflow", overflow]);
            let _guest = enter(&host);
            let mut other = knock(&host);
            other.write_all(&hello).expect("it is sent");
            let read = other.read_to_end(&mut Vec::new());
            let was_reset = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ConnectionReset;
            assert_eq!(read.as_ref().is_err_and(was_reset), reset, "{model} {overflow}: {read:?}");
            let full = |e: &Value| e["event"] == "refused" && e["why"] == "max-connections";
            host.server.wait_event("refusal", full);
        }
    }
}
