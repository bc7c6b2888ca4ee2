//! Which call caused a packet.

use super::event::{Call, CallResult, Flags, Segment, Side};

/// The last call of each kind and side, by its step.
#[derive(Debug, Default)]
pub(super) struct Calls([Last; 2]);

#[derive(Debug, Default)]
struct Last {
    connect: Option<Made>,
    send: Option<Made>,
    close: Option<Made>,
}

#[derive(Debug, Clone, Copy)]
struct Made {
    step: u64,
    /// Its return has not been told.
    open: bool,
}

impl Calls {
    pub(super) fn push(&mut self, call: &Call, step: u64) {
        let last = &mut self.0[call.side as usize];
        let place = match &*call.name {
            "connect" => &mut last.connect,
            "send" | "sendto" | "sendmsg" | "write" | "writev" => &mut last.send,
            "shutdown" | "close" => &mut last.close,
            _ => return,
        };
        let begins = call.result == CallResult::Begun;
        match place {
            // Its packets belong to the beginning, which was told already.
            Some(made) if made.open && !begins => made.open = false,
            _ => *place = Some(Made { step, open: begins }),
        }
    }

    /// The call that caused a segment, if one did: acknowledgements are the kernel's own.
    pub(super) fn cause(&self, side: Side, segment: &Segment) -> Option<u64> {
        let last = &self.0[side as usize];
        let flags = segment.flags;
        let made = if flags.has(Flags::SYN) {
            last.connect.filter(|_| !flags.has(Flags::ACK))
        } else if flags.has(Flags::FIN) || flags.has(Flags::RST) {
            last.close
        } else if segment.length > 0 {
            last.send
        } else {
            None
        };
        made.map(|made| made.step)
    }

    /// The call that sent a datagram.
    pub(super) fn sent(&self, side: Side) -> Option<u64> {
        self.0[side as usize].send.map(|made| made.step)
    }
}
