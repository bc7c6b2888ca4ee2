//! Lists of authorised keys: their lines, options and files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICdHvYzGQPfZMlUxhcjfrfrF5l5xQfd9XwnW9c6Vh6oQ";

fn key() -> PublicKey {
    KEY.parse().unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn judge(file: &str, source: &str) -> Result<Grant, Denial> {
    parse(file.as_bytes()).judge(&key(), Some(source.parse().unwrap()), at(1_000_000_000))
}

fn grant(options: &str) -> Grant {
    judge(&format!("{options} {KEY} who"), "127.0.0.1").unwrap()
}

/// The one warning of a file that has no entry.
fn warning(file: &str) -> String {
    let list = parse(file.as_bytes());
    assert!(list.entries.is_empty(), "{file}: {list:?}");
    assert_eq!(list.warnings.len(), 1, "{file}: {list:?}");
    list.warnings[0].text.clone()
}

/// T3: a plain line lets its key in, with all that there is; another key stays out.
#[test]
fn plain() {
    let grant = grant("");
    assert_eq!(grant.fingerprint, key().fingerprint());
    assert_eq!((grant.comment.as_str(), grant.line), ("who", 1));
    assert_eq!((grant.forced, grant.pty, grant.restricted), (None, true, false));
    let other = PublicKey::from_bytes([1; 32]);
    assert_eq!(parse(KEY.as_bytes()).judge(&other, None, at(0)), Err(Denial::Unknown));
}

/// T3, fault 51: command=, restrict, pty and no-pty, in any case and order.
#[test]
fn allowed() {
    let forced = |options: &str| grant(options).forced.unwrap();
    assert_eq!(forced(r#"command="uptime""#), "uptime");
    assert_eq!(forced(r#"CoMMand="echo \"a b\" # , c",no-pty"#), "echo \"a b\" # , c");
    assert_eq!(forced(r#"command="""#), "");
    assert_eq!(forced(r#"command="a\nb\c""#), r"a\nb\c", "only a quote is escaped");
    assert_eq!(forced(r#"command="a\\"b""#), r#"a\"b"#);

    for (options, pty, restricted) in [
        ("no-pty", false, false),
        ("NO-PTY", false, false),
        ("restrict", false, true),
        ("restrict,pty", true, true),
        ("pty,restrict", false, true),
        ("no-agent-forwarding,no-X11-forwarding,no-port-forwarding,no-user-rc", true, false),
        ("agent-forwarding,X11-forwarding,port-forwarding,user-rc", true, false),
    ] {
        let grant = grant(options);
        assert_eq!((grant.pty, grant.restricted), (pty, restricted), "{options}");
    }
}

/// T3, fault 53: an option that we do not know, or cannot honour, costs the line: never half.
#[test]
fn unknown_options() {
    for (options, named) in [
        ("environment=\"A=b\"", "environment"),
        ("principals=\"a\"", "principals"),
        ("cert-authority", "cert-authority"),
        ("permitopen=\"a:1\"", "permitopen"),
        ("permitlisten=\"1\"", "permitlisten"),
        ("tunnel=\"0\"", "tunnel"),
        ("verify-required", "verify-required"),
        ("no-restrict", "no-restrict"),
        ("restrict=\"yes\"", "restrict"),
        ("command", "command"),
        ("no-pty,frobnicate", "frobnicate"),
        ("frobnicate,no-pty", "frobnicate"),
        ("command=\"a\",command=\"b\"", "twice"),
        ("from=\"*\",from=\"*\"", "twice"),
        ("command=a", "quotes"),
        ("command=\"a\"b", "quotes"),
        ("no-pty,", "comma"),
        (",no-pty", "not understood"),
        ("expiry-time=\"tomorrow\"", "tomorrow"),
        ("expiry-time=\"20261301\"", "20261301"),
        ("from=\"10.0.0.1/8\"", "10.0.0.1/8"),
        ("from=\"\"", "pattern"),
        ("from=\"*,!evil.example\"", "evil.example"),
        ("\u{1b}[1m", "\\x1b[1m"),
    ] {
        let text = warning(&format!("{options} {KEY}"));
        assert!(text.contains(named) && !text.contains('\u{1b}'), "{options}: {text}");
    }
}

/// T3, fault 53: `#` and blanks in quotes, blanks before a line, CRLF, no newline at the end.
#[test]
fn forms_of_lines() {
    let file = format!(
        "# comment\r\n\r\n \t command=\"a # b\" \t {KEY}  x y \r\n#{KEY}\n\t{KEY} # not a comment"
    );
    let list = parse(file.as_bytes());
    assert_eq!(list.warnings, []);
    let seen: Vec<_> = list.entries.iter().map(|e| (e.line, e.comment.as_str())).collect();
    assert_eq!(seen, [(3, "x y"), (5, "# not a comment")]);
    assert_eq!(list.entries[0].forced.as_deref(), Some("a # b"));
}

/// T3, fault 53: broken lines are warned of by number; keys of other types are passed over.
#[test]
fn broken() {
    for text in [
        "nonsense".to_owned(),
        "ssh-ed25519".into(),
        "ssh-ed25519 AAAA who".into(),
        KEY[..KEY.len() - 4].into(),
        format!("command=\"never closed {KEY}"),
        format!("{}\0", KEY),
        format!("{KEY} {}", "x".repeat(limits::KEY_LINE)),
        format!("\u{feff}{KEY}"),
    ] {
        warning(&text);
    }
    let bytes = [b"command=\"\xff\" ".as_slice(), KEY.as_bytes()].concat();
    assert!(parse(&bytes).entries.is_empty(), "options have to be UTF-8");
    let bytes = [KEY.as_bytes(), b" caf\xe9"].concat();
    assert_eq!(parse(&bytes).entries.len(), 1, "a comment does not");
    let others = "ssh-rsa AAAA\nenvironment=\"A=b\" ssh-rsa AAAA\n\
                  sk-ssh-ed25519@openssh.com AAAA\nssh-ed25519-cert-v01@openssh.com AAAA\n";
    let list = parse(others.as_bytes());
    assert!(list.entries.is_empty() && list.warnings.is_empty(), "{list:?}");
}

/// T3, fault 51: from= with addresses, networks, wildcards and what it forbids.
#[test]
fn sources() {
    for (from, source, allowed) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "::ffff:127.0.0.1", true),
        ("::ffff:127.0.0.1", "127.0.0.1", true),
        ("::ffff:127.0.0.0/104", "127.9.9.9", true),
        ("::ffff:127.0.0.0/104", "128.9.9.9", false),
        ("127.0.0.1", "127.0.0.2", false),
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8,!10.1.0.0/16", "10.1.2.3", false),
        ("!10.1.0.0/16,10.0.0.0/8", "10.2.2.3", true),
        ("!10.1.0.0/16", "10.2.2.3", false),
        ("192.168.1.*", "192.168.1.20", true),
        ("192.168.1.?", "192.168.1.20", false),
        ("*", "fe80::1", true),
        ("*,!fe80::*", "fe80::1", false),
        ("2001:DB8::/32", "2001:db8::1", true),
        ("2001:DB8::1", "2001:db8:0:0::1", true),
        ("2001:db8:*", "2001:db8::1", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "127.0.0.1", false),
        ("localhost,*.example.com", "127.0.0.1", false),
        ("localhost, 127.0.0.1", "127.0.0.1", true),
    ] {
        let judged = judge(&format!("from=\"{from}\" {KEY}"), source);
        assert_eq!(judged.is_ok(), allowed, "{from} {source}");
        if !allowed {
            assert_eq!(judged, Err(Denial::Source { line: 1 }));
        }
    }
    let list = parse(format!("from=\"*\" {KEY}").as_bytes());
    let nowhere = list.judge(&key(), None, at(0));
    assert_eq!(nowhere, Err(Denial::Source { line: 1 }), "not from the network");
}

/// T3, fault 51: expiry-time= to the second, in UTC with Z, else in local time; the earliest of
/// several counts.
#[test]
fn expiry() {
    let line = |times: &str| parse(format!("{times} {KEY}").as_bytes());
    let ends = |list: &Authorized, end: u64| {
        assert!(list.judge(&key(), None, at(end - 1)).is_ok());
        assert_eq!(list.judge(&key(), None, at(end)), Err(Denial::Expired { line: 1 }));
    };
    // date -u -d '2030-01-02 03:04:05' +%s
    ends(&line("expiry-time=\"20300102030405Z\""), 1_893_553_445);
    ends(&line("expiry-time=\"203001020304Z\""), 1_893_553_440);
    ends(&line("expiry-time=\"20300102z\""), 1_893_542_400);
    ends(&line("expiry-time=\"20310101Z\",expiry-time=\"20300102Z\""), 1_893_542_400);
    let local = line("expiry-time=\"20300102\"");
    let off = local.entries[0].expires.unwrap().duration_since(at(1_893_542_400 - 86_400));
    assert!(off.unwrap() < Duration::from_secs(2 * 86_400), "within a day of UTC");
}

/// T3, fault 51: several lines of one key are tried in order; the first that fits counts, and the
/// first reason is told if none does.
#[test]
fn several_lines() {
    let file = format!(
        "from=\"10.0.0.1\",command=\"a\" {KEY}\nexpiry-time=\"20000101Z\" {KEY}\n\
         command=\"c\" {KEY}\n{KEY}"
    );
    let grant = judge(&file, "127.0.0.1").unwrap();
    assert_eq!((grant.line, grant.forced.as_deref()), (3, Some("c")));
    assert_eq!(judge(&file, "10.0.0.1").unwrap().line, 1);
    let first_two = file.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(judge(&first_two, "127.0.0.1"), Err(Denial::Source { line: 1 }));
}

/// T3: a file that others can write, or under a directory that they can, is refused whole; a
/// missing one is empty.
#[test]
fn strict_modes() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("ssh");
    let path = inner.join("authorized_keys");
    assert!(!read(&path).unwrap().found);
    assert_eq!(authorize(&path, &key(), "who", "").unwrap(), Added::New);
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    assert_eq!(read(&path).unwrap().entries.len(), 1);
    for mode in [0o620, 0o602] {
        set(&path, mode);
        assert!(matches!(read(&path), Err(ListError::TooOpen { mode: seen, .. }) if seen == mode));
    }
    set(&path, 0o644);
    read(&path).unwrap();
    for directory in [&inner, dir.path()] {
        set(directory, 0o770);
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("chmod go-w"), "{error}");
        set(directory, 0o700);
    }
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(read(&link).unwrap().entries.len(), 1, "what it points to is judged");
    assert!(matches!(read(&inner), Err(ListError::NotAFile { .. })));
    fs::write(&path, vec![b'#'; limits::AUTHORIZED_BYTES as usize + 1]).unwrap();
    assert!(matches!(read(&path), Err(ListError::TooLong { .. })));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(matches!(read(&path), Err(ListError::Foreign { owner: 65534, .. })));
    }
}

/// T3: adding a key twice says where it is; a file without a newline at its end keeps its last
/// line; options that would not count are refused before anything is written.
#[test]
fn adding() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/authorized_keys");
    let other = PublicKey::from_bytes([7; 32]);
    authorize(&path, &other, "", "").unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, bytes.strip_suffix(b"\n").unwrap()).unwrap();
    let options = r#"from="127.0.0.1",command="echo \"x\"",no-pty"#;
    assert_eq!(authorize(&path, &key(), "some one", options).unwrap(), Added::New);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{other}\n{options} {KEY} some one\n"));
    let again = authorize(&path, &key(), "", "").unwrap();
    assert_eq!(again, Added::Already { line: 2, options: options.into() });
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let before = fs::read(&path).unwrap();
    let third = PublicKey::from_bytes([8; 32]);
    for (comment, options) in
        [("", "frobnicate"), ("a\nb", ""), ("", "no-pty\n"), ("", "no-pty "), ("a\r\n", "# x")]
    {
        let refused = authorize(&path, &third, comment, options);
        assert!(matches!(refused, Err(ListError::Line(_))), "{comment:?} {options:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

fn good_line() -> impl Strategy<Value = String> {
    let options = prop_oneof![
        Just(""),
        Just("no-pty "),
        Just("command=\"a # \\\" b\",restrict "),
        Just("from=\"10.*,!10.1.1.1\" "),
    ];
    options.prop_map(|options| format!("{options}{KEY} someone"))
}

proptest! {
    /// T3, fault 53: no bytes make parsing panic.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let list = parse(&bytes);
        let _ = list.judge(&key(), None, at(0));
    }

    /// T3, fault 53: no options make parsing panic, whatever quotes and escapes they have.
    #[test]
    fn any_options(options in "[a-z=,\"\\\\!#* \\-0-9/]{0,60}") {
        let list = parse(format!("{options} {KEY}").as_bytes());
        prop_assert!(list.entries.len() + list.warnings.len() <= 1);
    }

    /// T3, fault 53: a broken line costs itself alone: all others mean what they meant without it.
    #[test]
    fn one_line_alone(
        lines in proptest::collection::vec(good_line(), 0..6),
        broken in "[^\n]{0,60}",
        place in 0usize..7,
    ) {
        let place = place.min(lines.len());
        let without = parse(lines.join("\n").as_bytes());
        let mut with = lines.clone();
        with.insert(place, broken);
        let with = parse(with.join("\n").as_bytes());
        let others: Vec<String> = with.entries.iter()
            .filter(|entry| entry.line != place + 1)
            .map(|entry| {
                let line = entry.line - usize::from(entry.line > place + 1);
                format!("{:?}", Entry { line, ..entry.clone() })
            })
            .collect();
        let expected: Vec<String> =
            without.entries.iter().map(|entry| format!("{entry:?}")).collect();
        prop_assert_eq!(others, expected);
        prop_assert!(with.warnings.iter().all(|warning| warning.line == place + 1));
    }
}
