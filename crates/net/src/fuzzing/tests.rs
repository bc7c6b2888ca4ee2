//! The committed corpora of these targets.

#[path = "../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;

fn targets() -> Vec<Target> {
    let words: [(&str, &[u8]); 16] = [
        ("port", b"9000"),
        ("host", b"example.com:80"),
        ("any", b":0"),
        ("tcp", b"tcp://127.0.0.1:65535"),
        ("tls", b"tls://localhost:9022"),
        ("udp-zone", b"udp://[fe80::1%eth0]:53"),
        ("v6-bare", b"fe80::1:9000"),
        ("unix", b"unix:/tmp/s"),
        ("unix-name", b"unix:@name"),
        ("unix-other", b"unix:/tmp/\xff\x1b"),
        ("unixgram", b"unixgram:./s.sock"),
        ("path-long", &[b'/'; 108]),
        ("scheme", b"http://x:1"),
        ("no-port", b"a\x1b[31m.sock"),
        ("range", b"h:99999"),
        ("letters", "tcp://b\u{fc}cher.example:1".as_bytes()),
    ];
    let texts: [(&str, &[u8]); 7] = [
        ("plain", b"\x03hello\tworld\n"),
        ("crlf", b"\x01a\r\nb\rc\r"),
        ("escape", b"\x02\x1b]0;title\x07\x9b1m"),
        ("cut", b"\x04\xe2\x82\xac\xe2\x82"),
        ("broken", b"\x00\xf0\x9f\xed\xa0\x80\xc0\xaf"),
        ("reordered", "\x05a\u{202e}b\u{2028}\u{feff}".as_bytes()),
        ("empty", b""),
    ];
    let seeds = |all: &[(&'static str, &[u8])]| all.iter().map(|(n, b)| (*n, b.to_vec())).collect();
    vec![
        Target { name: "endpoint", body: super::endpoint, seeds: seeds(&words) },
        Target { name: "shown", body: super::shown, seeds: seeds(&texts) },
    ]
}

/// Q4, E1, C5: every committed input of the targets passes.
#[test]
fn replay() {
    corpora::replay(&targets());
}

/// Writes the seeds.
#[test]
#[ignore = "writes to the tree; for whoever changes a format"]
fn write_corpora() {
    corpora::write(&targets());
}
