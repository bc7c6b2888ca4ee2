//! Drawings of histories, line by line, and what they may never hold.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use sockeye_limits as limits;
use sockeye_net::shown;

use super::*;
use crate::history::{
    Call, CallResult, Datagram, Event, Flags, History, Options, Reason, Segment, Side, State,
    Unreachable,
};
use crate::testing::{Conversation, sample};

fn plain(history: &History) -> String {
    picture(history, Style::default())
}

/// O1: the whole picture of a conversation: states, arrows, x and y, calls, who waits.
#[test]
fn a_picture() {
    let drawn = plain(&sample().history());
    let expected = include_str!("tests/picture.txt");
    assert_eq!(drawn, expected, "\n{drawn}");
}

/// O1: `--ascii` holds nothing else, has the same lines, and is as wide.
#[test]
fn ascii() {
    let history = sample().history();
    let drawn = picture(&history, Style { ascii: true, ..Style::default() });
    assert!(drawn.is_ascii(), "{drawn}");
    assert_eq!(drawn.lines().count(), plain(&history).lines().count());
    assert!(drawn.contains("-->|") && drawn.contains("|<--"));
}

/// O1: colours add escape sequences and change no text.
#[test]
fn colour() {
    let history = sample().history();
    let drawn = picture(&history, Style { colour: true, ..Style::default() });
    assert!(drawn.contains("\x1b[32m"));
    let mut text = String::new();
    let mut rest = &drawn[..];
    while let Some((before, after)) = rest.split_once('\x1b') {
        text += before;
        rest = &after[after.find('m').unwrap() + 1..];
    }
    text += rest;
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&text), trimmed(&plain(&history)));
}

/// O1: step by step, as things happen, the lines are those of the whole picture but for its head,
/// where only what is known by then can stand.
#[test]
fn live() {
    let history = sample().history();
    let (client, server) = (history.client_address(), history.server_address());
    let mut growing = History::new(client, server);
    let mut drawer = Drawer::new(Style::default());
    let mut lines = drawer.head(&growing);
    for step in history.steps() {
        lines += &drawer.step(growing.push(step.event.clone()).unwrap());
    }
    lines += &drawer.end(&growing);
    let whole = plain(&history);
    let body = |text: &str| text.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(body(&lines)[1..], body(&whole)[..]);
    assert!(lines.lines().nth(2).unwrap().ends_with("│ LISTEN"));
}

/// O1: `--layers` shows each byte of a frame once, in order, under the names of the RFCs.
#[test]
fn opened() {
    let talk = sample();
    for (index, (_, bytes)) in talk.frames.iter().enumerate() {
        let frame = talk.segment(index).frame;
        let shown: Vec<u8> = layers::layers(&frame)
            .into_iter()
            .flat_map(|layer| layer.fields)
            .flat_map(|field| field.bytes)
            .collect();
        assert_eq!(&shown, bytes);
    }
    let lines = layers::lines(&talk.segment(3).frame).join("\n");
    for line in [
        "  0026  ff ff ff fd              Sequence Number        4294967293",
        "  002f  18                       Control Bits           PSH,ACK",
        "  0042  68 65 6c 6c 6f 0a        Data                   \"hello\\n\"",
    ] {
        assert!(lines.contains(line), "{lines}");
    }
}

/// O1, Q2: one object a step with numbers a reader can check, and the verdict as the last.
#[test]
fn machines() {
    let history = sample().history();
    let steps: Vec<serde_json::Value> = history
        .steps()
        .iter()
        .map(|step| serde_json::from_str(&json::step(step)).unwrap())
        .collect();
    let syn = &steps[2];
    assert_eq!(syn["event"], "packet");
    assert_eq!(syn["flags"], serde_json::json!(["SYN"]));
    assert_eq!((&syn["seq"], &syn["client"]), (&0.into(), &"SYN-SENT".into()));
    assert_eq!((&syn["caused_by"], &syn["notes"][0]), (&2.into(), &"handshake-1".into()));
    let verdict: serde_json::Value = serde_json::from_str(&json::verdict(&history)).unwrap();
    assert_eq!(verdict["closing"], "three-packets");
    assert_eq!(verdict["closed_first"], "client");
    assert_eq!(verdict["time_wait"][0]["side"], "client");
    assert_eq!(verdict["time_wait"][0]["told_by_kernel"], true);
}

