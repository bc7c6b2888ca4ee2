//! For tests: the bodies of the fuzz targets, which panic where something is wrong.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use sockeye_limits as limits;
use sockeye_net::shown;

use crate::agent::{IDENTITIES_ANSWER, SIGN_RESPONSE, parse_list, parse_signature};
use crate::blob::put_string;
use crate::file::format;
use crate::hello::{Look, describe, look};
use crate::key::{Fingerprint, PublicKey};
use crate::lines::Warning;
use crate::pair::Signer;
use crate::{authorized, known};

#[cfg(test)]
mod tests;

/// Each line of a list of keys is judged alone, and nobody is let in but by a line with the key.
pub fn authorized_keys(data: &[u8]) {
    let list = authorized::parse(data);
    check_warnings(data, &list.warnings, list.entries.len());
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    for entry in &list.entries {
        let alone = authorized::parse(lines[entry.line - 1]);
        let [mut again] = <[_; 1]>::try_from(alone.entries).expect("a line alone is one entry");
        again.line = entry.line;
        assert_eq!(format!("{again:?}"), format!("{entry:?}"), "a line means what it says alone");
        let (start, address) = (UNIX_EPOCH, "10.1.1.1".parse().ok());
        for (source, now) in [(None, start), (address, start + Duration::from_secs(1 << 33))] {
            let Ok(grant) = list.judge(&entry.key, source, now) else { continue };
            let by = list.entries.iter().find(|entry| entry.line == grant.line);
            let by = by.expect("a grant names a line that counts");
            assert_eq!(grant.fingerprint, entry.key.fingerprint());
            assert_eq!((by.key, &by.forced), (entry.key, &grant.forced));
            assert!(by.expires.is_none_or(|expires| now < expires), "let in after its time");
            assert!(!by.restricted || grant.restricted, "more than the line allows");
        }
    }
    let other = PublicKey::from_bytes([0x5a; 32]);
    if list.entries.iter().all(|entry| entry.key != other) {
        list.judge(&other, None, UNIX_EPOCH).expect_err("a key that no line has");
    }
}

/// What a peer says behind a handshake is read as it was said, however it is cut and read.
pub fn tls_records(data: &[u8]) {
    crate::tls::forge::fuzz(data);
}

/// A server is known only by a line with its key; a name that was removed is gone.
pub fn known_hosts(data: &[u8]) {
    let list = known::parse(data);
    check_warnings(data, &list.warnings, list.entries.len());
    let other = PublicKey::from_bytes([0x5a; 32]);
    for entry in &list.entries {
        let host = entry.hosts.split(',').next().unwrap_or_default();
        for key in keys(entry).into_iter().chain([other]) {
            let verdict = list.judge(host, 22, &key);
            let has = list.entries.iter().any(|entry| keys(entry) == Some(key));
            assert!(has || verdict != known::Verdict::Known, "known without a line");
        }
    }
    let name = list.entries.first().and_then(|entry| entry.hosts.split(',').next());
    let name = known::name(name.unwrap_or("h"), 22);
    for line in data.split(|byte| *byte == b'\n') {
        let Some(rest) = known::without(line, 1, &name) else { continue };
        assert!(rest.len() < line.len(), "nothing was taken out");
        assert_eq!(known::without(&rest, 1, &name), None, "a name is still there");
    }
}

fn keys(entry: &known::Entry) -> Option<PublicKey> {
    match entry.key {
        known::HostKey::Ed25519(key) => Some(key),
        known::HostKey::Other { .. } => None,
    }
}

fn check_warnings(data: &[u8], warnings: &[Warning], entries: usize) {
    let lines = data.split(|byte| *byte == b'\n').count();
    assert!(warnings.len() + entries <= lines, "more than there are lines");
    for warning in warnings {
        assert!((1..=lines).contains(&warning.line));
        assert_shown(&warning.text);
    }
}

/// Panics unless the text is one line that can be shown as it is.
fn assert_shown(text: &str) {
    assert_eq!(shown::line(text), text, "not escaped");
}

