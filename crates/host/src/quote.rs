//! An argument list as one line for a shell.

/// The words as one line that `sh` takes apart into the same words: plain ones as they are, others
/// in single quotes.
pub fn quoted(words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            line.push(b' ');
        }
        if !word.is_empty() && word.iter().all(|byte| is_plain(*byte)) {
            line.extend_from_slice(word);
            continue;
        }
        line.push(b'\'');
        for byte in word {
            match byte {
                b'\'' => line.extend_from_slice(b"'\\''"),
                other => line.push(*other),
            }
        }
        line.push(b'\'');
    }
    line
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// X2: what is quoted is what a shell sees again, byte for byte.
        #[test]
        fn round_trip(words in prop::collection::vec("[ -~\n\t]{0,12}", 1..5)) {
            let words: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
            let line = String::from_utf8(quoted(&words)).unwrap();
            let output = Command::new("sh")
                .args(["-c", &format!("for a in {line}; do printf '%s\\0' \"$a\"; done")])
                .output()
                .unwrap();
            let mut expected = Vec::new();
            for word in &words {
                expected.extend_from_slice(word);
                expected.push(0);
            }
            prop_assert_eq!(output.stdout, expected);
        }
    }
}
