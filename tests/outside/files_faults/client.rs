//! Hostile clients (F8, faults 62, 66): a server writes beneath its root alone, and answers nobody
//! who lies.

use std::fs;

use sockeye_wire::files::{Chunk, FromReceiver, FromSender, Node, Placement, Resume, Transfer};

use super::peers::{
    Near, answered, directory, entry, file, leave, link, pull, push, renamed, root, sent, small,
};
use crate::harness::files::{names_in, noise, put, temporary_name, text_of};
use crate::harness::remote::{Host, text};

/// A server whose root is a directory of its own, with something beside it.
struct Walled {
    host: Host,
    top: tempfile::TempDir,
}

impl Walled {
    fn new() -> Walled {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("root")).unwrap();
        put(top.path().join("beside/f"), "safe");
        let root = top.path().join("root");
        Walled { host: Host::with(&["--root", text(&root)]), top }
    }

    fn root(&self, name: &str) -> std::path::PathBuf {
        self.top.path().join("root").join(name)
    }

    #[track_caller]
    fn assert_beside_untouched(&self) {
        assert_eq!(names_in(self.top.path()), ["beside", "root"]);
        assert_eq!(names_in(&self.top.path().join("beside")), ["f"]);
        assert_eq!(text_of(self.top.path().join("beside/f")), "safe");
    }

    /// Sends a listing and every content that is asked for; what the server said.
    fn told(&self, transfer: &Transfer, said: &[u8]) -> Result<Vec<FromReceiver>, String> {
        let mut near = Near::<FromReceiver>::ask(&self.host, transfer)?;
        near.say(said);
        let (mut heard, mut next) = (Vec::new(), 0);
        while let Some(message) = near.hear() {
            match &message {
                FromReceiver::Want(count) => {
                    for _ in 0..*count {
                        near.say(&sent(&[small(next, b"evil")]));
                        next += 1;
                    }
                }
                FromReceiver::Skip(count) => next += count,
                _ => {}
            }
            let over = matches!(message, FromReceiver::Finished(_));
            heard.push(message);
            if over {
                break;
            }
        }
        Ok(heard)
    }
}

fn finished(heard: &[FromReceiver]) -> bool {
    matches!(heard.last(), Some(FromReceiver::Finished(tally)) if tally.failed == 0)
}

/// F8: paths of a request: `..`, absolute ones and links that lead out stay within the root.
#[test]
fn paths() {
    let walled = Walled::new();
    std::os::unix::fs::symlink("../beside", walled.root("out")).unwrap();
    std::os::unix::fs::symlink(walled.top.path().join("beside"), walled.root("absolute")).unwrap();
    let listing = sent(&[root(file("f", 4)), FromSender::Listed]);
    let above = format!("/../../../../..{}/beside/f", text(walled.top.path()));
    for path in [
        "../beside/f",
        "../beside",
        "..",
        "out/f",
        "absolute/f",
        "out/.",
        "x/../../beside/f",
        &above,
    ] {
        for placement in [Placement::Into, Placement::Auto, Placement::Exact] {
            if let Ok(heard) = walled.told(&push(path, placement), &listing) {
                assert!(!finished(&heard), "{path} {placement:?}: {heard:?}");
            }
            walled.assert_beside_untouched();
        }
        // Nor is anything there read.
        let Ok(mut near) = Near::<FromSender>::ask(&walled.host, &pull(path)) else { continue };
        let heard = near.hear();
        assert!(matches!(heard, Some(FromSender::Trouble { .. }) | None), "{path}: {heard:?}");
    }
    // An absolute path counts from the root.
    let heard = walled.told(&push("/f", Placement::Exact), &listing).unwrap();
    assert!(finished(&heard), "{heard:?}");
    assert_eq!(text_of(walled.root("f")), "evil");
    assert_eq!(walled.host.server.count("panic"), 0);
}

/// F8, fault 62: links that lead out, made before or by the client itself, are never followed.
#[test]
fn links() {
    let walled = Walled::new();
    let beside = walled.top.path().join("beside");
    let target = text(&beside).to_owned();
    // Its own link, then a directory of that name, within one transfer.
    let twice = [
        root(directory("t")),
        FromSender::Entry(link("d", &target)),
        FromSender::Entry(directory("d")),
        FromSender::Entry(file("f", 4)),
        leave(),
        leave(),
        FromSender::Listed,
    ];
    let heard = walled.told(&push(".", Placement::Into), &sent(&twice)).unwrap();
    assert!(!finished(&heard), "{heard:?}");
    walled.assert_beside_untouched();
    // The link is there now: the same directory in another transfer, and as the source itself.
    let _ = fs::remove_file(walled.root("t/d"));
    std::os::unix::fs::symlink(&target, walled.root("t/d")).unwrap();
    std::os::unix::fs::symlink(&target, walled.root("top")).unwrap();
    let listing = [
        root(directory("t")),
        FromSender::Entry(directory("d")),
        FromSender::Entry(file("f", 4)),
        FromSender::Entry(file("new", 4)),
        leave(),
        leave(),
        FromSender::Listed,
    ];
    for delete in [false, true] {
        let mut transfer = push(".", Placement::Into);
        transfer.options.delete = delete;
        transfer.options.archive = true;
        walled.told(&transfer, &sent(&listing)).unwrap();
        walled.assert_beside_untouched();
    }
    let listing =
        [root(directory("top")), FromSender::Entry(file("f", 4)), leave(), FromSender::Listed];
    for placement in [Placement::Into, Placement::Auto, Placement::Exact] {
        for path in [".", "top"] {
            let mut transfer = push(path, placement);
            transfer.options.delete = true;
            let _ = walled.told(&transfer, &sent(&listing));
            walled.assert_beside_untouched();
        }
    }
    // A file through a link that is one: the link is replaced.
    let _ = fs::remove_file(walled.root("one"));
    std::os::unix::fs::symlink(beside.join("f"), walled.root("one")).unwrap();
    let listing = sent(&[root(file("one", 4)), FromSender::Listed]);
    walled.told(&push(".", Placement::Into), &listing).unwrap();
    walled.assert_beside_untouched();
    assert_eq!(text_of(walled.root("one")), "evil");
}

