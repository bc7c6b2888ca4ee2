//! Which files are taken: the patterns of a request, and those of `.gitignore` files (gitignore(5)).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sockeye_limits as limits;
use sockeye_net::shown;
use sockeye_wire::files::{Filter, Name};

/// The patterns of a request. Paths count from the source, without its own name; what that is called
/// is judged by the patterns alone that fit at any depth.
pub(crate) struct Filters {
    within: Option<Gitignore>,
    sources: Option<Gitignore>,
}

/// Finds out before anything else whether patterns can be used.
///
/// # Errors
/// Which of them cannot be read, in words.
pub fn check_filters(filters: &[Filter]) -> Result<(), String> {
    if filters.len() > limits::TRANSFER_FILTERS {
        return Err(format!(
            "there are more than {} patterns. Put them together, as in *.[ao].",
            limits::TRANSFER_FILTERS
        ));
    }
    if filters.iter().any(|filter| filter.pattern.trim().is_empty()) {
        return Err("a pattern is empty. See gitignore(5) for their form.".into());
    }
    Filters::new(filters).map(drop)
}

/// True where patterns leave out a source of this name: a file, or a directory.
pub fn leaves_out(filters: &[Filter], name: &Name, is_directory: bool) -> bool {
    Filters::new(filters).is_ok_and(|filters| filters.excludes_source(name, is_directory))
}

impl Filters {
    /// Reads patterns.
    ///
    /// # Errors
    /// Which of them cannot be read, in words.
    pub(crate) fn new(filters: &[Filter]) -> Result<Filters, String> {
        let anywhere = |filter: &&Filter| !filter.pattern.trim_end_matches('/').contains('/');
        let within = build(filters.iter())?;
        Ok(Filters { within, sources: build(filters.iter().filter(anywhere))? })
    }

    /// True for what is left out; for a directory that means all in it as well.
    pub(crate) fn excludes(&self, path: &[u8], is_directory: bool) -> bool {
        let Some(patterns) = &self.within else { return false };
        patterns.matched(as_path(path), is_directory).is_ignore()
    }

    /// The same for a source, by its own name.
    pub(crate) fn excludes_source(&self, name: &Name, is_directory: bool) -> bool {
        let Some(patterns) = &self.sources else { return false };
        patterns.matched(as_path(name.as_bytes()), is_directory).is_ignore()
    }

    /// True where there is no pattern.
    pub(crate) fn is_empty(&self) -> bool {
        self.within.is_none()
    }
}

fn build<'f>(filters: impl Iterator<Item = &'f Filter>) -> Result<Option<Gitignore>, String> {
    let mut builder = GitignoreBuilder::new("");
    let mut count = 0;
    for Filter { include, pattern } in filters {
        // A pattern is one, even where a line of a file would be none or mean its opposite.
        let line = match (include, pattern.starts_with(['#', '!'])) {
            (true, _) => format!("!{pattern}"),
            (false, true) => format!("\\{pattern}"),
            (false, false) => pattern.clone(),
        };
        builder.add_line(None, &line).map_err(|error| unreadable(pattern, &error))?;
        count += 1;
    }
    if count == 0 {
        return Ok(None);
    }
    builder.build().map(Some).map_err(|error| unreadable("", &error))
}

