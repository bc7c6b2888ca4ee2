//! Known hosts: their lines and files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::testing::{has, keygen};

const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==";

fn key(n: u8) -> PublicKey {
    PublicKey::from_bytes([n; 32])
}

fn judge(file: &str, host: &str, port: u16) -> Verdict {
    parse(file.as_bytes()).judge(host, port, &key(1))
}

/// T4, fault 52: known, unknown, changed, revoked, and known by other key types alone.
#[test]
fn verdicts() {
    let (right, wrong) = (key(1), key(2));
    let other_types = Verdict::OtherTypes(vec!["ssh-rsa".into()]);
    let changed = Verdict::Changed { line: 1, old: wrong.fingerprint() };
    for (file, verdict) in [
        (String::new(), Verdict::Unknown),
        (format!("[h]:9022 {right}"), Verdict::Known),
        (format!("[h]:9022 {right} comment"), Verdict::Known),
        (format!("[H]:9022 {right}"), Verdict::Known),
        (format!("[other]:9022,[h]:9022 {right}"), Verdict::Known),
        (format!("h {right}"), Verdict::Unknown),
        (format!("[h]:9023 {wrong}"), Verdict::Unknown),
        (format!("[h]:9022 {wrong}"), changed.clone()),
        (format!("[h]:9022 {wrong}\n[h]:9022 {right}"), Verdict::Known),
        (format!("[h]:9022 {wrong}\n[h]:9022 {RSA}"), changed.clone()),
        (format!("[h]:9022 {RSA}"), other_types),
        (format!("[h]:9022 {RSA}\n[h]:9022 {right}"), Verdict::Known),
        (format!("@revoked * {right}\n[h]:9022 {right}"), Verdict::Revoked { line: 1 }),
        (format!("[h]:9022 {right}\n@revoked [h]:* {right}"), Verdict::Revoked { line: 2 }),
        (format!("@revoked * {wrong}"), Verdict::Unknown),
        (format!("@revoked * {wrong}\n[h]:9022 {right}"), Verdict::Known),
        (format!("@revoked x {right}"), Verdict::Unknown),
        (format!("@cert-authority * {wrong}"), Verdict::Unknown),
        (format!("[*]:9022 {right}"), Verdict::Known),
        (format!("*,![h]:9022 {right}"), Verdict::Unknown),
        (format!("![h]:9022,* {wrong}"), Verdict::Unknown),
        (format!("[?]:9* {wrong}"), changed),
    ] {
        assert_eq!(judge(&file, "h", 9022), verdict, "{file}");
    }
    assert_eq!(judge(&format!("h {right}"), "H", 22), Verdict::Known);
    assert_eq!(judge(&format!("[::1]:9022 {right}"), "::1", 9022), Verdict::Known);
}

/// T4: names that ssh-keygen -H hashed are found, and only those.
#[test]
fn hashed() {
    if !has("ssh-keygen") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("known");
    append(&path, "host.example", 9022, &key(1)).unwrap();
    append(&path, "10.0.0.1", 22, &key(1)).unwrap();
    append(&path, "left.example", 9022, &key(2)).unwrap();
    keygen(dir.path(), &["-q", "-H", "-f", "known"]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("example"), "{text}");
    let known = read(&path).unwrap();
    assert_eq!((known.entries.len(), known.warnings.len()), (3, 0));
    assert_eq!(known.judge("Host.Example", 9022, &key(1)), Verdict::Known);
    assert_eq!(known.judge("host.example", 22, &key(1)), Verdict::Unknown);
    assert_eq!(known.judge("10.0.0.1", 22, &key(1)), Verdict::Known);
    assert!(matches!(known.judge("left.example", 9022, &key(1)), Verdict::Changed { line: 3, .. }));
    assert_eq!(remove(&path, "host.example", 9022).unwrap(), 1);
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after, text.split_inclusive('\n').skip(1).collect::<String>());
}

