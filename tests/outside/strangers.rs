//! Strangers at the other end: netcat, ncat, socat and Python's `socket`, in both roles.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::harness::conn::inet;
use crate::harness::process::{Output, run_command};
use crate::harness::{MODELS, needs, run, serve};

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

/// V1, V2: ncat and socat as clients.
#[test]
fn ncat_and_socat_ask() {
    if !needs(&["ncat", "socat"]) {
        return;
    }
    let server = serve("upper").at("tcp").at("udp").start();
    let at = inet(&server.endpoint("tcp")).to_string();
    let port = inet(&server.endpoint("tcp")).port().to_string();
    let output = ask("ncat", &["127.0.0.1", &port], b"from ncat\n");
    assert_eq!(&output.stdout[..], b"FROM NCAT\n");
    let output = ask("socat", &["-t5", "-", &format!("TCP:{at}")], b"from socat\n");
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