/// What a conversation of a few more kinds of packets looks like: everything that can be drawn.
fn troubled() -> Conversation {
    let mut talk = sample();
    talk.send(Side::Client, "PA", 7, 7, &[0xff; 300]);
    talk.send(Side::Server, "A", 7, 7, b"");
    talk.send(Side::Server, "A", 7, 7, b"");
    talk.window = 0;
    talk.send(Side::Server, "A", 7, 307, b"");
    talk.send(Side::Server, "RA", 7, 307, b"");
    let time = Duration::from_secs(1);
    talk.events.push(Event::Missed { time, count: 1 });
    talk
}

/// C5, fault 56: what a peer sent, and what a call was given, cannot drive the terminal, a script in
/// a page or a reader of JSON.
#[test]
fn hostile() {
    let evil = "\x1b]0;x\x07\u{202e}</script><script>alert(1)</script>\"'&\r\n語語語";
    let mut talk = Conversation::new();
    talk.call(Side::Client, "connect", evil, crate::history::CallResult::Failed(evil.to_owned()));
    talk.send(Side::Client, "PA", 1, 1, evil.as_bytes());
    let history = talk.history();
    let drawn = picture(&history, Style { layers: true, ..Style::default() });
    assert!(!drawn.chars().any(|c| c != '\n' && shown::is_hazard(c)), "{drawn}");
    let line = json::step(&history.steps()[1]);
    assert!(!line.chars().any(shown::is_hazard), "{line}");
    serde_json::from_str::<serde_json::Value>(&line).unwrap();
    narrow(&drawn);
}

/// No line is wider than a terminal.
fn narrow(drawn: &str) {
    for line in drawn.lines() {
        assert!(text::width(line) <= limits::TRACE_WIDTH, "{}: {line}", text::width(line));
    }
}

/// O1: nothing is wider than 79 columns, long IPv6 addresses neither.
#[test]
fn narrow_pictures() {
    let style = Style { layers: true, ..Style::default() };
    narrow(&picture(&troubled().history(), style));
    let address = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap();
    let mut history = History::new(address, "[2001:db8::1]:9000".parse().unwrap());
    history.push(Segment::empty(address, history.server_address()).into());
    narrow(&picture(&history, style));
}

/// O1, O2: Wireshark's reader names the same flags, relative numbers and lengths, across the wrap of
/// sequence numbers, for a connection that was open before, and for a refusal.
#[test]
fn as_wireshark_reads() {
    let mut joined = Conversation::new();
    joined.send(Side::Server, "PA", 900, 70, b"some");
    joined.send(Side::Client, "A", 70, 904, b"");
    joined.send(Side::Client, "FA", 70, 904, b"");
    let mut refused = Conversation::new();
    refused.send(Side::Client, "S", 0, 0, b"");
    refused.send(Side::Server, "RA", 0u32.wrapping_sub(1_000_000), 1, b"");
    for talk in [sample(), troubled(), joined, refused] {
        let Some(read) = tshark(&talk) else { return };
        let history = talk.history();
        let ours: Vec<String> = history
            .steps()
            .iter()
            .filter_map(|step| match &step.event {
                Event::Segment(segment) => Some((step, segment)),
                _ => None,
            })
            .map(|(step, segment)| {
                let ack = step.ack.unwrap_or(0);
                format!("0x{:04x},{},{ack},{}", segment.flags.0, step.seq, segment.length)
            })
            .collect();
        assert_eq!(read, ours);
    }
}

