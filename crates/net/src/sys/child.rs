//! What a child process does between fork(2) and execve(2), so that the program starts clean.
//!
//! Nothing here allocates or takes a lock in the child: another thread may have held one while the
//! process was copied (signal-safety(7)).
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};
use sockeye_limits as limits;

/// What a child is to be before its program begins. It always leads a session and a process group
/// of its own, has every signal as the system's default and none blocked, and no descriptors but 0,
/// 1 and 2.
#[derive(Debug, Default)]
pub struct Preparation {
    /// Whether standard input is a terminal that is to control the new session.
    pub terminal: bool,
    /// The directory to enter; fchdir(2).
    pub directory: Option<OwnedFd>,
    /// Whether the child is killed when the *thread* that starts it ends: PR_SET_PDEATHSIG,
    /// prctl(2).
    pub dies_with_parent: bool,
    /// Whether no program gets privileges that the child has not: PR_SET_NO_NEW_PRIVS, prctl(2).
    pub no_new_privileges: bool,
    /// A Landlock ruleset that the child submits to: landlock_restrict_self(2).
    pub ruleset: Option<OwnedFd>,
}

/// Makes `command` prepare its child so. A step that fails is the error of
/// [`Command::spawn`], and the program does not run.
pub fn prepare(command: &mut Command, preparation: Preparation) {
    let parent = rustix::process::getpid();
    // SAFETY: `apply` only makes system calls with what is in `preparation` already: no allocation,
    // no lock, no environment, no panic. The descriptors are owned by the closure, and so are still
    // open.
    unsafe { command.pre_exec(move || apply(&preparation, parent)) };
}

/// Runs in the child; system calls only.
fn apply(preparation: &Preparation, parent: Pid) -> io::Result<()> {
    rustix::process::setsid()?;
    if preparation.terminal {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
    }
    if let Some(directory) = &preparation.directory {
        rustix::process::fchdir(directory)?;
    }
    if preparation.dies_with_parent {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that died before that call would never be heard of.
        if rustix::process::getppid() != Some(parent) {
            return Err(Errno::SRCH.into());
        }
    }
    if preparation.no_new_privileges {
        rustix::thread::set_no_new_privs(true)?;
    }
    if let Some(ruleset) = &preparation.ruleset {
        restrict_self(ruleset)?;
    }
    close_on_exec();
    usual_descriptors();
    reset_signals();
    Ok(())
}

/// A server raises its soft limit of descriptors; a program that uses select(2) must not get one
/// above FD_SETSIZE without asking. The hard limit stays, so it may ask.
fn usual_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let usual = limits::CHILD_DESCRIPTORS;
    if limit.current.is_some_and(|current| current > usual) {
        // Lowering one's own soft limit cannot fail.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(usual), ..limit });
    }
}

fn restrict_self(ruleset: &OwnedFd) -> io::Result<()> {
    let no_flags: libc::c_uint = 0;
    // SAFETY: takes an open descriptor and flags, no memory.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), no_flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Marks all descriptors above 2 as close-on-exec: close_range(2). All of ours are; this is for
/// those of libraries. A kernel before 5.11 does not know the flag, and then they must do.
fn close_on_exec() {
    let (first, last): (libc::c_uint, libc::c_uint) = (3, libc::c_uint::MAX);
    // SAFETY: only sets a flag on descriptors of this process, no memory; std's own pipe for errors
    // has that flag already.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Every signal as the system's default, also those that the parent ignores, and none blocked.
fn reset_signals() {
    const LAST: libc::c_int = 64;
    // The size of the kernel's own signal set, in bytes.
    const SET_SIZE: usize = 8;
    // The kernel's `sigaction` is at most this long, and all zeroes are SIG_DFL without flags.
    let default = [0_u64; 8];
    for number in 1..=LAST {
        // The C library would refuse its own two signals, which somebody before us may have had
        // ignored. SIGKILL and SIGSTOP the kernel refuses, which is right.
        // SAFETY: the kernel reads from `default`, which is long enough and outlives the call, and
        // writes nothing back. No handler runs in the child before execve(2).
        unsafe {
            let (new, old) = (default.as_ptr(), ptr::null_mut::<u64>());
            libc::syscall(libc::SYS_rt_sigaction, number, new, old, SET_SIZE);
        }
    }
    let mut none = MaybeUninit::uninit();
    // SAFETY: sigemptyset fills the set that sigprocmask then reads; both are async-signal-safe,
    // and the child has one thread.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}
