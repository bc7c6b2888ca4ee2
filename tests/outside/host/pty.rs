//! A client on a terminal of its own, which controls its session as a real one does.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::harness::remote::Running;
use crate::harness::{DEADLINE, eventually, needs};

/// A program on a pseudo-terminal.
pub(crate) struct Pty {
    pub(crate) child: Running,
    keys: File,
    screen: mpsc::Receiver<Vec<u8>>,
    reader: thread::JoinHandle<()>,
    /// The reader is to go, and with it the last descriptor of our side.
    closed: Arc<AtomicBool>,
    /// What has come and was not yet looked for.
    ahead: String,
    device: File,
    before: LocalModes,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Pty {
    /// Starts a command whose controlling terminal, and all three streams, are this one: 24 rows,
    /// 80 columns.
    pub(crate) fn start(command: &Command) -> Pty {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let device = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&device, size(24, 80)).unwrap();
        let before = tcgetattr(&device).unwrap().local_modes;
        // setsid(1) makes the session that the terminal can belong to, and becomes the program.
        let mut within = Command::new("setsid");
        within.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => within.env(name, value),
                None => within.env_remove(name),
            };
        }
        within.env("TERM", "xterm");
        within.stdin(device.try_clone().unwrap());
        within.stdout(device.try_clone().unwrap()).stderr(device.try_clone().unwrap());
        let child = Running::adopt(within.spawn().unwrap());
        let keys = File::from(keys);
        let mut reads = keys.try_clone().unwrap();
        let (shows, screen) = mpsc::channel();
        let closed = Arc::new(AtomicBool::new(false));
        let over = closed.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            let tick = rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            while !over.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(&reads, PollFlags::IN)];
                if poll(&mut fds, Some(&tick)) == Ok(0) {
                    continue;
                }
                let Ok(n) = reads.read(&mut buffer) else { return };
                if n == 0 || shows.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Pty { child, keys, screen, reader, closed, ahead: String::new(), device, before }
    }

    /// Waits until `text` is shown; everything up to and with it.
    pub(crate) fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.ahead.find(text) {
                let rest = self.ahead.split_off(at + text.len());
                return std::mem::replace(&mut self.ahead, rest);
            }
            match self.screen.recv_timeout(DEADLINE) {
                Ok(bytes) => self.ahead.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} is not shown, but {:?}", self.ahead),
            }
        }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Changes the size of the window, which sends SIGWINCH to who is in the foreground.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.device, size(rows, columns)).unwrap();
    }

    pub(crate) fn modes(&self) -> LocalModes {
        tcgetattr(&self.device).unwrap().local_modes
    }

    /// The terminal is as it was before the client had it.
    pub(crate) fn assert_sane(&self) {
        assert_eq!(self.modes(), self.before);
    }

    /// Waits until the program has the terminal in raw mode: nothing is echoed by the kernel.
    pub(crate) fn wait_raw(&self) {
        eventually("raw mode", || !self.modes().contains(LocalModes::ICANON));
    }

    /// The terminal goes, as when its window is closed.
    pub(crate) fn hang_up(self) -> Running {
        let Pty { child, keys, device, reader, closed, .. } = self;
        closed.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        drop((device, keys));
        child
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the client ends", || {
            status = self.child.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits for its end, which is this exit status; the terminal is sane again. What was shown and
    /// not looked for yet.
    pub(crate) fn ends(&mut self, code: i32) -> String {
        let status = self.wait();
        while let Ok(bytes) = self.screen.recv_timeout(std::time::Duration::from_millis(50)) {
            self.ahead.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert_eq!((status.code(), status.signal()), (Some(code), None), "{:?}", self.ahead);
        self.assert_sane();
        std::mem::take(&mut self.ahead)
    }
}

/// True where [`Pty::start`] can work.
pub(crate) fn can_start() -> bool {
    needs(&["setsid"])
}
