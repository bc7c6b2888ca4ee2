//! X1 and V3: the plain form, for simple clients and with simple servers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::harness::process::{Output, run_command};
use crate::harness::remote::{Home, Running};
use crate::harness::{Conn, MODELS, Server, clean, needs, run, serve};

fn server(model: &str) -> Server {
    let home = std::env::temp_dir();
    serve("command").at("tcp").at("unix").model(model).env("HOME", home.to_str().unwrap()).start()
}

/// A reply as it comes: its status and output.
fn reply(conn: &mut Conn) -> (i64, String) {
    let mut digits = String::new();
    let mut byte = [0];
    loop {
        conn.read_exact(&mut byte).expect("a reply");
        if byte[0] == b'[' {
            break;
        }
        digits.push(byte[0] as char);
    }
    let mut json = vec![b'['];
    json.resize(digits.parse().expect("a length in digits"), 0);
    conn.read_exact(&mut json[1..]).expect("as much as was said");
    let Value::Array(array) = serde_json::from_slice(&json).expect("JSON") else {
        panic!("no array")
    };
    (array[0].as_i64().unwrap(), array[1].as_str().unwrap().to_owned())
}

/// V3, X1: status and output, both outputs merged in order; many commands on one connection; under
/// every model and on Unix sockets.
#[test]
fn conversation() {
    for model in MODELS {
        let server = server(model);
        for scheme in ["tcp", "unix"] {
            let mut conn = Conn::dial(&server.endpoint(scheme)).unwrap();
            for (line, expected) in [
                ("echo one; echo two >&2; echo three", (0, "one\ntwo\nthree\n")),
                ("exit 3", (3, "")),
                ("kill -9 $$", (137, "")),
                ("printf 'a\"b\\\\c\\t\\303\\274'", (0, "a\"b\\c\tü")),
                ("no-such-program 2>/dev/null", (127, "")),
                ("cat; echo end", (0, "end\n")),
            ] {
                conn.write_all(format!("{line}\n").as_bytes()).unwrap();
                assert_eq!(reply(&mut conn), (expected.0, expected.1.into()), "{model} {line}");
            }
        }
    }
}

/// X1: a newline ends a command, a pause does, and the end of sending does.
#[test]
fn command_ends() {
    let server = server("process");
    let mut conn = server.dial();
    conn.write_all(b"echo pause").unwrap();
    assert_eq!(reply(&mut conn), (0, "pause\n".into()));
    conn.write_all(b"echo crlf\r\necho two\n\n  \necho three\n").unwrap();
    for word in ["crlf", "two", "three"] {
        assert_eq!(reply(&mut conn), (0, format!("{word}\n")));
    }
    conn.write_all(b"echo fin").unwrap();
    conn.socket().shutdown(Shutdown::Write).unwrap();
    assert_eq!(reply(&mut conn), (0, "fin\n".into()));
    assert_eq!(conn.read(&mut [0]).unwrap(), 0);
}

/// X1: a client of old: one `send` without a newline, the length by one `recv(1024)`, then as many
/// bytes of JSON; a thousand times in a row.
#[test]
fn simple_clients() {
    if !needs(&["python3"]) {
        return;
    }
    const CLIENT: &str = "
import json, socket, sys
for i in range(int(sys.argv[2])):
    s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=30)
    s.send(b'ls /')
    length = int(s.recv(1024))
    data = b''
    while len(data) < length:
        piece = s.recv(1024)
        assert piece, (length, data)
        data += piece
    status, output = json.loads(data)
    assert status == 0 and 'usr\\n' in output, data
    s.close()
print('good')
";
    let server = server("process");
    let endpoint = server.endpoint("tcp");
    let (_, port) = endpoint.rsplit_once(':').unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut command = clean("python3");
                command.args(["-c", CLIENT, port, "250"]);
                let output = run_command(command, b"");
                assert_eq!(output.stdout_text(), "good\n", "{output:?}");
            });
        }
    });
    // The same on one connection, pipelined by nobody.
    let mut conn = server.dial();
    for number in 0..50 {
        conn.write_all(format!("echo {number}\n").as_bytes()).unwrap();
        assert_eq!(reply(&mut conn), (0, format!("{number}\n")));
    }
}

