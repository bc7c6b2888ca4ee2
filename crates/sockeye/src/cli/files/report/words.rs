//! The last line about a transfer.

use std::time::Duration;

use indicatif::HumanBytes;
use sockeye_wire::files::Tally;

/// What would come of it, as one line.
pub(super) fn would(tally: &Tally, store: u64, make: u64) -> String {
    let Tally { skipped, updated, removed, failed, .. } = *tally;
    let mut text = format!("nothing is written: {store} would be stored, {removed} removed");
    for (count, what) in [
        (make, "directories made"),
        (updated, "updated"),
        (skipped, "unchanged"),
        (failed, "FAILED"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// What came of it, as one line.
pub(super) fn summary(tally: &Tally, span: Duration, streams: u32) -> String {
    let Tally { stored, skipped, compared, updated, removed, failed, .. } = *tally;
    let Tally { data, reused, resumed, .. } = *tally;
    let files = |count: u64| if count == 1 { "1 file".into() } else { format!("{count} files") };
    let mut parts = vec![format!("{} stored and verified (BLAKE3)", files(stored))];
    parts.push(if data == 0 {
        "no file data sent".into()
    } else {
        format!("{} sent", HumanBytes(data))
    });
    for (bytes, what) in [(resumed, "resumed"), (reused, "taken from older files")] {
        if bytes > 0 {
            parts.push(format!("{} {what}", HumanBytes(bytes)));
        }
    }
    let proved = skipped.saturating_sub(compared);
    for (count, what) in [
        (proved, "unchanged and verified"),
        (skipped - proved, "unchanged"),
        (removed, "removed"),
        (updated, "updated"),
        (failed, "FAILED"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let seconds = span.as_secs_f64();
    let rate = if seconds > 0.0 { data as f64 / seconds } else { 0.0 };
    parts.push(format!("{seconds:.1} s"));
    if data > 0 {
        parts.push(format!("{}/s", HumanBytes(rate as u64)));
    }
    if streams > 1 {
        parts.push(format!("{streams} connections"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F7: the summary says what was sent, skipped, resumed and verified.
    #[test]
    fn summaries() {
        let tally = Tally {
            stored: 1,
            data: 1024,
            resumed: 2048,
            skipped: 3,
            compared: 3,
            ..Tally::default()
        };
        let text = summary(&tally, Duration::from_secs(1), 1);
        assert_eq!(
            text,
            "1 file stored and verified (BLAKE3), 1.00 KiB sent, 2.00 KiB resumed, 3 unchanged, \
             1.0 s, 1.00 KiB/s"
        );
        let text = summary(&Tally::default(), Duration::from_secs(1), 1);
        assert!(text.contains("no file data sent"), "{text}");
    }

    /// F2, F7: what was only compared by length and time is not called verified.
    #[test]
    fn unchanged_is_not_verified() {
        let text = |compared| {
            let tally = Tally { skipped: 5, compared, updated: 2, ..Tally::default() };
            summary(&tally, Duration::from_secs(1), 1)
        };
        assert!(text(5).contains(" sent, 5 unchanged, 2 updated, "), "{}", text(5));
        assert!(text(0).contains(" sent, 5 unchanged and verified, 2 updated"), "{}", text(0));
        assert!(text(2).contains("3 unchanged and verified, 2 unchanged"), "{}", text(2));
        assert!(text(u64::MAX).contains(" sent, 5 unchanged, "), "{}", text(u64::MAX));
        let tally = Tally { updated: 2, removed: 1, ..Tally::default() };
        assert_eq!(
            would(&tally, 3, 4),
            "nothing is written: 3 would be stored, 1 removed, 4 directories made, 2 updated"
        );
    }
}
