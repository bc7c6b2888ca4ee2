//! `load idle`: opens connections, prints `open N`, and holds them until stdin closes.

use std::io::{Read, Write};
use std::net::TcpStream;

use sockeye_bench_reference::Outcome;

use crate::args::Plan;
use crate::count::{Count, say};
use crate::{message, tcp};

pub fn run(plan: &Plan) -> Outcome {
    let mut count = Count::start(plan);
    let mut held = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let fd = tcp::connect(plan, index)?;
        rustix::io::ioctl_fionbio(&fd, false)?;
        held.push(TcpStream::from(fd));
    }
    if plan.touch {
        let message = message(plan.size);
        let mut answer = vec![0; plan.size];
        for stream in &mut held {
            stream.write_all(&message)?;
            stream.read_exact(&mut answer)?;
            count.requests += 1;
            if answer != message.to_ascii_uppercase() {
                count.errors += 1;
            }
        }
    }
    say(&format!("open {}", held.len()));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    count.errors += held.iter().filter(|stream| !alive(stream)).count() as u64;
    count.report();
    Ok(())
}

/// Whether the server still holds its end.
fn alive(stream: &TcpStream) -> bool {
    let quiet = stream.set_nonblocking(true).is_ok();
    let peeked = stream.peek(&mut [0]);
    quiet && matches!(peeked, Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock)
}
