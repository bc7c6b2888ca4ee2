//! Patterns with `*` and `?`, as ssh_config(5) has them under PATTERNS.

/// True if the whole of `text` fits `pattern`: `*` is any number of bytes, `?` is one.
///
/// Takes time in proportion to the product of the lengths at most: on a mismatch only the last `*`
/// is tried again, one byte on.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    retry = Some((after_star, from + 1));
                    p = after_star;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// T3: `*` and `?` as ssh_config(5) says, and no pattern takes for ever.
    #[test]
    fn wildcards() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("10.*.1", "10.2.3.1", true),
            ("*a*b", "xaxb", true),
            ("*a*b", "xaxbx", false),
            ("**?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
        let text = "a".repeat(4096);
        assert!(!matches(("a*".repeat(400) + "b").as_bytes(), text.as_bytes()));
    }

    proptest! {
        /// T3: the same answer as the definition, followed literally.
        #[test]
        fn like_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match pattern {
                    [] => text.is_empty(),
                    [b'*', rest @ ..] => (0..=text.len()).any(|n| plain(rest, &text[n..])),
                    [c, rest @ ..] => text.first().is_some_and(|t| *c == b'?' || c == t)
                        && plain(rest, &text[1..]),
                }
            }
            let expected = plain(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected);
        }
    }
}
