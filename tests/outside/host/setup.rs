//! X6 and fault 42: where a command runs, and what it finds there.

use crate::harness::process::{fds_of, run_command};
use crate::harness::remote::{Home, Host};
use crate::harness::{MODELS, eventually};

/// X6: a command runs in the home directory, or where `--cwd` says.
#[test]
fn directory() {
    let host = Host::start();
    let home = host.home.path().display().to_string();
    assert_eq!(host.exec(&["--", "pwd"], b"").stdout_text(), format!("{home}\n"));
    assert_eq!(host.exec(&["--cwd", "/usr", "--", "pwd"], b"").stdout_text(), "/usr\n");
    let output = host.exec(&["--cwd", "/usr", "--", "bin/true"], b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    // From the home directory, wherever the server was started.
    std::fs::create_dir(host.home.path().join("sub")).unwrap();
    assert_eq!(
        host.exec(&["--cwd", "sub", "--", "pwd"], b"").stdout_text(),
        format!("{home}/sub\n")
    );
    let file = host.home.write("file", "", 0o644);
    for wrong in ["/no/such/place", file.to_str().unwrap()] {
        let output = host.exec(&["--cwd", wrong, "--", "true"], b"");
        assert!(output.assert_one_line(255).contains("directory"), "{output:?}");
    }
}

/// Q3: how long a command may take and how much it may write, from the configuration, the environment
/// and the arguments, each of which beats the one before. What --detach and the plain form cannot
/// keep they leave of a configuration that is for all commands.
#[test]
fn settings() {
    let host = Host::start();
    let text = "[exec]\ntimeout = \"100ms\"\nmax-output = \"3\"\n";
    host.home.write("config.toml", text, 0o600);
    let file = host.home.path().join("config.toml").display().to_string();
    let code = |words: &[&str], environment: &[(&str, &str)]| {
        let words = [&["exec", &host.unix, "--config", &file, "-n"], words].concat();
        let mut command = host.home.command(&words);
        command.envs(environment.iter().copied());
        let output = run_command(command, b"");
        (output.code, output.stdout_text())
    };
    assert_eq!(code(&["--", "sleep", "60"], &[]).0, Some(124));
    let long = [("SOCKEYE_TIMEOUT", "60s")];
    assert_eq!(code(&["-c", "sleep 0.3; exit 5"], &long).0, Some(5));
    assert_eq!(code(&["--timeout", "100ms", "--", "sleep", "60"], &long).0, Some(124));

    let cut = code(&["--", "echo", "long"], &long);
    assert_eq!((cut.0, cut.1.as_str()), (Some(255), "lon"));
    let more = [("SOCKEYE_TIMEOUT", "60s"), ("SOCKEYE_MAX_OUTPUT", "100")];
    assert_eq!(code(&["--", "echo", "long"], &more), (Some(0), "long\n".into()));

    let (status, pid) = code(&["--detach", "--", "true"], &[]);
    assert_eq!(status, Some(0), "{pid}");
    assert!(pid.trim().parse::<u32>().is_ok(), "{pid}");
}

/// X6: variables go as far as the server's list allows, and one that it does not allow is an error,
/// not silence.
#[test]
fn environment() {
    let host = Host::start();
    let output = host.exec(&["--env", "LC_ME=a=b c", "--env", "LANG=C", "-c", "env"], b"");
    let text = output.stdout_text();
    assert!(text.contains("\nLC_ME=a=b c\n") || text.starts_with("LC_ME=a=b c\n"), "{text}");
    for name in ["FOO", "LD_PRELOAD", "PATH", "LANGUAGE"] {
        let output = host.exec(&["--env", &format!("{name}=1"), "--", "env"], b"");
        let line = output.assert_one_line(255);
        assert!(line.contains(name) && line.contains("--accept-env"), "{line}");
    }
    let host = Host::with(&["--accept-env", "FOO,B?R*"]);
    let words = ["--env", "FOO=", "--env", "BXRY=2", "-c", "echo \"${FOO-unset}|$BXRY\""];
    assert_eq!(host.exec(&words, b"").stdout_text(), "|2\n");
    assert_eq!(host.exec(&["--env", "LANG=C", "--", "true"], b"").code, Some(255));
}

/// Fault 42: a command finds descriptors 0 to 2, nothing of the server's environment but what it
/// needs, a session and a process group of its own, under every model.
#[test]
fn inheritance() {
    for model in MODELS {
        let host = Host::of(Home::new(), |launch| {
            launch.args(&["--model", model]).env("SECRET_TOKEN", "x").env("SSH_AUTH_SOCK", "/x")
        });
        let mut client = host.spawn(&["--", "sh", "-c", "echo $$; exec sleep 1000"]);
        let pid = client.next_line().and_then(|line| line.parse().ok()).expect("a number");
        eventually("sleep runs", || {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
        });
        // Its loader may still have a library open.
        eventually("it has three descriptors, all pipes", || {
            let fds = fds_of(pid);
            fds.len() == 3 && fds.iter().all(|fd| fd.starts_with("pipe:"))
        });
        drop(client);

        let text = host.exec(&["--", "env"], b"").stdout_text();
        let allowed =
            ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"];
        for line in text.lines() {
            let (name, _) = line.split_once('=').expect("a variable");
            assert!(allowed.contains(&name) || name == "SSH_CLIENT", "{model}: {line}");
        }
        assert!(text.contains(&format!("HOME={}\n", host.home.path().display())), "{text}");
        assert!(text.contains("SSH_CLIENT=127.0.0.1 "), "{text}");

        let own =
            host.line("set -- $(cut -d' ' -f5,6 /proc/$$/stat); echo $(($1 - $$)) $(($2 - $$))");
        assert_eq!(own.stdout_text(), "0 0\n", "{model}: group and session");
    }
}

/// X6: no command gains privileges unless the server's owner allows it.
#[test]
fn privileges() {
    for (words, expected) in [(&[][..], "1"), (&["--privileges"][..], "0")] {
        let host = Host::with(words);
        let output = host.line("grep NoNewPrivs /proc/self/status | cut -f2");
        assert_eq!(output.stdout_text().trim(), expected, "{words:?}");
    }
}

/// X6: a command has the umask and the limits that its server was started with.
#[test]
fn limits() {
    let host = Host::of(Home::new(), |launch| {
        launch.via(&["sh", "-c", "umask 027; ulimit -S -t 3600; exec \"$0\" \"$@\""])
    });
    let output = host.line("umask; ulimit -S -t");
    assert_eq!(output.stdout_text(), "0027\n3600\n");
}
