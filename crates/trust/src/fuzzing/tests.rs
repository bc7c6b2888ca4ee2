//! The committed corpora of these targets.

#[path = "../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;
use zeroize::Zeroizing;

use crate::agent::{IDENTITIES_ANSWER, SIGN_RESPONSE};
use crate::blob::put_string;
use crate::file::format;
use crate::key::PublicKey;
use crate::pair::{KeyPair, Signer};

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn key(n: u8) -> PublicKey {
    PublicKey::from_bytes([n; 32])
}

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    parts.iter().for_each(|part| put_string(&mut out, part));
    out
}

fn authorized_seeds() -> Seeds {
    let (one, two) = (key(1), key(2));
    let line = |text: &str| text.as_bytes().to_vec();
    vec![
        ("plain", line(&format!("{one} someone\n"))),
        ("two", line(&format!("# first\n\n{one} a\n{two} b\n{one} again"))),
        ("command", line(&format!("command=\"ls \\\"a b\\\"\",no-pty {one}"))),
        ("restrict", line(&format!("restrict,pty,from=\"10.*,!10.1.1.1\" {one}"))),
        ("network", line(&format!("from=\"10.0.0.0/8,::1,h?st\" {one}"))),
        ("expiry", line(&format!("expiry-time=\"20300101Z\" {one}\n{one}"))),
        ("expiry-local", line(&format!("EXPIRY-TIME=\"203001011200\",user-rc {one}"))),
        ("others", line("ssh-rsa AAAAB3NzaC1yc2E= x\necdsa-sha2-nistp256 AAAA\n")),
        ("unknown-option", line(&format!("tunnel=\"1\" {one}"))),
        ("open-quote", line(&format!("command=\"x {one}"))),
        ("broken-key", line("ssh-ed25519 AAAA\x1b[1m\nssh-ed25519 !!!! y\n")),
        ("nul", b"\0\r\n\xff options ssh-ed25519\n".to_vec()),
    ]
}

fn known_seeds() -> Seeds {
    let (one, two) = (key(1), key(2));
    let line = |text: &str| text.as_bytes().to_vec();
    let hashed = "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    vec![
        ("plain", line(&format!("h {one}\n"))),
        ("port", line(&format!("[h]:9022,[10.0.0.1]:9022 {one} a comment\n"))),
        ("twice", line(&format!("h,i,h {one}\nh {two}\n"))),
        ("patterns", line(&format!("*.a?c,!x.abc,h {one}\n!h {one}\n"))),
        ("revoked", line(&format!("@revoked * {one}\nh {one}\n"))),
        ("authority", line(&format!("@cert-authority *.h {one}\n@other h {one}\n"))),
        ("hashed", line(&format!("{hashed} {one}\n|1|AA==|AA== {one}\n"))),
        ("other-type", line("h ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==\n")),
        ("wrong-type", line("h ssh-rsa AAAAB3NzaC1kc3M=\n")),
        ("case", line(&format!("  H,I\t{one}\r\n"))),
        ("broken", b"h ssh-ed25519 AAAA\n\xff ssh-ed25519\n# no\n\n".to_vec()),
    ]
}

fn key_seeds() -> Seeds {
    let one = key(1);
    vec![
        ("text", format!("{one} a comment").into_bytes()),
        ("blob", one.to_blob()),
        ("blob-more", [one.to_blob(), vec![0]].concat()),
        ("blob-other", strings(&[b"ssh-rsa\x1b", b"\x01\0\x01"])),
        ("spki", one.to_spki().to_vec()),
        ("fingerprint", one.fingerprint().to_string().into_bytes()),
        ("fingerprint-long", format!("{}A", one.fingerprint()).into_bytes()),
        ("certificate", b"ssh-ed25519-cert-v01@openssh.com AAAA".to_vec()),
        ("broken", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5".to_vec()),
    ]
}

/// The inside of a key file by hand, so that the seeds are the same each time.
fn private(cipher: &[u8], rounds: u32, seed: u8, public: Option<PublicKey>) -> Vec<u8> {
    let pair = KeyPair::from_seed(Zeroizing::new([seed; 32]), "c".into()).unwrap();
    let blob = public.unwrap_or(pair.public()).to_blob();
    let both = [&pair.seed()[..], pair.public().as_bytes()].concat();
    let fields = strings(&[b"ssh-ed25519", pair.public().as_bytes(), &both, b"c"]);
    let mut secret = [&[7; 8][..], &fields].concat();
    (1..).take(secret.len().next_multiple_of(8) - secret.len()).for_each(|n| secret.push(n));
    let plain = cipher == b"none";
    let options = match plain {
        true => Vec::new(),
        false => [strings(&[&[9; 16]]), rounds.to_be_bytes().to_vec()].concat(),
    };
    let kdf: &[u8] = if plain { b"none" } else { b"bcrypt" };
    let head = [&b"\0openssh-key-v1\0"[..], &strings(&[cipher, kdf, &options])].concat();
    [head, 1u32.to_be_bytes().to_vec(), strings(&[&blob, &secret])].concat()
}

fn private_seeds() -> Seeds {
    let plain = private(b"none", 0, 1, None);
    vec![
        ("plain", plain.clone()),
        ("text", super::armoured(&plain[1..]).into_bytes()),
        ("forged", private(b"none", 0, 1, Some(key(9)))),
        ("encrypted", private(b"aes256-ctr", 16, 1, None)),
        ("rounds", private(b"aes256-ctr", u32::MAX, 1, None)),
        ("cut", plain[..plain.len() - 9].to_vec()),
        ("pem", b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n".to_vec()),
        ("nothing", b"hello\n".to_vec()),
    ]
}

/// The seed without changes is a key: the others differ from it in what their names say.
#[test]
fn the_plain_seed_is_a_key() {
    let all = private_seeds();
    let text = &all.iter().find(|(name, _)| *name == "text").unwrap().1;
    let pair = format::plain(text, std::path::Path::new("k")).unwrap();
    assert_eq!((pair.seed()[..].to_vec(), pair.comment()), (vec![1; 32], "c"));
}

fn agent_seeds() -> Seeds {
    let list = |count: u32, parts: &[&[u8]]| {
        [&[IDENTITIES_ANSWER][..], &count.to_be_bytes(), &strings(parts)].concat()
    };
    let (one, two) = (key(1).to_blob(), key(2).to_blob());
    let signed = |name: &[u8], bytes: &[u8]| {
        [&[SIGN_RESPONSE][..], &strings(&[&strings(&[name, bytes])])].concat()
    };
    vec![
        ("none", list(0, &[])),
        ("one", list(1, &[&one, b"a comment"])),
        ("two", list(2, &[&one, b"\x1b]0;x\x07", &two, b"\xff"])),
        ("other-type", list(2, &[&strings(&[b"ssh-rsa", b"1"]), b"", &two, b"b"])),
        ("count", list(u32::MAX, &[&one, b"c"])),
        ("length", [&[IDENTITIES_ANSWER][..], &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]].concat()),
        ("signature", signed(b"ssh-ed25519", &[7; 64])),
        ("signature-short", signed(b"ssh-ed25519", &[7; 63])),
        ("signature-other", signed(b"rsa-sha2-256", &[7; 64])),
        ("failure", vec![5]),
    ]
}

/// A record with a ClientHello that has these extensions.
fn hello(extensions: &[u8]) -> Vec<u8> {
    let length = |n: usize| (n as u16).to_be_bytes();
    let fixed = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 0x01, 1, 0]].concat();
    let body = [&fixed[..], &length(extensions.len()), extensions].concat();
    let message = [&[1, 0][..], &length(body.len()), &body].concat();
    [&[22, 3, 1][..], &length(message.len()), &message].concat()
}

