//! Lines that somebody types at a prompt, read on a thread of their own so that signals are heard
//! meanwhile.

use std::io;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use sockeye_host::client::{Controls, KeptTerminal};
use sockeye_limits as limits;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::by_signal;
use crate::cli::usage::Failure;

/// A prompt on the terminal.
pub(super) struct Lines {
    asks: blocking::Sender<String>,
    typed: mpsc::UnboundedReceiver<Result<String, ReadlineError>>,
    /// The thread cannot be called back from the prompt, nor can it put the terminal back then.
    terminal: Option<KeptTerminal>,
}

impl Lines {
    pub(super) fn new() -> Result<Lines, Failure> {
        let terminal = KeptTerminal::new(io::stdin()).ok();
        let editor = DefaultEditor::new().map_err(|error| anyhow!("no prompt: {error}"))?;
        let (asks, asked) = blocking::channel();
        let (typing, typed) = mpsc::unbounded_channel();
        let read = move || read_lines(editor, &asked, &typing);
        let spawned = thread::Builder::new().name("prompt".into()).spawn(read);
        spawned.map_err(|error| anyhow!("no prompt: {error}. Raise `ulimit -u`."))?;
        Ok(Lines { asks, typed, terminal })
    }

    /// The next line that is not blank; `None` at `q` or the end of the input.
    ///
    /// # Errors
    /// A signal that ends us, and a terminal that fails.
    pub(super) async fn next(
        &mut self,
        status: i32,
        controls: &mut Controls,
    ) -> Result<Option<String>, Failure> {
        let prompt = if status == 0 { ">>: ".into() } else { format!("[{status}] >>: ") };
        loop {
            // Where the thread has gone, there is nothing typed either.
            let _ = self.asks.send(prompt.clone());
            let typed = tokio::select! {
                biased;
                signal = controls.end() => {
                    self.leave().await;
                    return Err(by_signal(signal.number()));
                }
                typed = self.typed.recv() => typed,
            };
            match typed {
                Some(Ok(line)) if line.trim().is_empty() => {}
                Some(Ok(line)) if line.trim() == "q" => return Ok(None),
                Some(Ok(line)) => return Ok(Some(line)),
                // Ctrl-C drops the line.
                Some(Err(ReadlineError::Interrupted)) => {}
                Some(Err(ReadlineError::Eof)) | None => return Ok(None),
                Some(Err(error)) => return Err(anyhow!("the prompt failed: {error}").into()),
            }
        }
    }

    /// Gives the terminal back while the prompt stands. A terminal that the thread has not taken yet
    /// would be taken after that, so it is waited for; there is nothing that tells.
    async fn leave(&mut self) {
        let Some(terminal) = self.terminal.take() else { return };
        let end = Instant::now() + limits::PROMPT_WAIT;
        while !terminal.is_taken() && Instant::now() < end {
            sleep(Duration::from_millis(1)).await;
        }
        drop(terminal);
        eprintln!();
    }
}

fn read_lines(
    mut editor: DefaultEditor,
    asked: &blocking::Receiver<String>,
    typing: &mpsc::UnboundedSender<Result<String, ReadlineError>>,
) {
    while let Ok(prompt) = asked.recv() {
        let typed = editor.readline(&prompt);
        if let Ok(line) = &typed
            && !line.trim().is_empty()
        {
            // A line that is not remembered is no failure.
            let _ = editor.add_history_entry(line);
        }
        if typing.send(typed).is_err() {
            return;
        }
    }
}
