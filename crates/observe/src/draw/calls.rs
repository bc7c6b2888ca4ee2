//! What a drawing says of calls, which may be told twice: when they begin and when they return.

use sockeye_limits as limits;

use super::words;
use crate::history::{Call, CallResult};

/// The calls of each side that have begun and not returned.
#[derive(Debug, Default)]
pub(super) struct Calls([Vec<String>; 2]);

impl Calls {
    /// The call in words; `None` for a return that brings nothing.
    pub(super) fn said(&mut self, call: &Call) -> Option<String> {
        let begun = &mut self.0[call.side as usize];
        let known = begun.iter().position(|name| *name == call.name);
        if let Some(at) = known {
            begun.remove(at);
        }
        match &call.result {
            CallResult::Begun if begun.len() < limits::TRACE_CALLS => {
                begun.push(call.name.to_string());
            }
            // Of recv, 0 is the peer's end.
            CallResult::Done(0) if known.is_some() && call.name != "recv" => return None,
            _ => {}
        }
        Some(words::call(call, known.is_some()))
    }
}
