//! Random bytes that can be made twice, in odd chunks: sent once, compared once.

/// A small generator of random bytes (xorshift64*); the same seed gives the same bytes, however
/// they are cut.
pub(crate) struct Random {
    state: u64,
    word: u64,
    left: u32,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: seed | 1, word: 0, left: 0 }
    }

    fn next_word(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left == 0 {
                (self.word, self.left) = (self.next_word(), 8);
            }
            *byte = self.word as u8;
            self.word >>= 8;
            self.left -= 1;
        }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes
    }
}

/// Chunk sizes that fit nobody's buffer: single bytes, primes, one off a power of two.
pub(crate) fn odd_sizes() -> impl Iterator<Item = usize> {
    [1, 7, 4097, 65_521, 2, 1021, 65_537, 3, 16_383, 131_071, 8191].into_iter().cycle()
}

/// What `service` answers to `request` on a stream.
pub(crate) fn answer(service: &str, request: &[u8]) -> Vec<u8> {
    match service {
        "upper" => request.to_ascii_uppercase(),
        _ => request.to_vec(),
    }
}

/// Fails at the first byte that differs, without printing megabytes.
pub(crate) fn assert_same(got: &[u8], expected: &[u8], offset: u64) {
    if got == expected {
        return;
    }
    let at = got.iter().zip(expected).position(|(a, b)| a != b);
    let at = at.unwrap_or(got.len().min(expected.len()));
    let show =
        |bytes: &[u8]| format!("{:02x?}", &bytes[at.min(bytes.len())..bytes.len().min(at + 16)]);
    panic!(
        "bytes differ at offset {}: got {} ({} bytes), expected {} ({} bytes)",
        offset + at as u64,
        show(got),
        got.len(),
        show(expected),
        expected.len()
    );
}
