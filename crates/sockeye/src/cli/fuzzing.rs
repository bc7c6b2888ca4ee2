//! For tests: the bodies of the fuzz targets, which panic where something is wrong.

use super::config;

#[cfg(test)]
mod tests;

/// A configuration is understood whatever comments stand around it; what is wrong with one is said
/// in one line that names a line of the file.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A byte order mark is one at the beginning alone.
    let text = text.trim_start_matches('\u{feff}');
    match config::parse(text) {
        Ok(config) => {
            let around = format!("# before\n\n{text}\n# behind\n");
            let again = config::parse(&around).expect("a comment changes nothing");
            assert_eq!(format!("{again:?}"), format!("{config:?}"));
        }
        Err(error) => {
            assert!(!error.contains('\n'), "{error:?} is one line");
            let line = error.strip_prefix("line ").and_then(|rest| rest.split_once(' '));
            let line = line.and_then(|(line, _)| line.parse().ok()).expect("it names a line");
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&line), "line {line} of {lines}");
        }
    }
}
