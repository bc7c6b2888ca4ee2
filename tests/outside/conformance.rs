//! One suite over every cell of transport × service × model (M5): the same bodies, byte for byte.
//!
//! A cell is a test of its own, so that a failure names it:
//! `conformance::tcp::event::upper_bulk`.

mod datagram;
mod stream;

use crate::harness::{MODELS, Server, serve};

/// A transport and a model; the service comes with the body.
#[derive(Clone, Copy)]
struct Cell {
    transport: &'static str,
    model: &'static str,
}

impl Cell {
    /// A server of `service` in this cell.
    fn serve(self, service: &str) -> Server {
        serve(service).at(self.transport).model(self.model).start()
    }
}

/// The tests of one cell: each name is a function in the module of bodies.
macro_rules! bodies {
    ($transport:literal, $model:literal, $module:ident: $($body:ident)*) => {
        $(
            #[doc = concat!("M5: ", stringify!($body), " over ", $transport, ", model ", $model, ".")]
            #[test]
            fn $body() {
                let cell = super::super::Cell { transport: $transport, model: $model };
                super::super::$module::$body(cell);
            }
        )*
    };
}

/// Every model of one stream transport.
macro_rules! streams {
    ($name:ident, $transport:literal: $($model:ident = $word:literal),*) => {
        mod $name {
            $(mod $model {
                bodies!($transport, $word, stream:
                    upper_small upper_bulk upper_every_byte upper_half_close upper_dead_peer
                    upper_killed_client upper_thousand_connects
                    echo_small echo_bulk echo_every_byte echo_half_close echo_dead_peer
                    discard_is_silent daytime_format qotd_format time_format
                    chargen_format chargen_dead_peer short_services_take_input
                );
            })*
        }
    };
}

/// Every model of one datagram transport.
macro_rules! datagrams {
    ($name:ident, $transport:literal: $($model:ident = $word:literal),*) => {
        mod $name {
            $(mod $model {
                bodies!($transport, $word, datagram:
                    upper_answers echo_answers discard_is_silent chargen_is_no_longer
                    daytime_fits qotd_fits time_fits upper_many_clients
                );
            })*
        }
    };
}

streams!(tcp, "tcp":
    iterative = "iterative", thread = "thread", process = "process", event = "event");
streams!(unix, "unix":
    iterative = "iterative", thread = "thread", process = "process", event = "event");
datagrams!(udp, "udp":
    iterative = "iterative", thread = "thread", process = "process", event = "event");
datagrams!(unixgram, "unixgram":
    iterative = "iterative", thread = "thread", process = "process", event = "event");

/// M5: one server has streams and datagrams, over IP and Unix, at the same time.
#[test]
fn all_transports_at_once() {
    for model in MODELS {
        let server =
            serve("upper").at("tcp").at("udp").at("unix").at("unixgram").model(model).start();
        for scheme in ["tcp", "unix"] {
            let mut conn = crate::harness::Conn::dial(&server.endpoint(scheme)).unwrap();
            assert_eq!(conn.ask(b"stream", 6), b"STREAM", "{scheme} under {model}");
        }
        for scheme in ["udp", "unixgram"] {
            let gram = crate::harness::Gram::dial(&server.endpoint(scheme), server.dir()).unwrap();
            assert_eq!(gram.ask(b"datagram"), b"DATAGRAM", "{scheme} under {model}");
        }
    }
}

/// M5: the suite has every cell that the program's own table says works, and no other.
#[test]
fn suite_and_table_agree() {
    let services = ["upper", "echo", "discard", "daytime", "qotd", "chargen", "time"];
    let mut ours = Vec::new();
    for transport in ["tcp", "unix", "udp", "unixgram", "tls"] {
        for service in services {
            ours.extend(MODELS.map(|model| format!("{transport} {service} {model}")));
        }
    }
    // Those that run commands have bodies of their own, in `host`.
    for (transport, service) in
        [("tcp", "command"), ("unix", "command"), ("tls", "host"), ("unix", "host")]
    {
        ours.extend(MODELS.map(|model| format!("{transport} {service} {model}")));
    }
    let mut table: Vec<String> = sockeye::serve::cells::working()
        .into_iter()
        .map(|(transport, service, model)| format!("{transport} {service} {model}"))
        .collect();
    ours.sort();
    table.sort();
    assert_eq!(ours, table);
}
