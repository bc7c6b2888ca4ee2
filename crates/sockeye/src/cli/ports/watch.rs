//! `--watch`: a look every second, on a terminal in the same place, with what has changed marked.

use std::io::IsTerminal;
use std::time::Instant;

use sockeye_limits as limits;

use super::paint::Screen;
use super::table::Table;
use super::{PortsSettings, json, look};
use crate::cli::docs::write_all;
use crate::cli::usage::Failure;

/// To the first line, and from a line's end to the screen's.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR: &str = "\x1b[2J";

/// Ends with Ctrl-C, or when nobody reads any more.
pub(super) fn run(settings: &PortsSettings) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal() && !settings.json;
    let mut older: Option<Table> = None;
    if terminal && !write_all(CLEAR.as_bytes())? {
        return Ok(());
    }
    loop {
        let next = Instant::now() + limits::WATCH_TIME;
        let seen = look(settings)?;
        let screen = Screen::of_stdout();
        let mut table = Table::of(&seen, &settings.wanted, settings.verbose);
        if let Some(older) = &older {
            table.mark(older);
        }
        let text = match (settings.json, terminal) {
            (true, _) => json::snapshot(&seen),
            (_, true) => redraw(&table.text(&seen, &screen), &screen),
            // A blank line between two looks.
            (_, false) => table.text(&seen, &screen) + "\n",
        };
        if !write_all(text.as_bytes())? {
            return Ok(());
        }
        older = Some(table);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// The lines over the old ones, no more than fit.
fn redraw(text: &str, screen: &Screen) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let room = screen.height.unwrap_or(usize::MAX).saturating_sub(1);
    let (shown, rest) = lines.split_at(lines.len().min(room.saturating_sub(1)));
    let mut out = String::from(HOME);
    for line in shown {
        out.push_str(line);
        out.push_str(CLEAR_LINE);
        out.push('\n');
    }
    match rest {
        [] => {}
        [last] => out.push_str(last),
        more => out.push_str(&format!("… {} more lines", more.len())),
    }
    out.push_str(CLEAR_BELOW);
    out
}