/// What tshark reads, a line a packet; `None` where it is not installed.
fn tshark(talk: &Conversation) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("talk.pcap");
    std::fs::write(&file, talk.pcap()).unwrap();
    let fields = ["tcp.flags", "tcp.seq", "tcp.ack", "tcp.len"];
    let mut command = std::process::Command::new("tshark");
    command.arg("-r").arg(&file).args(["-T", "fields", "-E", "separator=,"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "tshark: {error}");
            println!("skipped: tshark is not installed");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

/// O1: the page loads nothing, has each step with its explanation, and whatever a peer sent or a call
/// was given stays text (fault 56).
#[test]
fn a_page() {
    let evil = "</script><script>alert(1)</script>\"'&\x1b[31m";
    let mut talk = troubled();
    talk.call(Side::Client, "send", evil, crate::history::CallResult::Failed(evil.to_owned()));
    talk.send(Side::Client, "PA", 307, 7, evil.as_bytes());
    let history = talk.history();
    let source = Source { said: "real <packets>", deduced: false };
    let page = page(&history, source);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("alert(1)</script>") && !page.contains('\x1b'));
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
    for step in history.steps() {
        let drawn = page.contains(&format!("id=\"step-{}\"", step.number));
        assert!(drawn || matches!(step.event, Event::Call(_)));
        assert!(page.contains(&format!("id=\"told-{}\"", step.number)));
    }
    assert!(page.contains("its FIN rides with the ACK") && page.contains("FIN-WAIT-1"));
    if let Some(file) = std::env::var_os("SOCKEYE_TEST_PAGE") {
        std::fs::write(file, &page).unwrap();
    }
}

/// O2: a page says where its arrows are from, and arrows that were concluded are drawn otherwise.
#[test]
fn a_page_of_deductions() {
    let history = troubled().history();
    let of = |said, deduced| page(&history, Source { said, deduced });
    let (real, deduced) = (of("real <packets>", false), of("deduced, not captured", true));
    assert!(real.contains("<dt>source</dt><dd>real &lt;packets&gt;</dd>"), "{real}");
    assert!(deduced.contains("<dt>source</dt><dd>deduced, not captured</dd>"), "{deduced}");
    assert!(deduced.contains("<svg class=\"deduced\"") && !real.contains("<svg class"));
    assert!(deduced.contains(".deduced .arrow { stroke-dasharray"));
}

/// Anything that can happen to a connection, or to an exchange of datagrams.
fn happening() -> impl Strategy<Value = Event> {
    let client: SocketAddr =
        "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535".parse().unwrap();
    let server: SocketAddr = "[2001:db8:7777:8888:9999:aaaa:bbbb:cccc]:65535".parse().unwrap();
    let ends = move |mine| if mine { (client, server) } else { (server, client) };
    let time =
        || (any::<u64>(), 0u32..64).prop_map(|(nanos, by)| Duration::from_nanos(nanos >> by));
    let text = || "[ -~é語\u{1b}\u{202e}\n]{0,120}";
    let side = || any::<bool>().prop_map(|mine| if mine { Side::Client } else { Side::Server });
    let state = || proptest::sample::select(&State::ALL[..]);
    let payload = || proptest::collection::vec(any::<u8>(), 0..100);
    let frame = Segment::empty(client, server).frame;
    let about = frame.clone();
    let segment =
        (any::<bool>(), any::<u8>(), any::<u32>(), any::<u32>(), any::<usize>(), payload(), time());
    let segment = segment.prop_map(move |(mine, flags, seq, ack, length, payload, time)| {
        let (from, to) = ends(mine);
        let (flags, options) =
            (Flags(flags), Options { mss: Some(flags.into()), ..Options::default() });
        Event::Segment(Segment {
            time,
            flags,
            seq,
            ack,
            length,
            payload,
            options,
            ..Segment::empty(from, to)
        })
    });
    let datagram = (any::<bool>(), payload(), any::<usize>(), time());
    let datagram = datagram.prop_map(move |(mine, payload, length, time)| {
        let (from, to) = ends(mine);
        Event::Datagram(Datagram { time, from, to, payload, length, frame: frame.clone() })
    });
    let reason = prop_oneof![
        Just(Reason::Port),
        Just(Reason::Prohibited),
        any::<Option<u32>>().prop_map(Reason::TooBig),
        any::<(u8, u8)>().prop_map(|(kind, code)| Reason::Other(kind, code)),
    ];
    let error = (any::<bool>(), reason, time()).prop_map(move |(mine, reason, time)| {
        let (about_from, about_to) = ends(mine);
        let (from, frame) = (about_to.ip(), about.clone());
        Event::Unreachable(Unreachable { time, from, about_from, about_to, reason, frame })
    });
    let result = prop_oneof![
        Just(CallResult::Begun),
        any::<u64>().prop_map(CallResult::Done),
        text().prop_map(CallResult::Failed),
    ];
    let name = proptest::sample::select(&["connect", "send", "recv", "shutdown", "close"][..]);
    let call = (time(), side(), name, text(), result);
    let call = call.prop_map(|(time, side, name, text, result)| {
        Event::Call(Call { time, side, name: name.into(), text, result })
    });
    prop_oneof![
        4 => segment,
        2 => datagram,
        1 => error,
        3 => call,
        1 => (time(), side(), state()).prop_map(|(time, side, new)| Event::State { time, side, old: new, new }),
        1 => (time(), side(), time()).prop_map(|(time, side, remaining)| Event::TimeWait { time, side, remaining }),
        1 => (time(), any::<u64>()).prop_map(|(time, count)| Event::Missed { time, count }),
    ]
}

