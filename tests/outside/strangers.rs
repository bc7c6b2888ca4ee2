//! Strangers at the other end: netcat, ncat, socat and Python's `socket`, in both roles.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::bytes::{Random, assert_same};
use crate::harness::conn::inet;
use crate::harness::process::{Output, fds_of, run_command};
use crate::harness::remote::Running;
use crate::harness::{MODELS, eventually, needs, run, serve};

fn ask(program: &str, words: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(words);
    run_command(command, stdin)
}

/// V1, L3: OpenBSD's netcat, with its half-close, gets the whole answer under every model.
#[test]
fn netcat_asks() {
    if !needs(&["nc.openbsd"]) {
        return;
    }
    for model in MODELS {
        let server = serve("upper").at("tcp").at("unix").model(model).start();
        let at = inet(&server.endpoint("tcp"));
        let output = ask("nc.openbsd", &["-N", "127.0.0.1", &at.port().to_string()], b"hello");
        assert_eq!((output.code, &output.stdout[..]), (Some(0), &b"HELLO"[..]), "{model}");
        let endpoint = server.endpoint("unix");
        let path = endpoint.strip_prefix("unix:").unwrap();
        let output = ask("nc.openbsd", &["-N", "-U", path], b"hello");
        assert_eq!((output.code, &output.stdout[..]), (Some(0), &b"HELLO"[..]), "{model}");
    }
}

/// V1, V2: ncat and socat as clients, under every model.
#[test]
fn ncat_and_socat_ask() {
    if !needs(&["ncat", "socat"]) {
        return;
    }
    MODELS.into_iter().for_each(ncat_and_socat);
}

fn ncat_and_socat(model: &str) {
    let server = serve("upper").at("tcp").at("udp").at("unix").model(model).start();
    let at = inet(&server.endpoint("tcp")).to_string();
    let port = inet(&server.endpoint("tcp")).port().to_string();
    let output = ask("ncat", &["127.0.0.1", &port], b"from ncat\n");
    assert_eq!(&output.stdout[..], b"FROM NCAT\n");
    let output = ask("socat", &["-t5", "-", &format!("TCP:{at}")], b"from socat\n");
    assert_eq!((output.code, &output.stdout[..]), (Some(0), &b"FROM SOCAT\n"[..]));
    let endpoint = server.endpoint("unix");
    let path = endpoint.strip_prefix("unix:").unwrap();
    let output = ask("ncat", &["-U", path], b"from ncat\n");
    assert_eq!(&output.stdout[..], b"FROM NCAT\n");
    let output = ask("socat", &["-t5", "-", &format!("UNIX:{path}")], b"from socat\n");
    assert_eq!((output.code, &output.stdout[..]), (Some(0), &b"FROM SOCAT\n"[..]));
    let at = inet(&server.endpoint("udp")).to_string();
    let output = ask("socat", &["-t1", "-", &format!("UDP:{at}")], b"datagram");
    assert_eq!((output.code, &output.stdout[..]), (Some(0), &b"DATAGRAM"[..]));
}

const PYTHON_CLIENT: &str = "
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
for n in range(200):
    text = b'line %d of a loop' % n
    s.sendall(text)
    got = b''
    while len(got) < len(text):
        got += s.recv(1024)
    assert got == text.upper(), got
s.close()
print('done')
";

/// V1, M1: the textbook's client, a conversation loop in Python, under every model.
#[test]
fn python_asks() {
    if !needs(&["python3"]) {
        return;
    }
    for model in MODELS {
        let server = serve("upper").at("tcp").model(model).start();
        let port = inet(&server.endpoint("tcp")).port().to_string();
        for _ in 0..2 {
            let output = ask("python3", &["-c", PYTHON_CLIENT, &port], b"");
            assert_eq!(output.stdout_text(), "done\n", "{model}: {output:?}");
        }
    }
}

const PYTHON_SERVER: &str = "
import socket
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen()
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
data = b''
while True:
    piece = c.recv(1000)
    if not piece:
        break
    data += piece
c.sendall(data.upper())
c.close()
";

/// A server of another program that prints its port.
struct Stranger {
    child: Child,
    port: String,
}

impl Stranger {
    fn python(text: &str) -> Stranger {
        let mut command = Command::new("python3");
        let mut child = command.args(["-c", text]).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Stranger { child, port: port.trim().to_owned() }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// C2: a Python server that answers only after our FIN is heard to its end.
#[test]
fn python_answers() {
    if !needs(&["python3"]) {
        return;
    }
    let server = Stranger::python(PYTHON_SERVER);
    let text = "all of it\n".repeat(50_000);
    let output = run(&["connect", &server.port], text.as_bytes());
    assert_eq!(output.code, Some(0));
    assert!(output.stdout_text() == text.to_uppercase(), "{} bytes", output.stdout.len());
}

/// C2: a netcat that listens and answers with a file.
#[test]
fn netcat_answers() {
    if !needs(&["nc.openbsd"]) {
        return;
    }
    let mut command = Command::new("nc.openbsd");
    command.args(["-l", "-v", "-N", "127.0.0.1", "0"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"an answer\n").unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let port = said.trim().rsplit(' ').next().unwrap().to_owned();
    let output = run(&["connect", &port], b"a question\n");
    assert_eq!((output.code, &output.stdout[..]), (Some(0), &b"an answer\n"[..]), "{said}");
    let mut heard = String::new();
    child.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "a question\n");
    assert!(child.wait().unwrap().success());
}

/// A program that listens, and how it is told where.
struct Listener {
    program: &'static str,
    tcp: &'static [&'static str],
    unix: &'static [&'static str],
}

