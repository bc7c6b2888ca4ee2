//! A service of one's own: `cargo run --example rot13 -- --model thread 9000`.
use sockeye::serve::{Flow, Reply, Responder, Service};

struct Rot13;

impl Responder for Rot13 {
    fn respond(&mut self, input: &mut [u8], reply: &mut Reply) -> Flow {
        for byte in input.iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
            let base = if byte.is_ascii_lowercase() { b'a' } else { b'A' };
            *byte = (*byte - base + 13) % 26 + base;
        }
        reply.in_place(input.len());
        Flow::Continue
    }
}

fn main() -> std::process::ExitCode {
    sockeye::serve_main(Service::new("rot13", || Rot13))
}
