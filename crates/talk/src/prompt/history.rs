//! The lines of earlier prompts, kept in a file that only its owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sockeye_limits as limits;

/// A history file: one line a line, the oldest first.
///
/// History is a convenience: a file that cannot be read or written is done without, silently.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    lines: Vec<String>,
}

impl History {
    /// Reads the history at `path`; at most the last [`limits::HISTORY_LINES`] lines.
    pub fn open(path: impl Into<PathBuf>) -> History {
        let path = path.into();
        let (lines, all) = read(&path).unwrap_or_default();
        if all > lines.len() {
            // Cut to what is used: a temporary file, so that a crash leaves the old or the new.
            let _ = rewrite(&path, &lines);
        }
        History { path, lines }
    }

    /// `sockeye/history` in `$XDG_STATE_HOME`, or in `~/.local/state` (XDG Base Directory
    /// Specification 0.8); `None` without a home.
    pub fn default_path() -> Option<PathBuf> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
        Some(state.join("sockeye/history"))
    }

    /// The lines that were read, the oldest first.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Appends a line to the file.
    pub fn add(&mut self, line: &str) {
        if line.len() <= limits::LINE_MAX && !line.contains('\n') {
            let _ = append(&self.path, line);
        }
    }
}

/// The last lines of the file, and how many lines there are.
fn read(path: &Path) -> io::Result<(Vec<String>, usize)> {
    let bounded = BufReader::new(File::open(path)?.take(64 * limits::LINE_MAX as u64));
    let mut lines = std::collections::VecDeque::new();
    let mut all = 0;
    for line in bounded.split(b'\n') {
        all += 1;
        if lines.len() == limits::HISTORY_LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line?).into_owned());
    }
    Ok((lines.into(), all))
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    // A file that was there before, perhaps copied, becomes private as well.
    file.set_permissions(Permissions::from_mode(0o600))?;
    // One write, so that two prompts do not mix their lines.
    file.write_all(format!("{line}\n").as_bytes())
}

fn rewrite(path: &Path, lines: &[String]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
    let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        fs::remove_file(&temporary)?;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C1: lines come back, and only their owner can read them.
    #[test]
    fn kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/sockeye/history");
        let mut history = History::open(&path);
        assert!(history.lines().is_empty());
        history.add("hello");
        history.add("wörld");
        assert_eq!(History::open(&path).lines(), ["hello", "wörld"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        history.add("again");
        assert_eq!(mode(&path), 0o600);
    }

    /// Q4: a long history is cut; what is no history does no harm.
    #[test]
    fn bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        let text: String = (0..limits::HISTORY_LINES + 7).map(|n| format!("{n}\n")).collect();
        fs::write(&path, text).unwrap();
        for _ in 0..2 {
            let history = History::open(&path);
            assert_eq!(history.lines().len(), limits::HISTORY_LINES);
            assert_eq!(history.lines()[0], "7");
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), limits::HISTORY_LINES);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let mut nowhere = History::open(directory.path());
        assert!(nowhere.lines().is_empty());
        nowhere.add("lost");
    }
}
