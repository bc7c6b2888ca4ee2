//! B3: the models side by side.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::process::{children_of, run_command, signal, state_of};
use crate::harness::remote::Running;
use crate::harness::{BINARY, MODELS, clean, eventually, run};
use crate::host::pty::{Pty, can_start};

/// A comparison whose runs count for that long.
fn words<'a>(duration: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let short = ["bench", "models", "-c", "4", "--rounds", "1", "--idle", "12", "--duration"];
    [&short[..], &[duration], more].concat()
}

/// B3: every model is loaded both ways and looked into; what sets the models apart is seen in the
/// figures.
#[test]
fn figures() {
    let output = run(&words("2s", &["--json"]), b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let text = output.stdout_text();
    let told: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let count = |event: &str| told.iter().filter(|line| line["event"] == event).count();
    assert_eq!((count("idle"), count("run")), (4, 8), "{text}");
    let all = told.last().expect("the result");
    assert_eq!((&all["service"], &all["connections"]), (&"upper".into(), &4.into()));
    let models = all["models"].as_object().expect("the models");
    assert_eq!(models.len(), 4);
    for model in MODELS {
        let figures = &models[model];
        for load in ["long", "short"] {
            let run = &figures[load];
            assert!(run["requests_per_second"].as_f64() > Some(0.0), "{model} {load}: {run}");
            for name in ["p50", "p99", "p999"] {
                assert!(run["latency_us"][name].as_f64() > Some(0.0), "{model} {load}: {run}");
            }
            assert!(run["voluntary_switches_per_request"].is_number(), "{model} {load}: {run}");
        }
        assert!(figures["short"]["cpu_us_per_request"].as_f64() > Some(0.0), "{model}: {figures}");
        assert_eq!(figures["idle"]["connections"], 12, "{model}: {figures}");
    }
    let idle = |model: &str, name: &str| models[model]["idle"][name].as_u64().expect("a number");
    assert_eq!(idle("iterative", "served"), 0, "the first connection has the only place");
    for model in ["thread", "process", "event"] {
        assert_eq!(idle(model, "served"), 12, "{model}");
        assert_eq!(models[model]["long"]["unanswered"].as_f64(), Some(0.0), "{model}");
        assert!(idle(model, "descriptors") >= 13, "{model}: a descriptor a connection");
        assert!(models[model]["long"]["cpu_us_per_request"].as_f64() > Some(0.0), "{model}");
    }
    assert!(idle("thread", "threads") >= 13, "a thread a connection");
    assert_eq!((idle("thread", "processes"), idle("event", "processes")), (1, 1));
    assert!(idle("process", "processes") >= 14, "a process a connection, and the server");
    assert!(
        all["advice"]
            .as_str()
            .expect("the advice")
            .contains("Iterative leaves connections waiting")
    );
}

/// B3: without `--json` a table a load, bars, and advice; a page with charts that loads nothing.
#[test]
fn shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("models.html");
    let more = ["--models", "event,thread", "--service", "echo", "--html", path.to_str().unwrap()];
    let output = run(&words("200ms", &more), b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let text = output.stdout_text();
    assert!(!text.contains(['\x1b', '\r']), "{text:?}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.starts_with("echo under each model · 4 connections × 64 B\n"), "{text}");
    for said in [
        "connections that stay",
        "a connection for each request",
        "12 silent connections",
        "CPU/req",
        "█",
        "Many connections that stay: ",
    ] {
        assert!(text.contains(said), "{said:?} in {text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("event ")).count(), 5, "{text}");
    assert!(!text.contains("iterative") && !text.contains("process "), "{text}");
    let html = std::fs::read_to_string(path).expect("the page");
    for word in ["http://", "https://", "src=", "url("] {
        assert!(!html.contains(word), "{word}: {html}");
    }
    assert_eq!(html.matches("<svg").count(), 8, "{html}");
}

/// B3: what is wrong is refused before any server is started.
#[test]
fn usage() {
    for (more, said) in [
        (&["--models", "fork"][..], "no model \"fork\""),
        (&["--models", "event,event"], "twice"),
        (&["--connections", "100000"], "--connections is from 1 to"),
        (&["--service", "chargen"], "upper, echo"),
        (&["--rounds", "18446744073709551615"], "--rounds is from 1"),
        (&["--size", "1G"], "--size is from 1"),
    ] {
        let output = run(&[&["bench", "models"], more].concat(), b"");
        let line = output.assert_one_line(2);
        assert!(line.contains(said), "{said:?} in {line:?}");
    }
}

fn command() -> Command {
    let mut command = clean(BINARY);
    command.args(["bench", "models", "--models", "process", "--duration", "10m", "--idle", "1"]);
    command
}

/// Waits until a client has a server with workers; all their numbers.
fn servers(client: u32) -> Vec<u32> {
    let mut found = Vec::new();
    eventually("a server under load", || {
        found = children_of(client);
        let workers: Vec<u32> = found.iter().flat_map(|server| children_of(*server)).collect();
        found.extend(&workers);
        // Fifty connections are loaded: this is no longer the look at silent ones.
        workers.len() > 20
    });
    found
}

fn all_gone(processes: &[u32]) {
    eventually("servers and workers are gone", || {
        processes.iter().all(|process| matches!(state_of(*process), None | Some('Z')))
    });
}

/// B3: Ctrl-C leaves no server behind.
#[test]
fn interrupted() {
    if !can_start() {
        return;
    }
    let mut client = Pty::start(&command());
    let servers = servers(client.child.pid());
    client.types("\x03");
    // Nothing was measured yet, and so it is said.
    let said = client.ends(1);
    assert!(said.contains("nothing to show"), "{said}");
    all_gone(&servers);
}

/// B3: Ctrl-C in the middle shows the models that had their turns.
#[test]
fn shown_early() {
    let mut command = clean(BINARY);
    command.args(["bench", "models", "--models", "event,thread", "--rounds", "1000", "--json"]);
    command.args(["-c", "4", "--idle", "12", "--duration", "300ms"]);
    let mut client = Running::start(command);
    // How often each model had its turn under each load: it may go on before it hears the signal.
    let mut runs = std::collections::BTreeMap::<(String, String), u64>::new();
    let mut last = Value::Null;
    while let Some(line) = client.next_line() {
        last = serde_json::from_str(&line).expect("an object");
        if last["event"] == "run" {
            let word = |name: &str| last[name].as_str().expect("a word").to_owned();
            *runs.entry((word("model"), word("load"))).or_default() += 1;
            if runs.values().sum::<u64>() == 2 {
                signal(client.pid(), Signal::INT);
            }
        }
    }
    assert_eq!(client.wait(), Some(0));
    let turns = |model: &str| {
        ["long", "short"].map(|load| runs.get(&(model.into(), load.into())).copied().unwrap_or(0))
    };
    let had = ["event", "thread"].map(|model| turns(model).into_iter().min().unwrap());
    let rounds =
        had.into_iter().filter(|had| *had > 0).min().expect("the event model had its turns");
    assert_eq!((&last["stopped"], &last["rounds"]), (&true.into(), &rounds.into()), "{last}");
    let models = last["models"].as_object().expect("the models");
    assert!(models.contains_key("event"), "{last}");
    assert_eq!(models.contains_key("thread"), had[1] > 0, "{last}");
    // A short turn on a busy machine may have had no answer at all.
    assert!(models["event"]["short"]["requests_per_second"].is_number(), "{last}");
}

/// Q3: arguments beat the environment, that beats [bench] of config.toml, and that the defaults.
#[test]
fn configured() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let text = "[bench]\nmodels = [\"event\"]\nservice = \"echo\"\nrounds = 1\nidle = 3\n\
                connections = 7\nsize = \"1K\"\nduration = \"100ms\"\n";
    std::fs::write(&path, text).unwrap();
    let mut command = clean(BINARY);
    command.args(["bench", "models", "--json", "--size", "100", "--config"]).arg(&path);
    command.env("SOCKEYE_CONNECTIONS", "2").env("SOCKEYE_SIZE", "200");
    let output = run_command(command, b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = output.stdout_text();
    let all: Value = serde_json::from_str(text.lines().last().expect("the result")).unwrap();
    for (name, value) in [("connections", 2), ("size", 100), ("rounds", 1)] {
        assert_eq!(all[name], value, "{name}: {all}");
    }
    assert_eq!((&all["service"], &all["seconds"]), (&"echo".into(), &0.1.into()), "{all}");
    let models = all["models"].as_object().expect("the models");
    assert_eq!(models.keys().collect::<Vec<_>>(), ["event"], "{all}");
    assert_eq!(models["event"]["idle"]["connections"], 3, "{all}");
}

/// B3: nor does SIGKILL, which nothing can answer.
#[test]
fn killed() {
    let mut client = Running::start(command());
    let servers = servers(client.pid());
    signal(client.pid(), Signal::KILL);
    assert_eq!(client.wait(), None);
    all_gone(&servers);
}