fn hello_seeds() -> Seeds {
    let tls13 = hello(&[0, 43, 0, 5, 4, 3, 3, 3, 4]);
    let mut two_records = tls13.clone();
    two_records[6] = 1;
    vec![
        ("tls13", tls13.clone()),
        ("tls13-more", [&tls13[..], b"early"].concat()),
        ("cut", tls13[..20].to_vec()),
        ("two-records", two_records),
        ("tls12", hello(&[0, 43, 0, 3, 2, 3, 3])),
        ("no-extensions", hello(&[])),
        ("broken-extension", hello(&[0, 43, 0xff])),
        ("sslv2", b"\x80\x2e\x01\x03\x01\0\x15".to_vec()),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("ssh", b"SSH-2.0-OpenSSH_10.0\r\n".to_vec()),
        ("text", "h\u{e9}llo \u{202e}".as_bytes().to_vec()),
        ("binary", b"\0\x01\x02\xff".to_vec()),
        ("alert", b"\x15\x03\x01\0\x02\x02\x28".to_vec()),
        ("length", b"\x16\x03\x01\xff\xff\x01".to_vec()),
    ]
}

/// Two sizes of what is read, then what a peer does: what, how long or which, and its content.
fn record_seeds() -> Seeds {
    let all = |steps: &[&[u8]]| [&[40, 9][..], &steps.concat()].concat();
    let (data, close): (&[u8], &[u8]) = (b"\x01\x04data", &[6, 2, 1, 0]);
    vec![
        ("closed", all(&[data, close, data])),
        ("cut", all(&[data, data, &[11, 0]])),
        ("much", all(&[&[12, 7], &[0xfd, 8], &[5, 1, 9], &[15, 0], close])),
        ("new-keys", all(&[data, &[8, 1], data, &[8, 0], data, close])),
        ("tickets", all(&[&[7, 7, 4, 0, 0, 3, 1, 2, 3], data, close])),
        ("new-key-and-more", all(&[data, &[7, 6, 24, 0, 0, 1, 0, 4], data])),
        ("alert", all(&[data, &[6, 2, 2, 49], data])),
        ("warnings", all(&[&[6, 2, 1, 90], data, &[6, 2, 1, 90], close])),
        ("nothing", all(&vec![&[1, 0][..]; 40])),
        ("foreign", all(&[data, &[9, 5, 23, 3, 3, 0, 20], data])),
        ("another-type", all(&[data, &[10, 20, 1], data])),
    ]
}

fn targets() -> Vec<Target> {
    use super::{agent_answer, authorized_keys, client_hello, known_hosts, tls_records};
    vec![
        Target { name: "authorized_keys", body: authorized_keys, seeds: authorized_seeds() },
        Target { name: "known_hosts", body: known_hosts, seeds: known_seeds() },
        Target { name: "public_key", body: super::public_key, seeds: key_seeds() },
        Target { name: "private_key", body: super::private_key, seeds: private_seeds() },
        Target { name: "agent_answer", body: agent_answer, seeds: agent_seeds() },
        Target { name: "client_hello", body: client_hello, seeds: hello_seeds() },
        Target { name: "tls_records", body: tls_records, seeds: record_seeds() },
    ]
}

/// Q4, T2, T3, T6, faults 46 and 53: every committed input of the targets passes.
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
