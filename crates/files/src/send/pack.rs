//! Compresses contents (Zstandard, RFC 8878), where the connection is slower than that and it helps.

use std::time::{Duration, Instant};

use zstd::bulk::Compressor;

/// The level: faster than most links, and most of what higher ones save.
const LEVEL: i32 = 1;
/// Pieces shorter than this are not worth it.
const LEAST: usize = 1024;
/// How much of a piece shows whether the rest is worth it.
const SAMPLE: usize = 16 * 1024;
/// After pieces that did not shrink so many are sent as they are, then twice as many, up to these.
const PAUSE: (u32, u32) = (16, 256);
/// How often it is looked at what the connection does.
const WINDOW: Duration = Duration::from_millis(100);

pub(super) struct Packer {
    compressor: Option<Compressor<'static>>,
    packed: Vec<u8>,
    pause: u32,
    skipped: u32,
    /// When the window began, and how long had been waited then.
    window: (Instant, Duration),
    slow: bool,
}

impl Packer {
    pub(super) fn new() -> Packer {
        Packer {
            compressor: None,
            packed: Vec::new(),
            pause: PAUSE.0,
            skipped: PAUSE.0,
            window: (Instant::now(), Duration::ZERO),
            slow: false,
        }
    }

    /// True where the connection is what holds us up: more than half of the time of late was spent
    /// waiting for it. `waited` is how long, since the beginning.
    pub(super) fn is_wanted(&mut self, waited: Duration) -> bool {
        let (since, before) = self.window;
        let passed = since.elapsed();
        if passed >= WINDOW {
            let share = waited.saturating_sub(before) * 2;
            // Once packing, the same link is waited for less.
            self.slow = if self.slow { share * 4 > passed } else { share > passed };
            self.window = (Instant::now(), waited);
        }
        self.slow
    }

    /// These bytes compressed to 7/8 or less of their length; `None` where they do not get there.
    pub(super) fn pack(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        if data.len() < LEAST {
            return None;
        }
        if self.skipped < self.pause && self.pause > PAUSE.0 {
            self.skipped += 1;
            return None;
        }
        let sampled = data.len() <= 2 * SAMPLE || self.try_pack(&data[..SAMPLE]);
        if sampled && self.try_pack(data) {
            self.pause = PAUSE.0;
            return Some(std::mem::take(&mut self.packed));
        }
        self.pause = (self.pause * 2).min(PAUSE.1);
        self.skipped = 0;
        None
    }

    /// Gives a buffer back.
    pub(super) fn reuse(&mut self, buffer: Vec<u8>) {
        self.packed = buffer;
    }

    fn try_pack(&mut self, data: &[u8]) -> bool {
        if self.compressor.is_none() {
            self.compressor = Compressor::new(LEVEL).ok();
        }
        let Some(compressor) = &mut self.compressor else { return false };
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(data.len()));
        let packed = compressor.compress_to_buffer(data, &mut self.packed);
        packed.is_ok_and(|length| length <= data.len() / 8 * 7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shrinks() {
        let mut packer = Packer::new();
        let text = b"the same again and again. ".repeat(10_000);
        let packed = packer.pack(&text).unwrap();
        assert_eq!(zstd::bulk::decompress(&packed, text.len()).unwrap(), text);
        let mut noise = vec![0; 64 * 1024];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert!(packer.pack(&noise).is_none());
        // For a while nothing is tried, then text is found again.
        let tries = (0..1000).position(|_| packer.pack(&text).is_some());
        assert_eq!(tries, Some(2 * PAUSE.0 as usize));
    }

    #[test]
    fn only_where_the_connection_is_slow() {
        let mut packer = Packer::new();
        let back = |ms| Instant::now().checked_sub(Duration::from_millis(ms)).unwrap();
        packer.window.0 = back(200);
        assert!(!packer.is_wanted(Duration::from_millis(50)));
        packer.window.0 = back(200);
        assert!(packer.is_wanted(Duration::from_millis(200)));
    }
}
