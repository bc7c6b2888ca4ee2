//! Standard input's credit (clauses P-L4 and P-S6): how much may be on its way.

use sockeye_limits as limits;

use crate::error::{Fault, Misuse};
use crate::frame::{Kind, put};

/// Standard input as the server sees it.
#[derive(Debug)]
pub(crate) struct Intake {
    wanted: bool,
    ended: bool,
    closed: bool,
    /// Bytes that were announced and whose taking was not told.
    held: usize,
    /// Those of them that were taken.
    taken: usize,
}

impl Intake {
    pub(crate) fn new(wanted: bool) -> Intake {
        Intake { wanted, ended: false, closed: false, held: 0, taken: 0 }
    }

    /// True where the command reads no more, so that nobody needs to see what still comes.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// A header of Stdin or StdinEnd came; `length` is 0 for the end.
    pub(crate) fn announce(&mut self, kind: Kind, length: usize) -> Result<(), Fault> {
        if !self.wanted {
            return Err(Fault::OutOfOrder { kind, when: "for a command that takes no input" });
        }
        if self.ended {
            return Err(Fault::OutOfOrder { kind, when: "after the end of input" });
        }
        self.ended = kind == Kind::StdinEnd;
        if length > limits::STDIN_WINDOW - self.held {
            return Err(Fault::StdinWindow);
        }
        self.held += length;
        Ok(())
    }

    /// The command took so many bytes; tells the client when enough have come together.
    pub(crate) fn take(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.closed {
            return Ok(());
        }
        if count > self.held - self.taken {
            return Err(Misuse::Taken);
        }
        self.taken += count;
        if self.taken >= limits::STDIN_STEP && !self.ended {
            // At most the window, so four bytes hold it.
            let told = u32::try_from(self.taken).unwrap_or(u32::MAX);
            put(Kind::StdinTaken, &told.to_be_bytes(), out);
            self.held -= self.taken;
            self.taken = 0;
        }
        Ok(())
    }

    /// The command reads no more; true where the client should hear that.
    pub(crate) fn close(&mut self) -> Result<bool, Misuse> {
        if !self.wanted {
            return Err(Misuse::NoStdin);
        }
        let news = !self.closed && !self.ended;
        self.closed = true;
        Ok(news)
    }
}

/// Standard input as the client sees it.
#[derive(Debug)]
pub(crate) struct Supply {
    wanted: bool,
    ended: bool,
    closed: bool,
    /// Bytes that were sent and not taken.
    sent: usize,
}

impl Supply {
    pub(crate) fn new(wanted: bool) -> Supply {
        Supply { wanted, ended: false, closed: false, sent: 0 }
    }

    /// True where input can still be sent, now or later.
    pub(crate) fn is_open(&self) -> bool {
        self.wanted && !self.ended && !self.closed
    }

    /// How many bytes the next frame may have.
    pub(crate) fn room(&self) -> usize {
        let room = if self.is_open() { limits::STDIN_WINDOW - self.sent } else { 0 };
        room.min(limits::FRAME_DATA_MAX)
    }

    pub(crate) fn send(&mut self, count: usize) -> Result<(), Misuse> {
        if !self.is_open() {
            return Err(Misuse::NoStdin);
        }
        if !(1..=limits::FRAME_DATA_MAX).contains(&count) {
            return Err(Misuse::Length);
        }
        if count > self.room() {
            return Err(Misuse::NoRoom);
        }
        self.sent += count;
        Ok(())
    }

    /// True where the end is to be sent; it is needless once the command reads no more.
    pub(crate) fn end(&mut self) -> Result<bool, Misuse> {
        if !self.wanted {
            return Err(Misuse::NoStdin);
        }
        let news = self.is_open();
        self.ended = true;
        Ok(news)
    }

    /// StdinTaken came.
    pub(crate) fn taken(&mut self, count: u32) -> Result<(), Fault> {
        let count = usize::try_from(count).map_err(|_| Fault::StdinTaken)?;
        if self.closed || count == 0 || count > self.sent {
            return Err(Fault::StdinTaken);
        }
        self.sent -= count;
        Ok(())
    }

    /// StdinClosed came.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        if !self.wanted || self.closed {
            let when = "for a command that takes no input";
            return Err(Fault::OutOfOrder { kind: Kind::StdinClosed, when });
        }
        self.closed = true;
        Ok(())
    }
}
