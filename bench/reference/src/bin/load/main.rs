//! The load generator: one thread, one epoll, closed loop. Every answer's length is checked, and
//! the first answer on each connection byte for byte.
//!
//! The last line on stdout is one JSON object; a line `measuring` comes before it when the warm-up
//! is over and counting starts.

mod args;
mod churn;
mod count;
mod idle;
mod poll;
mod sys;
mod tcp;
mod udp;

use sockeye_bench_reference::{Outcome, raise_file_limit};

use args::{Mode, Plan};

fn main() -> Outcome {
    let plan = Plan::parse(std::env::args().skip(1))?;
    raise_file_limit()?;
    match plan.mode {
        Mode::Tcp => tcp::run(&plan),
        Mode::Churn => churn::run(&plan),
        Mode::Udp => udp::run(&plan),
        Mode::Idle => idle::run(&plan),
    }
}

/// A message of `size` lower-case letters.
fn message(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size).collect()
}