/// `PATH` stands for the path of a socket. Each says on stderr when it listens.
const LISTENERS: [Listener; 3] = [
    Listener {
        program: "socat",
        tcp: &["-d", "-d", "-t30", "TCP-LISTEN:0,bind=127.0.0.1"],
        unix: &["-d", "-d", "-t30", "UNIX-LISTEN:PATH"],
    },
    Listener {
        program: "ncat",
        tcp: &["-v", "-l", "127.0.0.1", "0"],
        unix: &["-v", "-l", "-U", "PATH"],
    },
    Listener {
        program: "nc.openbsd",
        tcp: &["-v", "-N", "-l", "127.0.0.1", "0"],
        unix: &["-v", "-N", "-l", "-U", "PATH"],
    },
];

/// The port on which a process listens, as the kernel tells it.
fn port_of(pid: u32) -> u16 {
    let sockets = fds_of(pid);
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // 0A is LISTEN.
    let mut own =
        rows.filter(|row| row[3] == "0A" && sockets.contains(&format!("socket:[{}]", row[9])));
    let row = own.next().expect("it listens");
    let (_, port) = row[1].split_once(':').unwrap();
    u16::from_str_radix(port, 16).unwrap()
}

impl Listener {
    /// Starts it in `dir` with more words and these streams, and waits until it listens: where.
    fn start(&self, dir: &Path, unix: bool, more: &[&str], io: [Stdio; 2]) -> (Running, String) {
        let path = dir.join("socket").display().to_string();
        let words = if unix { self.unix } else { self.tcp };
        let mut command = Command::new(self.program);
        command.args(words.iter().map(|word| word.replace("PATH", &path))).args(more);
        let said = dir.join("said");
        let [stdin, stdout] = io;
        command.stdin(stdin).stdout(stdout).stderr(File::create(&said).unwrap());
        let running = Running::adopt(command.spawn().unwrap());
        eventually("it listens", || fs::read_to_string(&said).unwrap().contains("istening on "));
        let endpoint = match unix {
            true => format!("unix:{path}"),
            false => format!("tcp://127.0.0.1:{}", port_of(running.pid())),
        };
        (running, endpoint)
    }
}

/// C2, L3: socat, ncat and netcat listen, over TCP and on a Unix socket, and end their direction
/// while we send: both ways come whole, byte for byte.
#[test]
fn they_end_first() {
    let programs = LISTENERS.map(|listener| listener.program);
    if !needs(&programs) {
        return;
    }
    let (question, answer) = (Random::new(1).bytes(700_001), Random::new(2).bytes(300_007));
    for (listener, unix) in LISTENERS.iter().flat_map(|one| [(one, false), (one, true)]) {
        let dir = tempfile::tempdir().unwrap();
        let [given, heard] = ["given", "heard"].map(|name| dir.path().join(name));
        fs::write(&given, &answer).unwrap();
        let io = [File::open(&given).unwrap().into(), File::create(&heard).unwrap().into()];
        let more: &[&str] = if listener.program == "socat" { &["-"] } else { &[] };
        let (mut stranger, endpoint) = listener.start(dir.path(), unix, more, io);
        let output = run(&["connect", &endpoint], &question);
        let name = format!("{} unix: {unix}", listener.program);
        assert_eq!((output.code, &output.stderr[..]), (Some(0), ""), "{name}");
        assert_same(&output.stdout, &answer, 0);
        stranger.wait();
        assert_same(&fs::read(&heard).unwrap(), &question, 0);
    }
}

/// C2, L3: socat hears all of our input and its end before it answers: half-close, and both ways whole,
/// byte for byte. (ncat and netcat leave with their client's end, so they cannot.)
#[test]
fn we_end_first() {
    let [socat, ..] = &LISTENERS;
    if !needs(&[socat.program]) {
        return;
    }
    let question = Random::new(3).bytes(700_001);
    for unix in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let heard = dir.path().join("heard");
        let path = heard.display();
        let system = format!("SYSTEM:cat > {path}; LC_ALL=C tr a-z A-Z < {path}");
        let io = [Stdio::null(), Stdio::null()];
        let (mut stranger, endpoint) = socat.start(dir.path(), unix, &[&system], io);
        let output = run(&["connect", &endpoint], &question);
        assert_eq!((output.code, &output.stderr[..]), (Some(0), ""), "{endpoint}");
        assert_same(&output.stdout, &question.to_ascii_uppercase(), 0);
        stranger.wait();
        assert_same(&fs::read(&heard).unwrap(), &question, 0);
    }
}
