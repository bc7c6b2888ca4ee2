//! Remote commands and files, as a plan has them.

use std::fs;
use std::io::{Read, Write};
use std::process::{self, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::between::Between;
use super::expect::{self, Due, Exited};
use super::plan::{Command, Path, Plan, Trouble, What};
use super::world::Hosted;
use crate::harness::DEADLINE;
use crate::harness::bytes::Random;
use crate::harness::conn::inet;
use crate::harness::files::litter;
use crate::harness::remote::{mark, marked, text};

/// A client process, watched.
struct Client {
    handle: rustix::fd::OwnedFd,
    /// The first of its output has come.
    first: Arc<Notify>,
    done: JoinHandle<Exited>,
}

impl Client {
    fn start(mut command: process::Command, input: Vec<u8>) -> Client {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        let pid = Pid::from_child(&child);
        let handle = pidfd_open(pid, PidfdFlags::empty()).expect("a handle of our own child");
        let first: Arc<Notify> = Arc::default();
        let tell = Arc::clone(&first);
        let done = tokio::task::spawn_blocking(move || {
            let (mut stdin, mut output) = (child.stdin.take(), child.stdout.take());
            let mut errors = child.stderr.take().expect("stderr is piped");
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    // It may end without reading all of it.
                    let _ = stdin.as_mut().map(|stdin| stdin.write_all(&input));
                });
                let stdout = scope.spawn(move || {
                    let output = output.as_mut().expect("stdout is piped");
                    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
                    while let Ok(n @ 1..) = output.read(&mut buffer) {
                        all.extend_from_slice(&buffer[..n]);
                        tell.notify_one();
                    }
                    all
                });
                let mut stderr = Vec::new();
                errors.read_to_end(&mut stderr).expect("stderr");
                let code = child.wait().expect("the client ends").code();
                let stdout = stdout.join().expect("no panic");
                Exited { code, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
            })
        });
        Client { handle, first, done }
    }

    fn signal(&self, signal: Signal) {
        // It may have ended.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Waits for its end; gives it this signal at its first output, kills it at the event of those
    /// between if that is what is to happen. True where it was killed.
    async fn attend(
        mut self,
        mut at_first: Option<Signal>,
        between: Option<&Between>,
        event_kills: bool,
    ) -> (Exited, bool) {
        let mut killed = at_first == Some(Signal::KILL);
        let mut kills = event_kills;
        let event = async {
            match between {
                Some(between) => between.event().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(event);
        let limit = tokio::time::sleep(DEADLINE);
        tokio::pin!(limit);
        loop {
            tokio::select! {
                exited = &mut self.done => return (exited.expect("no panic"), killed),
                () = &mut event, if kills => {
                    (kills, killed) = (false, true);
                    self.signal(Signal::KILL);
                }
                () = self.first.notified(), if at_first.is_some() => {
                    at_first.take().into_iter().for_each(|signal| self.signal(signal));
                }
                () = &mut limit => {
                    self.signal(Signal::KILL);
                    let exited = timeout(DEADLINE, &mut self.done).await;
                    let said = exited.map(|exited| exited.map(|exited| exited.stderr));
                    panic!("the client does not end; it said {said:?}");
                }
            }
        }
    }
}

/// What lies before a host on this path, if anything, and whether its event is a kill.
async fn between(hosted: &Hosted, path: Path) -> (Option<Between>, bool) {
    let Path::Through(trouble) = path else { return (None, false) };
    let Trouble { event, .. } = trouble;
    let kills = event.is_some_and(|event| event.what == What::Kill);
    (Some(Between::start(inet(&hosted.host.tls), trouble).await), kills)
}

async fn end(between: Option<Between>) {
    if let Some(between) = between {
        between.end().await;
    }
}

fn port(hosted: &Hosted, between: Option<&Between>) -> String {
    between.map_or_else(|| hosted.host.port(), |between| between.address.port()).to_string()
}

/// True where the connection was ended on its way.
fn was_cut(path: Path, between: Option<&Between>) -> bool {
    let Path::Through(Trouble { event: Some(event), .. }) = path else { return false };
    !matches!(event.what, What::Stall(_)) && between.is_some_and(Between::has_happened)
}

/// One remote command.
pub(super) async fn exec(hosted: &Hosted, plan: &Plan, path: Path, command: &Command) {
    let (ran, mark) = (hosted.there("ran"), mark());
    let _ = fs::remove_file(&ran);
    let _ = fs::remove_file(hosted.host.home.known_hosts());
    let script = Script::of(command, &mark, text(&ran), plan.seed);
    let (between, kills) = between(hosted, path).await;
    let endpoint = match path {
        Path::Unix => hosted.host.unix.clone(),
        _ => format!("tls://127.0.0.1:{}", port(hosted, between.as_ref())),
    };
    let mut words = vec!["exec", &endpoint, "--trust", &hosted.host.fingerprint];
    if matches!(path, Path::Unix) {
        words.truncate(2);
    }
    words.extend(&script.options);
    words.extend(["--", "sh", "-c", &script.line]);
    let client = Client::start(hosted.host.home.command(&words), script.input);
    let (seen, killed) = client.attend(script.signal, between.as_ref(), kills).await;
    let cut = was_cut(path, between.as_ref());
    end(between).await;
    let judged = expect::command(&script.due, &seen, cut, killed);
    let certain = judged.unwrap_or_else(|error| panic!("{error}"));
    hosted.assert_nothing_left();
    crate::harness::eventually("the command has ended", || marked(&mark).is_empty());
    let times = fs::read(&ran).map_or(0, |text| text.len() / 2);
    assert!(times <= 1, "the command ran {times} times");
    assert!(times == 1 || !certain, "it did not run, and its status is {:?}", seen.code);
}

/// A command as the shell reads it, and what is to come of it.
struct Script {
    options: Vec<&'static str>,
    line: String,
    input: Vec<u8>,
    signal: Option<Signal>,
    due: Due,
}

impl Script {
    fn of(command: &Command, mark: &str, ran: &str, seed: u64) -> Script {
        let mut script = Script {
            options: vec!["-n"],
            line: format!("echo x >>'{ran}'; "),
            input: Vec::new(),
            signal: None,
            due: Due { code: 0, stdout: Vec::new() },
        };
        let sleep = format!("echo ready; exec sleep {mark}");
        let more = match *command {
            Command::Exit { status, output } => {
                script.due = Due { code: status.into(), stdout: vec![0; output] };
                format!("head -c {output} /dev/zero; exit {status}")
            }
            Command::Cat { input } => {
                script.options.clear();
                script.input = Random::new(seed * 2).bytes(input);
                script.due.stdout = script.input.clone();
                "exec cat".into()
            }
            Command::Dies { signal } => {
                script.due.code = 128 + signal;
                format!("kill -{signal} $$")
            }
            Command::TimesOut => {
                script.options.extend(["--timeout", "150ms"]);
                script.due.code = 124;
                format!("exec sleep {mark}")
            }
            Command::Signalled { signal } => {
                script.signal = Signal::from_named_raw(signal);
                script.due = Due { code: 128 + signal, stdout: b"ready\n".to_vec() };
                sleep
            }
            Command::Abandoned => {
                script.signal = Some(Signal::KILL);
                // By itself it does not end.
                script.due = Due { code: 255, stdout: b"ready\n".to_vec() };
                format!("setsid sleep {mark} & {sleep}")
            }
        };
        script.line.push_str(&more);
        script
    }
}

/// One file, in whichever direction; then the same again, undisturbed.
pub(super) async fn copy(
    hosted: &Hosted,
    plan: &Plan,
    path: Path,
    push: bool,
    new: usize,
    old: Option<usize>,
) {
    let _ = fs::remove_file(hosted.host.home.known_hosts());
    let (here, there) = (hosted.here("file"), hosted.there("file"));
    let (src, dst) = if push { (here, there) } else { (there, here) };
    let mut random = Random::new(plan.seed * 2);
    let new = random.bytes(new);
    // Much of an older version is the same, so that it is used.
    let old = old.map(|length| {
        let mut old = new.clone();
        old.resize(length, 7);
        old.iter_mut().skip(length / 2).take(100).for_each(|byte| *byte ^= 0x55);
        old
    });
    fs::write(&src, &new).expect("the source");
    let _ = fs::remove_file(&dst);
    if let Some(old) = &old {
        fs::write(&dst, old).expect("the older version");
        // Equal length and time would be taken for equal content.
        let past = std::time::SystemTime::UNIX_EPOCH + DEADLINE;
        let file = fs::File::options().write(true).open(&dst).expect("the older version");
        file.set_modified(past).expect("its time");
    }
    let (between, kills) = between(hosted, path).await;
    let there = if matches!(path, Path::Unix) { ":file" } else { "127.0.0.1:file" };
    let words = if push { ["cp", "file", there] } else { ["cp", there, "file"] };
    let mut command = hosted.host.home.command(&words);
    command.current_dir(hosted.here.path());
    match path {
        Path::Unix => command.args(["--via", &hosted.host.unix]),
        _ => command
            .args(["--port", &port(hosted, between.as_ref()), "--trust"])
            .arg(&hosted.host.fingerprint),
    };
    let client = Client::start(command, Vec::new());
    let (seen, killed) = client.attend(None, between.as_ref(), kills).await;
    let cut = was_cut(path, between.as_ref());
    end(between).await;
    hosted.assert_nothing_left();
    let is_there = fs::read(&dst).ok();
    let judged = expect::copy(old.as_deref(), &new, is_there.as_deref(), &seen, cut || killed);
    judged.unwrap_or_else(|error| panic!("{error}"));
    assert!(fs::read(&src).is_ok_and(|data| data == new), "the source has changed");
    let mut again = hosted.host.home.command(&words[..1]);
    let words = words.map(|word| word.replace("127.0.0.1:", ":"));
    again.args(&words[1..]).args(["--via", &hosted.host.unix]).current_dir(hosted.here.path());
    let (seen, _) = Client::start(again, Vec::new()).attend(None, None, false).await;
    assert_eq!(seen.code, Some(0), "the same again: {}", seen.stderr);
    assert!(fs::read(&dst).is_ok_and(|data| data == new), "the same again made another file");
    for root in [hosted.here.path(), hosted.host.home.path()] {
        assert!(litter(root).is_empty(), "{:?}", litter(root));
    }
}
