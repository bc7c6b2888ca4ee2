//! The options before a key: understood all, or the line does not count.

use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::line::quote;
use super::source::Sources;

/// What a line's options say.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) from: Option<Sources>,
    pub(super) command: Option<String>,
    pub(super) expires: Option<SystemTime>,
    pub(super) pty: bool,
    pub(super) restricted: bool,
}

/// Options that allow or forbid what we never do.
const NO_CONCERN: [&str; 4] = ["agent-forwarding", "port-forwarding", "x11-forwarding", "user-rc"];

impl Options {
    /// The text before a key; empty if there is none. The error says why the line does not count.
    pub(super) fn parse(text: &str) -> Result<Options, String> {
        let mut options = Options { pty: true, ..Options::default() };
        let mut rest = text;
        while !rest.is_empty() {
            let (name, value, after) = next(rest)?;
            options.set(&name.to_ascii_lowercase(), value, name)?;
            rest = match after.strip_prefix(',') {
                Some("") => return Err("its options end with a comma".into()),
                Some(more) => more,
                None => after,
            };
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: Option<String>, as_written: &str) -> Result<(), String> {
        let plain = name.strip_prefix("no-").unwrap_or(name);
        match (name, value) {
            ("restrict", None) => (self.restricted, self.pty) = (true, false),
            ("pty", None) => self.pty = true,
            ("no-pty", None) => self.pty = false,
            (_, None) if NO_CONCERN.contains(&plain) => {}
            ("command", Some(command)) => once(&mut self.command, command, name)?,
            ("from", Some(list)) => once(&mut self.from, Sources::parse(&list)?, name)?,
            ("expiry-time", Some(time)) => {
                let time = moment(&time)
                    .ok_or_else(|| format!("expiry-time={} is no time", quote(&time)))?;
                // Of several the earliest counts, as with OpenSSH.
                self.expires = Some(self.expires.map_or(time, |before| before.min(time)));
            }
            _ => return Err(format!("the option {} is not understood here", quote(as_written))),
        }
        Ok(())
    }
}

fn once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("the option {name} is there twice")),
    }
}

/// The first option: its name, its value without quotes, and what follows it.
fn next(text: &str) -> Result<(&str, Option<String>, &str), String> {
    let end = text.find([',', '=']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let Some(value) = rest.strip_prefix('=') else { return Ok((name, None, rest)) };
    let unquoted = || format!("the value of {} is not in quotes", quote(name));
    let mut chars = value.strip_prefix('"').ok_or_else(unquoted)?.char_indices();
    let body = chars.as_str();
    let mut out = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if body[at + 1..].starts_with('"') => {
                out.push('"');
                chars.next();
            }
            '"' => {
                let after = &body[at + 1..];
                let ends = after.is_empty() || after.starts_with(',');
                return if ends { Ok((name, Some(out), after)) } else { Err(unquoted()) };
            }
            c => out.push(c),
        }
    }
    Err("a quote is not closed".into())
}

/// `YYYYMMDD[HHMM[SS]][Z]`: local time unless there is a Z (sshd(8), expiry-time).
fn moment(text: &str) -> Option<SystemTime> {
    let bare = text.strip_suffix(['Z', 'z']);
    let zone = if bare.is_some() { TimeZone::UTC } else { TimeZone::system() };
    let digits = bare.unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or("0").parse::<i16>().ok();
    let small = |from, to| i8::try_from(part(from, to)?).ok();
    let year = part(0, 4)?;
    let (month, day) = (small(4, 6)?, small(6, 8)?);
    let (hour, minute, second) = (small(8, 10)?, small(10, 12)?, small(12, 14)?);
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(SystemTime::from(time.to_zoned(zone).ok()?.timestamp()))
}
