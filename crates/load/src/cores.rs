//! Which processor runs what: a load and its server disturb each other least on one each.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that the calling thread may use: sched_getaffinity(2).
///
/// # Errors
/// As sched_getaffinity(2).
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Holds the calling thread, and what it starts from now on, to these processors.
///
/// # Errors
/// As sched_setaffinity(2).
pub fn hold(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores.iter().filter(|core| **core < CpuSet::MAX_CPU) {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// B3: a thread and what it starts are held where they were put; others are not.
    #[test]
    fn held() {
        let before = allowed().unwrap();
        let last = *before.last().unwrap();
        let inner = thread::spawn(move || {
            hold(&[last]).unwrap();
            thread::spawn(|| allowed().unwrap()).join().unwrap()
        });
        assert_eq!(inner.join().unwrap(), [last]);
        assert_eq!(allowed().unwrap(), before);
    }
}
