//! How often something happens: counted by the second.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Counts what happens in one second, which begins with the first of it.
#[derive(Debug)]
pub(crate) struct Rate {
    most: u32,
    since: Duration,
    count: u32,
}

impl Rate {
    /// At most so many in a second.
    pub(crate) fn new(most: u32) -> Rate {
        Rate { most, since: Duration::ZERO, count: 0 }
    }

    /// Counts one more; false where that is too many.
    pub(crate) fn allows(&mut self, now: Duration) -> bool {
        if self.count == 0 || now.saturating_sub(self.since) >= SECOND {
            self.since = now;
            self.count = 0;
        }
        let allowed = self.count < self.most;
        if allowed {
            self.count += 1;
        }
        allowed
    }

    /// When a second that is full will be over.
    pub(crate) fn over(&self) -> Duration {
        self.since.saturating_add(SECOND)
    }
}
