//! Sizes and switches as people write them: `64K`, `1M`, `on`.

/// Parses a number of bytes: digits and an optional K, M or G (powers of 1024), as `dd` reads it.
///
/// # Errors
/// One sentence that says what is right.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size: write bytes, or a number with K, M or G");
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Parses a switch: on, off, yes, no, true, false, 1 or 0.
///
/// # Errors
/// One sentence that says what is right.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "yes" | "true" | "1" => Ok(true),
        "off" | "no" | "false" | "0" => Ok(false),
        _ => Err(format!("{text:?} is not a switch: write on or off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E5: sizes with and without a unit, and what is not one.
    #[test]
    fn sizes() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("1500"), Ok(1500));
        assert_eq!(size("64k"), Ok(65_536));
        assert_eq!(size("1M"), Ok(1_048_576));
        assert_eq!(size("2G"), Ok(2_147_483_648));
        for bad in ["", "K", "1.5M", "-1", "+1", "1T", "99999999999G", "é"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    /// E5: switches.
    #[test]
    fn switches() {
        assert_eq!(switch("on"), Ok(true));
        assert_eq!(switch("0"), Ok(false));
        assert!(switch("maybe").is_err());
    }
}
