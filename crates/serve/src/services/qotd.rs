//! The `qotd` service (RFC 865): a short saying, another one each day.

use jiff::Timestamp;

/// Sayings of our own about sockets; each is shorter than RFC 865's 512 characters.
const QUOTES: &[&str] = &[
    "A stream has no messages. If you need them, bring your own boundaries.",
    "send() returning is a promise from your kernel, not from your peer.",
    "Who closes first keeps TIME-WAIT. Let it be the one who can afford it.",
    "A timeout that restarts with every byte is an invitation.",
    "The listen backlog is a waiting room, not a cure for slow service.",
    "Zero bytes read is the other side saying goodbye. Say something back.",
    "Loopback never loses a packet; do not let it teach you that networks don't.",
    "Every limit you did not choose, your worst day will choose for you.",
    "A half-closed connection is half a conversation: finish your sentence.",
    "Nothing is connected until both sides know it, and neither can be sure.",
    "Check what came back, not what you meant to send.",
    "The port was free when you looked. That was then.",
];

const SECONDS_A_DAY: i64 = 86_400;

/// Today's saying.
pub(super) fn today() -> Vec<u8> {
    [quote(Timestamp::now()), "\r\n"].concat().into_bytes()
}

fn quote(now: Timestamp) -> &'static str {
    let day = now.as_second().div_euclid(SECONDS_A_DAY);
    // The remainder of a division by a small positive number fits.
    QUOTES[day.rem_euclid(QUOTES.len() as i64) as usize]
}

#[cfg(test)]
mod tests {
    use sockeye_limits as limits;

    use super::*;

    /// V2: every saying fits RFC 865's limit and is printable; each day has its own.
    #[test]
    fn sayings() {
        for text in QUOTES {
            assert!(
                text.len() + 2 < limits::QUOTE_MAX && text.bytes().all(|b| (32..127).contains(&b))
            );
        }
        let day = |n: i64| quote(Timestamp::from_second(n * SECONDS_A_DAY).unwrap());
        assert_ne!(day(20_000), day(20_001));
        assert_eq!(day(20_000), day(20_000 + QUOTES.len() as i64));
    }
}
