//! Numbers within datagrams, in letters: they survive a server that answers in upper case.

/// So many letters are a number: 26 to the eighth is more datagrams than a run sends.
pub(crate) const DIGITS: usize = 8;

/// Writes `number` into the first letters of a datagram; of a short one, its last digits.
pub(crate) fn write(mut number: u64, datagram: &mut [u8]) {
    for letter in datagram.iter_mut().take(DIGITS) {
        *letter = b'a' + (number % 26) as u8;
        number /= 26;
    }
}

/// Reads the number in the first letters of a datagram. Of all that have those digits it is the one
/// that is nearest to `near`.
pub(crate) fn read(datagram: &[u8], upper: bool, near: u64) -> Option<u64> {
    let first = if upper { b'A' } else { b'a' };
    let (mut number, mut unit) = (0, 1_u64);
    for letter in datagram.iter().take(DIGITS) {
        let digit = letter.checked_sub(first).filter(|digit| *digit < 26)?;
        number += u64::from(digit) * unit;
        unit *= 26;
    }
    let base = near - near % unit + number;
    let nearest = [base.checked_sub(unit), Some(base), base.checked_add(unit)];
    nearest.into_iter().flatten().min_by_key(|candidate| candidate.abs_diff(near))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// B1: what is not a number is none.
    #[test]
    fn none() {
        assert_eq!(read(b"aaaaaaaa", true, 0), None);
        assert_eq!(read(b"AAAA1AAA", true, 0), None);
        assert_eq!(read(b"ba", false, 0), Some(1));
    }

    proptest! {
        /// B1: a number comes back, in both cases, from a datagram that is long enough for those that
        /// are about.
        #[test]
        fn back(number in 0..1_000_000_000_000_u64, length in 1..20_usize, off in -12..12_i64) {
            let mut datagram = vec![b'z'; length];
            write(number, &mut datagram);
            let near = number.saturating_add_signed(off);
            prop_assert_eq!(read(&datagram, false, near), Some(number));
            datagram.make_ascii_uppercase();
            prop_assert_eq!(read(&datagram, true, near), Some(number));
            prop_assert_eq!(read(&datagram, false, near), None);
        }
    }
}
