//! An argument list as one line for a shell.

/// The words as one line that `sh` takes apart into the same words and runs as a command of them:
/// plain ones as they are, others in single quotes.
pub fn quoted(words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            line.push(b' ');
        }
        let plain = !word.is_empty() && word.iter().all(|byte| is_plain(*byte));
        if plain && !(i == 0 && is_special(word)) {
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

/// True for what is no name of a program to a shell where it stands first: an assignment, or a word
/// of its grammar (XCU, section 2.4, and what bash(1) and zshmisc(1) reserve besides).
fn is_special(first: &[u8]) -> bool {
    const RESERVED: [&str; 22] = [
        "case",
        "coproc",
        "do",
        "done",
        "elif",
        "else",
        "end",
        "esac",
        "fi",
        "for",
        "foreach",
        "function",
        "if",
        "in",
        "namespace",
        "nocorrect",
        "repeat",
        "select",
        "then",
        "time",
        "until",
        "while",
    ];
    first.contains(&b'=') || RESERVED.iter().any(|word| word.as_bytes() == first)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// X2: what stands first is a program, whatever a shell would make of the word.
    #[test]
    fn first_words() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["A=b", "if", "then", "done", "!", "{", "time", "plain", "-n"] {
            let program = directory.path().join(name);
            std::fs::write(&program, "#!/bin/sh\necho \"ran $1\"\n").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&program, mode).unwrap();
            let line = String::from_utf8(quoted(&[name.into(), b"A=b".to_vec()])).unwrap();
            let path = format!("{}:/usr/bin:/bin", directory.path().display());
            for shell in ["sh", "bash"] {
                let mut command = Command::new(shell);
                let output = command.args(["-c", "--", &line]).env("PATH", &path).output().unwrap();
                assert_eq!(output.stdout, b"ran A=b\n", "{shell} {line}: {output:?}");
            }
        }
        assert_eq!(quoted(&[b"env".to_vec(), b"A=b".to_vec(), b"if".to_vec()]), b"env A=b if");
        assert_eq!(quoted(&[b"".to_vec()]), b"''");
    }

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
