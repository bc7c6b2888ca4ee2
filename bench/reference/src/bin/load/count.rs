//! Counting: the warm-up, the measured time, and the JSON line at the end.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::args::Plan;

/// After this many errors a run is given up: something is wrong with the server.
const TOO_MANY_ERRORS: u64 = 10_000;

/// The counters of a run, and the clock that ends it.
pub struct Count {
    pub requests: u64,
    pub errors: u64,
    /// Datagrams sent again because no answer came.
    pub resent: u64,
    phase: Phase,
    deadline: Instant,
    duration: Duration,
    started: Instant,
    /// Our own CPU time when counting started.
    cpu: Duration,
}

#[derive(PartialEq)]
enum Phase {
    Warming,
    Measuring,
}

impl Count {
    pub fn start(plan: &Plan) -> Self {
        let now = Instant::now();
        Self {
            requests: 0,
            errors: 0,
            resent: 0,
            phase: Phase::Warming,
            deadline: now + plan.warmup,
            duration: plan.duration,
            started: now,
            cpu: Duration::ZERO,
        }
    }

    /// Called once a batch of events; true when the run is over.
    pub fn over(&mut self) -> bool {
        let now = Instant::now();
        if self.errors > TOO_MANY_ERRORS {
            return true;
        }
        if now < self.deadline {
            return false;
        }
        if self.phase == Phase::Measuring {
            return true;
        }
        self.phase = Phase::Measuring;
        (self.requests, self.resent) = (0, 0);
        say("measuring");
        self.cpu = own_cpu();
        self.started = Instant::now();
        self.deadline = self.started + self.duration;
        false
    }

    /// Counts an error, and prints the first few.
    pub fn error(&mut self, index: usize, cause: &str) {
        self.errors += 1;
        if self.errors <= 5 {
            eprintln!("connection {index}: {cause}");
        }
    }

    /// Prints the JSON line, and leaves whoever reads it a moment to look at the server before all
    /// connections are closed.
    pub fn report(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.requests as f64 / seconds;
        let busy = (own_cpu() - self.cpu).as_secs_f64() / seconds;
        say(&format!(
            "{{\"requests\":{},\"seconds\":{seconds:.6},\"rate\":{rate:.1},\"errors\":{},\
             \"resent\":{},\"load_busy\":{busy:.3}}}",
            self.requests, self.errors, self.resent
        ));
        thread::sleep(Duration::from_millis(30));
    }
}

/// One line on stdout, at once. A reader that went away is no reason to stop.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