/// T4: what we write, ssh-keygen finds under the same name.
#[test]
fn found_by_ssh_keygen() {
    if !has("ssh-keygen") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("known");
    for (host, port, name) in [
        ("h.example", 9022, "[h.example]:9022"),
        ("h.example", 22, "h.example"),
        ("::1", 9, "[::1]:9"),
    ] {
        append(&path, host, port, &key(3)).unwrap();
        let found = keygen(dir.path(), &["-F", name, "-f", "known"]);
        assert!(found.contains(&key(3).to_string()), "{found}");
    }
}

/// T4, fault 53: a broken line is warned of by number and costs nothing else.
#[test]
fn broken() {
    let good = key(1);
    for bad in [
        "h".to_owned(),
        "h ssh-ed25519".into(),
        "h ssh-ed25519 AAAA".into(),
        "h nonsense AAAA".into(),
        "h ssh-rsa !!!".into(),
        format!("h ssh-rsa {}", key(1).to_string().split(' ').nth(1).unwrap()),
        format!("@unknown h {good}"),
        format!("|1|x|y {good}"),
        format!("|2|AAAA|AAAA {good}"),
        format!("{} {good}", "h".repeat(limits::PATTERN_MAX + 1)),
        format!("h {good} \0"),
    ] {
        let known = parse(format!("# x\n{bad}\r\n[h]:9022 {good}").as_bytes());
        assert_eq!(known.entries.len(), 1, "{bad}");
        assert_eq!(known.warnings.len(), 1, "{bad}");
        assert_eq!(known.warnings[0].line, 2);
        assert_eq!(known.judge("h", 9022, &good), Verdict::Known);
    }
}

/// T4: a server is taken out and the rest stays byte for byte: comments, other names of its line,
/// patterns, marks, broken lines, the mode of the file.
#[test]
fn removing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("known");
    let key = key(1);
    let file = format!(
        "# [h]:9022 {key}\n[h]:9022 {key} gone\n  a,[H]:9022,b {key}  some  text\r\n[*]:9022 {key}\n\
         @revoked [h]:9022 {key}\nbroken [h]:9022\n[h]:9022,!x {key}\n[h]:9023 {key}"
    );
    fs::write(&path, file).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(remove(&path, "h", 9022).unwrap(), 3);
    let expected = format!(
        "# [h]:9022 {key}\n  a,b {key}  some  text\r\n[*]:9022 {key}\n\
         @revoked [h]:9022 {key}\nbroken [h]:9022\n[h]:9023 {key}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(remove(&path, "h", 9022).unwrap(), 0);
    assert_eq!(remove(&dir.path().join("none"), "h", 1).unwrap(), 0);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no litter");
}

/// T4: a host that would be a pattern, two words or a comment is never written.
#[test]
fn names_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("known");
    for host in ["", "a b", "*", "a,b", "!a", "#a", "|1|a", "@revoked", "a\nb", "a\u{1b}", "a]:1"] {
        assert!(matches!(append(&path, host, 1, &key(1)), Err(ListError::Line(_))), "{host:?}");
    }
    assert!(!path.exists());
}

proptest! {
    /// T4, fault 53: no bytes make parsing, judging or removing panic.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), hosts in "[a-h*?!,|=\\[\\]:0-9]{0,40}") {
        let _ = parse(&bytes).judge("h", 9022, &key(1));
        let _ = parse(format!("{hosts} {}", key(1)).as_bytes()).judge("h", 9022, &key(1));
    }

    /// T4, fault 53: a line that is broken, or another host's, changes nothing for the others.
    #[test]
    fn one_line_alone(broken in "[^\n@*?]{0,60}", before: bool) {
        prop_assume!(!broken.contains("[h]:9022"));
        let good = format!("[h]:9022 {}", key(1));
        let file = if before { format!("{broken}\n{good}") } else { format!("{good}\n{broken}") };
        prop_assert_eq!(judge(&file, "h", 9022), Verdict::Known);
    }
}
