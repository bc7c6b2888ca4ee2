//! What the screen can do: its width, and whether it shows colours.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width that is written for where there is no terminal.
const USUAL_WIDTH: usize = 80;

/// Where the table goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub(super) width: usize,
    /// Lines that fit; `None` where they may be any number.
    pub(super) height: Option<usize>,
    pub(super) colour: bool,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Heading,
    Faint,
    Good,
    Changed,
    Bad,
}

impl Screen {
    /// A terminal as wide as it says; a file or a pipe without colours. NO_COLOR is honoured.
    pub(super) fn of_stdout() -> Screen {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Screen { width: USUAL_WIDTH, height: None, colour: false };
        }
        let size = rustix::termios::tcgetwinsize(&stdout).ok();
        let cells = |n: u16| usize::from(n);
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Screen {
            width: size.map(|s| cells(s.ws_col)).filter(|n| *n >= 40).unwrap_or(USUAL_WIDTH),
            height: size.map(|s| cells(s.ws_row)).filter(|n| *n > 2),
            colour: set("NO_COLOR").is_none() && !dumb,
        }
    }

    /// The text in that ink.
    pub(super) fn ink(&self, ink: Ink, text: &str) -> String {
        let style = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Heading => Style::new().bold(),
            Ink::Faint => Style::new().dimmed(),
            Ink::Good => AnsiColor::Green.on_default(),
            Ink::Changed => AnsiColor::Yellow.on_default(),
            Ink::Bad => AnsiColor::Red.on_default(),
        };
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// How many cells a text takes. What is shown is addresses, and names that have been escaped.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most that many cells, its end marked where it was cut.
pub(super) fn clip(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut wide = 0;
    let fits = |letter: &char| {
        wide += letter.width().unwrap_or(0);
        wide < cells
    };
    text.chars().take_while(fits).chain(std::iter::once('…')).collect()
}
