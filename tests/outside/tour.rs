//! The tour in `docs/tour.md`, taken as it stands: each command of its `console` blocks is typed
//! into one shell, in order, and what appears is what the page shows.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::harness::namespace::in_namespace;
use crate::harness::remote::Home;
use crate::harness::{BINARY, DEADLINE};
use crate::tree::top;

/// A command of the page and the lines below it.
#[derive(Debug)]
struct Step {
    line: usize,
    command: String,
    shown: Vec<String>,
}

/// The steps of the page's `console` blocks.
fn steps(page: &str) -> Vec<Step> {
    let (mut found, mut inside) = (Vec::<Step>::new(), false);
    for (at, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            found.push(Step { line: at + 1, command: command.into(), shown: Vec::new() });
        } else if inside {
            let step = found.last_mut().expect("a block begins with a command");
            step.shown.push(line.into());
        }
    }
    found
}

/// Whether a line is as shown: `…` stands for any text within it.
fn line_fits(shown: &str, line: &str) -> bool {
    let (first, rest) = match shown.split_once('…') {
        None => return shown == line,
        Some(parts) => parts,
    };
    let Some(left) = line.strip_prefix(first) else { return false };
    left.char_indices().map(|(at, _)| at).chain([left.len()]).any(|at| line_fits(rest, &left[at..]))
}

/// Whether output is as shown: a line `...` stands for any number of lines.
fn fits(shown: &[String], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=lines.len()).any(|skip| fits(rest, &lines[skip..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, left)| line_fits(first, line) && fits(rest, left)),
    }
}

/// A shell whose output, with that of all that it starts, goes to one file.
struct Shell {
    child: Child,
    output: File,
    seen: u64,
}

impl Shell {
    fn start(home: &Home) -> Shell {
        let work = home.path().join("work");
        fs::create_dir(&work).unwrap();
        let file = home.path().join("output");
        let output = File::options().create(true).append(true).read(true).open(file).unwrap();
        let programs = Path::new(BINARY).parent().unwrap().display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        let mut command = home.other("bash");
        command.args(["--norc", "--noprofile"]).env("PATH", path).env("LC_ALL", "C.UTF-8");
        command.current_dir(work).process_group(0).stdin(Stdio::piped());
        command.stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
        Shell { child: command.spawn().unwrap(), output, seen: 0 }
    }

    /// Types a command and waits until it is over and what appeared is as shown. What comes from
    /// the background may come later than its command's end.
    fn take(&mut self, number: usize, step: &Step) {
        let mark = format!("<step {number} is over>\n");
        // Nothing may read what is typed next in place of the shell.
        let typed =
            format!("{{ {}\n}} < /dev/null\nprintf '%s\\n' '{}'\n", step.command, mark.trim_end());
        self.child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        let end = Instant::now() + DEADLINE;
        loop {
            self.output.seek(SeekFrom::Start(self.seen)).unwrap();
            let mut bytes = Vec::new();
            self.output.read_to_end(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let plain = text.replacen(&mark, "", 1);
            let over = plain.len() < text.len();
            if over && fits(&step.shown, &plain.lines().collect::<Vec<_>>()) {
                self.seen += bytes.len() as u64;
                return;
            }
            let Step { line, command, shown } = step;
            let shown = shown.join("\n");
            let page = format!("docs/tour.md:{line}: $ {command}\nshows:\n{shown}");
            assert!(Instant::now() < end, "{page}\nbut there is (over: {over}):\n{plain}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The whole group: a step that failed may have left a server in the background.
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// All steps of the tour, in order, in a network and a home of their own.
#[test]
fn taken() {
    in_namespace("tour::taken", &["bash", "nc"], || {
        let page = fs::read_to_string(top().join("docs/tour.md")).unwrap();
        let steps = steps(&page);
        assert!(steps.len() > 30, "{} steps", steps.len());
        let home = Home::empty();
        let mut shell = Shell::start(&home);
        for (number, step) in steps.iter().enumerate() {
            shell.take(number, step);
        }
    });
}

/// What the page's two signs for what varies mean.
#[test]
fn notation() {
    let shown: Vec<String> = ["a … c", "...", "end"].map(String::from).into();
    assert!(fits(&shown, &["a b c", "end"]) && fits(&shown, &["a  c", "x", "y", "end"]));
    assert!(!fits(&shown, &["a b d", "end"]) && !fits(&shown, &["a b c", "end", "more"]));
    let steps = steps("```console\n$ one\n1\n$ two\n```\n```sh\n$ not run\n```\n");
    assert_eq!(steps.len(), 2);
    assert_eq!((steps[0].shown.len(), steps[1].command.as_str()), (1, "two"));
}
