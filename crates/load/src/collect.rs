//! Adding up what the workers have counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use sockeye_limits as limits;

use crate::count::{SECOND, Share, Window, histogram};
use crate::error::ErrorKind;
use crate::plan::Plan;
use crate::report::{Datagrams, Report, Second, Warmup, Whole};
use crate::worker::Done;

/// What all workers have counted so far.
#[derive(Debug)]
pub(crate) struct Collected {
    latency: Histogram<u64>,
    /// Seconds that a worker may still have something of.
    open: BTreeMap<u64, (Histogram<u64>, u64)>,
    errors: BTreeMap<ErrorKind, u64>,
    apart: BTreeMap<ErrorKind, u64>,
    warmup: Warmup,
    examples: BTreeMap<ErrorKind, String>,
    own_delay: Option<Histogram<u64>>,
    datagrams: Option<Datagrams>,
    whole: Whole,
    begun: u64,
    requests: u64,
    bytes_in: u64,
    seconds: u64,
    series: BTreeMap<u64, Second>,
}

impl Collected {
    /// Nothing yet.
    pub(crate) fn new(window: Window) -> Collected {
        Collected {
            latency: histogram(),
            open: BTreeMap::new(),
            errors: BTreeMap::new(),
            apart: BTreeMap::new(),
            warmup: Warmup::default(),
            examples: BTreeMap::new(),
            own_delay: None,
            datagrams: None,
            whole: Whole::default(),
            begun: 0,
            requests: 0,
            bytes_in: 0,
            seconds: (window.end - window.start).div_ceil(SECOND),
            series: BTreeMap::new(),
        }
    }

    /// One worker's second.
    pub(crate) fn share(&mut self, share: Share) {
        add(&mut self.latency, &share.latency);
        match self.open.entry(share.second) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert((share.latency, share.errors));
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let (latency, errors) = entry.get_mut();
                add(latency, &share.latency);
                *errors += share.errors;
            }
        }
        // A histogram of each second of a long run would be a lot of memory.
        while self.open.len() > 4 {
            self.close();
        }
    }

    /// What a worker has counted besides its seconds, and its last second.
    pub(crate) fn add(&mut self, mut done: Done) {
        let share = done.count.take();
        self.share(share);
        sum(&mut self.errors, done.count.errors);
        sum(&mut self.apart, done.count.apart);
        sum(&mut self.warmup.errors, done.count.warmup.errors);
        sum(&mut self.warmup.connection_errors, done.count.warmup.connection_errors);
        for (kind, text) in done.count.examples {
            self.examples.entry(kind).or_insert(text);
        }
        if let Some(own) = done.count.own_delay {
            match &mut self.own_delay {
                Some(all) => add(all, &own),
                None => self.own_delay = Some(own),
            }
        }
        if let Some(datagrams) = done.datagrams {
            self.datagrams = Some(self.datagrams.map_or(datagrams, |sum| sum.and(datagrams)));
        }
        self.begun += done.count.begun;
        self.requests += done.count.requests;
        self.bytes_in += done.count.bytes_in;
        self.whole.requests += done.whole.requests;
        self.whole.connections += done.whole.connections;
        self.whole.bytes_out += done.whole.bytes_out;
        self.whole.bytes_in += done.whole.bytes_in;
    }

    /// The median and the 99th percentile of the last second that all workers may have told of.
    pub(crate) fn last_second(&self) -> Option<(Duration, Duration)> {
        let (latency, _) = self.open.values().next_back().filter(|(all, _)| !all.is_empty())?;
        let at = |quantile| Duration::from_nanos(latency.value_at_quantile(quantile));
        Some((at(0.5), at(0.99)))
    }

    /// The report of the run.
    pub(crate) fn report(
        mut self,
        plan: &Plan,
        elapsed: Duration,
        cpu: Duration,
        stopped: bool,
    ) -> Report {
        while !self.open.is_empty() {
            self.close();
        }
        let seconds = match stopped {
            false => self.seconds,
            true => u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).div_ceil(SECOND),
        };
        let first = seconds.saturating_sub(limits::LOAD_SERIES as u64);
        let series = (first..seconds)
            .map(|second| self.series.get(&second).copied().unwrap_or_default())
            .collect();
        Report {
            plan: plan.clone(),
            elapsed,
            begun: self.begun,
            requests: self.requests,
            bytes_out: self.requests * plan.size as u64,
            bytes_in: self.bytes_in,
            latency: self.latency,
            errors: self.errors,
            connection_errors: self.apart,
            warmup: self.warmup,
            examples: self.examples,
            series,
            own_delay: self.own_delay,
            datagrams: self.datagrams,
            whole: self.whole,
            cpu,
            stopped,
        }
    }

    /// Makes figures of the oldest second.
    fn close(&mut self) {
        let Some((number, (latency, errors))) = self.open.pop_first() else { return };
        let at = |quantile: f64| match latency.is_empty() {
            true => 0,
            false => latency.value_at_quantile(quantile),
        };
        let new = Second {
            requests: latency.len(),
            errors,
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            max_ns: latency.max(),
        };
        let second = self.series.entry(number).or_default();
        // A worker that was so late adds its counts; the percentiles are those of the others.
        let late = second.requests > new.requests;
        let (p50_ns, p99_ns) =
            if late { (second.p50_ns, second.p99_ns) } else { (new.p50_ns, new.p99_ns) };
        *second = Second {
            requests: second.requests + new.requests,
            errors: second.errors + new.errors,
            p50_ns,
            p99_ns,
            max_ns: second.max_ns.max(new.max_ns),
        };
        if self.series.len() > limits::LOAD_SERIES {
            self.series.pop_first();
        }
    }
}

fn sum(to: &mut BTreeMap<ErrorKind, u64>, more: BTreeMap<ErrorKind, u64>) {
    for (kind, count) in more {
        *to.entry(kind).or_default() += count;
    }
}

fn add(to: &mut Histogram<u64>, more: &Histogram<u64>) {
    to.add(more).expect("all histograms have the same bounds");
}

/// Processor time of this process: clock_gettime(2), CLOCK_PROCESS_CPUTIME_ID.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