/// What stands there without its colours.
fn without_colour(drawn: &str) -> String {
    let parts = drawn.split('\x1b').enumerate();
    parts
        .map(|(at, part)| if at == 0 { part } else { part.split_once('m').map_or("", |p| p.1) })
        .collect()
}

proptest! {
    /// O1, C5: no line is wider than a terminal and none drives it, whatever happens, in each style.
    #[test]
    fn any_history(
        events in proptest::collection::vec(happening(), 0..30),
        tcp in any::<bool>(),
        (ascii, colour, layers) in any::<(bool, bool, bool)>(),
    ) {
        let (client, server) = (
            "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535".parse().unwrap(),
            "[2001:db8:7777:8888:9999:aaaa:bbbb:cccc]:65535".parse().unwrap(),
        );
        let mut history =
            if tcp { History::new(client, server) } else { History::datagrams(client, server) };
        for event in events {
            history.push(event);
        }
        let drawn = without_colour(&picture(&history, Style { ascii, colour, layers }));
        narrow(&drawn);
        prop_assert!(!drawn.chars().any(|c| c != '\n' && shown::is_hazard(c)), "{drawn:?}");
        prop_assert!(!ascii || drawn.is_ascii());
    }

    /// Q4, O1: whatever comes, it can be drawn, within the width, and told as JSON.
    #[test]
    fn anything(
        packets in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), any::<u32>(), any::<u32>(), any::<u64>(), any::<u16>()),
            0..30,
        ),
        payload in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let (client, server) = ("127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap());
        let mut history = History::new(client, server);
        for (mine, flags, seq, ack, time, length) in packets {
            let (from, to) = if mine { (client, server) } else { (server, client) };
            let segment = Segment {
                time: Duration::from_nanos(time),
                flags: Flags(flags),
                seq,
                ack,
                options: Options { mss: Some(length), ..Options::default() },
                payload: payload.clone(),
                length: usize::from(length).max(payload.len()),
                ident: Some(length),
                ..Segment::empty(from, to)
            };
            history.push(segment.into());
        }
        narrow(&plain(&history));
        let source = Source { said: "", deduced: true };
        prop_assert_eq!(page(&history, source).matches("class=\"step ").count(), history.steps().len());
        for step in history.steps() {
            serde_json::from_str::<serde_json::Value>(&json::step(step)).unwrap();
        }
        serde_json::from_str::<serde_json::Value>(&json::verdict(&history)).unwrap();
    }

    /// Q4: no frame makes the layers panic, and none has a byte more than was captured.
    #[test]
    fn any_frame(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..70, to: u8) {
        let mut good = sample().frames[0].1.clone();
        good[at] = to;
        good.truncate(bytes.len().max(14));
        for frame in [good, bytes] {
            let length = frame.len();
            let frame = crate::packet::Frame::new(crate::packet::Link::Ethernet, &frame, length);
            let fields = layers::layers(&frame).into_iter().flat_map(|layer| layer.fields);
            prop_assert!(fields.map(|field| field.bytes.len()).sum::<usize>() <= length);
            narrow(&layers::lines(&frame).join("\n"));
        }
    }
}
