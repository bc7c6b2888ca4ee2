//! Places, handles and grounds under attack: links out, `..`, depth, races.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, fstat, mkdirat, openat, renameat_with};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn handle(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().into()
}

fn same(handle: impl AsFd, path: &Path) -> bool {
    let (a, b) = (fstat(handle).unwrap(), rustix::fs::stat(path).unwrap());
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Both ways of resolving: by the kernel, and name by name where it cannot.
fn both(base: &OwnedFd, path: &[u8], links: Links) -> [io::Result<OwnedFd>; 2] {
    let names = resolve::by_names(base.as_fd(), path).map_err(io::Error::from);
    [resolve::directory(base.as_fd(), path, links), names]
}

#[test]
fn a_place_knows_its_way_from_the_root() {
    let top = tempfile::tempdir().unwrap();
    let root = Place::root(handle(top.path()));
    let place = root.child(name("a")).child(name("b"));
    assert_eq!(place.path(Some(&name("c"))), b"a/b/c");
    assert_eq!(place.path(None), b"a/b");
    assert_eq!((root.path(None), root.path(Some(&name("x")))), (vec![], b"x".to_vec()));
    assert_eq!(place.depth(), 2);
}

/// FAULTS row 62: a link in the place of a directory is never followed, wherever it points.
#[test]
fn a_link_is_no_directory_of_a_tree() {
    let (top, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(top.path().join("real/inner")).unwrap();
    fs::create_dir(out.path().join("inner")).unwrap();
    symlink(out.path(), top.path().join("out")).unwrap();
    symlink("real", top.path().join("in")).unwrap();
    symlink("..", top.path().join("up")).unwrap();
    let root = Place::root(handle(top.path()));
    let mut handles = Handles::new();
    for link in ["out", "in", "up"] {
        handles.open(&root.child(name(link))).unwrap_err();
        handles.open(&root.child(name(link)).child(name("inner"))).unwrap_err();
        let base = handle(top.path());
        for opened in both(&base, format!("{link}/inner").as_bytes(), Links::Refused) {
            opened.unwrap_err();
        }
    }
    let inner = handles.open(&root.child(name("real")).child(name("inner"))).unwrap();
    assert!(same(inner, &top.path().join("real/inner")));
}

#[test]
fn what_is_held_is_bounded_and_used_again() {
    let top = tempfile::tempdir().unwrap();
    let root = Place::root(handle(top.path()));
    let mut handles = Handles::new();
    let mut places = Vec::new();
    for n in 0..limits::OPEN_DIRECTORIES + 10 {
        fs::create_dir(top.path().join(n.to_string())).unwrap();
        places.push(root.child(name(&n.to_string())));
        handles.open(&places[n]).unwrap();
    }
    assert_eq!(handles.held.len(), limits::OPEN_DIRECTORIES);
    let last = places.last().unwrap();
    let again = handles.open(last).unwrap();
    assert!(Arc::ptr_eq(&again, &handles.open(last).unwrap()));
    handles.open(&places[0]).unwrap();
    assert_eq!(handles.held.len(), limits::OPEN_DIRECTORIES);
}

/// FAULTS row 65: 4,000 levels, opened from the top at once, and dropped without recursion.
#[test]
fn four_thousand_levels_are_no_matter() {
    let top = tempfile::tempdir().unwrap();
    let mut place = Place::root(handle(top.path()));
    let mut at = handle(top.path());
    for n in 0..4000 {
        let name = name(&format!("level-{n}"));
        mkdirat(&at, name.as_bytes(), Mode::RWXU).unwrap();
        at = openat(&at, name.as_bytes(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        place = place.child(name);
    }
    let deepest = Handles::new().open(&place).unwrap();
    assert_eq!(fstat(&deepest).unwrap().st_ino, fstat(&at).unwrap().st_ino);
    let names = place.path(None);
    let by_names = resolve::by_names(handle(top.path()).as_fd(), &names).unwrap();
    assert_eq!(fstat(&by_names).unwrap().st_ino, fstat(&at).unwrap().st_ino);
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    for _ in 0..100_000 {
        place = place.child(name("x"));
    }
    thread.spawn(move || drop(place)).unwrap().join().unwrap();
    // remove_dir_all(3) of the temporary directory cannot: its way down is a path.
    std::process::Command::new("rm").arg("-rf").arg(top.path()).status().unwrap();
}

/// FAULTS row 63: while a parent flips between a directory and a link out, opening finds the one
/// beneath the root, or nothing.
#[test]
fn a_parent_that_flips_is_never_left() {
    let (top, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, link) = (top.path().join("d"), top.path().join("link"));
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::create_dir(out.path().join("sub")).unwrap();
    let inside = fs::metadata(dir.join("sub")).unwrap();
    symlink(out.path(), &link).unwrap();
    let stop = AtomicBool::new(false);
    let inode = std::os::unix::fs::MetadataExt::ino(&inside);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let base = handle(top.path());
        let (mut found, mut refused) = (0, 0);
        for _ in 0..1_000_000 {
            for opened in both(&base, b"d/sub", Links::Refused) {
                match opened {
                    Ok(handle) if fstat(&handle).unwrap().st_ino == inode => found += 1,
                    Ok(_) => panic!("it was followed out"),
                    Err(_) => refused += 1,
                }
            }
            let ground = Ground::Within(handle(top.path()));
            if let Ok((handle, _)) = ground.locate(b"d/sub/file") {
                assert_eq!(fstat(&handle).unwrap().st_ino, inode);
            }
            if found > 1000 && refused > 1000 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// F8: nothing that a request says leads out of the directory that is served.
#[test]
fn a_ground_within_keeps_paths_in() {
    let (top, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(top.path().join("real/inner")).unwrap();
    symlink(out.path(), top.path().join("out")).unwrap();
    symlink("real", top.path().join("in")).unwrap();
    symlink("../..", top.path().join("real/up")).unwrap();
    symlink("/proc/self/cwd", top.path().join("magic")).unwrap();
    let ground = Ground::Within(handle(top.path()));
    let found = |path: &str, at: &str, last: Option<&str>| {
        let (directory, found) = ground.locate(path.as_bytes()).unwrap();
        assert!(same(directory, &top.path().join(at)), "{path}");
        assert_eq!(found, last.map(name), "{path}");
    };
    for path in ["/", ".", "./", "//", "real/..", "in/.."] {
        found(path, "", None);
    }
    found("x", "", Some("x"));
    found("/x", "", Some("x"));
    found("real", "", Some("real"));
    found("real/", "real", None);
    found("in/inner/x", "real/inner", Some("x"));
    found("/real/../in/x", "real", Some("x"));
    // The last name is not looked up.
    found("out", "", Some("out"));
    for path in ["..", "../x", "/../x", "out/x", "out/", "real/up/x", "real/../../x", "magic/x"] {
        ground.locate(path.as_bytes()).unwrap_err();
    }
    let text = ground.locate(b"out/x").unwrap_err().to_string();
    assert!(text.contains("leads out"), "{text}");
    let base = handle(top.path());
    for path in [&b"in/inner"[..], b"out", b"..", b"real/.."] {
        resolve::by_names(base.as_fd(), path).unwrap_err();
    }
}

#[test]
fn an_open_ground_goes_where_the_process_may() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("sub")).unwrap();
    symlink("sub", top.path().join("link")).unwrap();
    let ground = Ground::Open(handle(&top.path().join("sub")));
    let (directory, last) = ground.locate(b"../link/file").unwrap();
    assert!(same(directory, &top.path().join("sub")) && last == Some(name("file")));
    let path = top.path().join("file");
    let (directory, last) = ground.locate(path.as_os_str().as_encoded_bytes()).unwrap();
    assert!(same(directory, top.path()) && last == Some(name("file")));
    let (directory, last) = ground.locate(b"..").unwrap();
    assert!(same(directory, top.path()) && last.is_none());
    let (directory, last) = ground.locate(b"/").unwrap();
    assert!(same(directory, Path::new("/")) && last.is_none());
}
