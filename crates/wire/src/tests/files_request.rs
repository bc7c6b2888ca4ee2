//! The request for a transfer (clause P-X2): what arrives, and what is refused at both ends.

use proptest::collection::vec;
use proptest::prelude::*;
use sockeye_limits as limits;

use super::*;
use crate::files::Filter;
use crate::pair::Heard;
use crate::{Misuse, Side};

fn filter() -> impl Strategy<Value = Filter> {
    (any::<bool>(), "[^\\x00]{1,30}").prop_map(|(include, pattern)| Filter { include, pattern })
}

fn options() -> impl Strategy<Value = Options> {
    any::<[bool; 7]>().prop_map(
        |[archive, delete, checksum, fsync, dry_run, gitignore, partial]| Options {
            archive,
            delete,
            checksum,
            fsync,
            dry_run,
            gitignore,
            partial,
        },
    )
}

prop_compose! {
    fn request()(
        pull: bool,
        placement in 0usize..3,
        options in options(),
        paths in vec(vec(1u8..=255, 1..60), 1..20),
        sources in 1u32..=65_536,
        filters in vec(filter(), 0..10),
        of in 1..=limits::TRANSFER_STREAMS,
        number: u32,
    ) -> Transfer {
        let placement = [Placement::Into, Placement::Auto, Placement::Exact][placement];
        let (way, paths, sources) = if pull {
            let sources = u32::try_from(paths.len()).unwrap();
            (Way::Pull, paths, sources)
        } else {
            (Way::Push, paths[..1].to_vec(), sources)
        };
        Transfer { way, placement, options, paths, sources, filters, part: (number % of, of) }
    }
}

proptest! {
    /// F1, P-X2: every request arrives as it was made, under every slicing.
    #[test]
    fn requests(transfer in request(), seed: u64) {
        let mut pair = greeted();
        pair.dice = crate::pair::Dice::new(seed);
        say_up(&mut pair, |client, out| client.transfer(&transfer, out).unwrap());
        let expected = Heard::Transfer(Box::new(transfer));
        prop_assert_eq!(pair.server_heard.pop(), Some(expected));
    }
}

/// Fault 66, P-X2, P-L2: what cannot be a transfer is refused by who would ask for it.
#[test]
fn invalid() {
    let base = a_transfer;
    let push = || Transfer { way: Way::Push, ..base() };
    let pattern = |pattern: &str| Filter { include: false, pattern: pattern.to_owned() };
    let many = limits::TRANSFER_SOURCES + 1;
    let no_path = "a path that is empty, too long or holds a NUL byte";
    let no_part = "a part that does not exist";
    let no_pattern = "a pattern that is empty or holds a NUL byte";
    let cases: Vec<(Transfer, &str)> = vec![
        (Transfer { paths: vec![], ..base() }, "no paths, or too many"),
        (Transfer { paths: vec![vec![b'x']; many], ..base() }, "no paths, or too many"),
        (Transfer { paths: vec![vec![]], ..base() }, no_path),
        (Transfer { paths: vec![vec![b'x'; 4096]], ..base() }, no_path),
        (Transfer { paths: vec![b"a\0".to_vec()], ..base() }, no_path),
        (Transfer { paths: vec![vec![b'x']; 2], ..push() }, "more than one destination"),
        (Transfer { sources: 2, ..base() }, "another number of sources than paths"),
        (Transfer { sources: 0, ..push() }, "no sources, or too many"),
        (Transfer { sources: many as u32, ..push() }, "no sources, or too many"),
        (
            Transfer { filters: vec![pattern("x"); limits::TRANSFER_FILTERS + 1], ..base() },
            "too many patterns",
        ),
        (Transfer { filters: vec![pattern("")], ..base() }, no_pattern),
        (Transfer { filters: vec![pattern("a\0")], ..base() }, no_pattern),
        (Transfer { part: (1, 1), ..base() }, no_part),
        (Transfer { part: (0, 0), ..base() }, no_part),
        (Transfer { part: (0, limits::TRANSFER_STREAMS + 1), ..base() }, no_part),
        (Transfer { paths: vec![vec![b'x'; 4095]; 300], sources: 300, ..base() }, "too many bytes"),
    ];
    for (transfer, what) in cases {
        let (mut client, mut out) = (greeted().client, Vec::new());
        let refused = client.transfer(&transfer, &mut out).unwrap_err();
        assert_eq!(refused, Misuse::Transfer(what));
        assert!(out.is_empty());
        let text = format!("the transfer cannot be asked for: it has {what}. ");
        assert!(refused.to_string().starts_with(&text), "{refused}");
    }
}

/// Fault 66, P-X2, P-F4: Transfer frames that no client of ours writes are refused as well.
#[test]
fn malformed() {
    let number = |number: u32| number.to_be_bytes();
    let good = |head: [u8; 3], tail: &[u8]| {
        let numbers = [number(1), number(0), number(1), number(1), number(1)].concat();
        [&head[..], &numbers, b"a", tail].concat()
    };
    let none = number(0);
    assert_eq!(to_server(&mut greeted().server, &frame(6, &good([2, 2, 0], &none))), Ok(1));

    let one = |bytes: &[u8]| [&number(1)[..], bytes].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (good([0, 2, 0], &none), "an unknown way"),
        (good([3, 2, 0], &none), "an unknown way"),
        (good([2, 0, 0], &none), "an unknown placement"),
        (good([2, 4, 0], &none), "an unknown placement"),
        (good([2, 2, 0x80], &none), "unknown options"),
        (good([2, 2, 0], &[0; 5]), "bytes behind its last field"),
        (good([2, 2, 0], &number(u32::MAX)), "a field that is cut short"),
        (good([2, 2, 0], &one(b"\x02\0\0\0\x01x")), "an unknown kind of pattern"),
        (good([2, 2, 0], &one(b"\x01\0\0\0\x01\xff")), "a pattern that is not UTF-8"),
        (good([2, 2, 0], &one(b"\x01\0\0\0\0")), "a pattern that is empty or holds a NUL byte"),
        (good([2, 2, 0], &one(b"\x01\0\0\0\x02x")), "a field that is cut short"),
    ];
    for (payload, what) in cases {
        let error = to_server(&mut greeted().server, &frame(6, &payload)).unwrap_err();
        assert_eq!(error.fault(), Fault::Malformed { kind: Kind::Transfer, what }, "{payload:?}");
        assert_eq!(error.guilty(), Side::Client);
    }
    // Two paths for a push, and a number of sources that is not that of the paths.
    let mut payload = good([1, 2, 0], &none);
    payload.splice(15..19, number(2));
    payload.splice(24..24, *b"\0\0\0\x01b");
    let error = to_server(&mut greeted().server, &frame(6, &payload)).unwrap_err();
    let what = "more than one destination";
    assert_eq!(error.fault(), Fault::Malformed { kind: Kind::Transfer, what });
}
