//! How long nothing has moved: the clock behind `--timeout`.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The time of the last move. While our own output is waited for, no silence counts.
#[derive(Debug)]
pub(crate) struct Silence {
    last: Cell<Instant>,
    ours: Cell<u32>,
}

impl Silence {
    pub(crate) fn new() -> Silence {
        Silence { last: Cell::new(Instant::now()), ours: Cell::new(0) }
    }

    /// Something moved.
    pub(crate) fn broken(&self) {
        self.last.set(Instant::now());
    }

    /// Waits for work of our own, which is not the peer's silence.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        self.ours.set(self.ours.get() + 1);
        let done = work.await;
        self.ours.set(self.ours.get() - 1);
        self.broken();
        done
    }

    /// Returns once nothing has moved for `limit`; never where there is no limit.
    pub(crate) async fn lasts(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return std::future::pending().await };
        loop {
            let now = Instant::now();
            // A limit beyond the end of time is none.
            let Some(due) = self.last.get().checked_add(limit) else {
                return std::future::pending().await;
            };
            if self.ours.get() > 0 {
                sleep_until(now + limit).await;
            } else if now >= due {
                return;
            } else {
                sleep_until(due).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// C3 `--timeout`: a move puts the end off; a wait for our own output does too.
    #[tokio::test(start_paused = true)]
    async fn counts() {
        let silence = Silence::new();
        let start = Instant::now();
        let moves = async {
            tokio::time::sleep(LIMIT * 4 / 5).await;
            silence.broken();
            silence.during(tokio::time::sleep(LIMIT * 3)).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = moves => unreachable!("it never ends"),
            () = silence.lasts(Some(LIMIT)) => {}
        }
        let end = LIMIT * 4 / 5 + LIMIT * 4;
        assert!(start.elapsed() >= end && start.elapsed() < end + LIMIT, "{:?}", start.elapsed());
    }

    /// C3 `--timeout`: without it nothing ends, and neither with one that is past all clocks.
    #[tokio::test(start_paused = true)]
    async fn no_limit() {
        let silence = Silence::new();
        for limit in [None, Some(Duration::MAX)] {
            let waited = tokio::time::timeout(LIMIT, silence.lasts(limit)).await;
            assert!(waited.is_err());
        }
    }
}
