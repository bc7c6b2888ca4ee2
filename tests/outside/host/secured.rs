//! E1 and M5: services that answer by themselves, over `tls://`.

use crate::harness::bytes::{Random, assert_same};
use crate::harness::remote::{Home, Host};
use crate::harness::{MODELS, serve};

fn secured(service: &str, model: &str) -> Host {
    let launch = serve(service).on("tls://127.0.0.1:0").model(model);
    Host::on_tls(Home::new(), launch)
}

/// Whatever `connect` over TLS brings back.
fn connect(host: &Host, stdin: &[u8]) -> crate::harness::process::Output {
    host.home.run(&["connect", &host.tls, "--trust", &host.fingerprint], stdin)
}

/// E1, M5, V1: bytes in, the same bytes or their upper case out, half-close honoured, under every
/// model.
#[test]
fn services() {
    let sent = Random::new(11).bytes(5_000_000);
    for model in MODELS {
        for (service, expected) in [("upper", sent.to_ascii_uppercase()), ("echo", sent.clone())] {
            let host = secured(service, model);
            let output = connect(&host, &sent);
            assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{service} {model}");
            assert_same(&output.stdout, &expected, 0);
            let event = host.server.wait_for("authenticated");
            assert!(event["identity"].as_str().unwrap().starts_with("SHA256:"), "{event}");
        }
    }
}

/// E1, M5: the other services too.
#[test]
fn short_services() {
    for model in MODELS {
        for service in ["daytime", "qotd", "time", "discard"] {
            let host = secured(service, model);
            let output = connect(&host, b"x\n");
            assert_eq!(output.code, Some(0), "{service} {model}: {output:?}");
            assert_eq!(output.stdout.is_empty(), service == "discard", "{service} {model}");
        }
    }
}

/// T1, T3: nobody comes in without a key, nor with one that is for a command only; each says why.
#[test]
fn strangers() {
    for model in MODELS {
        let host = secured("upper", model);
        assert_eq!(connect(&host, b"x").stdout, b"X", "{model}");
        let own = host.home.public();
        host.home.authorize("");
        let output = connect(&host, b"x");
        assert!(output.assert_one_line(1).contains("not authorised"), "{model}: {output:?}");
        host.home.authorize(&format!("command=\"true\" {own}"));
        let output = connect(&host, b"x");
        assert_eq!((output.code, output.stdout.len()), (Some(1), 0), "{model}: {output:?}");
        host.server.wait_event("one command", |event| {
            event["why"].as_str().is_some_and(|why| why.contains("one command only"))
        });
    }
}

/// M5, V4: two protocols do not mix: `exec` at a service that answers, `connect` at a host.
#[test]
fn wrong_protocol() {
    let host = secured("upper", "process");
    let output = host.exec(&["--", "true"], b"");
    output.assert_one_line(255);
    let host = Host::start();
    assert_eq!(connect(&host, b"x").code, Some(1));
    assert_eq!(host.exec(&["--", "true"], b"").code, Some(0));
}
