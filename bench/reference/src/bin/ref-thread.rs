//! The textbook: a blocking server with a thread for each connection, on `std::net` alone.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use sockeye_bench_reference::{Outcome, address_argument, announce, raise_file_limit};

fn main() -> Outcome {
    raise_file_limit()?;
    let listener = TcpListener::bind(address_argument()?)?;
    announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(cause) = serve(stream)
                && cause.kind() != ErrorKind::ConnectionReset
            {
                eprintln!("connection: {cause}");
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 8192];
    loop {
        let got = stream.read(&mut buffer)?;
        if got == 0 {
            return Ok(());
        }
        buffer[..got].make_ascii_uppercase();
        stream.write_all(&buffer[..got])?;
    }
}
