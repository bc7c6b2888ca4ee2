//! What descends from this process, as /proc tells it, and signals to all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use rustix::process::{Pid, Signal, kill_process_group};

use super::reaper::{self, Spared};

/// A process as its line in /proc tells of it: proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    group: i32,
    pub(super) session: i32,
    state: u8,
}

impl Process {
    fn parse(line: &[u8]) -> Option<Process> {
        // The name stands in parentheses and may hold anything, parentheses and newlines too.
        let after_name = line.iter().rposition(|&byte| byte == b')')? + 1;
        let pid = std::str::from_utf8(line.split(|&byte| byte == b' ').next()?).ok()?;
        let rest = std::str::from_utf8(&line[after_name..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let mut number = || fields.next()?.parse().ok();
        Some(Process {
            pid: pid.parse().ok()?,
            parent: number()?,
            group: number()?,
            session: number()?,
            state,
        })
    }

    /// True while it can still do something: not for a zombie.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// Which processes are meant.
#[derive(Debug)]
pub(super) enum Tree {
    /// Everything that descends from a process, itself not.
    Below {
        /// That process.
        root: i32,
        /// But not what is spared.
        spared: Spared,
    },
    /// Everything in a session, and what descends from that.
    Session(i32),
}

impl Tree {
    /// All of its processes, those included that have ended and were not reaped yet.
    ///
    /// # Errors
    /// Where /proc cannot be read.
    pub(super) fn members(&self) -> io::Result<Vec<Process>> {
        const TRIES: usize = 4;
        let mut all = all()?;
        for _ in 1..TRIES {
            if is_whole(&all) {
                break;
            }
            all = self::all()?;
        }
        let is_session = |session| all.iter().any(|process| process.session == session);
        reaper::forget_spared(|pid| all.iter().any(|process| process.pid == pid), is_session);
        Ok(self.pick(&all))
    }

    fn pick(&self, all: &[Process]) -> Vec<Process> {
        let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
        for process in all {
            children.entry(process.parent).or_default().push(process);
        }
        let of = |pid| children.get(&pid).into_iter().flatten().copied();
        let mut pending: Vec<&Process> = match self {
            Tree::Below { root, .. } => of(*root).collect(),
            Tree::Session(session) => all.iter().filter(|p| p.session == *session).collect(),
        };
        let mut seen = BTreeSet::new();
        let mut members = Vec::new();
        while let Some(process) = pending.pop() {
            if self.spares(process) || !seen.insert(process.pid) {
                continue;
            }
            pending.extend(of(process.pid));
            members.push(*process);
        }
        members
    }

    fn spares(&self, process: &Process) -> bool {
        match self {
            Tree::Below { spared, .. } => {
                spared.processes.contains(&process.pid)
                    || spared.sessions.contains(&process.session)
            }
            Tree::Session(_) => false,
        }
    }
}

/// False where the parent of a process is missing: it ended while we read, and whom its child has
/// come to since is not known. (So it is for ever where /proc hides other users' processes.)
fn is_whole(all: &[Process]) -> bool {
    let known: BTreeSet<i32> = all.iter().map(|process| process.pid).collect();
    all.iter().all(|process| process.parent == 0 || known.contains(&process.parent))
}

/// Every process that we may see.
fn all() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        // One that has ended since is no error.
        let line = fs::read(std::path::Path::new("/proc").join(name).join("stat"));
        found.extend(line.ok().and_then(|line| Process::parse(&line)));
    }
    Ok(found)
}

/// Sends a signal to the process groups of all of them.
///
/// To groups, since the kernel does not let a process fork its way past a signal to its group, as
/// it could past one to itself. A group lies within one session, and a session is joined by nobody
/// from outside: whoever shares a group with a descendant of a command descends from it as well.
pub(super) fn signal(processes: &[Process], signal: Signal) {
    let own = rustix::process::getpgrp().as_raw_nonzero().get();
    let groups: BTreeSet<i32> = processes.iter().map(|process| process.group).collect();
    for group in groups.into_iter().filter(|&group| group > 1 && group != own) {
        if let Some(group) = Pid::from_raw(group) {
            // Gone meanwhile, or another user's: nothing to be done either way.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// True where a process of this group, within the session of the same number, is alive.
pub(super) fn has_group(leader: i32) -> bool {
    let member = |process: &Process| process.group == leader && process.session == leader;
    all().is_ok_and(|all| all.iter().any(|process| member(process) && process.is_alive()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(line: &str) -> Process {
        Process::parse(line.as_bytes()).unwrap()
    }

    /// Fault 37: a process may have any name, and its line is still understood.
    #[test]
    fn names() {
        let odd = process("12 (a) S 1 (\n) T 3 4 5 0 -1 0");
        assert_eq!(odd, Process { pid: 12, parent: 3, group: 4, session: 5, state: b'T' });
        assert!(odd.is_stopped() && odd.is_alive());
        assert!(!process("12 (x) Z 3 4 5 0").is_alive());
        for broken in ["", "12", "12 (x", "12 (x) S", "x (x) S 1 2 3", "12 (x) S 1 2"] {
            assert_eq!(Process::parse(broken.as_bytes()), None, "{broken}");
        }
    }

    /// X5: what descends from us is found, however deep; what is detached is spared with what
    /// descends from it, or with its session; a parent that is missing is noticed.
    #[test]
    fn picks() {
        let all: Vec<Process> = [
            "1 (init) S 0 1 1 0",
            "10 (us) S 1 10 10 0",
            "11 (command) S 10 11 11 0",
            "12 (deep) S 11 12 12 0",
            "20 (detached) S 10 20 20 0",
            "21 (below) S 20 21 21 0",
            "22 (orphan) S 10 22 20 0",
            "30 (other) S 1 30 30 0",
        ]
        .map(process)
        .into();
        let pids = |tree: Tree| -> BTreeSet<i32> {
            tree.pick(&all).iter().map(|process| process.pid).collect()
        };
        let below = |spared| pids(Tree::Below { root: 10, spared });
        assert_eq!(below(Spared::NONE), BTreeSet::from([11, 12, 20, 21, 22]));
        let processes = Spared { processes: vec![20], ..Spared::NONE };
        assert_eq!(below(processes), BTreeSet::from([11, 12, 22]));
        let sessions = Spared { sessions: vec![20, 21], ..Spared::NONE };
        assert_eq!(below(sessions), BTreeSet::from([11, 12]));
        assert_eq!(pids(Tree::Session(20)), BTreeSet::from([20, 21, 22]));
        assert!(is_whole(&all));
        assert!(!is_whole(&all[2..]));
    }
}
