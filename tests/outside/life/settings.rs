//! Where settings come from: arguments beat environment beat configuration beat defaults (Q3).

use crate::harness::process::run_command;
use crate::harness::{Launch, serve};

const CONFIG: &str =
    "[serve]\nmodel = \"thread\"\nidle-timeout = \"300ms\"\nset = [\"rcvbuf=64K\"]\n";

fn model_of(launch: Launch) -> String {
    launch.start().wait_for("listening")["model"].as_str().unwrap().to_owned()
}

/// Q3: all four places, each beaten by the one before it.
#[test]
fn precedence() {
    let launch = || serve("upper").at("tcp");
    assert_eq!(model_of(launch()), "event");

    let configured = launch();
    let file = configured.file("config.toml", CONFIG);
    let file = file.to_str().unwrap();
    assert_eq!(model_of(configured.args(&["--config", file])), "thread");

    let configured = launch();
    let file = configured.file("config.toml", CONFIG);
    let file = file.to_str().unwrap();
    let configured = configured.env("SOCKEYE_CONFIG", file).env("SOCKEYE_MODEL", "iterative");
    assert_eq!(model_of(configured), "iterative");

    let configured = launch();
    let file = configured.file("config.toml", CONFIG);
    let file = file.to_str().unwrap();
    let configured = configured.env("SOCKEYE_CONFIG", file).env("SOCKEYE_MODEL", "iterative");
    assert_eq!(model_of(configured.model("process")), "process");
}

/// Q3: the file's other keys are used as well.
#[test]
fn configured_timeout() {
    let launch = serve("upper").at("tcp");
    let file = launch.file("config.toml", CONFIG);
    let server = launch.args(&["--config", file.to_str().unwrap()]).start();
    let mut conn = server.dial();
    conn.ask(b"x", 1);
    assert_eq!(server.wait_closed(1)["why"], "idle-timeout");
}

/// Q3: the configuration file is found in XDG_CONFIG_HOME, and in HOME/.config without that.
#[test]
fn where_the_file_is() {
    for (variable, below) in [("XDG_CONFIG_HOME", "sockeye"), ("HOME", ".config/sockeye")] {
        let launch = serve("upper").at("tcp");
        let home = launch.file("unused", "").parent().unwrap().to_owned();
        std::fs::create_dir_all(home.join(below)).unwrap();
        std::fs::write(home.join(below).join("config.toml"), CONFIG).unwrap();
        assert_eq!(model_of(launch.env(variable, home.to_str().unwrap())), "thread", "{variable}");
    }
}

/// Q3: every option of serve can come from the environment.
#[test]
fn environment() {
    let server = serve("upper").at("tcp").env("SOCKEYE_IDLE_TIMEOUT", "300ms").start();
    server.dial().ask(b"x", 1);
    server.wait_closed(1);

    let options = [
        ("SOCKEYE_WORKERS", "2"),
        ("SOCKEYE_BACKLOG", "5"),
        ("SOCKEYE_MAX_CONNECTIONS", "1"),
        ("SOCKEYE_OVERFLOW", "refuse"),
        ("SOCKEYE_MAX_LIFETIME", "1h"),
        ("SOCKEYE_DRAIN", "1s"),
        ("SOCKEYE_SOURCE_RATE", "10"),
        ("SOCKEYE_MODE", "0660"),
        ("SOCKEYE_SET", "nodelay=off"),
        ("SOCKEYE_ALLOW", "127.0.0.0/8"),
        ("SOCKEYE_DENY", "192.0.2.1"),
    ];
    let launch = serve("upper").at("tcp");
    let server = options.into_iter().fold(launch, |launch, (name, value)| launch.env(name, value));
    let server = server.start();
    let mut conn = server.dial();
    assert_eq!(conn.ask(b"x", 1), b"X");
    server.dial().assert_ended();
    assert_eq!(server.wait_for("refused")["why"], "max-connections");
}

/// Q3: environment and configuration are checked as arguments are: exit 2, one line, the place.
#[test]
fn bad_settings() {
    let bad = [
        ("[serve]\nmodle = \"thread\"\n", "modle"),
        ("[serve]\nmodel = \"fast\"\n", "fast"),
        ("[serve]\nidle-timeout = 5\n", "line 2"),
        ("[serve]\nidle_timeout = \"5s\"\n", "idle_timeout"),
        ("[serve\n", "config.toml"),
        ("[server]\n", "server"),
        ("[serve]\nset = [\"nodelay=maybe\"]\n", "nodelay"),
        ("[serve]\nallow = [\"here\"]\n", "here"),
    ];
    for (text, named) in bad {
        let launch = serve("upper").at("tcp");
        let file = launch.file("config.toml", text);
        let output = run_command(launch.args(&["--config", file.to_str().unwrap()]).command(), b"");
        let line = output.assert_one_line(2);
        assert!(line.contains(named), "{text:?}: {line}");
        let place = line.contains("config.toml") || line.contains("configuration");
        assert!(place, "says that it comes from the file: {text:?}: {line}");
    }
    for (name, value) in [("SOCKEYE_MODEL", "fast"), ("SOCKEYE_WORKERS", "many")] {
        let output = run_command(serve("upper").at("tcp").env(name, value).command(), b"");
        let line = output.assert_one_line(2);
        assert!(line.contains(value), "{name}: {line}");
    }
    let output =
        run_command(serve("upper").at("tcp").args(&["--config", "/none/c"]).command(), b"");
    let line = output.assert_one_line(2);
    assert!(line.contains("/none/c"), "a file that was asked for must be there: {line}");
}