/// F8, fault 61: names that are none end the transfer at once; so do those that were said before.
#[test]
fn names() {
    let walled = Walled::new();
    for name in [&b"../beside/f"[..], b"/x", b"", b".", b"..", b"a/b", b"x\0y"] {
        for message in [root(file("placeholder", 4)), FromSender::Entry(file("placeholder", 4))] {
            let before = match &message {
                FromSender::Entry(_) => sent(&[root(directory("t"))]),
                _ => Vec::new(),
            };
            let said = [before, renamed(&message, name), sent(&[FromSender::Listed])].concat();
            let heard = walled.told(&push(".", Placement::Into), &said).unwrap();
            assert!(!finished(&heard), "{name:?}: {heard:?}");
            walled.assert_beside_untouched();
        }
    }
    for (first, second) in [("x", "x"), (&temporary_name()[..], "x")] {
        let entries = [first, second].map(|name| FromSender::Entry(file(name, 4)));
        let said =
            [sent(&[root(directory("u"))]), sent(&entries), sent(&[leave(), FromSender::Listed])];
        let heard = walled.told(&push(".", Placement::Into), &said.concat()).unwrap();
        assert!(!finished(&heard), "{first}: {heard:?}");
    }
    let names = names_in(&walled.root(""));
    assert!(names.iter().all(|name| ["t", "u"].contains(&name.as_str())), "{names:?}");
}

/// Fault 66: answers to files that nobody listed, proofs of more than there is, chunks without end:
/// that connection ends, the server does not.
#[test]
fn lying_receivers() {
    let host = Host::start();
    let data = noise(8, 3 << 20);
    put(host.home.path().join("a"), &data);
    let basis = |count: usize, last| FromReceiver::Basis {
        chunks: vec![Chunk { length: u32::MAX, hash: [7; 16] }; count],
        last,
    };
    let resume =
        |marks: usize, basis| FromReceiver::Resume(Resume { marks: vec![[7; 32]; marks], basis });
    let flood = [vec![resume(0, true)], vec![basis(8000, false); 70]].concat();
    let cases: Vec<(&str, Vec<FromReceiver>)> = vec![
        ("too many", vec![FromReceiver::Want(2)]),
        ("very many", vec![FromReceiver::Skip(u32::MAX)]),
        ("twice", vec![FromReceiver::Want(1), FromReceiver::Want(1)]),
        ("more marks than segments", vec![resume(4, false)]),
        ("chunks of nothing", vec![basis(1, true)]),
        ("a flood of chunks", flood),
        ("between chunks", vec![resume(0, true), FromReceiver::Skip(1)]),
        ("finished too early", vec![FromReceiver::Finished(Default::default())]),
    ];
    for (what, said) in cases {
        let mut near = Near::<FromSender>::ask(&host, &pull("a")).unwrap();
        while !matches!(near.hear(), Some(FromSender::Listed)) {}
        near.say(&answered(&said));
        // It ends; what was sent until then is no whole file.
        let heard = near.hear_rest();
        let whole = heard.iter().any(|message| matches!(message, FromSender::Close { .. }));
        assert!(!whole || what == "twice", "{what}");
    }
    assert_eq!(host.line("echo alive").stdout_text(), "alive\n");
    // A false proof of what it has gets the client a file that is not proved, and nothing more.
    let mut near = Near::<FromSender>::ask(&host, &pull("a")).unwrap();
    while !matches!(near.hear(), Some(FromSender::Listed)) {}
    near.say(&answered(&[resume(1, false)]));
    let begun = loop {
        match near.hear() {
            Some(FromSender::Begin { from, .. }) => break from,
            Some(_) => {}
            None => panic!("nothing begins"),
        }
    };
    assert!(begun <= 1 << 20);
}

/// F5, F8: set-user-ID bits of a client that did not ask for an archive are left out; a named pipe
/// of one that did not is refused.
#[test]
fn no_more_than_asked() {
    use std::os::unix::fs::PermissionsExt;
    let walled = Walled::new();
    let mut suid = file("suid", 4);
    suid.meta.mode = 0o6755;
    let listing = [root(directory("t")), FromSender::Entry(suid), leave(), FromSender::Listed];
    let heard = walled.told(&push(".", Placement::Into), &sent(&listing)).unwrap();
    assert!(finished(&heard), "{heard:?}");
    let meta = fs::metadata(walled.root("t/suid")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
    let pipe = FromSender::Entry(entry("pipe", Node::Fifo { group: None }));
    let listing = [root(directory("t")), pipe, leave(), FromSender::Listed];
    let heard = walled.told(&push(".", Placement::Into), &sent(&listing)).unwrap();
    assert!(!finished(&heard), "{heard:?}");
    assert!(!walled.root("t/pipe").exists());
}