/// X1: large output arrives whole, and too large a one is told.
#[test]
fn large() {
    let server = server("process");
    let mut conn = server.dial();
    conn.write_all(b"seq 1 1000000\n").unwrap();
    let expected: String = (1..=1_000_000).map(|n| format!("{n}\n")).collect();
    assert!(reply(&mut conn) == (0, expected));
    conn.write_all(b"head -c 100000000 /dev/zero; exit 0\n").unwrap();
    let (status, text) = reply(&mut conn);
    assert!(status == 255 && text.contains("too long"), "{status} {text:.100}");
    conn.write_all(b"echo still here\n").unwrap();
    assert_eq!(reply(&mut conn), (0, "still here\n".into()));
}

/// X1, fault 14: a line without an end is refused, and its connection alone ends.
#[test]
fn endless_line() {
    let server = server("process");
    let mut conn = server.dial();
    let _ = conn.write_all(&vec![b'x'; 200_000]);
    let mut rest = Vec::new();
    // An end or a reset, but no reply.
    let _ = conn.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    let event = server.wait_event("closed", |event| event["event"] == "closed");
    assert_eq!(event["why"], "protocol", "{event}");
    let mut conn = server.dial();
    conn.write_all(b"echo in\n").unwrap();
    assert_eq!(reply(&mut conn), (0, "in\n".into()));
}

/// X5: a client that resets the connection takes its command with it.
#[test]
fn vanished() {
    for model in MODELS {
        let server = server(model);
        let mark = crate::harness::remote::mark();
        let mut conn = server.dial();
        conn.write_all(format!("setsid sleep {mark} & trap '' HUP; sleep {mark}; :\n").as_bytes())
            .unwrap();
        let marked = || crate::harness::remote::marked(&mark);
        crate::harness::eventually("it runs", || marked().len() == 3);
        conn.socket().set_linger(Some(Duration::ZERO)).unwrap();
        drop(conn);
        crate::harness::eventually("it is gone", || marked().is_empty());
    }
}

/// X5, fault 38: a client that only closes its connection, as one that is killed does, takes its
/// command with it, under every model; one that ends its side alone gets its answer, however late.
#[test]
fn closed() {
    for model in MODELS {
        let server = server(model);
        for scheme in ["tcp", "unix"] {
            let mark = crate::harness::remote::mark();
            let marked = || crate::harness::remote::marked(&mark);
            let mut waits = Conn::dial(&server.endpoint(scheme)).unwrap();
            waits.write_all(b"sleep 1; echo late\n").unwrap();
            waits.finish();
            assert_eq!(reply(&mut waits), (0, "late\n".into()), "{model} {scheme}");
            drop(waits);
            let mut conn = Conn::dial(&server.endpoint(scheme)).unwrap();
            let line = format!("setsid sleep {mark} & trap '' HUP; sleep {mark}; :\n");
            conn.write_all(line.as_bytes()).unwrap();
            crate::harness::eventually("it runs", || marked().len() == 3);
            drop(conn);
            crate::harness::eventually("it is gone", || marked().is_empty());
            let event = server.wait_event("command", |event| {
                event["command"].as_str().is_some_and(|line| line.contains(&mark))
            });
            assert_eq!(event["why"], "vanished", "{event}");
        }
    }
}

/// X5, P-P10: our own client takes its command with it, however it goes: its time is over, a signal
/// ends it, it is killed.
#[test]
fn our_client_goes() {
    use rustix::process::Signal;

    let server = server("process");
    let endpoint = server.endpoint("tcp");
    let home = Home::empty();
    for ends in [None, Some(Signal::INT), Some(Signal::TERM), Some(Signal::KILL)] {
        let mark = crate::harness::remote::mark();
        let marked = || crate::harness::remote::marked(&mark);
        let line = format!("setsid sleep {mark} & trap '' HUP; sleep {mark}; :");
        let mut words = vec!["exec", &endpoint, "-c", &line];
        if ends.is_none() {
            words.extend(["--timeout", "2s"]);
        }
        let mut client = Running::start(home.command(&words));
        if let Some(signal) = ends {
            crate::harness::eventually("it runs", || marked().len() >= 2);
            crate::harness::process::signal(client.pid(), signal);
        }
        assert_eq!(client.wait(), ends.is_none().then_some(124), "{ends:?}");
        crate::harness::eventually("its command is gone", || marked().is_empty());
    }
    // A client that has its reply goes as everybody does.
    assert_eq!(exec(&endpoint, &["--", "true"]).code, Some(0));
    server.wait_event("a clean end", |event| event["why"] == "end");
}

