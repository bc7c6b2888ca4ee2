//! `ports --tune`: values as they are, and hints only where something shows a need.

use serde_json::Value;

use crate::harness::namespace::in_namespace;
use crate::harness::process::tool;
use crate::harness::{run, serve};

fn tune() -> Vec<Value> {
    let text = run(&["ports", "--tune", "--json"], b"").stdout_text();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// O5: each setting with the value that sysctl(8) shows; nothing is advised where nothing shows a need.
#[test]
fn values_and_no_hint() {
    in_namespace("observe::tune::values_and_no_hint", &["sysctl"], || {
        let objects = tune();
        let settings: Vec<&Value> = objects.iter().filter(|o| o["kind"] == "setting").collect();
        assert!(settings.len() >= 15, "{settings:?}");
        for setting in settings.iter().filter(|setting| !setting["value"].is_null()) {
            let name = setting["name"].as_str().unwrap();
            let value = tool("sysctl", &["-n", name]);
            let value: Vec<&str> = value.split_whitespace().collect();
            assert_eq!(setting["value"], value.join(" "), "{name}");
        }
        assert!(!objects.iter().any(|object| object["kind"] == "hint"), "{objects:?}");
        let page = run(&["ports", "--tune"], b"").stdout_text();
        assert!(page.contains("Nothing shows a need"), "{page}");
        assert!(page.contains("It does not shorten TIME-WAIT, which is 60 s"), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    });
}

/// O5, fault 20: with a range of ten ports of which nine are taken a hint says so, with its evidence.
#[test]
fn row_20_few_ports_left() {
    in_namespace("observe::tune::row_20_few_ports_left", &["sysctl"], || {
        let server = serve("upper").on("tcp://127.0.0.1:9000").start();
        tool("sysctl", &["-qw", "net.ipv4.ip_local_port_range=40000 40009"]);
        let conns: Vec<_> = (0..9).map(|_| server.dial()).collect();
        let hint = tune().into_iter().find(|object| object["kind"] == "hint").unwrap();
        let evidence = hint["evidence"].as_str().unwrap();
        assert!(evidence.starts_with("9 of 10 ports are taken towards 127.0.0.1:9000"), "{hint}");
        assert!(hint["remedy"].as_str().unwrap().contains("ip_local_port_range"), "{hint}");
        drop(conns);
    });
}
