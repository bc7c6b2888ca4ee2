//! A service that panics (fault 35): its connection ends, and nothing else.

use crate::harness::process::example;
use crate::harness::{Launch, MODELS, eventually, serve};

/// The example `panics`, a service of its own that panics when it is sent an exclamation mark.
fn panics() -> Option<Launch> {
    Some(serve("panics").program(&example("panics")?))
}

/// Fault 35, M3, V5: a panic in a service ends that connection only, and is told.
#[test]
fn row_35_panic_on_a_stream() {
    for model in MODELS {
        for transport in ["tcp", "unix"] {
            let Some(launch) = panics() else { return };
            let server = launch.at(transport).model(model).start();
            for number in 0..5 {
                let mut bystander = (model != "iterative").then(|| server.dial());
                let mut conn = server.dial();
                assert_eq!(conn.ask(b"fine", 4), b"fine");
                std::io::Write::write_all(&mut conn, b"boom!").unwrap();
                conn.assert_ended();
                let closed = server.wait_events("panic", number + 1, |event| {
                    event["event"] == "closed" && event["why"] == "panic"
                });
                assert_eq!(closed.len(), number + 1, "{model}");
                if let Some(bystander) = &mut bystander {
                    assert_eq!(bystander.ask(b"unhurt", 6), b"unhurt", "{model}");
                }
            }
            let mut conn = server.dial();
            assert_eq!(conn.ask(b"next", 4), b"next");
        }
    }
}

/// Fault 35: a panic over a datagram loses that datagram only.
#[test]
fn row_35_panic_on_a_datagram() {
    for model in MODELS {
        for transport in ["udp", "unixgram"] {
            let Some(launch) = panics() else { return };
            let mut server = launch.at(transport).model(model).start();
            let gram = server.gram();
            for _ in 0..3 {
                assert_eq!(gram.ask(b"fine"), b"fine");
                gram.send(b"boom!");
            }
            gram.set_timeout(std::time::Duration::from_millis(300));
            eventually("it answers after the panics", || {
                gram.send(b"after");
                gram.try_receive().is_ok_and(|answer| answer == b"after")
            });
            assert!(server.is_alive(), "{model} over {transport}");
        }
    }
}