/// Whatever is a key in one of its forms is the same in all.
pub fn public_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let forms = [text.parse(), PublicKey::from_blob(data)];
    for form in &forms {
        match form {
            Ok(key) => check_key(*key),
            Err(error) => assert_shown(&error.to_string()),
        }
    }
    if let Some(key) = PublicKey::from_spki(data) {
        assert_eq!(key.to_spki(), data);
        check_key(key);
    }
    if forms[1].is_ok() {
        assert_eq!(forms[1].as_ref().map(PublicKey::to_blob).as_deref(), Ok(data));
    }
    if let Ok(print) = text.parse::<Fingerprint>() {
        assert_eq!(print.to_string(), text);
    }
}

fn check_key(key: PublicKey) {
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!(PublicKey::from_blob(&key.to_blob()), Ok(key));
    assert_eq!(PublicKey::from_spki(&key.to_spki()), Some(key));
    assert_eq!(key.fingerprint().to_string().parse(), Ok(key.fingerprint()));
}

/// A private key that is read is the one that its file says, and is written as it was. A first
/// byte of 0 stands for the lines around what follows in base64.
pub fn private_key(data: &[u8]) {
    let wrapped;
    let text = match data.split_first() {
        Some((0, body)) => {
            wrapped = armoured(body);
            wrapped.as_bytes()
        }
        _ => data,
    };
    let path = Path::new("k");
    let header = format::Header::parse(text, path);
    let header = match header {
        Ok(header) => header,
        Err(error) => return assert_shown(&error.to_string()),
    };
    // What is encrypted costs too much time here by design.
    if header.encrypted {
        return;
    }
    let Ok(pair) = format::plain(text, path) else { return };
    assert_eq!(pair.public(), header.public, "the key in clear is another");
    let written = format::encode(&pair, None).expect("a key without a passphrase");
    let again = format::plain(written.as_bytes(), path).expect("what we wrote");
    assert_eq!((again.seed(), again.comment()), (pair.seed(), pair.comment()));
}

/// The lines of a private key file, as ssh-keygen(1) cuts them.
fn armoured(body: &[u8]) -> String {
    let base64 = Base64::encode_string(body);
    let mut text = format!("{}\n", format::BEGIN);
    for line in base64.as_bytes().chunks(70) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + format::END + "\n"
}

/// No answer of an agent gives more keys than it has bytes for, and what is taken can be said again.
pub fn agent_answer(data: &[u8]) {
    if let Some(keys) = parse_list(data) {
        assert!(keys.len() <= limits::AGENT_KEYS && keys.len() * 59 <= data.len());
        let mut again = vec![IDENTITIES_ANSWER];
        again.extend((keys.len() as u32).to_be_bytes());
        for (key, comment) in &keys {
            assert_shown(comment);
            put_string(&mut again, &key.to_blob());
            put_string(&mut again, comment.as_bytes());
        }
        assert_eq!(parse_list(&again), Some(keys));
    }
    if let Some(signature) = parse_signature(data) {
        let (mut inner, mut again) = (Vec::new(), vec![SIGN_RESPONSE]);
        put_string(&mut inner, b"ssh-ed25519");
        put_string(&mut inner, &signature);
        put_string(&mut again, &inner);
        assert_eq!(parse_signature(&again), Some(signature));
    }
}

/// The door's word stands: more bytes change neither "ready" nor "a stranger", and there is a word
/// as soon as the longest hello is there.
pub fn client_hello(data: &[u8]) {
    let whole = look(data);
    assert!(data.len() < limits::HELLO_BYTES || whole != Look::More, "still waiting");
    let step = data.len() / 512 + 1;
    for cut in (0..data.len()).step_by(step) {
        match look(&data[..cut]) {
            Look::More => {}
            Look::Ready => assert_eq!(whole, Look::Ready, "ready after {cut} bytes"),
            Look::Stranger(_) => assert!(matches!(whole, Look::Stranger(_)), "{cut} bytes"),
        }
    }
    let text = describe(data);
    assert_shown(&text);
    assert!(text.len() < 400, "{text}");
}
