//! Penalties of sources that misbehave before they are known: they add up, bar, and fade.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sockeye_limits as limits;
use sockeye_net::Address;

use crate::rate::SourceKeys;
use crate::session::Offence;

/// What each source has to its account. A penalty is an instant that lies the further ahead the
/// more there was; it fades by itself as time passes.
pub(crate) struct Penalties {
    until: Mutex<HashMap<u64, Instant>>,
    keys: SourceKeys,
    /// Loopback is not spared.
    loopback_too: bool,
}

impl Penalties {
    pub(crate) fn new(loopback_too: bool) -> Penalties {
        Penalties { until: Mutex::default(), keys: SourceKeys::new(), loopback_too }
    }

    /// Adds what an offence costs.
    pub(crate) fn add(&self, source: &Address, offence: Offence, now: Instant) {
        let cost = match offence {
            Offence::Stranger => limits::PENALTY_STRANGER,
            Offence::Slow => limits::PENALTY_SLOW,
            Offence::Key => limits::PENALTY_KEY,
            Offence::None => return,
        };
        if self.is_spared(source) {
            return;
        }
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.keys.key(source);
        if until.len() >= limits::PENALTY_SOURCES && !until.contains_key(&key) {
            until.retain(|_, until| *until > now);
            if until.len() >= limits::PENALTY_SOURCES {
                return;
            }
        }
        let old = until.get(&key).map_or(now, |old| (*old).max(now));
        until.insert(key, (old + cost).min(now + limits::PENALTY_MAX));
    }

    /// How long this source is barred from now on; `None` where it is not.
    pub(crate) fn bars(&self, source: &Address, now: Instant) -> Option<Duration> {
        if self.is_spared(source) {
            return None;
        }
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.get(&self.keys.key(source))?.checked_duration_since(now)?;
        left.checked_sub(limits::PENALTY_FREE).filter(|over| !over.is_zero())
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
        for _ in 0..3 {
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
        assert_eq!(penalties.until.lock().unwrap().len(), limits::PENALTY_SOURCES);
        let later = start + limits::PENALTY_MAX;
        penalties.add(&from("192.0.2.1:5"), Offence::Slow, later);
        assert_eq!(penalties.until.lock().unwrap().len(), 1);
    }
}
