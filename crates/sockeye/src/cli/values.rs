//! Values of options that need more than their type to be read.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use sockeye_limits as limits;
use sockeye_net::{Endpoint, Family, SocketOption};

/// A time span: `500ms`, `10s`, `1m 30s`, or a bare number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => humantime::parse_duration(text)
            .map_err(|error| format!("not a time ({error}): write 500ms, 10s or 1m"))?,
    };
    if span > limits::LONGEST_TIME {
        return Err("too long: at most ten years; write 500ms, 10s or 1m".into());
    }
    Ok(span)
}

/// A time span that is more than nothing.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it would be over at once: write 500ms, 10s or 1m".into()),
        span => Ok(span),
    }
}

/// The argument, or what the configuration says in words under this key.
pub(crate) fn either<T>(
    argument: Option<T>,
    configured: Option<String>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match (argument, configured) {
        (None, Some(text)) => match parse(&text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("{key} in the configuration: {error}")),
        },
        (argument, _) => Ok(argument),
    }
}

/// Socket options, from the arguments or else from the configuration.
pub(crate) fn options(
    arguments: Option<Vec<SocketOption>>,
    configured: Option<&[String]>,
) -> Result<Vec<SocketOption>, String> {
    match arguments {
        Some(options) => Ok(options),
        None => {
            let parsed = configured.unwrap_or_default().iter().map(|text| text.parse());
            let parsed: Result<_, String> = parsed.collect();
            parsed.map_err(|error| format!("set in the configuration: {error}"))
        }
    }
}

/// -4 and -6: what is given beats what is configured, and does not stand beside it.
pub(crate) fn family(
    given: (Option<bool>, Option<bool>),
    configured: (Option<bool>, Option<bool>),
) -> Result<Family, String> {
    match if given == (None, None) { configured } else { given } {
        (Some(true), Some(true)) => {
            Err("-4 and -6 exclude each other: give one of them, or neither".into())
        }
        (Some(true), _) => Ok(Family::V4),
        (_, Some(true)) => Ok(Family::V6),
        _ => Ok(Family::Any),
    }
}

/// A mode of a file, in octal.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not a mode: write octal digits, 0600 to 0777".into()),
    }
}

/// A whole number of at least 1.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("not a count: write a whole number of 1 or more".into()),
        Ok(count) => Ok(count),
    }
}

/// A rate of requests: a whole number a second of at least 1.
pub(crate) fn per_second(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(rate @ 1..=limits::LOAD_RATE_MAX) => Ok(rate),
        _ => Err(format!(
            "not a rate: write a whole number of requests a second, 1 to {}",
            limits::LOAD_RATE_MAX
        )),
    }
}

/// A rate of bits a second: digits and an optional K, M or G (powers of 1000), as links are sold.
pub(crate) fn bits(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let number = digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    match number.and_then(|number| number.checked_mul(unit)) {
        Some(rate) if rate > 0 => Ok(rate),
        _ => Err("not a rate: write bits a second, or a number with K, M or G".into()),
    }
}

/// An endpoint, of any bytes.
pub(crate) fn endpoint() -> impl TypedValueParser<Value = Endpoint> {
    OsStringValueParser::new().try_map(|word: OsString| Endpoint::parse_os(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M6: forms of time spans, modes and counts.
    #[test]
    fn forms() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("soon").is_err() && duration("").is_err() && duration("-1s").is_err());
        assert!(duration("300000000000y").is_err() && duration("11y").is_err());
        assert!(positive_duration("0").is_err());
        assert_eq!(mode("0660"), Ok(0o660));
        assert!(mode("0999").is_err() && mode("7777").is_err());
        assert_eq!(count("3"), Ok(3));
        assert_eq!((bits("8"), bits("10M"), bits("2k")), (Ok(8), Ok(10_000_000), Ok(2000)));
        assert!(bits("0").is_err() && bits("+1").is_err() && bits("M").is_err());
        assert!(bits("99999999999G").is_err() && bits("1é").is_err());
        assert_eq!(per_second("7"), Ok(7));
        assert!(per_second("0").is_err() && per_second("1e6").is_err());
        assert!(count("0").is_err() && count("-1").is_err() && count("x").is_err());
    }

    /// Q3: what is given on the command line or in the environment beats the configuration.
    #[test]
    fn families() {
        let (on, off) = (Some(true), Some(false));
        assert_eq!(family((None, on), (on, None)), Ok(Family::V6));
        assert_eq!(family((None, None), (on, None)), Ok(Family::V4));
        assert_eq!(family((off, None), (on, None)), Ok(Family::Any));
        assert!(family((on, on), (None, None)).is_err());
    }
}
