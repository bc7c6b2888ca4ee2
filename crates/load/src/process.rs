//! What the system says of a server that runs: processor time, switches, memory, descriptors, of
//! its process and of all that descend from it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What a process and its descendants have used so far, and hold now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, that of descendants which have ended and were waited for included. To a
    /// hundredth of a second where threads have ended; to what the scheduler counts otherwise.
    pub cpu: Duration,
    /// How often a living thread gave its processor up, because it had to wait.
    pub voluntary: u64,
    /// How often one was taken from a living thread.
    pub involuntary: u64,
    /// Living threads.
    pub threads: u64,
    /// Living processes.
    pub processes: u64,
}

impl Usage {
    /// Reads it from /proc. What ends meanwhile is left out; nothing where the process is gone.
    pub fn of(process: u32) -> Option<Usage> {
        let family = family(process);
        let mut sum = Usage::default();
        for member in family {
            let Some(times) = stat(member).and_then(|text| times(&text)) else { continue };
            let threads = threads(member);
            // The system's own sum has what ended threads used, but in hundredths of a second.
            let own = times.own.max(threads.cpu);
            sum.cpu += own + times.waited;
            sum.voluntary += threads.voluntary;
            sum.involuntary += threads.involuntary;
            sum.threads += threads.threads;
            sum.processes += 1;
        }
        (sum.processes > 0).then_some(sum)
    }
}

/// What a process and its descendants hold now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    /// Memory in bytes; what is shared with other processes counts in parts (PSS, proc(5)).
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Living threads.
    pub threads: u64,
    /// Living processes.
    pub processes: u64,
}

impl Holding {
    /// Reads it from /proc. Nothing where the process is gone, or is not ours to look into.
    pub fn of(process: u32) -> Option<Holding> {
        let mut sum = Holding::default();
        for member in family(process) {
            let rollup = fs::read_to_string(format!("/proc/{member}/smaps_rollup"));
            let Some(kib) = rollup.ok().and_then(|text| number_after(&text, "Pss:")) else {
                continue;
            };
            sum.memory += kib * 1024;
            sum.descriptors += entries(&format!("/proc/{member}/fd"));
            sum.threads += entries(&format!("/proc/{member}/task"));
            sum.processes += 1;
        }
        (sum.processes > 0).then_some(sum)
    }
}

/// A process and its living descendants.
fn family(process: u32) -> Vec<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for child in numbers("/proc") {
        if let Some(parent) = stat(child).and_then(|text| parent(&text)) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut family = vec![process];
    let mut next = 0;
    while let Some(member) = family.get(next) {
        family.extend(children.remove(member).unwrap_or_default());
        next += 1;
    }
    family
}

fn stat(process: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/stat")).ok()
}

/// The fields of /proc/PID/stat behind the program's name, which may hold anything; the first of
/// them is field 3 of proc(5).
fn fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

fn parent(stat: &str) -> Option<u32> {
    fields(stat)?.get(1)?.parse().ok()
}

/// Processor times of a process.
#[derive(Debug, PartialEq)]
struct Times {
    /// Its own, of all its threads: utime and stime.
    own: Duration,
    /// Those of children that it has waited for: cutime and cstime.
    waited: Duration,
}

fn times(stat: &str) -> Option<Times> {
    let fields = fields(stat)?;
    let ticks = |number: usize| fields.get(number)?.parse::<u64>().ok();
    let time = |ticks: u64| {
        let each = rustix::param::clock_ticks_per_second().max(1);
        Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / each))
    };
    Some(Times { own: time(ticks(11)? + ticks(12)?), waited: time(ticks(13)? + ticks(14)?) })
}

/// The sum over the living threads of a process.
fn threads(process: u32) -> Usage {
    let mut sum = Usage::default();
    for thread in numbers(&format!("/proc/{process}/task")) {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/task/{thread}/{file}"));
        // Its first field is the time on a processor in nanoseconds (sched-stats.rst).
        let time = read("schedstat").ok();
        let time = time.and_then(|text| text.split_whitespace().next()?.parse().ok());
        sum.cpu += Duration::from_nanos(time.unwrap_or(0));
        let status = read("status").unwrap_or_default();
        sum.voluntary += number_after(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        sum.involuntary += number_after(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        sum.threads += 1;
    }
    sum
}

/// The number in the line that begins with that name.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn entries(directory: &str) -> u64 {
    fs::read_dir(directory).map_or(0, |entries| entries.count() as u64)
}

/// The entries of a directory that are numbers.
fn numbers(directory: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    /// B3: a program's name may look like anything; the fields are found behind it.
    #[test]
    fn fields_of_stat() {
        let line = "12 (a) R 9 (b) S 34 1 1 0 -1 0 1 2 3 4 250 50 30 20 20 0 1 0 99 0 0";
        assert_eq!(parent(line), Some(34));
        let times = times(line).unwrap();
        let tick = Duration::from_secs(1)
            / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap();
        assert_eq!(times, Times { own: tick * 300, waited: tick * 50 });
        assert_eq!((parent(""), parent("1 (x"), super::times("1 (x) R 1")), (None, None, None));
        let status = "nonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t5\n";
        assert_eq!(number_after(status, "voluntary_ctxt_switches:"), Some(5));
    }

    /// B3: descendants are found and counted, and what they use as well.
    #[test]
    fn descendants() {
        // A shell with a child; both wait until their input ends.
        let script = "cat; :";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut shell = shell.spawn().unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while family(shell.id()).len() < 2 {
            assert!(std::time::Instant::now() < end, "the shell has no child");
            std::thread::yield_now();
        }
        let usage = Usage::of(shell.id()).unwrap();
        assert_eq!((usage.processes, usage.threads), (2, 2));
        assert!(usage.voluntary + usage.involuntary > 0 && usage.cpu > Duration::ZERO, "{usage:?}");
        let holding = Holding::of(shell.id()).unwrap();
        assert_eq!((holding.processes, holding.threads), (2, 2));
        assert!(holding.memory > 4096 && holding.descriptors >= 6, "{holding:?}");
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!((Usage::of(shell.id()), Holding::of(shell.id())), (None, None));
    }

    /// B3: what a process uses between two looks is seen.
    #[test]
    fn grows() {
        let script = "read a; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo; read b";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let before = Usage::of(shell.id()).unwrap();
        shell.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let after = Usage::of(shell.id()).unwrap();
        assert!(after.cpu > before.cpu, "{before:?} {after:?}");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