/// X1, L7: nothing but loopback and Unix sockets: refused at the start. `host` needs no such rule
/// over TLS, but does without.
#[test]
fn local_only() {
    let home = Home::new();
    for words in [
        ["command", "0.0.0.0:0"],
        ["command", "tcp://[::]:0"],
        ["command", "192.0.2.1:0"],
        ["host", "tcp://0.0.0.0:0"],
        ["host", "tcp://127.0.0.1:0"],
        ["command", "udp://127.0.0.1:0"],
    ] {
        let output = home.run(&["serve", words[0], words[1]], b"");
        let line = output.assert_one_line(2);
        assert!(line.contains(words[0]), "{line}");
    }
}

fn exec(server: &str, words: &[&str]) -> Output {
    run(&[&["exec", server], words].concat(), b"")
}

/// X1, X4: `exec tcp://…` prints the output and ends with the status.
#[test]
fn our_client() {
    let server = server("process");
    let endpoint = server.endpoint("tcp");
    let output = exec(&endpoint, &["--", "printf", "%s|", "a b", "$HOME", "it's"]);
    assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "a b|$HOME|it's|"));
    assert_eq!(exec(&endpoint, &["-c", "echo x; exit 3"]).code, Some(3));
    assert_eq!(exec(&endpoint, &["-c", "kill -SEGV $$"]).code, Some(139));
    assert_eq!(exec(&endpoint, &["--", "no-such-program"]).code, Some(127));
    assert_eq!(exec(&endpoint, &["--timeout", "100ms", "--", "sleep", "1000"]).code, Some(124));
    let output = exec(&endpoint, &["--json", "-c", "echo x; echo y >&2; exit 4"]);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["exit"], &object["stdout"]), (&4.into(), &"x\ny\n".into()), "{object}");
    exec(&endpoint, &["--tty", "--", "true"]).assert_one_line(255);
    // A line that is no one command.
    let output = exec(&endpoint, &["-c", "echo a\necho b"]);
    assert!(output.assert_one_line(255).contains("one line"), "{output:?}");
}

/// A server of one reply, sent in these pieces.
fn answers(pieces: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let serves = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut asked = vec![0; 4096];
        let n = stream.read(&mut asked).unwrap();
        asked.truncate(n);
        for piece in pieces {
            // A client that has heard enough goes.
            if stream.write_all(&piece).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        asked
    });
    (endpoint, serves)
}

/// X1: replies that are split anywhere or glued together, with statuses of other servers' ways.
#[test]
fn replies() {
    let reply = b"14[0, \"out \\u00fc\"]".to_vec();
    let json = &reply[2..];
    let text = format!("{}{}", json.len(), String::from_utf8_lossy(json)).into_bytes();
    let mut ways = vec![vec![text.clone()], text.iter().map(|byte| vec![*byte]).collect()];
    for at in 1..text.len() {
        ways.push(vec![text[..at].to_vec(), text[at..].to_vec()]);
    }
    for pieces in ways {
        let (endpoint, serves) = answers(pieces.clone());
        let output = exec(&endpoint, &["--", "some", "thing"]);
        let asked = serves.join().unwrap();
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "out ü"), "{pieces:?}");
        assert!(asked.starts_with(b"some thing"), "{asked:?}");
    }
    for (status, code) in [("3", 3), ("-9", 137), ("139", 139), ("256", 255), ("-300", 255)] {
        let json = format!("[{status}, \"\"]");
        let (endpoint, serves) = answers(vec![format!("{}{json}", json.len()).into_bytes()]);
        assert_eq!(exec(&endpoint, &["--", "x"]).code, Some(code), "{status}");
        serves.join().unwrap();
    }
}

/// X1, fault 47: what is no reply, or not the whole of one, is a failure of ours in one line, never
/// a success.
#[test]
fn no_replies() {
    let bad: [&[u8]; 12] = [
        b"",
        b"7",
        b"7[0, \"",
        b"[0, \"\"]",
        b"x7[0, \"\"]",
        b"-7[0, \"\"]",
        b"99999999999999999999[0, \"\"]",
        b"3[0]",
        b"9[\"0\", 0]",
        b"7{\"a\":1}",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"7[0, \"\"]7[0, \"\"]",
    ];
    for reply in bad {
        let (endpoint, serves) = answers(vec![reply.to_vec()]);
        exec(&endpoint, &["--", "x"]).assert_one_line(255);
        serves.join().unwrap();
    }
}
