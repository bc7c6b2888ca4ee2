//! The kernel settings that matter to sockets: their values, and what each does on this kernel.
//!
//! `table` has the settings, one row each; [`hints`] says which of them are worth a thought, and
//! only where counters or sockets show a need. Everything said here is true of the kernel that runs,
//! and provoked by a test.

mod hints;
mod range;
mod table;

use std::fs;

use rustix::system::uname;

pub use hints::{Hint, hints};
#[cfg(test)]
pub(crate) use range::tests::waiting;
pub use range::{Crowded, PortRange, crowded};

/// A version of Linux, as far as it decides what a setting does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
}

impl Release {
    /// The kernel that runs, by uname(2).
    pub fn running() -> Release {
        Release::parse(&uname().release().to_string_lossy())
    }

    /// `6.1.0-13-amd64` is 6.1; what cannot be read is 0.0.
    fn parse(text: &str) -> Release {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        Release { major: numbers.next().unwrap_or(0), minor: numbers.next().unwrap_or(0) }
    }

    pub(crate) fn is_since(self, major: u32, minor: u32) -> bool {
        self >= Release { major, minor }
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A setting of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name, as sysctl(8) has it.
    pub name: &'static str,
    /// Its value; `None` where this kernel or this network namespace does not have it.
    pub value: Option<String>,
    /// What it does on this kernel, with this value.
    pub meaning: String,
}

/// The settings that matter, as they are now.
pub fn settings() -> Vec<Setting> {
    let kernel = Release::running();
    table::ROWS.iter().filter_map(|row| row.setting(kernel, read(row.name))).collect()
}

/// The value of a setting, its numbers separated by one space.
pub fn read(name: &str) -> Option<String> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O5: versions are compared as numbers.
    #[test]
    fn releases() {
        assert_eq!(Release::parse("6.18.44-fc"), Release { major: 6, minor: 18 });
        assert_eq!(Release::parse("5.10-rc1"), Release { major: 5, minor: 10 });
        assert_eq!(Release::parse("nonsense"), Release { major: 0, minor: 0 });
        assert!(Release::parse("5.10.0").is_since(5, 4));
        assert!(!Release::parse("4.9.0").is_since(4, 12));
        assert!(Release::running().is_since(3, 0));
    }

    /// O5: every setting of the specification is there with its value and a whole sentence.
    #[test]
    fn all_of_them() {
        let found = settings();
        for name in [
            "tcp_syncookies",
            "tcp_tw_reuse",
            "tcp_fin_timeout",
            "tcp_max_syn_backlog",
            "somaxconn",
            "ip_local_port_range",
        ] {
            let setting = found.iter().find(|setting| setting.name.ends_with(name)).unwrap();
            assert_eq!(setting.value, read(setting.name), "{setting:?}");
            assert!(setting.value.is_some(), "{setting:?}");
        }
        for setting in &found {
            assert!(setting.meaning.len() > 40 && !setting.meaning.contains('\n'), "{setting:?}");
        }
    }
}
