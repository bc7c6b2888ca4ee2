//! Reaps keepers, whenever they end.
//!
//! A keeper may outlive its command and the event loop that the command was served on, so neither
//! can wait for it. tokio's list of orphans is looked at only when another child ends: the last keeper
//! of a server that then has nothing to do stayed a zombie.

use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sockeye_limits as limits;
use tokio::io::Interest;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::streams::Handle;

static UNDERTAKER: Mutex<Undertaker> = Mutex::new(Undertaker { at_work: None, left: Vec::new() });

struct Undertaker {
    /// The way to its thread, once there is one.
    at_work: Option<UnboundedSender<Child>>,
    /// Children that it could not be told of yet: no thread was to be had.
    left: Vec<Child>,
}

/// Waits for a child that nobody else will wait for, on a thread of its own.
pub(super) fn bury(child: Child) {
    let mut undertaker = UNDERTAKER.lock().unwrap_or_else(PoisonError::into_inner);
    undertaker.left.push(child);
    if undertaker.at_work.is_none() {
        let (sender, children) = unbounded_channel();
        let thread = thread::Builder::new().name("undertaker".into());
        // Where there is none, the next one that is buried tries again.
        undertaker.at_work = thread.spawn(move || work(children)).ok().map(|_| sender);
    }
    if let Some(at_work) = undertaker.at_work.clone() {
        // The thread has no end.
        undertaker.left.drain(..).for_each(|child| drop(at_work.send(child)));
    }
}

fn work(mut children: UnboundedReceiver<Child>) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        // Without descriptors they are waited for one after another.
        while let Some(mut child) = children.blocking_recv() {
            let _ = child.wait();
        }
        return;
    };
    runtime.block_on(async {
        while let Some(mut child) = children.recv().await {
            tokio::spawn(async move {
                if let Some(end) = watch(&child) {
                    // Readable once it has ended.
                    let _ = end.readable().await;
                }
                while matches!(child.try_wait(), Ok(None)) {
                    sleep(limits::KEEPER_LOOK).await;
                }
            });
        }
    });
}

/// Its descriptor; none where there are no more.
fn watch(child: &Child) -> Option<Handle> {
    let pid = Pid::from_raw(child.id().cast_signed())?;
    let fd: OwnedFd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    Handle::new(fd, Interest::READABLE).ok()
}
