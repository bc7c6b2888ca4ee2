//! The terminal at the prompt: rustyline on one thread, what is printed beside it on another.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use sockeye_limits as limits;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::history::History;
use super::{PROMPT, QUIT};
use crate::error::Error;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, without its newline.
    Line(String),
    /// Ctrl-C: the line is dropped.
    Interrupted,
    /// Ctrl-D.
    End,
    /// The terminal failed.
    Failed(String),
}

/// What happens on the terminal.
#[derive(Debug)]
pub(super) enum Event {
    /// Something was typed; the prompt is gone.
    Typed(Typed),
    /// Something was printed.
    Printed,
}

#[derive(Debug)]
pub(super) struct Print {
    pub(super) bytes: Vec<u8>,
    /// The prompt is on the screen: it is put aside and drawn again.
    pub(super) at_prompt: bool,
}

/// A terminal that asks for lines and shows text, also while it asks.
pub struct Console {
    asks: blocking::Sender<()>,
    typed: mpsc::UnboundedReceiver<Typed>,
    prints: blocking::Sender<Print>,
    printed: mpsc::UnboundedReceiver<()>,
    unprinted: usize,
    at_prompt: bool,
    /// The prompt can be put aside for what is printed, and drawn again.
    redraws: bool,
    /// Something was printed while this prompt stands.
    beside_prompt: bool,
    at_line_start: bool,
    /// The terminal as it was; rustyline cannot be called back from its prompt.
    before: Option<Termios>,
}

/// The other ends of a console's channels.
pub(super) struct Ends {
    pub(super) asks: blocking::Receiver<()>,
    pub(super) typed: mpsc::UnboundedSender<Typed>,
    pub(super) prints: blocking::Receiver<Print>,
    pub(super) printed: mpsc::UnboundedSender<()>,
}

impl Console {
    /// The terminal of this process, on standard input and output.
    ///
    /// # Errors
    /// [`Error::Terminal`].
    pub fn terminal(history: Option<History>) -> Result<Console, Error> {
        let failed = |error: ReadlineError| Error::Terminal(error.to_string());
        let config = Config::builder()
            .max_history_size(limits::HISTORY_LINES)
            .map_err(failed)?
            // A paste of several lines is several messages.
            .bracketed_paste(false)
            .build();
        let before = tcgetattr(io::stdin()).ok();
        let memory = MemHistory::with_config(&config);
        let mut editor: Editor<(), _> = Editor::with_history(config, memory).map_err(failed)?;
        // A process that ends at the prompt must not leave a screen that waits for the rest.
        editor.enable_synchronized_output(false);
        if let Some(history) = &history {
            for line in history.lines() {
                editor.add_history_entry(line).map_err(failed)?;
            }
        }
        // A terminal that rustyline does not know (TERM=dumb) has no such printer.
        let beside = editor.create_external_printer().ok();
        let (mut console, ends) = Console::pair(before);
        console.redraws = beside.is_some();
        let Ends { asks, typed, prints, printed } = ends;
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = thread::Builder::new().name(name.into()).spawn(work);
            spawned.map_err(|error| Error::Terminal(error.to_string()))
        };
        spawn("prompt", Box::new(move || read_lines(editor, history, &asks, &typed)))?;
        spawn("print", Box::new(move || print_all(beside, &prints, &printed)))?;
        Ok(console)
    }

    pub(super) fn pair(before: Option<Termios>) -> (Console, Ends) {
        let (ask, asks) = blocking::channel();
        let (type_, typed) = mpsc::unbounded_channel();
        let (print, prints) = blocking::channel();
        let (done, printed) = mpsc::unbounded_channel();
        let console = Console {
            asks: ask,
            typed,
            prints: print,
            printed,
            unprinted: 0,
            at_prompt: false,
            redraws: false,
            beside_prompt: false,
            at_line_start: true,
            before,
        };
        (console, Ends { asks, typed: type_, prints, printed: done })
    }

    /// Shows the prompt, on a line of its own.
    pub(super) fn ask(&mut self) {
        if !self.at_line_start {
            self.print(b"\n".to_vec());
        }
        (self.at_prompt, self.beside_prompt) = (true, false);
        // Where the thread is gone, `event` says so.
        let _ = self.asks.send(());
    }

    /// Shows bytes.
    pub(super) fn print(&mut self, mut bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        // What is printed beside a prompt gets a line of its own.
        if self.at_prompt && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        self.beside_prompt |= self.at_prompt;
        self.at_line_start = bytes.ends_with(b"\n");
        if self.prints.send(Print { bytes, at_prompt: self.at_prompt }).is_ok() {
            self.unprinted += 1;
        }
    }

    /// True where everything that was to be printed is.
    pub(super) fn is_settled(&self) -> bool {
        self.unprinted == 0
    }

    /// What happens next. Nothing is lost when the wait is given up.
    pub(super) async fn event(&mut self) -> Event {
        tokio::select! {
            typed = self.typed.recv() => {
                (self.at_prompt, self.at_line_start) = (false, true);
                Event::Typed(typed.unwrap_or(Typed::End))
            }
            Some(()) = self.printed.recv() => {
                self.unprinted = self.unprinted.saturating_sub(1);
                Event::Printed
            }
        }
    }

    /// Waits until everything is printed. A print that came just when a line was finished is held
    /// by rustyline until its next prompt, so the wait is bounded.
    pub(super) async fn settle(&mut self) {
        while self.unprinted > 0 {
            match timeout(limits::PROMPT_WAIT, self.printed.recv()).await {
                Ok(Some(())) => self.unprinted -= 1,
                Ok(None) | Err(_) => self.unprinted = 0,
            }
        }
    }

    /// Waits until everything is on the screen, beside a prompt that stands as well; after it the
    /// terminal can be given back.
    ///
    /// rustyline only takes what is to be printed beside its prompt, and takes the next when it has
    /// shown the last. So a few that change nothing follow: one up, and down again.
    pub(super) async fn settle_on_screen(&mut self) {
        if self.redraws && self.at_prompt {
            self.prompt_stands().await;
            if self.beside_prompt {
                for _ in 0..3 {
                    self.print(b"\x1b[A\r\n".to_vec());
                }
            }
        }
        self.settle().await;
    }

    /// Waits until rustyline has taken the terminal for the prompt that it was asked for: a terminal
    /// that is given back before that would be taken after it. There is nothing that tells, so the
    /// terminal is looked at.
    async fn prompt_stands(&self) {
        let end = Instant::now() + limits::PROMPT_WAIT;
        let is_cooked =
            || tcgetattr(io::stdin()).is_ok_and(|now| now.local_modes.contains(LocalModes::ICANON));
        while is_cooked() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Gives the terminal back as it was, with the cursor on a fresh line. Where the prompt stands no more
    /// of it is seen from then on, nor of anything that goes to standard output.
    pub(super) fn close(&mut self) {
        let Some(before) = self.before.take() else { return };
        let terminal = if self.at_prompt { silence().ok() } else { None };
        // There is nobody left to tell where the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &before);
        if self.at_prompt || !self.at_line_start {
            let _ = match terminal {
                Some(mut terminal) => terminal.write_all(b"\n"),
                None => io::stdout().write_all(b"\n"),
            };
        }
    }
}

