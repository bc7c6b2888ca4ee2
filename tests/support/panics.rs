//! A service for the tests: it echoes, and panics over an exclamation mark (fault 35).

use sockeye::serve::{Flow, Reply, Responder, Service};

struct Panics;

impl Responder for Panics {
    fn respond(&mut self, input: &mut [u8], reply: &mut Reply) -> Flow {
        assert!(!input.contains(&b'!'), "told to");
        reply.in_place(input.len());
        Flow::Continue
    }
}

fn main() -> std::process::ExitCode {
    sockeye::serve_main(Service::new("panics", || Panics))
}
