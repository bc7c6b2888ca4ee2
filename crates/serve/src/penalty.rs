//! Penalties of sources that misbehave before they are known: they add up, bar, fade, and are
//! forgiven in part to a source from which somebody comes in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sockeye_limits as limits;
use sockeye_net::Address;

use crate::rate::SourceKeys;
use crate::session::Offence;

/// What each source has to its account.
pub(crate) struct Penalties {
    accounts: Mutex<HashMap<u64, Account>>,
    keys: SourceKeys,
    /// Loopback is not spared.
    loopback_too: bool,
}

/// The penalties of one source, as instants that lie the further ahead the more there was: they fade
/// by themselves as time passes.
#[derive(Clone, Copy)]
struct Account {
    /// The end of those that nothing forgives. Never later than `until`.
    firm: Instant,
    /// The end of all.
    until: Instant,
}

impl Account {
    fn add(&mut self, cost: Duration, forgivable: bool, now: Instant) {
        let most = now + limits::PENALTY_MAX;
        if !forgivable {
            self.firm = (self.firm.max(now) + cost).min(most);
        }
        self.until = (self.until.max(now) + cost).min(most);
    }
}

impl Penalties {
    pub(crate) fn new(loopback_too: bool) -> Penalties {
        Penalties { accounts: Mutex::default(), keys: SourceKeys::new(), loopback_too }
    }

    /// Adds what an offence costs.
    pub(crate) fn add(&self, source: &Address, offence: Offence, now: Instant) {
        // What our own client does on its way in is forgiven once it is in.
        let (cost, forgivable) = match offence {
            Offence::Stranger => (limits::PENALTY_STRANGER, false),
            Offence::Slow => (limits::PENALTY_SLOW, false),
            Offence::Key => (limits::PENALTY_KEY, true),
            Offence::Stopped => (limits::PENALTY_STOPPED, true),
            Offence::None => return,
        };
        if self.is_spared(source) {
            return;
        }
        let mut accounts = self.lock();
        let key = self.keys.key(source);
        if accounts.len() >= limits::PENALTY_SOURCES && !accounts.contains_key(&key) {
            accounts.retain(|_, account| account.until > now);
            if accounts.len() >= limits::PENALTY_SOURCES {
                return;
            }
        }
        let account = accounts.entry(key).or_insert(Account { firm: now, until: now });
        account.add(cost, forgivable, now);
    }

    /// Somebody from this source has proved who it is: the keys that were tried before the right
    /// one, and handshakes that were broken off, count no more. What a client of ours never does
    /// stays: others may be behind the same address.
    pub(crate) fn forgive(&self, source: &Address, now: Instant) {
        let mut accounts = self.lock();
        let key = self.keys.key(source);
        let Some(account) = accounts.get_mut(&key) else { return };
        account.until = account.firm;
        if account.until <= now {
            accounts.remove(&key);
        }
    }

    /// How long this source is barred from now on; `None` where it is not.
    pub(crate) fn bars(&self, source: &Address, now: Instant) -> Option<Duration> {
        if self.is_spared(source) {
            return None;
        }
        let until = self.lock().get(&self.keys.key(source))?.until;
        let left = until.checked_duration_since(now)?;
        left.checked_sub(limits::PENALTY_FREE).filter(|over| !over.is_zero())
    }

    /// Every change under the lock is whole, whatever panicked while it was held.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_spared(&self, source: &Address) -> bool {
        let Some(inet) = source.inet() else { return true };
        !self.loopback_too && inet.ip().to_canonical().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Address {
        Address::Inet(text.parse().unwrap())
    }

    /// T6: a few offences are free, more bar the source and nobody else, and all fade.
    #[test]
    fn they_add_up_and_fade() {
        let penalties = Penalties::new(false);
        let (bad, good) = (from("192.0.2.1:5"), from("192.0.2.2:5"));
        let start = Instant::now();
        for _ in 0..4 {
            penalties.add(&bad, Offence::Key, start);
            assert_eq!(penalties.bars(&bad, start), None);
        }
        penalties.add(&bad, Offence::Slow, start);
        assert_eq!(penalties.bars(&bad, start), Some(limits::PENALTY_SLOW));
        assert_eq!(penalties.bars(&from("192.0.2.1:6"), start), Some(limits::PENALTY_SLOW));
        assert_eq!(penalties.bars(&good, start), None);
        assert_eq!(penalties.bars(&bad, start + limits::PENALTY_SLOW), None);
        for _ in 0..1000 {
            penalties.add(&bad, Offence::Stranger, start);
        }
        let most = limits::PENALTY_MAX - limits::PENALTY_FREE;
        assert_eq!(penalties.bars(&bad, start), Some(most));
    }