fn unreadable(pattern: &str, error: &ignore::Error) -> String {
    let (pattern, error) = (shown::line(pattern), shown::line(&error.to_string()));
    format!("the pattern \"{pattern}\" cannot be read: {error}. See gitignore(5) for their form.")
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// The `.gitignore` of a directory, and those above it.
#[derive(Clone)]
pub(crate) struct Ignored(Arc<Level>);

struct Level {
    above: Option<Ignored>,
    patterns: Gitignore,
    /// Where it counts from, in bytes of the path of what is in it.
    from: usize,
    /// How long its text is, with those above it.
    size: usize,
}

impl Ignored {
    /// With the text of one more file, in the directory of this path; `None` where no pattern is in
    /// it. A line that cannot be read leaves nothing out, as with git.
    ///
    /// # Errors
    /// What is wrong with all of it: as if it said nothing, what it names would be sent, or removed.
    pub(crate) fn add(
        above: Option<&Ignored>,
        directory: &[u8],
        text: &[u8],
    ) -> Result<Option<Ignored>, &'static str> {
        let size = text.len() + above.map_or(0, |Ignored(above)| above.size);
        if text.len() > limits::IGNORE_FILE || size > limits::IGNORE_OPEN {
            return Err("is too long, or with those of the directories above it");
        }
        let mut builder = GitignoreBuilder::new("");
        for line in String::from_utf8_lossy(text).lines() {
            let _ = builder.add_line(None, line);
        }
        let patterns = builder.build().map_err(|_| "has more patterns than can be held")?;
        let from = if directory.is_empty() { 0 } else { directory.len() + 1 };
        if patterns.is_empty() {
            return Ok(None);
        }
        let above = above.cloned();
        Ok(Some(Ignored(Arc::new(Level { above, patterns, from, size }))))
    }

    /// True for what is left out: the nearest file that says something about it decides.
    pub(crate) fn excludes(&self, path: &[u8], is_directory: bool) -> bool {
        let mut level = Some(self);
        while let Some(Ignored(at)) = level {
            let below = path.get(at.from..).unwrap_or_default();
            match at.patterns.matched(as_path(below), is_directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => level = at.above.as_ref(),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: bool, pattern: &str) -> Filter {
        Filter { include, pattern: pattern.to_owned() }
    }

    /// F1: the last pattern that fits decides, as in gitignore(5).
    #[test]
    fn the_last_one_decides() {
        let filters = [filter(false, "*.o"), filter(true, "keep.o"), filter(false, "/build/")];
        let filters = Filters::new(&filters).unwrap();
        assert!(filters.excludes(b"a/b.o", false));
        assert!(!filters.excludes(b"a/keep.o", false));
        assert!(filters.excludes(b"build", true));
        assert!(!filters.excludes(b"build", false));
        assert!(!filters.excludes(b"a/build", true));
        assert!(!filters.excludes(b"\xff\n", false));
        assert!(!Filters::new(&[]).unwrap().excludes(b"x", false));
    }

    /// F1: a source's own name is judged as well, but not by patterns that say where beneath it
    /// something is.
    #[test]
    fn sources() {
        let filters = [filter(false, "*.o"), filter(false, "dir/"), filter(false, "/top")];
        let filters = Filters::new(&filters).unwrap();
        let name = |text: &str| Name::new(text.as_bytes()).unwrap();
        assert!(filters.excludes_source(&name("a.o"), false));
        assert!(filters.excludes_source(&name("dir"), true));
        assert!(!filters.excludes_source(&name("dir"), false));
        assert!(!filters.excludes_source(&name("top"), false));
        assert!(filters.excludes(b"top", false));
    }

    /// Q1: what is no pattern is found out without a server.
    #[test]
    fn checked() {
        assert!(check_filters(&[filter(false, "*.o"), filter(true, "!x")]).is_ok());
        for (bad, said) in [("", "empty"), (" ", "empty"), ("{a", "\"{a\"")] {
            let error = check_filters(&[filter(true, bad)]).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
        let many = vec![filter(false, "x"); limits::TRANSFER_FILTERS + 1];
        assert!(check_filters(&many).is_err());
    }

    #[test]
    fn a_pattern_is_no_comment() {
        let filters = Filters::new(&[filter(false, "#x"), filter(false, "!y")]).unwrap();
        assert!(filters.excludes(b"#x", false));
        assert!(filters.excludes(b"!y", false));
        assert!(Filters::new(&[filter(false, "{a")]).is_err());
    }

    #[test]
    fn the_nearest_file_decides() {
        let top = Ignored::add(None, b"", b"*.log\n/only\n").unwrap().unwrap();
        let below = Ignored::add(Some(&top), b"sub/dir", b"!a.log\n/here\n").unwrap().unwrap();
        assert!(below.excludes(b"x.log", false));
        assert!(!below.excludes(b"sub/dir/a.log", false));
        assert!(below.excludes(b"sub/dir/b.log", false));
        assert!(below.excludes(b"sub/dir/here", false));
        assert!(!below.excludes(b"sub/dir/x/here", false));
        assert!(!below.excludes(b"sub/only", false));
    }

    /// F1: what cannot be held is an error, never as good as no pattern.
    #[test]
    fn too_long() {
        let most = vec![b'\n'; limits::IGNORE_FILE];
        assert!(Ignored::add(None, b"", &most).is_ok_and(|ignored| ignored.is_none()));
        assert!(Ignored::add(None, b"", &[&most[..], b"x"].concat()).is_err());
        let (mut above, text) = (None, [&most[2..], b"x\n"].concat());
        for _ in 0..limits::IGNORE_OPEN / limits::IGNORE_FILE {
            above = Ignored::add(above.as_ref(), b"", &text).unwrap();
        }
        assert!(Ignored::add(above.as_ref(), b"", b"x").is_err());
    }
}
