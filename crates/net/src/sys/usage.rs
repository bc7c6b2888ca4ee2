//! What the children that we have waited for have used, themselves and what they waited for.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// What processes have used up: getrusage(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Processor time, in user space and in the kernel.
    pub cpu: Duration,
    /// How often a thread gave its processor up, because it had to wait.
    pub voluntary: u64,
    /// How often it was taken from one.
    pub involuntary: u64,
}

/// What all children of this process that were waited for have used, with all their threads and
/// whatever they have waited for in turn. Threads that have ended count too, which /proc forgets.
///
/// # Errors
/// As getrusage(2).
pub fn children_used() -> io::Result<Used> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage(2) writes one `rusage` to memory that is ours and large enough.
    let result = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeroes are a valid `rusage`, and the call has filled it in.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds)
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    let count = |count: libc::c_long| u64::try_from(count).unwrap_or(0);
    Ok(Used {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        voluntary: count(usage.ru_nvcsw),
        involuntary: count(usage.ru_nivcsw),
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// B3: a child that was waited for is counted with the threads and children that it had.
    #[test]
    fn counted() {
        let before = children_used().unwrap();
        // A shell whose own children give up their processor and use it.
        let script = "i=0; while [ $i -lt 20 ]; do sleep 0.001; i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        let after = children_used().unwrap();
        assert!(after.voluntary >= before.voluntary + 20, "{before:?} {after:?}");
        assert!(after.cpu > before.cpu, "{before:?} {after:?}");
    }
}