    /// T6: our own client, which breaks off at its first contact and then tries all of its keys, is
    /// not barred before the last; and once that has let it in, it may do the same again and again.
    #[test]
    fn several_keys() {
        let penalties = Penalties::new(false);
        let (source, now) = (from("192.0.2.1:5"), Instant::now());
        for _ in 0..10 {
            penalties.add(&source, Offence::Stopped, now);
            for _ in 1..limits::IDENTITIES_MAX {
                penalties.add(&source, Offence::Key, now);
                assert_eq!(penalties.bars(&source, now), None);
            }
            penalties.forgive(&source, now);
        }
        assert!(penalties.lock().is_empty(), "nothing is left of it");
    }

    /// T6: whoever comes in clears the account of keys and of broken handshakes, not of what others
    /// behind the same address have done, and not of other sources.
    #[test]
    fn forgiven_in_part() {
        let penalties = Penalties::new(false);
        let (source, other) = (from("192.0.2.1:5"), from("192.0.2.2:5"));
        let now = Instant::now();
        for offence in [Offence::Slow, Offence::Key, Offence::Slow, Offence::Key, Offence::Stopped]
        {
            penalties.add(&source, offence, now);
        }
        (0..9).for_each(|_| penalties.add(&other, Offence::Key, now));
        let barred = penalties.bars(&other, now);
        assert_eq!(penalties.bars(&source, now), Some(Duration::from_secs(11)));
        penalties.forgive(&source, now);
        assert_eq!(penalties.bars(&source, now), None);
        penalties.add(&source, Offence::Stranger, now);
        assert_eq!(penalties.bars(&source, now), Some(limits::PENALTY_STRANGER));
        assert_eq!(penalties.bars(&other, now), barred);
    }

    /// T6: handshakes that are broken off bar as well, if there are many.
    #[test]
    fn broken_off() {
        let penalties = Penalties::new(false);
        let (source, now) = (from("192.0.2.1:5"), Instant::now());
        let free = limits::PENALTY_FREE.as_secs() / limits::PENALTY_STOPPED.as_secs();
        (0..free).for_each(|_| penalties.add(&source, Offence::Stopped, now));
        assert_eq!(penalties.bars(&source, now), None);
        penalties.add(&source, Offence::Stopped, now);
        assert_eq!(penalties.bars(&source, now), Some(limits::PENALTY_STOPPED));
    }

    /// T6: loopback and Unix sockets are spared unless asked.
    #[test]
    fn loopback() {
        let start = Instant::now();
        for (loopback_too, barred) in [(false, false), (true, true)] {
            let penalties = Penalties::new(loopback_too);
            for source in [from("127.0.0.1:1"), from("[::1]:1"), from("[::ffff:127.0.0.1]:1")] {
                for _ in 0..10 {
                    penalties.add(&source, Offence::Slow, start);
                }
                assert_eq!(penalties.bars(&source, start).is_some(), barred, "{source:?}");
            }
            assert_eq!(penalties.bars(&Address::Unnamed, start), None);
        }
    }

    /// T6: the table is bounded, whatever number of sources there is.
    #[test]
    fn bounded() {
        let penalties = Penalties::new(false);
        let start = Instant::now();
        for n in 0..limits::PENALTY_SOURCES as u32 + 100 {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + n);
            penalties.add(&Address::Inet((ip, 1).into()), Offence::Slow, start);
        }
        assert_eq!(penalties.lock().len(), limits::PENALTY_SOURCES);
        let later = start + limits::PENALTY_MAX;
        penalties.add(&from("192.0.2.1:5"), Offence::Slow, later);
        assert_eq!(penalties.lock().len(), 1);
    }
}
