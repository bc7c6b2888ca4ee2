//! How often one source of datagrams is answered: a bucket a source, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use sockeye_limits as limits;
use sockeye_net::Address;

/// Token buckets by source: an IPv4 address, an IPv6 network of 64 bits (one host has them all), a
/// Unix name. Each holds one second's worth.
pub(crate) struct Limiter {
    rate: f64,
    buckets: HashMap<u64, Bucket>,
    /// For the sources that find no place of their own.
    others: Bucket,
    keys: SourceKeys,
}

/// Makes keys of sources, for tables of fixed-size keys: a secret hash, whatever a Unix name's
/// length. Ports do not count: who makes up sources could make up all of them.
pub(crate) struct SourceKeys(RandomState);

impl SourceKeys {
    pub(crate) fn new() -> SourceKeys {
        SourceKeys(RandomState::new())
    }

    pub(crate) fn key(&self, source: &Address) -> u64 {
        match source.inet().map(|inet| inet.ip().to_canonical()) {
            Some(IpAddr::V4(ip)) => self.0.hash_one(ip),
            Some(IpAddr::V6(ip)) => self.0.hash_one(&ip.segments()[..4]),
            None => self.0.hash_one(source),
        }
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn take(&mut self, rate: f64, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * rate).min(rate);
        self.filled = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

impl Limiter {
    /// At most `rate` datagrams a second for each source.
    pub(crate) fn new(rate: u32, now: Instant) -> Limiter {
        let rate = f64::from(rate.max(1));
        let others = Bucket { tokens: rate, filled: now };
        Limiter { rate, buckets: HashMap::new(), others, keys: SourceKeys::new() }
    }

    /// True where a datagram of this source may be answered now.
    ///
    /// Two servers that are set upon each other bounce one datagram; the first that is dropped
    /// here ends that.
    pub(crate) fn allows(&mut self, source: &Address, now: Instant) -> bool {
        let key = self.keys.key(source);
        if let Some(bucket) = self.buckets.get_mut(&key) {
            return bucket.take(self.rate, now);
        }
        if self.buckets.len() >= limits::RATE_SOURCES {
            self.forget_the_quiet(now);
        }
        if self.buckets.len() >= limits::RATE_SOURCES {
            return self.others.take(self.rate, now);
        }
        let mut bucket = Bucket { tokens: self.rate, filled: now };
        let allowed = bucket.take(self.rate, now);
        self.buckets.insert(key, bucket);
        allowed
    }

    /// A bucket that has filled up again says nothing that a new one would not.
    fn forget_the_quiet(&mut self, now: Instant) {
        let full = |bucket: &Bucket| now.saturating_duration_since(bucket.filled).as_secs() >= 1;
        self.buckets.retain(|_, bucket| !full(bucket));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn source(host: u8) -> Address {
        Address::Inet(([127, 0, 0, host], 5000).into())
    }

    /// V2: one second's worth at once, then the rate; other sources are not touched.
    #[test]
    fn a_source_is_limited() {
        let start = Instant::now();
        let mut limiter = Limiter::new(10, start);
        let allowed = |limiter: &mut Limiter, port, now| {
            (0..100).filter(|_| limiter.allows(&source(port), now)).count()
        };
        assert_eq!(allowed(&mut limiter, 1, start), 10);
        assert_eq!(allowed(&mut limiter, 2, start), 10);
        assert_eq!(allowed(&mut limiter, 1, start + Duration::from_millis(500)), 5);
        assert_eq!(allowed(&mut limiter, 1, start + Duration::from_secs(60)), 10);
    }

    /// V2: all ports of a host are one source, and so are all hosts of an IPv6 network.
    #[test]
    fn one_source() {
        let limiter = Limiter::new(1, Instant::now());
        let key = |text: &str| limiter.keys.key(&Address::Inet(text.parse().unwrap()));
        assert_eq!(key("192.0.2.1:1"), key("192.0.2.1:2"));
        assert_eq!(key("192.0.2.1:1"), key("[::ffff:192.0.2.1]:1"));
        assert_eq!(key("[2001:db8::1]:1"), key("[2001:db8::2]:1"));
        assert_ne!(key("[2001:db8::1]:1"), key("[2001:db8:0:1::1]:1"));
        assert_ne!(key("192.0.2.1:1"), key("192.0.2.2:1"));
    }

    /// V2, L2: a flood of made-up sources takes no more memory than its limit.
    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut limiter = Limiter::new(1, start);
        for n in 0..(limits::RATE_SOURCES as u32 + 1000) {
            let address = std::net::SocketAddr::from((std::net::Ipv4Addr::from(n), 5000));
            limiter.allows(&Address::Inet(address), start);
        }
        assert_eq!(limiter.buckets.len(), limits::RATE_SOURCES);
        assert!(!limiter.allows(&source(1), start), "the others' bucket is empty");
        assert!(limiter.allows(&source(1), start + Duration::from_secs(2)));
    }
}
