//! Figures as people read them: three digits that count, and the unit that fits.

/// A time in nanoseconds: `261 µs`, `1.23 ms`, `12.3 s`.
pub fn time(nanoseconds: u64) -> String {
    let ns = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        // What rounds up to a thousand belongs to the next unit.
        1_000..999_500 => format!("{} µs", digits(ns / 1e3)),
        999_500..999_500_000 => format!("{} ms", digits(ns / 1e6)),
        _ => format!("{} s", digits(ns / 1e9)),
    }
}

/// A figure at a tick of an axis, without noughts that say nothing: `5 ms`, `1.5 k`, `10 %`.
pub fn trimmed(text: &str) -> String {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    if !number.contains('.') {
        return text.to_owned();
    }
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{number} {unit}").trim_end().to_owned()
}

/// The same of a time in nanoseconds.
pub fn round_time(nanoseconds: u64) -> String {
    trimmed(&time(nanoseconds))
}

/// A number with three digits that count: `0.512`, `5.12`, `51.2`, `512`.
pub fn digits(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    let places = match () {
        () if size == 0.0 || size >= 99.95 => 0,
        () if size >= 9.995 => 1,
        () if size >= 0.9995 => 2,
        () => 3,
    };
    format!("{value:.places$}")
}

/// A number of things, short: `512`, `18.6 k`, `1.86 M`, `2.10 G`.
pub fn short(value: f64) -> String {
    scaled(value, &[(1e9, " G"), (1e6, " M"), (1e3, " k")], "")
}

/// A number of things in full: `1,862,140`.
pub fn whole(value: u64) -> String {
    let text = value.to_string();
    let mut grouped = String::with_capacity(text.len() + text.len() / 3);
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size of memory in bytes: `512 B`, `1.50 KiB`, `2.00 MiB`.
pub fn memory(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    let units = [(KIB * KIB * KIB, " GiB"), (KIB * KIB, " MiB"), (KIB, " KiB")];
    scaled(bytes, &units, " B")
}

/// Bytes a second, in powers of ten as links are sold: `11.9 MB/s`.
pub fn rate(bytes_per_second: f64) -> String {
    scaled(bytes_per_second, &[(1e9, " GB/s"), (1e6, " MB/s"), (1e3, " kB/s")], " B/s")
}

/// The same as bits a second: `95.2 Mbit/s`.
pub fn bits(bytes_per_second: f64) -> String {
    let units = [(1e9, " Gbit/s"), (1e6, " Mbit/s"), (1e3, " kbit/s")];
    scaled(bytes_per_second * 8.0, &units, " bit/s")
}

/// A share of the whole, 0 to 1: `12.5 %`. What is not nothing does not look like nothing.
pub fn share(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 0.001 {
        "< 0.001 %".into()
    } else {
        format!("{} %", digits(percent))
    }
}

fn scaled(value: f64, units: &[(f64, &str)], rest: &str) -> String {
    let unit = units.iter().find(|(size, _)| value.abs() >= size * 0.9995);
    match unit {
        Some((size, name)) => format!("{}{name}", digits(value / size)),
        // Whole things have no decimals.
        None if value.fract() == 0.0 => format!("{value:.0}{rest}"),
        None => format!("{}{rest}", digits(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B1: the unit fits the size, and rounding does not make four digits of three.
    #[test]
    fn forms() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (261_400, "261 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (12_345_678, "12.3 ms"),
            (999_600_000, "1.00 s"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(time(ns), text);
        }
        assert_eq!([5_000_000, 1_500, 100_000].map(round_time), ["5 ms", "1.5 µs", "100 µs"]);
        assert_eq!(["10.0 %", "0.500", "7"].map(trimmed), ["10 %", "0.5", "7"]);
        assert_eq!([0.0, 0.5, 9.996, 99.96].map(digits), ["0", "0.500", "10.0", "100"]);
        assert_eq!([7.0, 18_600.0, 999_900.0].map(short), ["7", "18.6 k", "1.00 M"]);
        assert_eq!([0, 999, 1_000, 1_862_140].map(whole), ["0", "999", "1,000", "1,862,140"]);
        assert_eq!([640.0, 1536.0, 2_097_152.0].map(memory), ["640 B", "1.50 KiB", "2.00 MiB"]);
        assert_eq!([11_900_000.0, 12.0].map(rate), ["11.9 MB/s", "12 B/s"]);
        assert_eq!(bits(1.25e9), "10.0 Gbit/s");
        assert_eq!([0.0, 0.125, 1e-7].map(share), ["0 %", "12.5 %", "< 0.001 %"]);
        assert_eq!(digits(f64::NAN), "–");
    }
}