/// Standard output leads nowhere from now on; gives what it was. rustyline cannot be called back from its
/// prompt, and would draw it once more behind the last word, where the shell's comes next.
fn silence() -> io::Result<File> {
    let terminal = io::stdout().as_fd().try_clone_to_owned()?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(nowhere)?;
    Ok(File::from(terminal))
}

impl Drop for Console {
    fn drop(&mut self) {
        self.close();
    }
}

fn read_lines(
    mut editor: Editor<(), MemHistory>,
    mut history: Option<History>,
    asks: &blocking::Receiver<()>,
    typed: &mpsc::UnboundedSender<Typed>,
) {
    while asks.recv().is_ok() {
        let what = match editor.readline(PROMPT) {
            Ok(line) => {
                // How to leave needs no remembering; blank and repeated lines rustyline leaves out.
                if line.trim() != QUIT
                    && editor.add_history_entry(&line).unwrap_or(false)
                    && let Some(history) = &mut history
                {
                    history.add(&line);
                }
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            Err(ReadlineError::Eof) => Typed::End,
            Err(error) => Typed::Failed(error.to_string()),
        };
        if typed.send(what).is_err() {
            return;
        }
    }
}

fn print_all(
    mut beside: Option<impl ExternalPrinter>,
    prints: &blocking::Receiver<Print>,
    printed: &mpsc::UnboundedSender<()>,
) {
    while let Ok(Print { bytes, at_prompt }) = prints.recv() {
        // A terminal that takes nothing any more ends the prompt as well, which is told there.
        match &mut beside {
            Some(beside) if at_prompt => {
                let _ = beside.print(String::from_utf8_lossy(&bytes).into_owned());
            }
            _ => {
                let mut stdout = io::stdout();
                let _ = stdout.write_all(&bytes).and_then(|()| stdout.flush());
            }
        }
        if printed.send(()).is_err() {
            return;
        }
    }
}
